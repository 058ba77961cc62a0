"""All dashboards, by the names of their files."""

from pathlib import Path

from deploy.dashboards import capacity, consumer, learning, overview, streams
from deploy.dashboards.page import Page, to_json

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
PAGES: tuple[Page, ...] = (overview.PAGE, streams.PAGE, consumer.PAGE, learning.PAGE, capacity.PAGE)


def dashboards() -> dict[str, str]:
    """Content by the name of the file."""
    return {f"{page.uid}.json": to_json(page) for page in PAGES}
