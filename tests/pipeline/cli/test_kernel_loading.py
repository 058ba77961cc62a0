import io
from pathlib import Path

from rich.console import Console

from pipeline.cli.kernel_loading import load_kernels
from pipeline.cli.screen import Screen
from tests.fakes import make_engine


def test_the_engine_has_run_once_everything_is_compiled(tmp_path: Path) -> None:
    """It has taken a record, its bytes per lane are known, and a compilation that takes long was told."""
    told = io.StringIO()
    screen, engine = Screen(console=Console(file=told, width=110)), make_engine(fields=("x", "y"))
    assert load_kernels(engine, screen, tmp_path) == engine.lanes.bytes_per_lane
    assert engine.counts.consumed == 1
    assert "compiling the scoring kernel, once per machine" in told.getvalue()
    (tmp_path / "walk.nbi").touch()
    load_kernels(make_engine(), Screen(console=Console(file=(silent := io.StringIO()))), tmp_path)
    assert not silent.getvalue()
