"""What a follower hands to the process that trains, what that one tells on the way, and what it comes to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from pipeline.cli.opening import CHAMPION, followed_registry
from pipeline.config import Config, Given, environment, load_config
from pipeline.errors import ConfigError
from pipeline.learning.records import Outcome
from pipeline.learning.unfinished import Measured

ACTOR = "driftline train --follow"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Job(msgspec.Struct, frozen=True):
    """One training.

    Attributes:
        name: of the run.
        file: of the configuration; None for none.
        options: what the command line sets, by dotted key: the option, and its value.
        champion: id of the bundle to train on from.
        since_us, until_us: event times of the history, the latter exclusive.
        reason: what it is for, in words; goes into the history of the registry.
        learn_from_us: event time at which the drift began that it is to answer; None to learn from all of the history.
        measured: the history, where it was measured before the training was interrupted.
        state: file that the training is kept in at each validation, and gone on from; None to keep nothing.
    """

    name: str
    file: str | None
    options: dict[str, tuple[str, Any]]
    champion: str
    since_us: int
    until_us: int
    reason: str
    learn_from_us: int | None = None
    measured: Measured | None = None
    state: str | None = None


class Told(msgspec.Struct, frozen=True, tag_field="told", tag="stage"):
    """What is being done now, and how far it is.

    Attributes:
        step, loss: the newest optimiser step, and the loss where it was taken; 0 and None outside training.
        done: share of the records that are read, or of the steps or the time that training may take; None unless known.
        left_s: seconds that the rest takes at the pace so far; None unless known.
    """

    stage: str
    step: int = 0
    loss: float | None = None
    done: float | None = None
    left_s: float | None = None


class Surveyed(msgspec.Struct, frozen=True, tag_field="told", tag="surveyed"):
    """The history is known."""

    measured: Measured


class Resumed(msgspec.Struct, frozen=True, tag_field="told", tag="resumed"):
    """It goes on behind an optimiser step that an interrupted training had come to."""

    step: int


class Trouble(msgspec.Struct, frozen=True, tag_field="told", tag="trouble"):
    """Something is not as it should be, and the training goes on nevertheless."""

    event: str
    error: str
    detail: str


class Result(msgspec.Struct, frozen=True, tag_field="told", tag="result"):
    """What it came to; see `pipeline.learning.records.Run`."""

    outcome: Outcome
    reason: str
    judged_from_us: int | None = None
    bundle: str = ""
    champion_loss: float | None = None
    challenger_loss: float | None = None
    validation_loss: float | None = None
    points: int = 0
    seconds: dict[str, float] = {}
    device: str = ""
    reports: tuple[str, ...] = ()
    peak_bytes: dict[str, int] = {}


News: TypeAlias = Told | Surveyed | Resumed | Trouble
"""What is told on the way."""


def load_following(file: Path | None, options: dict[str, Given]) -> Config:
    """The configuration of a trainer; its registry is the one whose champion is followed.

    Raises:
        ConfigError: it cannot be used, or does not follow a champion.
    """
    return require_following(load_config(file, options, environ=environment()).config)


def require_following(config: Config) -> Config:
    """The configuration, with the registry whose champion is followed as the one of `[models]`.

    Raises:
        ConfigError: none is followed.
    """
    url = followed_registry(config)
    if url is None:
        raise ConfigError(
            f"[detector] bundle: found {config.detector.bundle!r} where the champion is to be trained anew; expected "
            f"{CHAMPION!r}, or 'URL#{CHAMPION}': else nothing that is trained would ever score"
        )
    if url.startswith("memory:"):
        raise ConfigError(
            f"[models] registry: found {url}, which is in the memory of one process; expected one that trainer and "
            "service both reach, such as file:///var/lib/driftline/models"
        )
    models = config.models.model_copy(update={"registry": url})
    detector = config.detector.model_copy(update={"bundle": CHAMPION})
    return config.model_copy(update={"models": models, "detector": detector})


def moment(time_us: int) -> datetime:
    """Of microseconds since 1970-01-01 UTC."""
    return _EPOCH + timedelta(microseconds=time_us)


def microseconds(at: datetime) -> int:
    """Since 1970-01-01 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)
