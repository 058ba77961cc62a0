"""From the histories that a user names to a file of lanes that have been through them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import SCHEME, TopicSource
from pipeline.adapters.lanes_file import LanesFile, Making, open_lanes, write_lanes
from pipeline.cli.detecting import Chosen
from pipeline.cli.pasts import fit_of, is_lanes_file, row_of
from pipeline.cli.screen import Screen
from pipeline.cli.sources import open_recorded
from pipeline.cli.wiring import engine_maker
from pipeline.config import Config, config_hash
from pipeline.errors import ConfigError, UserError
from pipeline.history import take_history
from pipeline.interfaces import Partition
from pipeline.records import Batch, RunIdentity

_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Renamed:
    """A partition whose records are all of one key; fulfils `pipeline.interfaces.Partition`."""

    partition: Partition
    key: str

    @property
    def name(self) -> str:
        """See `Partition`."""
        return self.partition.name

    @property
    def path(self) -> Path:
        """See `Partition`."""
        return self.partition.path

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """See `Partition`."""
        for batch in self.partition.batches(batch_size, after_row=after_row):
            yield replace(batch, key_names=[self.key] * len(batch.key_names))


@dataclass(frozen=True, slots=True)
class History:
    """Recorded streams to begin with, opened.

    Attributes:
        told: as the user named it.
        name: the same without the folders or brokers above.
        fields: names of the values of each record.
        partitions: of all that was named.
        total_rows: about how many records there are.
        end_us: event time before which it ends; None for no such bound.
        digest: hash of all that its lanes follow from, besides configuration and bundle.
    """

    told: str
    name: str
    fields: tuple[str, ...]
    partitions: tuple[Partition, ...]
    total_rows: int
    end_us: int | None
    digest: str


def open_history(
    sources: Sequence[str],
    config: Config,
    screen: Screen,
    *,
    from_us: int | None = None,
    end_us: int | None = None,
    fields: tuple[str, ...] | None = None,
    stream: str | None = None,
    option: str = "--warm-from",
) -> History:
    """Files, folders, globs and topics as one history.

    Args:
        sources: as the user named them.
        from_us: event time from which on records are taken, of topics the records' own.
        end_us: event time before which the history ends.
        fields: that are expected; None for those of the first source.
        stream: key of the stream that is to begin with it, where that is the only one, and named by its file alone:
            then files named one by one are its past, whatever their names.
        option: or argument by which they were named, for messages.

    Raises:
        ConfigError: other fields than expected, or a file of lanes among histories.
        UserError: as for any source.
    """
    pattern = sources[0] if fields is None else "what goes on from there"
    opened: list[FileSource | TopicSource] = []
    partitions: list[Partition] = []
    for source in sources:
        if is_lanes_file(source):
            raise ConfigError(
                f"{option}: found the file of lanes {source} among {len(sources)} sources; expected it alone, or "
                "histories only"
            )
        one = open_recorded(source, config, from_us=from_us)
        fields = fields or one.fields
        if one.fields != fields and sorted(one.fields) == sorted(fields):
            one = open_recorded(source, config, from_us=from_us, fields=fields)
        if one.fields != fields:
            raise ConfigError(
                f"{option} {source}: found the fields {', '.join(one.fields)}; expected {', '.join(fields)}, as in "
                f"{pattern}: name columns that both have, by --value-fields"
            )
        opened.append(one)
        is_past_of_one = (
            stream is not None
            and isinstance(one, FileSource)
            and one.mapping.key_field is None
            and Path(source).is_file()
        )
        partitions += [
            Renamed(partition, stream) if stream is not None and is_past_of_one else partition
            for partition in one.partitions
        ]
    with screen.working("reading the history for its checksum"):
        digest = _digest(opened, partitions, from_us, end_us)
    return History(
        told=", ".join(sources),
        name=", ".join(
            source.rpartition("/")[2] if source.startswith(SCHEME) else Path(source).name for source in sources
        ),
        fields=fields or (),
        partitions=tuple(partitions),
        total_rows=sum(one.total_rows for one in opened),
        end_us=end_us,
        digest=digest,
    )


def _digest(
    opened: Sequence[FileSource | TopicSource],
    partitions: Sequence[Partition],
    from_us: int | None,
    end_us: int | None,
) -> str:
    """16 hex digits of what is read and how: of files the content, of topics, which only grow, the name."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(msgspec.json.encode([from_us, end_us]))
    for one in opened:
        if isinstance(one, TopicSource):
            digest.update(msgspec.json.encode([one.topic, one.told]))
        else:
            digest.update(msgspec.json.encode([one.mapping.columns, one.mapping.key_field, one.mapping.time_unit]))
    for partition in partitions:
        key = partition.key if isinstance(partition, Renamed) else None
        digest.update(msgspec.json.encode([partition.name, key]))
        if partition.path.is_file():
            with partition.path.open("rb") as file:
                while content := file.read(_READ_BYTES):
                    digest.update(content)
    return digest.hexdigest()


def make_lanes(
    history: History, path: Path, config: Config, chosen: Chosen, screen: Screen, stop: Callable[[], bool]
) -> LanesFile | None:
    """Put a history through an engine, and write what is left of it to a file; None when it was stopped.

    A file that is there already, whole and made of the same, is taken as it is.

    Raises:
        InputError: a row of the history that cannot be read.
        UserError: the file cannot be written.
    """
    run = RunIdentity(config_hash(config), chosen.bundle, history.name, history.digest)
    if (made := _made_before(path, run)) is not None:
        return made
    fields = history.fields
    with (
        engine_maker(config, chosen.detector, chosen.bundle, history.name, fields, path.parent) as make,
        screen.bar("history", "points", history.total_rows) as move,
    ):
        engine, taken = make("history"), 0

        def observe(records: int) -> None:
            nonlocal taken
            taken += records
            move("history", taken, taken * len(fields))

        past = take_history(
            history.partitions,
            engine,
            told=history.told,
            end_us=history.end_us,
            micro_batch=config.replay.micro_batch,
            observe=observe,
            stop=stop,
        )
        if past is None:
            return None
        making = Making(
            **fit_of(config, fields),
            row=row_of(engine),
            counts=past.counts.to_dict(),
            left_out=past.left_out,
            keys=past.keys,
            first_us=past.first_us,
            last_us=past.last_us,
            end_us=history.end_us,
        )
        write_lanes(path, run, making, past.rows)
    return open_lanes(path)


def _made_before(path: Path, run: RunIdentity) -> LanesFile | None:
    try:
        found = open_lanes(path)
    except UserError:
        return None
    return found if found.run == run else None
