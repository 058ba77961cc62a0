"""Why an event is reported, in a sentence for people: which streams spoke, and how rare that is in the lane's past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal

from pipeline.records import Evidence
from pipeline.wording import brief, counted, duration, listed, ordinal, told_apart

CLAUSES = 3
"""Ranks told in a sentence at most; streams of the same rank share one."""
TELLING = 0.75
"""Part of the highest novelty below which a stream is left out of the sentence: its share in the score, by the eighth
power, is less than a tenth of the strongest's."""
PARTNER = 0.25
"""Part of the largest share from which on a second field of a joint lane is told."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a stream is, in words.

    Attributes:
        phrase: with a place for a count of points or steps, where it has one.
        count: what goes there.
        horizon: steps ahead of the forecast that the stream judges; None for a stream that judges none.
        unit: of its value in evidence; '' is that of the observed value.
    """

    phrase: str
    count: int | None = None
    horizon: int | None = None
    unit: str = ""


_CHANGE = "change over {}"
_MISS = "difference from the forecast{s} made {} before"
_LASTING_MISS = f"lasting {_MISS}"
MEANINGS: dict[str, Meaning] = {
    "value": Meaning("value"),
    "increment": Meaning(_CHANGE, 1),
    "change_5": Meaning(_CHANGE, 5),
    "change_20": Meaning(_CHANGE, 20),
    **{f"residual_{horizon}": Meaning(_MISS, horizon, horizon) for horizon in (1, 8, 32, 96)},
    **{f"mean_residual_{horizon}": Meaning(_LASTING_MISS, horizon, horizon, "sd") for horizon in (8, 32, 96)},
    **{f"mean_surprise_{horizon}": Meaning(_LASTING_MISS, horizon, horizon, "scales") for horizon in (1, 32, 96)},
    **{f"spread_{points}": Meaning("spread of {}", points) for points in (10, 40)},
    **{f"mean_{points}": Meaning("mean of {}", points) for points in (10, 40)},
    "seasonal_difference": Meaning("difference from a day before"),
    "mean_seasonal_difference": Meaning("lasting difference from a day before"),
    "weekly_difference": Meaning("difference from a week before"),
    "mean_weekly_difference": Meaning("lasting difference from a week before"),
    "score": Meaning("raw score of the detector"),
}
"""Of every derived stream, and of the one that a baseline has."""
HORIZONS = sorted({meaning.horizon for meaning in MEANINGS.values() if meaning.horizon is not None})
"""Steps ahead of the forecasts that streams judge."""
_FORECASTS = {name: meaning.horizon or 0 for name, meaning in MEANINGS.items() if meaning.phrase == _MISS}


def horizon_of(stream: str) -> int | None:
    """Steps ahead of the forecast that a stream judges; None for one that judges none."""
    return MEANINGS[stream].horizon if stream in MEANINGS else None


def unit_of(stream: str) -> str:
    """Unit of a stream's value in evidence; '' is that of the observed value.

    'sd' is the lane's standard deviation, logarithmic far out; 'scales' are those of the forecast.
    """
    return MEANINGS[stream].unit if stream in MEANINGS else ""


@lru_cache(maxsize=4096)
def name_streams(*streams: str) -> str:
    """Streams in words, those of one kind together: 'change over 1, 5 and 20 points'."""
    counts: dict[str, set[int]] = {}
    units = {}
    for stream in streams:
        meaning = MEANINGS.get(stream, Meaning(stream.replace("_", " ")))
        counts.setdefault(meaning.phrase, set()).update(() if meaning.count is None else (meaning.count,))
        units[meaning.phrase] = "point" if meaning.horizon is None else "step"
    return ", ".join(_fill(phrase, sorted(found), units[phrase]) for phrase, found in counts.items())


def _fill(phrase: str, counts: list[int], unit: str) -> str:
    if not counts:
        return phrase
    many = f"{listed([str(count) for count in counts])} {unit}{'' if counts == [1] else 's'}"
    return phrase.format(many, s="s" if len(counts) > 1 else "")


_WORDS: dict[str, str] = {name: name_streams(name) for name in MEANINGS}


@lru_cache(maxsize=4096)
def tell_rank(side: Literal["above", "below"], seen: int, among: int, exact: bool) -> str:  # noqa: FBT001
    """How far out a value is among those remembered: '2nd highest remembered in 3,870 points'.

    Args:
        side, seen, among, exact: see `Evidence`.
    """
    extreme = "highest" if side == "above" else "lowest"
    place = extreme if seen == 0 else f"{ordinal(seen + 1)} {extreme}"
    return f"{'' if exact else 'at best '}{place} remembered in {counted(among, 'point')}"


def tell_rarity(once_in: int, *, at_most: bool) -> str:
    """How often such a score comes where nothing is wrong."""
    return f"so high a score comes {'at most' if at_most else 'about'} once in {once_in:,} points without a fault"


