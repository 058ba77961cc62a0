"""What the keys of a replay begin with: nothing, a file of lanes, or a history that has to be gone through first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import TopicSource
from pipeline.adapters.lanes_file import LanesFile
from pipeline.cli.detecting import Chosen
from pipeline.cli.histories import History, make_lanes, open_history
from pipeline.cli.pasts import is_lanes_file, open_fitting, past_of, require_row
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.config import Config
from pipeline.engine import PartitionEngine
from pipeline.episodes import iso_time
from pipeline.errors import ConfigError, StoppedError
from pipeline.history import first_time
from pipeline.replay import ReplayResult

_FILE = "history.lanes"
_UNUSED = ("late", "duplicate", "dead_lettered")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What keys begin with; one of `lanes` and `history` is there, or neither.

    Attributes:
        identity: part of the run's; '' where all keys begin anew.
    """

    identity: str = ""
    lanes: LanesFile | None = None
    history: History | None = None

    def require_row(self, engine: PartitionEngine) -> None:
        """Refuse lanes that are laid out otherwise than those of an engine in use.

        Raises:
            UserError: they are.
        """
        if self.lanes is not None:
            require_row(self.lanes, engine)

    def ready(
        self, directory: Path, config: Config, chosen: Chosen, screen: Screen, stop: StopRequest
    ) -> LanesFile | None:
        """The lanes to begin with, made of the history where they are not there yet; None where all begin anew.

        Args:
            directory: of the run; keeps what is made of a history until the run is over.
            stop: in effect.

        Raises:
            StoppedError: it was stopped on the way.
            UserError: the history cannot be read, or the directory not be written.
        """
        if self.history is None:
            return self.lanes
        screen.step(f"going through the history {self.history.told}")
        lanes = make_lanes(self.history, directory / _FILE, config, chosen, screen, stop)
        if lanes is None or stop():
            raise StoppedError(
                "stopped on the way through the history, before anything of the source was scored: give the same "
                "command again to start afresh",
                stop.status,
            )
        return lanes


def plan_beginning(config: Config, source: FileSource | TopicSource, chosen: Chosen, screen: Screen) -> Beginning:
    """What the configuration asks for; a history ends before the first event time of the source.

    Raises:
        ConfigError: a detector whose state is not kept in lanes, or a history of other fields.
        UserError: what is named cannot be read, or lanes that do not fit.
    """
    named = config.state.warm_from or ()
    if not named:
        return Beginning()
    if not chosen.detector.is_restorable:
        raise ConfigError(
            f"--warm-from: found it with the detector {config.detector.kind}; expected one whose state is kept in "
            "lanes, which that of models of river is not: leave it out"
        )
    if len(named) == 1 and is_lanes_file(named[0]):
        lanes = open_fitting(Path(named[0]), config, chosen.bundle, source.fields)
        return Beginning(past_of(lanes), lanes=lanes)
    history = open_history(
        named, config, screen, end_us=first_time(source.partitions), fields=source.fields, stream=_only_stream(source)
    )
    return Beginning(f"history {history.digest}", history=history)


def _only_stream(source: FileSource | TopicSource) -> str | None:
    """Key of the source's stream, where it is but one file and no column names it."""
    if isinstance(source, TopicSource) or source.mapping.key_field is not None or len(source.partitions) != 1:
        return None
    return source.partitions[0].name


def notices_of(lanes: LanesFile | None, result: ReplayResult) -> Iterator[str]:
    """A line for each thing that is to be known of the lanes that keys could begin with."""
    if lanes is None:
        return
    making = lanes.making
    if making.left_out:
        yield (
            f"{making.left_out} records of the history are at or behind the first of the source, "
            f"{iso_time(making.end_us or 0)}, and were left out"
        )
    if unused := sum(count for name, count in making.counts["records"].items() if name in _UNUSED):
        told = ", ".join(f"{making.counts['records'][name]} {name.replace('_', '-')}" for name in _UNUSED)
        yield f"{unused} records of the history could not be used: {told}"
    if result.completed and result.lanes and not result.with_past:
        some = ", ".join(name for name, _ in lanes.rows.behind(None)[:3])
        yield (
            f"found none of the source's keys in the history, so all began anew; expected keys that both have: the "
            f"history has {making.keys}{f', such as {some}' if some else ''}"
        )
