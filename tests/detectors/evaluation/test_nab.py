import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.evaluation.nab import PROFILES, WEIGHTS, NabFile, Profile, describe, held_out, score_at, score_corpus
from detectors.evaluation.nab_published import PUBLISHED
from tests.nab import load_nab, load_reference_scores

NAMES = {
    "ARTime": "ARTime",
    "numenta": "Numenta HTM",
    "randomCutForest": "random cut forest",
    "windowedGaussian": "windowed Gaussian",
}
"""Detectors whose scores of every row are known, by their names there."""


def make_file(score: list[float], spans: list[tuple[int, int]], name: str = "group/file") -> NabFile:
    """A file with a row a second, and windows from first row to last row."""
    second_us = 1_000_000
    return NabFile(
        name,
        np.arange(len(score), dtype=np.int64) * second_us,
        np.array(score, dtype=np.float64),
        [(first * second_us, last * second_us) for first, last in spans],
    )


@st.composite
def corpora(draw: st.DrawFn) -> list[NabFile]:
    """One to three small files with many equal scores; the last window of each lies behind the probationary rows."""
    files = []
    for number in range(draw(st.integers(1, 3))):
        n = draw(st.integers(10, 30))
        edges = sorted(draw(st.sets(st.integers(0, n - 5), max_size=6)))
        spans = [*zip(edges[::2], edges[1::2], strict=False), (n - 4, n - 2)]
        score = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
        files.append(make_file([float(s) for s in score], spans, f"group{number}/file"))
    return files


def raw_by_the_rules(file: NabFile, profile: Profile, threshold: float) -> float:
    """The raw score of one file, row by row, as the rules are written."""
    false_positive_weight, miss_weight = WEIGHTS[profile]
    n = len(file.score)
    probation = min(math.floor(0.15 * n), 750)
    raw = 0.0
    windows = [
        [row for row in range(n) if start_us <= file.time_us[row] <= end_us]
        for start_us, end_us in np.reshape(file.windows, (-1, 2))
    ]
    for window in windows:
        hits = [row for row in window if row >= probation and file.score[row] >= threshold]
        if hits:
            place = (hits[0] - window[-1] - 1) / len(window)
            raw += sigmoid(place) / sigmoid(-1.0)
        elif window[-1] >= probation:
            raw -= miss_weight
    inside = {row for window in windows for row in window}
    for row in range(probation, n):
        if file.score[row] >= threshold and row not in inside:
            before = [window for window in windows if window[-1] < row]
            past = (row - before[-1][-1]) / (len(before[-1]) - 1) if before else math.inf
            raw += false_positive_weight * sigmoid(past)
    return raw


def sigmoid(x: float) -> float:
    """The scaled sigmoid, cut beyond 3."""
    return -1.0 if x > 3.0 else 2.0 / (1.0 + math.exp(5.0 * x)) - 1.0


def windows_to_score(file: NabFile) -> int:
    """How many windows end behind the probationary rows."""
    first_scored_us = file.time_us[min(math.floor(0.15 * len(file.score)), 750)]
    return sum(int(end_us >= first_scored_us) for _, end_us in np.reshape(file.windows, (-1, 2)))


def with_scores(scores: list[NDArray[np.float64]]) -> list[NabFile]:
    """The benchmark with these scores, one (n,) array per file."""
    return [
        NabFile(stream.name, stream.time_us, score, stream.windows)
        for stream, score in zip(load_nab(), scores, strict=True)
    ]


@pytest.mark.parametrize("detector", NAMES)
def test_published_scores(detector: str) -> None:
    """The scores of four detectors come out as published, to two decimals."""
    files = with_scores(load_reference_scores()[detector])
    result = score_corpus(files)
    assert {profile: round(result[profile].score, 2) for profile in PROFILES} == PUBLISHED[NAMES[detector]]


def test_corpus_is_whole() -> None:
    """The copy of the benchmark has its 58 files, 365,558 rows and 116 windows, each starting and ending at a row."""
    streams = load_nab()
    assert len(streams) == 58
    assert sum(len(stream.value) for stream in streams) == 365_558
    assert sum(len(stream.windows) for stream in streams) == 116
    assert all(np.isin(stream.windows, stream.time_us).all() for stream in streams)


