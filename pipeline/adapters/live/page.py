"""The files of the page: a style and a script of several parts each, and nothing from elsewhere."""

from collections.abc import Mapping
from importlib.resources import files

_SCRIPTS = ("points", "ask", "tiles", "anomalies", "lane", "keys", "tables", "networks", "live")
"""One after the other, behind those shared, they make up one script, so each may use what those before it define."""


def page_files(shared: Mapping[str, str]) -> dict[str, bytes]:
    """Contents by name: live.html, live.css and live.js.

    Args:
        shared: styles and scripts of another page, which come first.
    """
    assets = files("pipeline.adapters.live") / "assets"
    own = {name: (assets / name).read_text("utf-8") for name in ("live.css", *(f"{one}.js" for one in _SCRIPTS))}
    texts = {**shared, **own}
    style = "\n".join(text for name, text in texts.items() if name.endswith(".css"))
    scripts = "\n".join(text for name, text in texts.items() if name.endswith(".js"))
    return {
        "live.html": (assets / "live.html").read_bytes(),
        "live.css": style.encode(),
        "live.js": f'"use strict";\n(() => {{\n{scripts}}})();\n'.encode(),
    }