def explain_point(
    observed: float, expected: float | None, streams: Sequence[Evidence], once_in: int | None, *, at_most: bool
) -> str:
    """Why a point opened or worsened an episode.

    Args:
        observed, expected: the value and its one-step forecast.
        streams: that spoke, most novel first.
        once_in: points in which a fault-free lane gives such a score once; None where it is not known.
        at_most: whether it may be rarer still.
    """
    told: list[str] = []
    ranks: dict[tuple[Literal["above", "below"], int, int, bool], list[str]] = {}
    words = set()
    least = TELLING * streams[0].novelty if streams else 0.0
    for one in streams:
        name = one.name
        if one.novelty < least:
            break
        if not told and name in _FORECASTS:
            told.append(_tell_miss(observed, expected, _FORECASTS[name], one.value))
        if (word := _WORDS.get(name, name)) not in words:  # two kinds of mean have the same words
            words.add(word)
            rank = one.side, one.seen, one.among, one.exact
            if rank in ranks:
                ranks[rank].append(name)
            else:
                ranks[rank] = [name]
    for rank, names in islice(ranks.items(), CLAUSES):
        told.append(f"{name_streams(*names)}: {tell_rank(*rank)}")
    if once_in is not None:
        told.append(tell_rarity(once_in, at_most=at_most))
    return "; ".join(told)


def _tell_miss(observed: float, expected: float | None, horizon: int, residual: float) -> str:
    forecast = expected if horizon == 1 and expected is not None else observed - residual
    came, was = told_apart(observed, forecast)
    return f"{came} where {was} was forecast {horizon} step{'' if horizon == 1 else 's'} before"


def explain_joint_point(
    shares: Mapping[str, float],
    values: Mapping[str, float],
    streams: Sequence[Evidence],
    once_in: int | None,
    *,
    at_most: bool,
) -> str:
    """Why a point opened or worsened an episode of all fields together.

    Its value and its streams are of no series that people know, so they tell the manner alone, and the fields the rest.

    Args:
        shares: of each field in what was odd together.
        values: of the fields; those that have a share are among them.
        streams, once_in, at_most: see `explain_point`.
    """
    told = [_tell_together(shares, values, streams)]
    if once_in is not None:
        told.append(tell_rarity(once_in, at_most=at_most))
    return "; ".join(told)


def _tell_together(shares: Mapping[str, float], values: Mapping[str, float], streams: Sequence[Evidence]) -> str:
    pair = ""
    if len(shares) == 2:  # each is judged by the other
        pair = f", with {listed([f'{name} at {brief(values[name])}' for name in shares])}"
    loud = [one for one in streams if one.novelty >= TELLING * streams[0].novelty]
    if loud and all(one.side == "below" for one in loud):
        if all(one.name.startswith("spread") for one in loud):
            return f"how closely the fields go together varies less than usual{pair}"
        return f"the fields go together more closely than usual{pair}"
    if pair:
        return f"the fields do not go together as usual{pair}"
    first, *others = sorted(values, key=lambda name: -shares[name])
    named = [first, *(name for name in others[:1] if shares[name] >= PARTNER * shares[first])]
    parts = [f"{shares[name]:.0%}" for name in named]
    parts[0] += " of what is odd"
    odd = listed([f"{name} at {brief(values[name])} ({part})" for name, part in zip(named, parts, strict=True)])
    return f"the fields do not go together as usual, above all {odd}"


def explain_joint_shift(before: float, after: float, points: int, lasted_us: int) -> str:
    """Why an episode of all fields together was closed as a level shift.

    Args:
        before, after, points, lasted_us: see `explain_shift`.
    """
    how = "less" if after > before else "more"
    return f"the fields go together {how} closely than before, and that stayed; {_tell_extent(points, lasted_us)}"


def explain_end(points: int, lasted_us: int) -> str:
    """Why an episode was closed.

    Args:
        points: flagged ones.
        lasted_us: from the first of them to the point that closed it.
    """
    return f"score below the threshold again; {_tell_extent(points, lasted_us)}"


def explain_shift(before: float, after: float, points: int, lasted_us: int) -> str:
    """Why an episode was closed as a level shift.

    Args:
        before, after: mean of the values before it and now.
        points, lasted_us: see `explain_end`.
    """
    was, came = told_apart(before, after)
    return f"level moved from {was} to {came} and stayed; {_tell_extent(points, lasted_us)}"


def _tell_extent(points: int, lasted_us: int) -> str:
    return f"closed after {duration(lasted_us / 1e6)} with {counted(points, 'flagged point')}"


def explain_silence(silent_us: int, pace_us: int, *, began: bool) -> str:
    """Why a silence is reported, or its end.

    Args:
        silent_us: since the lane was last heard of.
        pace_us: usual time between its points.
        began: whether it is silent still.
    """
    usual = f"usually one every {duration(float(f'{pace_us / 1e6:.3g}'))}"
    if silent_us <= 0:  # told by a point that lags behind the others
        return f"{'no value' if began else 'heard again'}; {usual}"
    silent = duration(silent_us / 1e6)
    return f"no value for {silent}; {usual}" if began else f"heard again after {silent} without a value; {usual}"
