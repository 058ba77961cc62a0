"""Anomalies from their topic, a line or two each."""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import click
import msgspec

from pipeline.adapters.kafka.following import TopicFollower
from pipeline.cli.kafka_settings import settings_from
from pipeline.config import Config
from pipeline.interfaces import Message
from pipeline.records import JOINT, Severity, Suppression
from pipeline.wording import said, told_apart

INTERRUPTED = 130
"""Exit status of what is ended by Ctrl-C, as it is meant to be."""
_MOST_OFFSETS = 100_000
_COLOURS = {"low": "yellow", "medium": "bright_yellow", "high": "red", "critical": "magenta"}


class Told(msgspec.Struct, frozen=True):
    """Of an anomaly what is shown; see `pipeline.records.Anomaly`."""

    event: str
    kind: str
    key: str
    field: str
    time: str
    severity: str
    reason: str = ""
    observed: float | None = None
    expected: float | None = None
    suppressed: Suppression | None = None
    outlasted: Suppression | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which anomalies are shown.

    Attributes:
        keys: a pattern that the key matches; None for any.
        severity: at least.
        event: of this kind alone; None for any.
    """

    keys: str | None = None
    severity: str = "low"
    event: str | None = None

    def takes(self, one: Told) -> bool:
        """Whether this one is."""
        return (
            Severity[one.severity.upper()] >= Severity[self.severity.upper()]
            and (self.keys is None or fnmatchcase(one.key, self.keys))
            and self.event in {None, one.event}
        )


def tail(config: Config, choice: Choice, *, last: int, from_us: int | None, follow: bool, as_json: bool) -> int:
    """Exit status, having shown what there is and, if wanted, what comes until Ctrl-C.

    Args:
        last: how many of the newest to begin with.
        from_us: instead, from when on; microseconds since 1970-01-01 UTC.
    """
    colour = sys.stdout.isatty()
    try:
        with hearing_ctrl_c(), TopicFollower(settings_from(config.kafka), config.output.anomalies) as topic:
            if from_us is None:
                _show(_newest(topic, choice, last), as_json=as_json, colour=colour)
            else:
                topic.skip_to(from_us)
            for messages in topic.come():
                _show(_chosen(messages, choice), as_json=as_json, colour=colour)
                if not follow and topic.is_caught_up:
                    break
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Within the block SIGINT raises `KeyboardInterrupt`, where this was started in the background too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _newest(topic: TopicFollower, choice: Choice, last: int) -> list[tuple[Told, bytes]]:
    """The newest of those chosen, looked for farther and farther back where few match."""
    offsets = 4 * last + 50
    while True:
        messages, is_all = topic.newest(offsets if last else 0)
        found = list(_chosen(sorted(messages, key=lambda one: one.timestamp), choice))
        if is_all or not last or len(found) >= last or offsets >= _MOST_OFFSETS:
            return found[-last:] if last else []
        offsets *= 8


def _chosen(messages: Sequence[Message], choice: Choice) -> Iterator[tuple[Told, bytes]]:
    """(what is shown of it, as it is) of those that are chosen; others than anomalies are passed over."""
    for message in messages:
        content = message.value or b""
        try:
            one = msgspec.json.decode(content, type=Told)
            is_chosen = choice.takes(one)
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
            continue
        if is_chosen:
            yield one, content


def _show(found: Iterable[tuple[Told, bytes]], *, as_json: bool, colour: bool) -> None:
    for one, content in found:
        click.echo(content if as_json else describe(one, colour=colour))


def describe(one: Told, *, colour: bool = False) -> str:
    """Two lines: when, how severe, what and where; and why. One more for what people have said of its time."""
    grade = f"{one.severity:<8}"
    if colour:
        # what nobody need be told of does not stand out
        grade = (
            click.style(grade, dim=True)
            if one.suppressed
            else click.style(grade, fg=_COLOURS.get(one.severity), bold=True)
        )
    field = "all fields together" if one.field == JOINT else one.field
    where = printable(f"{one.key} · {field}")
    value = ""
    if one.field != JOINT and one.observed is not None and one.expected is not None:
        observed, expected = told_apart(one.observed, one.expected)
        value = f"  {observed}, expected {expected}"
    kind = "" if one.kind == "point" else f" {one.kind.replace('_', ' ')}"
    first = f"{one.time[:19].replace('T', ' ')}  {grade}  {one.event:<8}{kind}  {where}{value}"
    return "\n    ".join(
        filter(None, (first, printable(feedback_on(one.suppressed, one.outlasted)), printable(one.reason)))
    )


def feedback_on(suppressed: Suppression | None, outlasted: Suppression | None) -> str:
    """What people have said of the time of an event, '' for nothing."""
    if suppressed:
        return f"suppressed by {said(suppressed.kind, suppressed.note)}"
    return f"until then suppressed by {said(outlasted.kind, outlasted.note)}" if outlasted else ""


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
