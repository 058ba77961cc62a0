"""Published scores of the Numenta Anomaly Benchmark, for comparison.

Source: the results in the benchmark's repository, https://github.com/numenta/NAB, of 58 files and 116 windows.
"""

from detectors.evaluation.nab import Profile

PUBLISHED: dict[str, dict[Profile, float]] = {
    name: {"standard": standard, "reward_low_FP_rate": low_fp, "reward_low_FN_rate": low_fn}
    for name, standard, low_fp, low_fn in (
        ("ARTime", 74.85, 65.15, 80.36),
        ("Numenta HTM", 70.10, 63.21, 74.32),
        ("CAD-OSE", 69.90, 66.98, 73.18),
        ("earthgecko Skyline", 58.20, 46.20, 63.80),
        ("KNN-CAD", 57.99, 43.41, 64.81),
        ("random cut forest", 51.72, 38.36, 59.75),
        ("Twitter ADVec", 47.06, 33.61, 53.50),
        ("windowed Gaussian", 39.65, 20.87, 47.41),
    )
}
"""Score of each profile by detector, best first."""
