"""A replay as it was asked for, and what it is put together from."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import TopicSource
from pipeline.adapters.lanes_file import LanesFile
from pipeline.adapters.outputs import Existing
from pipeline.cli.beginnings import Beginning
from pipeline.cli.detecting import Chosen, choose_detector
from pipeline.cli.feedback.telling import told_of_feedback
from pipeline.cli.opening import with_bundle
from pipeline.cli.pasts import summary_of
from pipeline.cli.timeline import Swaps, SwapTimeline, bundles_of, digest_of, told_of
from pipeline.cli.version import driftline_version
from pipeline.cli.wiring import engine_maker
from pipeline.config import Config, config_hash
from pipeline.config.kinds import LSTM
from pipeline.engine import PartitionEngine
from pipeline.episodes import iso_time
from pipeline.feedback import Ranges
from pipeline.records import RunIdentity
from pipeline.replay import Timeline
from pipeline.summary import RunFacts
from pipeline.suppression import Marker


@dataclass(frozen=True, slots=True)
class Request:
    """A replay as it was asked for.

    Attributes:
        source: file, folder, glob, or kafka://host:port/topic.
        out: directory of the outputs.
        from_us, to_us: range of event time, for topics of the records' own, the latter exclusive; None for no bound.
        labels: file of known anomalies.
        speed: event time per wall time; None for as fast as it goes.
        existing: what to do when `out` holds a run.
        strict: whether an unusable or late record ends the replay.
        metrics_port: where metrics are served meanwhile; 0 for any.
        report: whether to write the page.
        swaps: log of a service whose swaps of bundles are gone by; None for one bundle.
        feedback: file, kafka://host:port/topic or 'none', by which events are marked; None for none.
    """

    source: str
    out: Path
    from_us: int | None = None
    to_us: int | None = None
    labels: Path | None = None
    speed: float | None = None
    existing: Existing = "refuse"
    strict: bool = False
    metrics_port: int | None = None
    report: bool = True
    swaps: Path | None = None
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is put together from.

    Attributes:
        request, config: as asked for.
        source: with its columns as they were found.
        chosen: the detector; with swaps, the first.
        beginning: what its streams begin with.
        swaps: of bundles, gone by; None for one bundle.
        feedback: by which events are marked.
    """

    request: Request
    config: Config
    source: FileSource | TopicSource
    chosen: Chosen
    beginning: Beginning
    swaps: Swaps | None
    feedback: Ranges

    @property
    def is_resumable(self) -> bool:
        """Whether what was begun can be gone on with."""
        return self.chosen.detector.is_restorable

    @property
    def source_name(self) -> str:
        """Without the folders or brokers above it, so that the outputs do not depend on where the source lies."""
        if isinstance(self.source, TopicSource):
            return self.source.topic
        return Path(self.request.source).name

    @property
    def identity(self) -> RunIdentity:
        """Everything that alters the outputs."""
        first, last = (None if at is None else iso_time(at) for at in (self.request.from_us, self.request.to_us))
        between = f"from {first or 'the first'} to {last or 'the last'}"
        if len(self.feedback):
            between += f", feedback {self.feedback.digest()} to {self.config.feedback.suppress}"
        if isinstance(self.source, TopicSource):
            taken = f"topic {self.source.topic}, {self.source.told}, {between}"
            if self.swaps is not None:
                taken += f", swaps {digest_of(self.swaps)}"
            return RunIdentity(config_hash(self.config), self.chosen.bundle, taken, self.beginning.identity)
        mapping = self.source.mapping
        taken = (
            f"{self.source_name} of {len(self.source.partitions)} files, columns {', '.join(mapping.columns)}, "
            f"times in {mapping.time_unit} {between}"
        )
        return RunIdentity(config_hash(self.config), self.chosen.bundle, taken, self.beginning.identity)

    @contextmanager
    def timeline(
        self, directory: Path, lanes: LanesFile | None
    ) -> Iterator[Callable[[str], PartitionEngine] | Timeline]:
        """As `engines`, or what goes over from bundle to bundle."""
        if self.swaps is None:
            with self.engines(directory, lanes) as make:
                yield make
            return
        chosen = {self.chosen.bundle: self.chosen}
        for bundle in bundles_of(self.swaps):
            chosen[bundle] = chosen.get(bundle) or choose_detector(with_bundle(self.config, bundle))

        @contextmanager
        def make_engine(partition: str, bundle: str) -> Iterator[PartitionEngine]:
            with replace(self, chosen=chosen[bundle]).engines(directory, lanes) as make:
                yield make(partition)

        per_message = self.source.points_per_message if isinstance(self.source, TopicSource) else 1
        timeline = SwapTimeline(self.swaps, self.chosen.bundle, make_engine, per_message)
        try:
            yield timeline
        finally:
            timeline.close()

    def engines(
        self, directory: Path, lanes: LanesFile | None
    ) -> AbstractContextManager[Callable[[str], PartitionEngine]]:
        """A maker of engines whose keys begin with `lanes`, and whose evicted keys wait in `directory`."""
        source = self.source
        per_message = source.points_per_message if isinstance(source, TopicSource) else 1
        return engine_maker(
            self.config,
            self.chosen.detector,
            self.chosen.bundle,
            self.source_name,
            source.fields,
            directory,
            per_message,
            None if lanes is None else lanes.rows,
        )

    def facts(self, bytes_per_lane: int, lanes: LanesFile | None, marker: Marker | None) -> RunFacts:
        """What the summary tells of the run."""
        asked = self.config.detector
        is_baseline = asked.kind != LSTM
        return RunFacts(
            version=driftline_version(),
            source=self.request.source,
            partitions=len(self.source.partitions),
            fields=self.source.fields,
            detector=asked.kind,
            options=asked.options,
            profile=None if is_baseline else asked.profile,
            bundle=None if is_baseline else self.chosen.bundle,
            risk=asked.risk,
            risk_per_day=asked.risk_per_day,
            config_hash=config_hash(self.config),
            bytes_per_lane=bytes_per_lane,
            warm_from=None if lanes is None else summary_of(lanes),
            swaps=None if self.swaps is None else told_of(self.swaps),
            feedback=None if marker is None else told_of_feedback(self.feedback, marker),
        )