def test_perfect_and_null_on_the_benchmark() -> None:
    """Flagging the first row of every window and nothing else scores 100, flagging nothing 0."""
    first_rows = [np.isin(stream.time_us, stream.windows[:, 0]).astype(np.float64) for stream in load_nab()]
    first_rows = [np.where(np.diff(score, prepend=0.0) > 0, score, 0.0) for score in first_rows]
    files = with_scores(first_rows)
    best = score_corpus(files)
    assert all(best[profile].score == pytest.approx(100.0) for profile in PROFILES)
    assert all((best[profile].detected, best[profile].false_positives) == (116, 0) for profile in PROFILES)
    assert score_at(files, dict.fromkeys(PROFILES, np.inf)) == dict.fromkeys(PROFILES, 0.0)
    mean, sd = held_out(files, splits=5)
    assert list(mean.values()) == pytest.approx([100.0] * 3)
    assert list(sd.values()) == pytest.approx([0.0] * 3)


@given(corpora(), st.sampled_from(PROFILES), st.integers(0, 5))
def test_score_follows_the_rules(files: list[NabFile], profile: Profile, threshold: int) -> None:
    """At any threshold the score is that of the rules applied row by row."""
    windows = sum(windows_to_score(file) for file in files)
    _, miss_weight = WEIGHTS[profile]
    raw = sum(raw_by_the_rules(file, profile, threshold) for file in files)
    expected = 100.0 * (raw + miss_weight * windows) / (windows + miss_weight * windows)
    assert score_at(files, {profile: threshold})[profile] == pytest.approx(expected)


@given(corpora())
def test_no_threshold_beats_the_best(files: list[NabFile]) -> None:
    """The sweep finds the maximum over all thresholds, flagging nothing included, and is at it."""
    for profile, best in score_corpus(files).items():
        scores = [score_at(files, {profile: threshold})[profile] for threshold in (0, 1, 2, 3, 4, np.inf)]
        assert best.score == pytest.approx(max(scores))
        assert best.score == score_at(files, {profile: best.threshold})[profile]


@given(corpora())
def test_only_the_order_of_scores_matters(files: list[NabFile]) -> None:
    """A rising function of all scores changes no result."""
    stretched = [replace(file, score=np.exp(3.0 * file.score) - 50.0) for file in files]
    before, after = score_corpus(files), score_corpus(stretched)
    assert [best.score for best in before.values()] == pytest.approx([best.score for best in after.values()])


@given(corpora(), st.sampled_from(PROFILES), st.integers(0, 4))
def test_details_add_up(files: list[NabFile], profile: Profile, threshold: int) -> None:
    """What the files and windows add to the raw score is the raw score, and each file's share is that of the rules."""
    details = describe(files, profile, threshold)
    for file, detail in zip(files, details, strict=True):
        assert detail.raw == pytest.approx(raw_by_the_rules(file, profile, threshold))
        assert detail.raw == pytest.approx(detail.false_positive_raw + sum(window.raw for window in detail.windows))


def test_details_of_a_file() -> None:
    """A window says when it was first detected, or that it was missed."""
    score = [0.0] * 40
    score[22] = score[24] = score[38] = 1.0
    (detail,) = describe([make_file(score, [(10, 14), (20, 24)])], "standard", 0.5)
    assert [window.detected_us for window in detail.windows] == [None, 22_000_000]
    assert [window.start_us for window in detail.windows] == [10_000_000, 20_000_000]
    assert detail.windows[0].raw == -1.0
    assert detail.windows[1].raw == pytest.approx(sigmoid(-0.6) / sigmoid(-1.0))
    assert (detail.false_positives, detail.false_positive_raw) == (1, -0.11)


def test_probationary_rows_do_not_count() -> None:
    """Flags in the first 15 % of a file, at most 750 rows, change nothing."""
    for n, probation in ((40, 6), (10_000, 750)):
        spans = [(n - 10, n - 5)]
        quiet, early, late = (np.zeros(n) for _ in range(3))
        early[:probation] = 1.0
        late[probation] = 1.0
        score = [
            score_at([make_file(flags.tolist(), spans)], {"standard": 0.5})["standard"]
            for flags in (quiet, early, late)
        ]
        assert score[0] == score[1] == 0.0
        assert score[2] < 0.0


