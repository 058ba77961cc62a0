"""`driftline top` and the lines of `driftline tail`, without a broker."""

import io
import re

import pytest
from rich.console import Console

from pipeline.cli import run
from pipeline.cli.tailing import Choice, Told, describe
from pipeline.cli.topping import Service, top
from pipeline.records import Suppression
from tests.pipeline.adapters.live.samples import PLACE, fleet_batches, served
from tests.pipeline.adapters.live.samples import Told as ToldView


def test_top_of_a_view(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are those of the API, and keys cannot make the terminal do anything."""
    told = ToldView()
    for batch in fleet_batches(16):
        batch.key_names[:] = [f"{name}\x1b[31m" for name in batch.key_names]
        told.process(batch)
        told.commit()
        told.round()
    told.health.set_unready("restoring in/0")
    with served(told.view, told) as port:
        assert run(["top", "--url", f"http://127.0.0.1:{port}", "--once"]) == 0
    shown = capsys.readouterr().out
    now = told.view.overview()
    assert "not ready: restoring in/0" in shown
    assert f"{now.lanes['provisional']} provisional" in shown
    assert re.search(rf"^Behind +{now.lag_records} ", shown, re.MULTILINE)
    assert f"{PLACE.topic}/{PLACE.partition}" in shown
    assert "?[31m" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:9", "found no answer"),
        ("file:///etc/passwd", "found 'file:"),
        ("http://[", "found no answer"),
    ],
)
def test_top_without_an_answer(url: str, found: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what was found, and that --url names another address."""
    assert run(["top", "--url", url]) != 0
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert found in told
    assert "--url" in told


@pytest.mark.parametrize(("width", "why"), [(160, True), (80, True), (50, False)])
def test_top_has_room_in_any_terminal(width: int, why: bool) -> None:
    """Figures stay whole, a narrow terminal does without the reasons, and one process without its number."""
    told, shown = ToldView(), io.StringIO()
    for batch in fleet_batches(16):
        told.process(batch)
        told.commit()
        told.round()
    with served(told.view, told) as port:
        assert top(Service(f"http://127.0.0.1:{port}"), Console(file=shown, width=width), interval_s=1, once=True) == 0
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    paces = [line for line in lines if re.search(r" in \d s$", line.rstrip())]
    assert [line.split()[0] for line in paces] == ["Records/s", "Behind"]
    bars = re.findall(r"[▁-█]+", paces[0])
    assert max(bars[0]) == "█"
    (header,) = [line.rstrip() for line in lines if line.startswith("severity")]
    assert header.endswith("reason") == why
    assert not any("worker" in line for line in lines)


def test_lines_of_tail() -> None:
    """When, how severe, what, where, and why; nothing that a terminal would obey."""
    one = Told(
        "opened", "point", "pump\x1b[2J", "value", "2026-11-26T08:00:01.5Z", "high", "lowest remembered", 0.0, 14.27
    )
    first, second = describe(one).splitlines()
    assert first == "2026-11-26 08:00:01  high      opened    pump?[2J · value  0, expected 14.3"
    assert second == "    lowest remembered"
    joint = Told("closed", "level_shift", "pump", "*", "2026-11-26T08:00:01Z", "low")
    assert describe(joint) == "2026-11-26 08:00:01  low       closed   level shift  pump · all fields together"
    assert "\x1b[" in describe(joint, colour=True)
    assert describe(one, width=100) == describe(one)
    assert describe(one, width=50).splitlines() == [
        "2026-11-26 08:00:01  high      opened    pump?[2J",
        "    · value  0, expected 14.3",
        "    lowest remembered",
    ]
    long = Told("opened", "point", "pump", "value", "2026-11-26T08:00:01Z", "high", "so low " * 9)
    assert max(map(len, describe(long, width=40).splitlines())) <= 40


def test_what_is_suppressed_is_marked_in_the_terminal() -> None:
    """By kind and note, and it does not stand out; what outlasts is told as well."""
    said = Suppression("4be0", "maintenance", "new\x1bbearing")
    one = Told("opened", "point", "pump", "value", "2026-11-26T08:00:01Z", "high", "lowest", suppressed=said)
    first, second, third = describe(one).splitlines()
    assert first.endswith("pump · value")
    assert second == "    suppressed by maintenance: new?bearing"
    assert third == "    lowest"
    assert "\x1b[2m" in describe(one, colour=True)
    assert "\x1b[31m" not in describe(one, colour=True)
    label = Suppression("4be1", "false_alarm", "")
    later = Told("worsened", "point", "pump", "value", "2026-11-26T08:00:01Z", "high", "goes on", outlasted=label)
    assert "    until then suppressed by what was labelled a false alarm" in describe(later).splitlines()


def test_what_tail_chooses() -> None:
    """By pattern of the key, least severity and kind of event."""
    one = Told("opened", "point", "pump-1", "value", "", "medium")
    assert Choice().takes(one)
    assert Choice("pump-*", "medium", "opened").takes(one)
    assert not any(choice.takes(one) for choice in (Choice("fan-*"), Choice(None, "high"), Choice(event="closed")))
    assert not Choice().takes(Told("opened", "point", "a", "b", "", "none"))
