"""The sentences, against words that were thought of beforehand."""

from typing import Any, Literal

import pytest

from detectors.streams import STREAMS
from pipeline.explanations import (
    HORIZONS,
    explain_end,
    explain_joint_point,
    explain_joint_shift,
    explain_point,
    explain_shift,
    explain_silence,
    horizon_of,
    name_streams,
    tell_rank,
    unit_of,
)
from pipeline.records import Evidence

MINUTE_US = 60_000_000


def _spoke(name: str, novelty: float = 2.0, **changes: Any) -> Evidence:
    told: dict[str, Any] = {"side": "below", "value": -14.27, "seen": 0, "among": 3870, "exact": True, **changes}
    return Evidence(name, novelty, horizon_of(name), **told)


def _explain(*streams: Evidence, expected: float | None = 14.27, once_in: int | None = None) -> str:
    return explain_point(0.0, expected, streams, once_in, at_most=False)


def test_every_derived_stream_has_words_of_its_own() -> None:
    """None is told by its name in code, and none but two kinds of mean by the words of another."""
    words = {name: name_streams(name) for name in STREAMS}
    assert not [name for name, told in words.items() if "_" in told or "{" in told]
    assert len(set(words.values())) == len(words) - 2


def test_horizons_are_those_of_the_forecasts() -> None:
    """Streams with a horizon are those of residuals and surprises, and it is the number in their name."""
    for name in STREAMS:
        judges = "residual" in name or "surprise" in name
        assert horizon_of(name) == (int(name.rpartition("_")[2]) if judges else None)
    assert HORIZONS == [1, 8, 32, 96]
    assert horizon_of("unknown") is None


def test_means_of_residuals_and_surprises_have_a_unit_of_their_own() -> None:
    """All other streams are told in the unit of the value."""
    assert {name: unit_of(name) for name in ("mean_residual_32", "mean_surprise_1", "residual_32", "value")} == {
        "mean_residual_32": "sd", "mean_surprise_1": "scales", "residual_32": "", "value": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        (["increment"], "change over 1 point"),
        (["change_20", "increment", "change_5"], "change over 1, 5 and 20 points"),
        (["residual_1"], "difference from the forecast made 1 step before"),
        (["residual_32", "residual_8"], "difference from the forecasts made 8 and 32 steps before"),
        (
            ["mean_surprise_32", "value", "mean_residual_96"],
            "lasting difference from the forecasts made 32 and 96 steps before, value",
        ),
        (["mean_40", "spread_10"], "mean of 40 points, spread of 10 points"),
        (["some_other"], "some other"),
    ],
)
def test_streams_of_a_kind_are_named_together(streams: list[str], words: str) -> None:
    """Points and steps are listed in order, whichever spoke loudest."""
    assert name_streams(*streams) == words


@pytest.mark.parametrize(
    ("side", "seen", "exact", "words"),
    [
        ("above", 0, True, "highest remembered in 3,870 points"),
        ("below", 0, True, "lowest remembered in 3,870 points"),
        ("above", 1, True, "2nd highest remembered in 3,870 points"),
        ("below", 4, False, "at best 5th lowest remembered in 3,870 points"),
    ],
)
def test_ranks(side: Literal["above", "below"], seen: int, exact: bool, words: str) -> None:
    """A point as far out as k others is at best the (k + 1)th."""
    assert tell_rank(side, seen, 3870, exact) == words


def test_streams_of_the_same_rank_share_a_clause() -> None:
    """The forecast that was missed comes first, then ranks in order of novelty, then how rare the score is."""
    told = _explain(
        _spoke("residual_1", 2.1), _spoke("change_5", 2.0), _spoke("seasonal_difference", 1.9, seen=1, among=3582),
        _spoke("increment", 1.8), once_in=40_000,
    )  # fmt: skip
    assert told == (
        "0 where 14.3 was forecast 1 step before; "
        "difference from the forecast made 1 step before, change over 1 and 5 points: "
        "lowest remembered in 3,870 points; "
        "difference from a day before: 2nd lowest remembered in 3,582 points; "
        "so high a score comes about once in 40,000 points without a fault"
    )


def test_a_forecast_of_many_steps_is_told_by_its_residual() -> None:
    """What was forecast is what was observed less the residual; without any residual no forecast is told."""
    assert _explain(_spoke("residual_32", value=-20.5)).startswith("0 where 20.5 was forecast 32 steps before; ")
    assert _explain(_spoke("residual_1"), expected=None).startswith("0 where 14.3 was forecast 1 step before; ")
    assert "forecast" not in _explain(_spoke("mean_10"))


