"""Numenta Anomaly Benchmark: the score of a detector over labelled files.

The rules are those of Lavin & Ahmad 2015, "Evaluating real-time anomaly detection algorithms", and of the published
results, which these functions reproduce to two decimals. A row is flagged where its score reaches the threshold; one
threshold serves all files. The first min(floor(0.15 n), 750) rows of a file are not scored.
With sigmoid(x) = 2 / (1 + exp(5 x)) - 1, cut to -1 beyond x = 3:

- a labelled window earns once, for its earliest flagged row: the sigmoid of the row's place in the window, from -1 at
  the first row to just under 0 at the last, divided by sigmoid(-1);
- a window without a flagged row costs the weight of a miss;
- a flagged row outside every window costs the weight of a false positive times |sigmoid| of its distance from the end
  of the window before it, in lengths of that window; the whole weight where there is none before it.

Summed over all files this is the raw score. It is normalised so that flagging nothing gives 0, and flagging the first
row of every window and nothing else gives 100. Windows without a row to score do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.evaluation.nab_rows import Rows, concatenate, rows_of

Profile = Literal["standard", "reward_low_FP_rate", "reward_low_FN_rate"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
WEIGHTS: dict[Profile, tuple[float, float]] = {
    "standard": (0.11, 1.0),
    "reward_low_FP_rate": (0.22, 1.0),
    "reward_low_FN_rate": (0.11, 2.0),
}
"""Weight of a false positive and of a miss; a detection weighs 1 in every profile."""


@dataclass(frozen=True, slots=True)
class NabFile:
    """One labelled file with a detector's scores, rows in file order.

    Attributes:
        name: 'group/file'; the group is what `held_out` stratifies by.
        time_us: (n,) int64, microseconds since 1970-01-01; duplicates and steps back may occur.
        score: (n,) float64, larger is more anomalous; infinities are scores like any other.
        windows: (w, 2) int64, first and last microsecond of each labelled window, both inclusive; disjoint.
    """

    name: str
    time_us: NDArray[np.int64]
    score: NDArray[np.float64]
    windows: ArrayLike


@dataclass(frozen=True, slots=True)
class ProfileScore:
    """The score of one profile at one threshold.

    Attributes:
        score: normalised; negative for worse than flagging nothing.
        threshold: rows that score at least this are flagged; infinity where flagging nothing is best.
        raw: the sum before normalisation.
        detected: windows with a flagged row.
        windows: windows with a row to score.
        false_positives: flagged rows outside every window.
    """

    score: float
    threshold: float
    raw: float
    detected: int
    windows: int
    false_positives: int


@dataclass(frozen=True, slots=True)
class WindowDetail:
    """What one window adds to the raw score; `detected_us` is the time of its first flagged row, None for a miss."""

    start_us: int
    end_us: int
    detected_us: int | None
    raw: float


@dataclass(frozen=True, slots=True)
class FileDetail:
    """What one file adds to the raw score: `raw` in all, of which `false_positive_raw` for its false positives."""

    name: str
    raw: float
    false_positives: int
    false_positive_raw: float
    windows: tuple[WindowDetail, ...]


def score_corpus(files: Sequence[NabFile]) -> dict[Profile, ProfileScore]:
    """The best score of each profile over all thresholds, and the threshold that gives it.

    Raises:
        ValueError: no window to detect in any file, a score that is NaN, arrays of different lengths, windows that
            overlap or end before they start.
    """
    return _optimise(concatenate(_rows(files)))


def score_at(files: Sequence[NabFile], thresholds: Mapping[Profile, float]) -> dict[Profile, float]:
    """The normalised score of each profile in `thresholds` at its threshold.

    Raises:
        ValueError: as `score_corpus`.
    """
    rows = concatenate(_rows(files))
    return {profile: _evaluate(rows, profile, threshold).score for profile, threshold in thresholds.items()}


def held_out(
    files: Sequence[NabFile], splits: int = 40, seed: int = 7
) -> tuple[dict[Profile, float], dict[Profile, float]]:
    """Mean and standard deviation of each profile's score on files that had no part in choosing its threshold.

    Each split takes the thresholds from one random half of the files and the scores from the other. Halves hold equally
    many files of every group; which one has the odd file is drawn too.

    Raises:
        ValueError: as `score_corpus`, for any half; fewer than two splits.
    """
    if splits < 2:
        raise ValueError(f"found splits = {splits}; expected at least 2, for a standard deviation")
    rng = np.random.default_rng(seed)
    groups = np.unique([file.name.split("/")[0] for file in files], return_inverse=True)[1]
    rows = _rows(files)
    scores: dict[Profile, list[float]] = {profile: [] for profile in PROFILES}
    for _ in range(splits):
        chosen = _random_half(groups, rng)
        fitted = _optimise(concatenate([rows[i] for i in np.flatnonzero(chosen)]))
        unseen = concatenate([rows[i] for i in np.flatnonzero(~chosen)])
        for profile, fit in fitted.items():
            scores[profile].append(_evaluate(unseen, profile, fit.threshold).score)
    mean = {profile: float(np.mean(of_splits)) for profile, of_splits in scores.items()}
    sd = {profile: float(np.std(of_splits, ddof=1)) for profile, of_splits in scores.items()}
    return mean, sd


def describe(files: Sequence[NabFile], profile: Profile, threshold: float) -> list[FileDetail]:
    """What each file and window adds to the raw score of `profile` at `threshold`, in the order given.

    Raises:
        ValueError: as `score_corpus`, except that files without windows are fine.
    """
    false_positive_weight, miss_weight = WEIGHTS[profile]
    details = []
    for file, rows in zip(files, _rows(files), strict=True):
        flagged = rows.score >= threshold
        outside = flagged & (rows.window < 0)
        windows = []
        for number, (start_us, end_us) in enumerate(rows.spans.tolist()):
            hits = np.flatnonzero(flagged & (rows.window == number))
            detected_us = int(rows.time_us[hits[0]]) if len(hits) else None
            raw = float(rows.value[hits[0]]) if len(hits) else -miss_weight
            windows.append(WindowDetail(start_us, end_us, detected_us, raw))
        false_positive_raw = false_positive_weight * float(rows.value[outside].sum())
        details.append(
            FileDetail(
                name=file.name,
                raw=false_positive_raw + sum(window.raw for window in windows),
                false_positives=int(outside.sum()),
                false_positive_raw=false_positive_raw,
                windows=tuple(windows),
            )
        )
    return details


def _rows(files: Sequence[NabFile]) -> list[Rows]:
    return [rows_of(file.name, file.time_us, file.score, file.windows) for file in files]


def _evaluate(rows: Rows, profile: Profile, threshold: float) -> ProfileScore:
    false_positive_weight, miss_weight = WEIGHTS[profile]
    flagged = rows.score >= threshold
    outside = flagged & (rows.window < 0)
    hits = np.flatnonzero(flagged & (rows.window >= 0))
    first_hits = hits[np.unique(rows.window[hits], return_index=True)[1]]
    windows, detected = len(rows.spans), len(first_hits)
    false_positive_raw = false_positive_weight * float(rows.value[outside].sum())
    raw = float(rows.value[first_hits].sum()) - miss_weight * (windows - detected) + false_positive_raw
    nothing, perfect = -miss_weight * windows, windows
    return ProfileScore(
        score=100.0 * (raw - nothing) / (perfect - nothing),
        threshold=threshold,
        raw=raw,
        detected=detected,
        windows=windows,
        false_positives=int(outside.sum()),
    )


def _optimise(rows: Rows) -> dict[Profile, ProfileScore]:
    """The best score of each profile, found by flagging rows from the highest score down, ties together."""
    order = np.argsort(-rows.score, kind="stable")
    score, window = rows.score[order], rows.window[order]
    penalty = np.where(window < 0, rows.value[order], 0.0)
    earned = np.zeros(len(order))
    newly_detected = np.zeros(len(order))

    # A later window has larger row numbers. So with the windows taken from the last to the first, and the rows of each
    # from the highest score down, one running minimum of row numbers is the earliest flagged row of each window so far.
    inside = np.flatnonzero(window >= 0)
    inside = inside[np.argsort(-window[inside], kind="stable")]
    is_first = np.diff(window[inside], prepend=-1) != 0
    value = rows.value[np.minimum.accumulate(order[inside])]
    earned[inside] = np.where(is_first, value, np.diff(value, prepend=0.0))
    newly_detected[inside] = is_first

    ends_tie = np.append(score[1:] != score[:-1], True)
    thresholds = np.append(np.inf, score[ends_tie])
    best = {}
    for profile, (false_positive_weight, miss_weight) in WEIGHTS.items():
        gain = np.cumsum(false_positive_weight * penalty + earned + miss_weight * newly_detected)[ends_tie]
        best[profile] = _evaluate(rows, profile, float(thresholds[np.argmax(np.append(0.0, gain))]))
    return best


def _random_half(groups: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_]:
    chosen = np.zeros(len(groups), dtype=bool)
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        chosen[members[: (len(members) + int(rng.integers(2))) // 2]] = True
    return chosen
