"""`driftline gate`."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.options import DETECT, RUN, config_option, json_option, keys_of, labels_option, quiet_option
from pipeline.cli.reading import reading_options, source_keys
from pipeline.config import Config, Given, environment, load_config

_EXAMPLES = """\
\b
Examples:
  driftline gate bundles/mine 'history/*.csv'
      Would it pass? Nothing is changed; the report is in ./driftline-gate.
  driftline gate bundles/mine 'history/*.csv' --labels incidents.csv --promote --reason "trained on October"
      If it passes, it is put into the registry and made champion.
  driftline gate '#3f2a' kafka://localhost:9092/metrics --config driftline.toml --from 2026-11-01 --held-out 2d
      A bundle of the registry, on the last two days of a topic.
  driftline gate bundles/mine plant.parquet --key-field sensor --champion shipped --json
      Against another bundle than the champion.
"""
_PROMOTE = "What to do"
_GATE = Config().gate.model_dump(mode="json")


@click.command("gate", cls=Command, epilog=_EXAMPLES)
@click.argument("challenger")
@click.argument("history", nargs=-1, required=True)
@reading_options
@option(
    "--champion",
    group=DETECT,
    metavar="BUNDLE",
    help="What it has to be better than.  [default: the champion of the registry; shipped, where there is none]",
)
@option(
    "--held-out",
    group=DETECT,
    metavar="SHARE|TIME",
    help=f"Newest part of the history to judge on, such as 20% of the records, or 7d.  [default: {_GATE['held_out']}]",
)
@option(
    "--margin",
    group=DETECT,
    metavar="NUMBER",
    help=f"Nats per point that it has to forecast better; 0.01 is about one per cent.  [default: {_GATE['margin']}]",
)
@labels_option
@option(
    "--feedback",
    group=DETECT,
    metavar="FILE|URL",
    help="What was said by `driftline feedback`: a file, kafka://host:port/topic, or none.  [default: feedback.topic]",
)
@option("--profile", group=DETECT, metavar="NAME", help="accurate, balanced or dense.  [default: as configured]")
@option("--promote", group=_PROMOTE, is_flag=True, help="If it passes, publish it and make it the champion.")
@option("--registry", group=_PROMOTE, metavar="URL", help="Folder or URL of the registry.  [default: models.registry]")
@option(
    "--reason", group=_PROMOTE, default="", metavar="TEXT", help="Put before the figures in the registry's history."
)
@option("--by", group=_PROMOTE, metavar="NAME", help="Who does it.  [default: USER@HOST]")
@option(
    "--out",
    group=RUN,
    type=click.Path(path_type=Path),
    default=Path("driftline-gate"),
    metavar="DIR",
    help="Directory of gate.html and gate.json, written over each time.  [default: ./driftline-gate]",
)
@json_option("gate.json", RUN)
@config_option()
@quiet_option
def command(challenger: str, history: tuple[str, ...], **given: Any) -> int:
    """Judge a bundle against the champion, and promote it only if it is better.

    CHALLENGER is a bundle as --bundle of `driftline replay` takes it: a folder, #ID, URL#ID or shipped. HISTORY is what
    `driftline replay` takes; several are one history. The champion scores it up to its newest part. There the
    challenger takes over as it would in service, and both score that part, by the engine itself.

    It passes if its forecasts are better by the margin and by more than chance, its alarms are within the budget, its
    band is as wide as it says, and no fewer of the labelled anomalies are found. The exit status is 0 if it passes, and
    1 if it is refused. Without --promote nothing but the report is written.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    config = load_config(given["file"], _overrides(given), environ=environment()).config

    from pipeline.cli.gate.keeping import keep_and_promote, write_reports
    from pipeline.cli.gate.printing import print_decision
    from pipeline.cli.gate.running import Request, judge
    from pipeline.cli.models.options import act_of
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.times import range_of

    from_us, to_us = range_of(given["from_"], given["to"])
    screen = Screen(quiet=given["quiet"])
    request = Request(
        challenger, given["champion"], history, from_us, to_us, given["labels"], promote=given["promote"],
        feedback=given["feedback"],
    )  # fmt: skip
    judged = judge(request, config, screen, kernels=kernels)
    reports = write_reports(judged.described, given["out"])
    if given["as_json"]:
        click.echo(reports["gate.json"], nl=False)
    if not (given["as_json"] and given["quiet"]):
        print_decision(make_console(stderr=given["as_json"]), judged.described, given["out"])
    if given["promote"]:
        for line in keep_and_promote(judged, reports, config, act_of(given)):
            click.echo(line, err=given["as_json"])
    return 0 if judged.described["passed"] else 1


def _overrides(given: dict[str, Any]) -> dict[str, Given]:
    """Options that are keys of the configuration, by dotted key."""
    keys = {"detector": ("profile",), "gate": ("held_out", "margin"), "models": ("registry",)}
    return keys_of(given, keys) | source_keys(given)