def test_streams_that_hardly_count_are_left_out() -> None:
    """The sentence is about what made the score: three quarters of the highest novelty at least."""
    assert _explain(_spoke("value", 2.0), _spoke("mean_10", 1.49)) == "value: lowest remembered in 3,870 points"
    assert "mean of 10 points" in _explain(_spoke("value", 2.0), _spoke("mean_10", 1.5))


def test_words_come_once() -> None:
    """The mean of residuals and that of surprises of one horizon are told by the more novel."""
    told = _explain(_spoke("mean_residual_96"), _spoke("mean_surprise_96", seen=3))
    assert told == "lasting difference from the forecast made 96 steps before: lowest remembered in 3,870 points"


def test_at_most_three_ranks_are_told() -> None:
    """More would be no sentence."""
    names = ("value", "mean_10", "mean_40", "spread_40")
    assert _explain(*(_spoke(name, seen=place) for place, name in enumerate(names))).count(";") == 2


def test_without_evidence_nothing_is_told() -> None:
    """An event of a detector that tells no streams has no reason, and one of unknown rarity tells none."""
    assert _explain() == ""
    told = explain_point(1.0, None, [_spoke("score", side="above")], 3871, at_most=True)
    assert told.endswith("; so high a score comes at most once in 3,871 points without a fault")


def _explain_joint(shares: dict[str, float], *streams: Evidence) -> str:
    values = {"flow": 47.861, "heat": 1020.4, "load": 0.12345}
    here = {name: value for name, value in values.items() if name in shares and shares[name] > 0}
    return explain_joint_point(shares, here, streams, 7200, at_most=False)


def test_all_fields_together_are_told_by_the_fields() -> None:
    """Those with the largest shares and their values, one or two of many; of two it is always both, without shares."""
    rare = "; so high a score comes about once in 7,200 points without a fault"
    odd = _spoke("change_20", side="above", value=2.5)
    assert _explain_joint({"flow": 0.1, "heat": 0.85, "load": 0.05}, odd) == (
        f"the fields do not go together as usual, above all heat at 1,020 (85% of what is odd){rare}"
    )
    assert _explain_joint({"flow": 0.3, "heat": 0.6, "load": 0.1}, odd) == (
        f"the fields do not go together as usual, above all heat at 1,020 (60% of what is odd) and flow at 47.86 (30%)"
        f"{rare}"
    )
    assert _explain_joint({"flow": 0.9, "heat": 0.1}, odd) == (
        f"the fields do not go together as usual, with flow at 47.86 and heat at 1,020{rare}"
    )
    assert "heat" not in _explain_joint({"flow": 0.6, "heat": 0.0, "load": 0.4}, odd)


def test_fields_that_are_closer_than_usual_are_told_so() -> None:
    """No field is blamed then; a calm that is unusual is another thing, and what speaks softly does not decide."""
    shares = {"flow": 0.3, "heat": 0.6, "load": 0.1}
    closer = "the fields go together more closely than usual; so high"
    assert _explain_joint(shares, _spoke("value"), _spoke("spread_10")).startswith(closer)
    assert _explain_joint(shares, _spoke("value"), _spoke("mean_40", 1.4, side="above")).startswith(closer)
    assert "do not go together" in _explain_joint(shares, _spoke("value"), _spoke("mean_40", 1.6, side="above"))
    calm = _explain_joint(shares, _spoke("spread_40"), _spoke("spread_10"))
    assert calm.startswith("how closely the fields go together varies less than usual; so high")


def test_a_relation_that_changed_for_good_is_told_without_levels() -> None:
    """The level of what all fields are together means nothing to people; which way it went does."""
    less = explain_joint_shift(1.1, 3.5, 56, 425 * MINUTE_US)
    assert less == (
        "the fields go together less closely than before, and that stayed; "
        "closed after 7 h 5 min with 56 flagged points"
    )
    assert "more closely than before" in explain_joint_shift(3.5, 1.1, 56, 425 * MINUTE_US)


def test_ends_and_shifts() -> None:
    """How long an episode was, how many points were flagged, and between which levels a shift was."""
    assert explain_end(1, 35 * MINUTE_US) == "score below the threshold again; closed after 35 min with 1 flagged point"
    assert explain_shift(8506.4, 6559.2, 56, 425 * MINUTE_US) == (
        "level moved from 8,506 to 6,559 and stayed; closed after 7 h 5 min with 56 flagged points"
    )


def test_silences() -> None:
    """How long, and how often there usually is a value; the pace is told to three digits."""
    assert explain_silence(45 * MINUTE_US, 299_700_000, began=True) == "no value for 45 min; usually one every 5 min"
    ended = "heard again after 1 h 30 min without a value; usually one every 850 ms"
    assert explain_silence(90 * MINUTE_US, 850_000, began=False) == ended
    assert explain_silence(-1, MINUTE_US, began=False) == "heard again; usually one every 1 min"
