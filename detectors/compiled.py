"""How the project's functions are compiled: the decorators of every compiled function.

All give IEEE results (a division by zero is an infinity, not an exception, which also lets loops vectorise) and
release the GIL. Compiled code is cached on disk beside the sources.

What scores allocates nothing: its callers bring what it fills and its scratch, and keep them alive meanwhile. So numba
need not count references to arrays: a point takes some dozens of views of rows, and each was counted up and down by an
atomic operation, in which a profile found 30 % of its samples.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from numba import njit

if TYPE_CHECKING:
    from numba.core.dispatcher import Dispatcher

_F = TypeVar("_F", bound=Callable[..., object])


class _Decorator(Protocol):
    def __call__(self, function: _F, /) -> "Dispatcher[_F]":
        """The function, to be compiled when it is first called."""


_UNCOUNTED: Any = {"_nrt": False}  # no reference counts; an option that numba's type stubs do not know

compiled: _Decorator = njit(cache=True, nogil=True, error_model="numpy", **_UNCOUNTED)
"""Exact: every operation rounds on its own, in the order written. Allocates nothing, and gives back no array."""

compiled_allocating = njit(cache=True, nogil=True, error_model="numpy")
"""As `compiled`, for functions that make arrays or lists, or give them back; `compiled` ones may not call them."""

compiled_fused: _Decorator = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, **_UNCOUNTED
)
"""As `compiled`, but a product and a sum may fuse into one rounding. Nothing is reordered, so sums keep their order."""
