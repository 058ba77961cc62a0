"""What a real Prometheus has stored of the members of a campaign, read back by its API, and what that must add up to.

A member that takes the place of another has its address, as a pod of a StatefulSet or a unit of systemd has, so that
Prometheus sees the counters of one address fall back to 0 again and again. Each scrape is looked at as if a process had
just been asked (see `tests.chaos.scraping`); beside that its own functions are asked what operators ask.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.oracle import Tally
from tests.chaos.scraping import METRICS, Looks, compare_counts, takings_up
from tests.chaos.service import Samples, Serving
from tests.deploy.live import JOB, Prometheus, scraping

_INTERVAL_S = 0.5
_END_S = 120.0
_SPAN = "1d"
"""Longer than any campaign."""
_MARGIN_S = 0.25
"""Between what a log tells and what is shown; a scrape as close to a partition taken up may be of before or behind."""
_ROUNDING = 1e-6
_SHOWN = "|".join(
    [
        *(f"driftline_{name}_total" for name in METRICS),
        "driftline_commits_total",
        "driftline_committed_offset",
        "driftline_accounting_records_total",
    ]
)


class _Start(NamedTuple):
    address: str
    time_s: float
    member: Serving


class Rise(NamedTuple):
    """Of a counter over all addresses.

    Attributes:
        seen: by how much its samples rose, each fall being a new start at 0.
        increase: what the function of that name says.
        at_most: what it may say, as it goes on to the ends of its range.
    """

    seen: float
    increase: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read back.

    Attributes:
        looks: at each process.
        accounts: sums of `driftline_accounting_...` at the end.
        imbalance: the largest that was ever shown.
        rises: by counter and label.
    """

    looks: list[Looks]
    accounts: Tally
    imbalance: float
    rises: dict[tuple[str, str], Rise]


