"""Anomalies from their topic, a line or two each."""

import signal
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import click
import msgspec
from rich.console import Console

from pipeline.adapters.kafka.following import TopicFollower
from pipeline.cli.kafka_settings import settings_from
from pipeline.config import Config
from pipeline.interfaces import Message
from pipeline.records import JOINT, Severity, Suppression
from pipeline.wording import said, told_apart

INTERRUPTED = 130
"""Exit status of what is ended by Ctrl-C, as it is meant to be."""
_MOST_OFFSETS = 100_000
_INDENT, _NARROWEST = "    ", 24
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


@dataclass(frozen=True, slots=True)
class Manner:
    """How anomalies are shown.

    Attributes:
        as_json: as they are in the topic.
        colour: whether the terminal knows colours, and they are wanted there.
        width: of the terminal; None where there is none, and a line is one whatever its length.
    """

    as_json: bool
    colour: bool
    width: int | None


def tail(config: Config, choice: Choice, *, last: int, from_us: int | None, follow: bool, as_json: bool) -> int:
    """Exit status, having shown what there is and, if wanted, what comes until Ctrl-C.

    Args:
        last: how many of the newest to begin with.
        from_us: instead, from when on; microseconds since 1970-01-01 UTC.
    """
    console = Console()
    how = Manner(
        as_json,
        colour=console.color_system is not None and not console.no_color,
        width=console.width if console.is_terminal else None,
    )
    try:
        with hearing_ctrl_c(), TopicFollower(settings_from(config.kafka), config.output.anomalies) as topic:
            if from_us is None:
                _show(_newest(topic, choice, last), how)
            else:
                topic.skip_to(from_us)
            for messages in topic.come():
                _show(_chosen(messages, choice), how)
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


def _show(found: Iterable[tuple[Told, bytes]], how: Manner) -> None:
    for one, content in found:
        click.echo(content if how.as_json else describe(one, colour=how.colour, width=how.width), color=how.colour)


def describe(one: Told, *, colour: bool = False, width: int | None = None) -> str:
    """Two lines: when, how severe, what and where; and why. One more for what people have said of its time.

    Args:
        width: of a terminal, in which lines go on in another; None where a line is one whatever its length.
    """
    grade = f"{one.severity:<8}"
    field = "all fields together" if one.field == JOINT else one.field
    where = printable(f"{one.key} · {field}")
    value = ""
    if one.field != JOINT and one.observed is not None and one.expected is not None:
        observed, expected = told_apart(one.observed, one.expected)
        value = f"  {observed}, expected {expected}"
    kind = "" if one.kind == "point" else f" {one.kind.replace('_', ' ')}"
    first = f"{one.time[:19].replace('T', ' ')}  {grade}  {one.event:<8}{kind}  {where}{value}"
    if width is not None:
        first = _filled(first, width, "")
    if colour:
        # what nobody need be told of does not stand out
        shown = {"dim": True} if one.suppressed else {"fg": _COLOURS.get(one.severity), "bold": True}
        first = first.replace(grade, click.style(grade, **shown), 1)
    behind = filter(None, (printable(feedback_on(one.suppressed, one.outlasted)), printable(one.reason)))
    return "\n".join([first, *(_indented(text, width) for text in behind)])


def _indented(text: str, width: int | None) -> str:
    return _INDENT + text if width is None else _filled(text, width, _INDENT)


def _filled(text: str, width: int, indent: str) -> str:
    """Lines of so many columns; a key with a hyphen stays in one."""
    return textwrap.fill(
        text, max(width, _NARROWEST), initial_indent=indent, subsequent_indent=_INDENT, break_on_hyphens=False
    )


def feedback_on(suppressed: Suppression | None, outlasted: Suppression | None) -> str:
    """What people have said of the time of an event, '' for nothing."""
    if suppressed:
        return f"suppressed by {said(suppressed.kind, suppressed.note)}"
    return f"until then suppressed by {said(outlasted.kind, outlasted.note)}" if outlasted else ""


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
