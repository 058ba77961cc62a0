import io

import pytest
from rich.console import Console

from pipeline.cli.screen import Screen, shorten


def screen_on(file: io.StringIO, *, terminal: bool, quiet: bool = False) -> Screen:
    """A screen whose output is in `file`."""
    return Screen(quiet=quiet, console=Console(file=file, force_terminal=terminal, width=100))


def use(screen: Screen) -> None:
    """Everything that a screen can show."""
    screen.step("step")
    with screen.working("working"):
        pass
    with screen.bar("bar", "points", 10) as move:
        move("a file", 5, 5)
    screen.note("note")


def test_off_a_terminal_there_are_only_lines() -> None:
    """Where nobody watches, neither bar nor spinner is drawn, and no control codes are written."""
    file = io.StringIO()
    use(screen_on(file, terminal=False))
    assert file.getvalue() == "step\nnote\n"


def test_on_a_terminal_a_bar_moves() -> None:
    """Where somebody watches, the bar tells the file and the rate, and spinners take the place of lines."""
    file = io.StringIO()
    use(screen_on(file, terminal=True))
    text = file.getvalue()
    for part in ("a file", "50%", "points/s", "working", "note"):
        assert part in text
    assert "step" not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(*, terminal: bool) -> None:
    """Nothing is shown."""
    file = io.StringIO()
    use(screen_on(file, terminal=terminal, quiet=True))
    assert not file.getvalue()


def test_long_names_lose_their_beginning() -> None:
    """The end of a path tells more than its beginning."""
    assert shorten("short") == "short"
    assert shorten("a/very/long/path", 10) == "...ng/path"
