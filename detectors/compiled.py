"""How the project's functions are compiled: the two decorators of every compiled function.

Both give IEEE results (a division by zero is an infinity, not an exception, which also lets loops vectorise) and
release the GIL. Compiled code is cached on disk beside the sources.
"""

from numba import njit

compiled = njit(cache=True, nogil=True, error_model="numpy")
"""Exact: every operation rounds on its own, in the order written."""

compiled_fused = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
"""As `compiled`, but a product and a sum may fuse into one rounding. Nothing is reordered, so sums keep their order."""
