"""What the user says about labelled files, and what is the same for all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, InputError

LABEL_NAMES = ("label", "is_anomaly", "anomaly")
"""Columns that are taken for labels, in this order, whatever their case."""
FIRST_US = 946_857_600_000_000
"""Monday, 3 January 2000: event time of the first row of a stream without times."""


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """How to take labelled files.

    Attributes:
        time_field: column of event times; None finds it out, or takes rows as equally spaced where there is none.
        value_fields: columns of numbers; None takes all others.
        label_field: column of labels; None takes one of `LABEL_NAMES`.
        interval_us: from row to row, where there are no times.
        history: rows at the start of each file, or of files without a training part, that are only learned from.

    Raises:
        ConfigError: an interval of nothing, or a negative history.
    """

    time_field: str | None = None
    value_fields: tuple[str, ...] | None = None
    label_field: str | None = None
    interval_us: int = 60_000_000
    history: int = 0

    def __post_init__(self) -> None:
        if self.interval_us < 1:
            raise ConfigError(f"--interval: found {self.interval_us} us; expected more than nothing")
        if self.history < 0:
            raise ConfigError(f"--history: found {self.history}; expected 0 or more rows")

    def equal_steps(self, rows: int) -> NDArray[np.int64]:
        """Event times (rows,) of a stream without times."""
        return FIRST_US + self.interval_us * np.arange(rows, dtype=np.int64)


def require_rows_to_measure(source: str, rows: int, history: int) -> None:
    """Refuse a stream with nothing behind its history.

    Raises:
        InputError: that is so.
    """
    if rows <= history:
        raise InputError(
            source,
            found=f"no row behind the {rows} of history",
            expected="some to be measured: lower --history",
        )


def require_labels(source: str, label: NDArray[np.float64], *, column: str | None = None) -> NDArray[np.bool_]:
    """The labels (n,) as truth values.

    Raises:
        InputError: one that is neither 0 nor 1.
    """
    wrong = np.flatnonzero((label != 0) & (label != 1))
    if wrong.size:
        index = int(wrong[0])
        raise InputError(
            source, row=index + 1, column=column, found=f"the label {label[index]:g}", expected="0 for normal, 1 if not"
        )
    is_anomaly: NDArray[np.bool_] = label == 1
    return is_anomaly
