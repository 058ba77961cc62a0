"""Where this user's compiled kernels are kept; called before anything with compiled functions is imported."""

from pathlib import Path

from pipeline.config import environment
from pipeline.kernel_cache import use_cache_for_these_sources, user_cache_dir


def use_kernel_cache() -> Path:
    """The directory that compiled kernels are read from and written to from now on."""
    return use_cache_for_these_sources(user_cache_dir(environment()))