def test_earlier_is_better_and_closer_is_cheaper() -> None:
    """A detection earns less the later it comes, and a false alarm costs more the further behind a window it is."""

    def score_of(row: int) -> float:
        score = [0.0] * 60
        score[row] = 1.0
        return score_at([make_file(score, [(20, 29)])], {"standard": 0.5})["standard"]

    within = [score_of(row) for row in range(20, 30)]
    behind = [score_of(row) for row in range(30, 57)]
    assert within[0] == pytest.approx(100.0)
    assert all(np.diff(within) < 0)
    assert all(np.diff(behind) < 0)
    assert max(behind) < 0.0 < min(within)
    assert score_of(58) == score_of(15) == pytest.approx(-5.5)


def test_window_of_one_row() -> None:
    """A window of one row can be detected, and what follows it is as false as can be."""
    found = [0.0] * 20
    found[10] = 1.0
    assert score_at([make_file(found, [(10, 10)])], {"standard": 0.5})["standard"] == pytest.approx(100.0)
    behind = [0.0] * 20
    behind[11] = 1.0
    assert score_at([make_file(behind, [(10, 10)])], {"standard": 0.5})["standard"] == pytest.approx(-5.5)


def test_repeated_times() -> None:
    """Every row at a window's edge lies within it, however often its time repeats."""
    file = make_file([0.0] * 20, [(10, 12)])
    time_us = file.time_us.copy()
    time_us[13] = time_us[12]
    score = np.zeros(20)
    score[13] = 1.0
    detail = describe([replace(file, time_us=time_us, score=score)], "standard", 0.5)[0]
    assert detail.false_positives == 0
    assert detail.windows[0].detected_us == 12_000_000


def test_held_out_is_reproducible_and_modest() -> None:
    """The same seed gives the same result, and on files that had no say the score is lower than the tuned one."""
    files = with_scores(load_reference_scores()["numenta"])
    mean, sd = held_out(files, splits=8, seed=7)
    assert (mean, sd) == held_out(files, splits=8, seed=7)
    assert mean != held_out(files, splits=8, seed=8)[0]
    assert all(sd[profile] > 0 for profile in PROFILES)
    assert all(60 < mean[profile] < score_corpus(files)[profile].score for profile in PROFILES)


def test_held_out_scores_unseen_files() -> None:
    """A threshold that fits one half and not the other shows in the held-out score."""
    fits_high = make_file([0.0] * 10 + [2.0] + [0.0] * 9, [(10, 14)], "a/high")
    fits_low = make_file([1.0] * 10 + [1.5] + [1.0] * 9, [(10, 14)], "a/low")
    mean, _ = held_out([fits_high, fits_low], splits=30)
    # Threshold 2.0 misses the low file; threshold 1.5 finds the high one.
    assert 20.0 < mean["standard"] < 80.0
    assert score_corpus([fits_high, fits_low])["standard"].score == pytest.approx(100.0)


def test_halves_are_stratified() -> None:
    """With a group whose files all need another threshold, every half holds half of that group."""
    plain = [make_file([0.0] * 10 + [1.0] + [0.0] * 9, [(10, 14)], f"plain/{n}") for n in range(4)]
    shy = [make_file([0.0] * 10 + [0.5] + [0.0] * 9, [(10, 14)], f"shy/{n}") for n in range(4)]
    mean, sd = held_out(plain + shy, splits=20)
    assert list(mean.values()) == pytest.approx([100.0] * 3)
    assert list(sd.values()) == pytest.approx([0.0] * 3)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (make_file([0.0] * 9 + [math.nan], [(5, 6)]), "group/file: found NaN at row 9"),
        (replace(make_file([0.0] * 10, [(5, 6)]), score=np.zeros(9)), r"found time_us \(10,\) and score \(9,\)"),
        (make_file([0.0] * 10, [(4, 6), (6, 8)]), "overlapping windows at row 6"),
        (make_file([0.0] * 10, [(6, 4)]), "found a window from 6000000 to 4000000 us"),
        (make_file([0.0] * 10, []), "found no window with a row to score in 1 files"),
        (make_file([0.0] * 10, [(20, 30)]), "found no window with a row to score in 1 files"),
    ],
)
def test_unusable_files(file: NabFile, message: str) -> None:
    """What cannot be scored is refused, with what was found."""
    with pytest.raises(ValueError, match=message):
        score_corpus([file])


def test_held_out_needs_two_splits() -> None:
    """One split has no standard deviation."""
    with pytest.raises(ValueError, match="found splits = 1; expected at least 2"):
        held_out([make_file([0.0] * 10, [(5, 6)])], splits=1)