class Archive:
    """A Prometheus over the addresses at which members are.

    Args:
        directory: for its data; made.
    """

    def __init__(self, program: str, directory: Path, addresses: Sequence[str]) -> None:
        every = f"{_INTERVAL_S * 1000:.0f}ms"
        config = scraping({JOB: addresses}, every=every) | {"rule_files": []}
        self._prometheus = Prometheus(program, directory, config)
        self._starts: list[_Start] = []

    def watch(self, member: Serving, address: str) -> None:
        """A member that has just been started at an address whose last one has ended."""
        self._starts.append(_Start(address, time.time(), member))

    def read(self, records: int) -> Stored:
        """What is stored, once all that is shown of all records is; their members still run.

        Raises:
            AssertionError: the sum of accounts does not come to all records.
        """
        shown = "sum(driftline_accounting_consumed_records_total)"
        deadline = time.monotonic() + _END_S
        while (found := self._prometheus.value(shown)) != records:
            if time.monotonic() > deadline:
                raise AssertionError(f"found {found:.0f} records accounted for by Prometheus; expected {records}")
            time.sleep(_INTERVAL_S)
        time.sleep(4 * _INTERVAL_S)  # so that all have been scraped since
        accounts: Tally = Counter({("records_consumed", ""): int(found)})
        for one in self._prometheus.query("sum by (disposition) (driftline_accounting_records_total)"):
            accounts["records", one["metric"]["disposition"]] = int(float(one["value"][1]))
        worst = f"max(max_over_time(driftline_accounting_imbalance_records[{_SPAN}]))"
        best = f"min(min_over_time(driftline_accounting_imbalance_records[{_SPAN}]))"
        imbalance = max(self._prometheus.value(worst), -self._prometheus.value(best))
        at = f"{time.time():.3f}"
        return Stored(self._looks(at), accounts, imbalance, dict(self._rises(at)))

    def stop(self) -> None:
        """End it."""
        self._prometheus.stop()

    def _ask(self, query: str, at: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._prometheus.get("query", query=query, time=at)["result"]
        return found

    def _looks(self, at: str) -> list[Looks]:
        """At each process in the order of their starts, by what was scraped before the next at its address."""
        shown: dict[str, dict[float, Samples]] = {start.address: {} for start in self._starts}
        for series in self._ask(f'{{__name__=~"{_SHOWN}"}}[{_SPAN}]', at):
            labels = dict(series["metric"])
            name, address = labels.pop("__name__"), labels.pop("instance")
            del labels["job"]
            for scraped_s, value in series["values"]:
                shown[address].setdefault(scraped_s, {})[name, tuple(sorted(labels.items()))] = float(value)
        took = {
            (series["metric"]["instance"], scraped_s): float(value)
            for series in self._ask(f"scrape_duration_seconds[{_SPAN}]", at)
            for scraped_s, value in series["values"]
        }
        looks = []
        for number, start in enumerate(self._starts):
            later = [one.time_s for one in self._starts[number + 1 :] if one.address == start.address]
            end_s = min(later, default=float("inf"))
            mine = Looks()
            takings = takings_up(start.member.told)
            for scraped_s, samples in sorted(shown[start.address].items()):
                if start.time_s <= scraped_s < end_s:
                    _add(mine, samples, takings, scraped_s, took[start.address, scraped_s])
            looks.append(mine)
        return looks

    def _rises(self, at: str) -> Iterator[tuple[tuple[str, str], Rise]]:
        for metric, label in METRICS.items():
            name = f"driftline_{metric}_total"
            increases = {_key(one): float(one["value"][1]) for one in self._ask(f"increase({name}[{_SPAN}])", at)}
            found: dict[str, list[Rise]] = {}
            for series in self._ask(f"{name}[{_SPAN}]", at):
                if _key(series) in increases:
                    values = [float(value) for _, value in series["values"]]
                    seen = sum(value - before if value >= before else value for before, value in pairwise(values))
                    # Prometheus goes on beyond either end by 1.1 mean intervals at most
                    at_most = seen * (1 + 2.2 / (len(values) - 1))
                    rise = Rise(seen, increases[_key(series)], at_most)
                    found.setdefault(series["metric"].get(label, ""), []).append(rise)
            for value, rises in found.items():
                yield (metric, value), Rise(*map(sum, zip(*rises, strict=True)))


def _key(series: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in series["metric"].items() if name != "__name__")


def _add(
    looks: Looks, samples: Samples, takings: Sequence[tuple[float, int, int]], scraped_s: float, took_s: float
) -> None:
    """A scrape, unless a partition was taken up just then."""
    first = bisect_left(takings, (scraped_s - _MARGIN_S,))
    last = bisect_left(takings, (scraped_s + took_s + _MARGIN_S,))
    if first == last and ("driftline_commits_total", ()) in samples:
        looks.add(samples, {partition: committed for _, partition, committed in takings[:first]})


def compare_stored(
    stored: Stored, tallies: Mapping[int, Mapping[int, Tally]], ends: Mapping[int, int]
) -> tuple[list[str], list[str]]:
    """What differs from the oracle's counts; and in words, what was seen. See `compare_counts`."""
    differences, told = compare_counts(stored.looks, tallies, ends)
    differences = [f"Prometheus: {one}" for one in differences]
    total: Tally = Counter()
    for partition, end in ends.items():
        total.update(tallies[partition][end])
    expected = {name: count for name, count in total.items() if count and name[0] in {"records_consumed", "records"}}
    if +stored.accounts != expected:
        differences.append(f"Prometheus: sums of accounts {dict(+stored.accounts)}, not {expected}")
    if stored.imbalance:
        differences.append(f"Prometheus: an imbalance of {stored.imbalance:.0f} records; expected none ever")
    for name, rise in stored.rises.items():
        counter = " ".join(filter(None, name))
        if rise.seen > total[name]:
            differences.append(f"Prometheus: {counter} rose by {rise.seen:.0f}; expected {total[name]} at most")
        if not rise.seen - _ROUNDING <= rise.increase <= rise.at_most + _ROUNDING:
            differences.append(f"Prometheus: increase of {counter}: {rise.increase}, not {rise.seen} to {rise.at_most}")
    records = ("records_consumed", "")
    if records not in stored.rises:
        return [*differences, "Prometheus: no counter of records"], [told]
    rise = stored.rises[records]
    sums = (
        f"{stored.accounts[records]} of {total[records]} records by the sum of accounts, {rise.seen:.0f} by the rises "
        f"of counters, {rise.increase:.1f} by increase()"
    )
    return differences, [f"Prometheus: {told}", f"Prometheus: {sums}"]
