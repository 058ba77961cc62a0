"""Benchmarks: both sides measured in one process, in turn, and printed as ratios; `make bench` runs them all."""

import os

from pipeline.kernel_cache import use_cache_for_these_sources, user_cache_dir

use_cache_for_these_sources(user_cache_dir(os.environ))  # before a module with compiled functions is imported
