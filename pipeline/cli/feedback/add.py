"""`driftline feedback add`."""

import hashlib
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.feedback.options import WHERE, config_of, place_options
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.feedback import Feedback

_WHAT, _SAID = "What it is about", "What is said"
_EXAMPLES = """\
\b
Examples:
  driftline feedback add --kind maintenance --key pump-7 --from 2026-11-26T08:00Z --to 2026-11-26T10:00Z
  driftline feedback add --kind maintenance --keys 'line-3/*' --for 90min --note "filter change"
      From now on, for all streams whose keys match.
  driftline feedback add --kind false_alarm --anomaly metrics/3/81920/pump-7/flow/opened
      Key, field and range are those of the episode, looked up in the topic of anomalies.
  driftline feedback add --kind true_anomaly --anomaly ID --anomalies out/anomalies.jsonl --feedback said.jsonl
      The same of a replay, with files instead of topics.
"""


@click.command("add", cls=Command, epilog=_EXAMPLES)
@option(
    "--kind",
    group=_SAID,
    required=True,
    type=click.Choice(["false_alarm", "maintenance", "true_anomaly"]),
    help="What the stretch of time is.",
)
@option("--note", group=_SAID, default="", metavar="TEXT", help="Why; it is told with what is suppressed.")
@option("--by", group=_SAID, metavar="NAME", help="Who says so.  [default: USER@HOST]")
@option(
    "--id",
    "feedback_id",
    group=_SAID,
    metavar="ID",
    help="Its name; what had it before is replaced.  [default: a hash]",
)
@option("--key", group=_WHAT, metavar="KEY", help="The stream, exactly.  [default: all]")
@option("--keys", group=_WHAT, metavar="PATTERN", help="Streams whose keys match, such as 'line-3/*'.")
@option(
    "--field", group=_WHAT, metavar="NAME", help="One value of the records; * for all together.  [default: every one]"
)
@option("--from", "from_", group=_WHAT, metavar="TIME", help="First event time: ISO 8601 (UTC) or epoch number.")
@option("--to", group=_WHAT, metavar="TIME", help="Last event time, which still counts.")
@option("--for", "for_", group=_WHAT, metavar="DURATION", help="Instead of --to: how long, such as 2h.")
@option("--open", "is_open", group=_WHAT, is_flag=True, help="Instead of --to: until it is withdrawn or replaced.")
@option("--anomaly", group=_WHAT, metavar="ID", help="An anomaly or episode that tells key, field and range.")
@option(
    "--anomalies",
    group=_WHAT,
    metavar="FILE|URL",
    help="Where to look for it: anomalies.jsonl, or a topic.  [default: output.anomalies of the configuration]",
)
@place_options
@option("--create-topic", group=WHERE, is_flag=True, help="Make the topic, compacted, if it is missing.")
def command(**given: Any) -> None:
    """Say that a stretch of time is maintenance, a false alarm or a true anomaly.

    The service knows of it about a second later. What it has told by then stays told. Maintenance is best announced
    before it begins; without --from it begins now.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.feedback.places import place_of
    from pipeline.cli.feedback.telling import tell

    config = config_of(given)
    place = place_of(given["feedback"], config)
    said = _feedback(given, config)
    place.require(create=given["create_topic"] or config.output.create)
    place.put(said)
    click.echo(f"{said.id}: {tell(said)}; in {place.told}")


def _feedback(given: dict[str, Any], config: "Config") -> "Feedback":
    from pipeline.cli.models.options import act_of
    from pipeline.codec.feedback import decode_feedback, encode_feedback
    from pipeline.feedback import Feedback

    if given["key"] is not None and given["keys"] is not None:
        raise ConfigError("found --key and --keys; expected one of them, or neither for all streams")
    if given["anomalies"] is not None and given["anomaly"] is None:
        raise ConfigError("--anomalies: found it without --anomaly; expected the id of an anomaly as well")
    about = _of_anomaly(given, config) if given["anomaly"] is not None else _of_options(given)
    act = act_of({"by": given["by"], "reason": given["note"]})
    said = Feedback(
        id=given["feedback_id"] or _hash(given["kind"], about),
        kind=given["kind"], note=given["note"], by=act.actor, at=f"{act.at:%Y-%m-%dT%H:%M:%SZ}", **about,
    )  # fmt: skip
    try:
        decoded = decode_feedback(encode_feedback(said))
    except ValueError as exc:
        raise ConfigError(f"found feedback that is none: {exc}") from exc
    if decoded != said:
        raise TypeError(f"found {decoded} for {said}; expected the same")
    return said


def _of_options(given: dict[str, Any]) -> dict[str, Any]:
    from datetime import UTC, datetime

    from pipeline.cli.times import range_of

    ends = [
        name for name, value in (("--to", given["to"]), ("--for", given["for_"]), ("--open", given["is_open"])) if value
    ]
    if len(ends) != 1:
        raise ConfigError(f"found {' and '.join(ends) or 'no end'}; expected one of --to, --for and --open")
    if given["from_"] is None and given["kind"] != "maintenance":
        raise ConfigError("found neither --from nor --anomaly; expected one of them: when was it?")
    start_us, _ = range_of(given["from_"], None)
    if start_us is None:
        start_us = int(datetime.now(UTC).replace(microsecond=0).timestamp()) * 1_000_000
    return {name: given[name] for name in ("key", "keys", "field")} | {
        "from_us": start_us,
        "to_us": _end(given, start_us),
    }


def _of_anomaly(given: dict[str, Any], config: "Config") -> dict[str, Any]:
    from pipeline.cli.feedback.episode import find_episode
    from pipeline.cli.times import range_of

    beside = [f"--{name}" for name in ("key", "keys", "field") if given[name] is not None]
    if beside:
        raise ConfigError(f"found {' and '.join(beside)} beside --anomaly; expected it to tell key and field alone")
    episode = find_episode(given["anomaly"], given["anomalies"], config)
    start_us, _ = range_of(given["from_"], None)
    start_us = episode.from_us if start_us is None else start_us
    has_end = given["to"] is not None or given["for_"] is not None or given["is_open"]
    if not has_end and not episode.is_closed:
        click.echo(
            "notice: the episode is not over; the range ends with its newest event: give --to, --for or --open for "
            "another end",
            err=True,
        )
    return {
        "key": episode.key,
        "field": episode.field,
        "from_us": start_us,
        "to_us": _end(given, start_us) if has_end else episode.to_us,
    }


def _end(given: dict[str, Any], start_us: int) -> int:
    from datetime import timedelta

    from pipeline.cli.times import duration_of, range_of
    from pipeline.feedback import OPEN_US

    if given["is_open"]:
        return OPEN_US
    if given["for_"] is not None:
        return start_us + duration_of("--for", given["for_"]) // timedelta(microseconds=1)
    _, end_us = range_of(None, given["to"])
    return OPEN_US if end_us is None else end_us


def _hash(kind: str, about: dict[str, Any]) -> str:
    """The same for the same said twice, which is then there once."""
    return hashlib.blake2b(repr((kind, sorted(about.items()))).encode(), digest_size=6).hexdigest()
