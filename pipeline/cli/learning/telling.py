"""What a training shows where nobody watches a terminal: how far it is, to the follower."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.cli.screen import Screen


class TellingScreen(Screen):
    """Bars as shares that are told; nothing else is shown.

    Args:
        follow: begins something new, and gives who is told the share of it that is done.
    """

    def __init__(self, follow: Callable[[], Callable[[float], None]]) -> None:
        super().__init__(quiet=True)
        self._follow = follow

    @contextmanager
    def bar(self, text: str, unit: str, total: int) -> Iterator[Callable[[str, int, int], None]]:
        """See `Screen.bar`."""
        del text, unit
        reach = self._follow()
        yield lambda _text, done, _here: reach(min(done / max(total, 1), 1.0))
