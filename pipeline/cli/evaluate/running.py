"""From labelled files to results: engines as configured, processes, progress, and what is left on disk."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.adapters.claims import claim_directory
from pipeline.adapters.outputs.durable import told_as_user_error
from pipeline.cli.detecting import choose_detector
from pipeline.cli.evaluate.worker import start_worker
from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.opening import open_bundle
from pipeline.cli.screen import Screen
from pipeline.cli.version import driftline_version
from pipeline.cli.wiring import engine_maker
from pipeline.config import Config, config_hash
from pipeline.config.kinds import LSTM
from pipeline.engine import PartitionEngine
from pipeline.evaluation.corpus import CorpusPlan, evaluate_corpus
from pipeline.evaluation.measures import StreamResult
from pipeline.interfaces import LabelledSource

FORMAT = 1
RESULTS, THRESHOLDS = "results.json", "thresholds.json"
DETECTOR = "driftline"
"""Our name among NAB's detectors, and of the folder with our scores of it."""
SCORES = "scores"
"""Folder of the scores of other streams."""
MARK = ".driftline-evaluation"


@dataclass(frozen=True, slots=True)
class ConfiguredEngines:
    """Engines as a replay with this configuration makes them; fulfils `pipeline.evaluation.scoring.Engines`."""

    config: Config

    @contextmanager
    def __call__(self, stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:
        """See `Engines`."""
        chosen = choose_detector(self.config)
        temporary = Path(tempfile.gettempdir())
        with engine_maker(self.config, chosen.detector, chosen.bundle, "evaluation", fields, temporary) as make:
            yield make(stream)


def evaluate_sources(
    sources: Sequence[LabelledSource],
    config: Config,
    jobs: int,
    screen: Screen,
    *,
    kernels: Path,
) -> list[StreamResult]:
    """The measures of each stream, in the order given; a bar shows how it goes on.

    Args:
        sources: the streams.
        config: how they are scored.
        jobs: in how many processes at most.
        screen: shows how it goes on.
        kernels: directory of the compiled kernels.

    Raises:
        UserError: a configuration or file that cannot be used.
    """
    engines = ConfiguredEngines(config)
    with engines("", fields_of(config)) as engine:
        load_kernels(engine, screen, kernels)
    plan = CorpusPlan(min(jobs, len(sources)), config.replay.micro_batch, start_worker)
    total = sum(source.points for source in sources)
    screen.step(f"scoring {number_of(len(sources), 'file')} with {number_of(plan.jobs, 'process', 'processes')}")
    expected = {source.name: source.points for source in sources}
    with screen.bar("scoring", "points", total) as move:
        done = 0

        def observe(result: StreamResult) -> None:
            nonlocal done
            done += expected[result.name]
            move(result.name, done, done)

        return evaluate_corpus(sources, engines, plan, observe)


def fields_of(config: Config) -> tuple[str, ...]:
    """Fields that an engine of this configuration can be tried with, so that joint lanes are there, too."""
    if config.detector.kind == LSTM and (fields := open_bundle(config).network.fields):
        return fields
    return ("one", "other")


def describe_run(benchmark: str, source: Path, config: Config) -> dict[str, Any]:
    """What an evaluation was made with, as plain values: the head of its results."""
    return {
        "format": FORMAT,
        "driftline": driftline_version(),
        "benchmark": benchmark,
        "source": str(source),
        "detector": config.detector.kind,
        "profile": config.detector.profile if config.detector.kind == LSTM else None,
        "bundle": choose_detector(config).bundle,
        "risk": config.detector.risk,
        "risk_per_day": config.detector.risk_per_day,
        "config_hash": config_hash(config),
    }


def claim_output(directory: Path | None, *, overwrite: bool) -> None:
    """Make the directory ready for what an evaluation writes; what a former one left there is removed.

    Args:
        directory: None writes nothing.
        overwrite: whether a former evaluation may be replaced.

    Raises:
        ConfigError: it holds something else, or an evaluation that may not be replaced.
    """
    if directory is None:
        return
    # without results it is one that failed or was interrupted, and of no use to anybody
    claim_directory(directory, MARK, "an evaluation", overwrite=overwrite or not (directory / RESULTS).exists())
    with told_as_user_error(directory):
        for folder in (DETECTOR, SCORES):
            if (directory / folder).exists():
                shutil.rmtree(directory / folder)
        for file in (RESULTS, THRESHOLDS):
            (directory / file).unlink(missing_ok=True)


def number_of(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def to_json(results: dict[str, Any]) -> bytes:
    """Results as they are printed and written; infinite thresholds become null."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"
