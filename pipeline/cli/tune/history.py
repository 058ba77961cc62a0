"""The history to tune on, as a replay or an evaluation would read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.adapters.files import FileSource, match_labels, read_labels
from pipeline.adapters.files.labelled import LabelledColumns, open_folder, open_nab
from pipeline.adapters.files.labelled.nab import WINDOWS
from pipeline.adapters.kafka.source import TopicSource
from pipeline.cli.screen import Screen
from pipeline.cli.sources import open_recorded
from pipeline.cli.times import duration_of, range_of
from pipeline.config import Config
from pipeline.errors import ConfigError, InputError
from pipeline.evaluation.runs import merge_spans
from pipeline.tuning.history import Recording, label, record_batches, record_labelled

if TYPE_CHECKING:
    from pipeline.interfaces import LabelledSource

_PLAIN_ONLY = ("labels", "key_field", "from_", "to")


@dataclass(frozen=True, slots=True)
class History:
    """What was read.

    Attributes:
        source: as it was given.
        recordings: one a file or partition.
        is_labelled: whether anomalies are known.
        told: where they and the columns are from, for people.
    """

    source: str
    recordings: tuple[Recording, ...]
    is_labelled: bool
    told: str


def read_history(source: str, given: Mapping[str, Any], config: Config, screen: Screen) -> History:
    """All of it, into memory.

    Args:
        source: file, folder, glob or topic; with labels of its own, a checkout of NAB or a folder.
        given: options of the command.
        config: columns.
        screen: shows how it goes on.

    Raises:
        UserError: what cannot be read, or options that do not go together.
    """
    if given["labelled"] or given["label_field"] is not None:
        for name in _PLAIN_ONLY:
            if given[name] is not None:
                raise ConfigError(
                    f"--{name.strip('_').replace('_', '-')}: found it with --labelled; expected either: files with "
                    "labels in them are a stream each"
                )
        return _read_labelled(source, given, config, screen)
    return _read_plain(source, given, config, screen)


def _read_plain(source: str, given: Mapping[str, Any], config: Config, screen: Screen) -> History:
    from_us, to_us = range_of(given["from_"], given["to"])
    opened = open_recorded(source, config, from_us=from_us, to_us=to_us)
    with screen.working("reading the history"):
        recordings = [
            record_batches(partition.name, opened.fields, partition.batches(config.replay.micro_batch))
            for partition in opened.partitions
        ]
    recordings = [recording for recording in recordings if len(recording)]
    if not recordings:
        raise InputError(source, found="no records", expected="some: look at --from and --to")
    columns = _columns_of(opened)
    if given["labels"] is None:
        return History(source, tuple(recordings), is_labelled=False, told=columns)
    matched = match_labels(read_labels(given["labels"]), {key for one in recordings for key in one.keys})
    if not any(matched.spans.values()):
        raise InputError(str(given["labels"]), found="no label of a stream of this history", expected="some")
    if matched.unmatched:
        screen.note(f"notice: labels of {len(matched.unmatched)} streams that are not in this history are left out")
    spans = {key: merge_spans(one) for key, one in matched.spans.items()}
    labelled = tuple(label(one, spans) for one in recordings)
    return History(source, labelled, is_labelled=True, told=f"{columns}; labels {given['labels'].name}")


def _columns_of(opened: FileSource | TopicSource) -> str:
    if isinstance(opened, TopicSource):
        return opened.told
    mapping = opened.mapping
    keys = f"key {mapping.key_field}" if mapping.key_field else "each file a stream"
    return f"time {mapping.time_field}; values {', '.join(mapping.value_fields)}; {keys}"


def _read_labelled(source: str, given: Mapping[str, Any], config: Config, screen: Screen) -> History:
    path = Path(source)
    if (path / WINDOWS).exists():
        files: Sequence[LabelledSource] = open_nab(path).files
        told = f"Numenta Anomaly Benchmark, {WINDOWS}"
    else:
        columns = LabelledColumns(
            time_field=config.source.time_field,
            value_fields=config.source.value_fields,
            label_field=given["label_field"],
            interval_us=duration_of("--interval", given["interval"]) // timedelta(microseconds=1),
        )
        folder = open_folder(path, columns)
        files, told = folder.files, folder.files[0].told
        if folder.ignored_files:
            screen.note(f"notice: {folder.ignored_files} other files in {path} are left out")
    with screen.working("reading the history"):
        recordings = tuple(record_labelled(file.read()) for file in files)
    if not any(len(windows) for recording in recordings for windows in recording.windows):
        raise InputError(source, found="no row labelled as anomalous", expected="some, or no --labelled")
    return History(source, recordings, is_labelled=True, told=told)
