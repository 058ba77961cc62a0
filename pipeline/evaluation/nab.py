"""Results of the Numenta Anomaly Benchmark, from what the engine said of its files."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.nab import (
    PROFILES,
    NabFile,
    Profile,
    ProfileScore,
    describe,
    held_out,
    score_at,
    score_corpus,
)
from detectors.evaluation.nab_published import PUBLISHED
from pipeline.evaluation.measures import StreamResult, describe_each, describe_streams

LARGEST_SCORE = 40.0
"""Alert scores are divided by this for NAB, whose scores end at 1; it is far above any score that there can be."""
SPLITS = 40


def nab_scores(alert_score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores in [0, 1] of rows (n,) for NAB: of each alert its score, 0 without one."""
    return np.minimum(alert_score / LARGEST_SCORE, 1.0)


def nab_file(
    name: str, time_us: NDArray[np.int64], windows: NDArray[np.int64], alert_score: NDArray[np.float64]
) -> NabFile:
    """A file of the benchmark with our scores: alerts alone count, each with its score.

    Args:
        name: 'category/file'.
        time_us: (n,) of its rows.
        windows: (w, 2) first and last microsecond of each.
        alert_score: (n,), see `pipeline.evaluation.scoring.StreamScores`.
    """
    return NabFile(name, time_us, nab_scores(alert_score), windows)


def describe_nab(results: Sequence[StreamResult]) -> dict[str, Any]:
    """The benchmark's scores and all other measures, as plain values.

    Raises:
        ValueError: no window with a row to score, or windows that overlap.
    """
    files = [nab_file(result.name, result.time_us, result.windows, result.scores.alert_score) for result in results]
    best = score_corpus(files)
    return {
        "scores": {profile: result.score for profile, result in best.items()},
        "thresholds": {profile: result.threshold for profile, result in best.items()},
        "held_out": _held_out(files),
        "published": PUBLISHED,
        **describe_streams(results),
        "categories": _categories(results, files, best),
        "per_file": [
            {**measures, "raw": _raw(file, best)} for measures, file in zip(describe_each(results), files, strict=True)
        ],
    }


def _held_out(files: Sequence[NabFile]) -> dict[Profile, dict[str, float]] | None:
    """None where a half of the files has no window."""
    try:
        mean, sd = held_out(files, splits=SPLITS)
    except ValueError:
        return None
    return {profile: {"mean": mean[profile], "sd": sd[profile]} for profile in PROFILES}


def _categories(
    results: Sequence[StreamResult], files: Sequence[NabFile], best: dict[Profile, ProfileScore]
) -> dict[str, dict[str, Any]]:
    """Every category at the thresholds of the whole corpus."""
    names = sorted({result.name.split("/")[0] for result in results})
    categories = {}
    for name in names:
        mine = [index for index, result in enumerate(results) if result.name.split("/")[0] == name]
        own = [results[index] for index in mine]
        categories[name] = {
            "scores": _scores_at([files[index] for index in mine], best),
            **describe_streams(own),
        }
    return categories


def _scores_at(files: Sequence[NabFile], best: dict[Profile, ProfileScore]) -> dict[Profile, float] | None:
    """None where there is no window, and so nothing to normalise by."""
    try:
        return score_at(files, {profile: result.threshold for profile, result in best.items()})
    except ValueError:
        return None


def _raw(file: NabFile, best: dict[Profile, ProfileScore]) -> dict[Profile, float]:
    """What a file adds to the sum of each profile before that is normalised."""
    return {profile: describe([file], profile, best[profile].threshold)[0].raw for profile in PROFILES}
