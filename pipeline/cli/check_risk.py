"""Whether lanes can have the risk that is asked for, as `driftline check` tells it."""

from collections.abc import Iterator
from datetime import timedelta

from detectors.thresholds import RISK_POINTS, ThresholdTable
from pipeline.cli.check_kafka import Told
from pipeline.config import Config
from pipeline.wording import brief, duration

_DAY_S = 86_400


def within_reach(config: Config, table: ThresholdTable) -> Iterator[Told]:
    """Rates, or sampling intervals, at which the table's ends hold; a warning where they are sure to.

    The interval is known beforehand of windows of time, where it is the hop.
    """
    asked, (least, most) = config.detector, table.reach()
    per_day = asked.risk_per_day
    if per_day is None:
        if asked.risk is not None and asked.risk > most * RISK_POINTS:
            yield (
                "warning",
                f"risk: found {brief(asked.risk)}; expected at most {_per_points(most)}, which is what you get",
            )
        return
    densest_s, sparsest_s = least * _DAY_S / per_day, most * _DAY_S / per_day
    hop = config.windows.hop
    if not isinstance(hop, timedelta):
        told = (
            f"a stream has {brief(per_day)} per day if its points are at most {duration(sparsest_s)} apart; a sparser "
            f"one has fewer, {_per_points(most)} at most"
        )
        yield "info", told
    elif not densest_s <= hop.total_seconds() <= sparsest_s:
        has = f"at most {_per_points(most)}" if hop.total_seconds() > sparsest_s else f"at least {_per_points(least)}"
        told = (
            f"risk_per_day: found {brief(per_day)} with a point every {duration(hop.total_seconds())}; expected one "
            f"every {duration(densest_s)} to {duration(sparsest_s)}: a stream has {has}"
        )
        yield "warning", told


def _per_points(rate: float) -> str:
    return f"{brief(rate * RISK_POINTS)} per 1,000 points"
