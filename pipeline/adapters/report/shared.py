"""What other pages take over of the report, so that all look and work alike."""

from importlib.resources import files

_SCRIPTS = ("format", "decode", "scale", "draw", "plot", "panels", "interact", "why", "detail")


def shared_files() -> dict[str, str]:
    """The style, and the scripts of plots and reasons in the order in which they use one another, by name."""
    assets = files("pipeline.adapters.report") / "assets"
    names = ("report.css", *(f"{name}.js" for name in _SCRIPTS))
    return {name: (assets / name).read_text("utf-8") for name in names}
