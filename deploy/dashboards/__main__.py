"""Writes deploy/grafana/dashboards/*.json; a test tells when they are not what this makes."""

from deploy.dashboards.everything import FOLDER, dashboards


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in dashboards().items():
        (FOLDER / name).write_text(content)
        print(f"wrote {FOLDER.name}/{name}")  # noqa: T201  it is a command


main()
