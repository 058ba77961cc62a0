"""What people see on stderr while a command works: bars and spinners on a terminal, single lines otherwise."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

PLAIN_WIDTH = 110
"""Columns of text that does not go to a terminal."""


class Screen:
    """Stderr, as far as a person watches it.

    Args:
        quiet: show neither progress nor notes.
        console: None makes one of stderr.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or make_console(stderr=True)
        self._quiet = quiet
        self._lively = self._console.is_terminal and not quiet

    def note(self, line: str) -> None:
        """Show a line that stays."""
        if not self._quiet:
            self._console.print(line, style="yellow", soft_wrap=True, highlight=False, markup=False)

    def step(self, line: str) -> None:
        """Tell where no spinner would what takes long now."""
        if not self._quiet and not self._lively:
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        if self._lively:
            with self._console.status(text):
                yield
        else:
            yield

    @contextmanager
    def bar(self, text: str, unit: str, total: int) -> Iterator[Callable[[str, int, int], None]]:
        """A bar, moved by calling (text, done, done since it is shown, in units); off a terminal there is none."""
        if not self._lively:
            yield lambda *_moved: None
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task, started = progress.add_task(text, total=total, rate=""), time.monotonic()

            def move(described: str, done: int, here: int) -> None:
                rate = here / max(time.monotonic() - started, 1e-3)
                progress.update(
                    task, description=shorten(described), completed=min(done, total), rate=f"{rate:,.0f} {unit}/s"
                )

            yield move


def make_console(*, stderr: bool = False) -> Console:
    """A console that is wide enough for tables where there is no terminal to ask."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def shorten(text: str, width: int = 36) -> str:
    """`text`, its beginning cut off where it is longer than `width`."""
    return text if len(text) <= width else f"...{text[3 - width :]}"
