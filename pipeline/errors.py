"""The error tree: what Driftline raises at its public seams, and the exit status of each.

    DriftlineError                 1
    ├── UserError                  2   something the user gave cannot be used; the message says what to do
    │   ├── InputError                 a file, row or column of a source
    │   ├── ConfigError                an option or a key of the configuration
    │   │   └── TooLongError               a message is longer than its topic takes
    │   ├── ShortHistoryError          a history that is too short to learn from
    │   ├── BundleError                a bundle that is damaged, foreign or of another version
    │   └── RegistryError              a registry of bundles that cannot be reached, is damaged, or does not allow it
    │       └── ConflictError              somebody else was first: the registry is not as the caller had seen it
    ├── CheckpointError            2   a saved position or state that cannot be continued from
    ├── MissingExtraError          2   an optional package that this command needs is not installed
    ├── LossError                  3   records or state are gone, and the configured policy is to stop
    ├── StoppedError                   the user has stopped what is of no use unfinished; the status of the signal
    └── FeedError                  1   Kafka cannot be reached or refuses; by itself this may pass
        ├── ExpiredError               the position of a partition is no longer in its log
        └── TransactionError           a commit failed; what came behind the one before has to be done again
            └── FencedError            another process goes by the name of this one

Errors of lower libraries are translated where they occur (`raise InputError(...) from exc`). Every message is one line.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

_PASSWORD = re.compile(r"(://[^/@:\s]*):\S*@")
_QUERY = re.compile(r"(://[^?\s]*)\?\S+")


class DriftlineError(Exception):
    """Base of every error that Driftline raises on purpose."""

    exit_status = 1


class UserError(DriftlineError):
    """Something the user gave cannot be used."""

    exit_status = 2


class InputError(UserError):
    """A source, row or column that cannot be read; names them, what was found and what was expected.

    Args:
        source: the file, folder or topic as the user gave it.
        found: what was there, as a short phrase; shown verbatim.
        expected: what should have been there, and where it helps, what to do.
        row: data row, counted from 1 without the header; None when it does not concern a row.
        column: column name; None when it does not concern a column.
    """

    def __init__(
        self, source: str, *, found: str, expected: str, row: int | None = None, column: str | None = None
    ) -> None:
        where = [source]
        if row is not None:
            where.append(f"row {row}")
        if column is not None:
            where.append(f"column {column!r}")
        super().__init__(f"{', '.join(where)}: found {found}; expected {expected}")
        self.source = source
        self.row = row
        self.column = column
        self.found = found
        self.expected = expected

    def __reduce__(self) -> tuple["Callable[[], InputError]", tuple[()]]:
        """How it comes back whole from another process, which arguments by name would keep it from."""
        again = partial(
            InputError, self.source, found=self.found, expected=self.expected, row=self.row, column=self.column
        )
        return again, ()


class ConfigError(UserError):
    """An option or configuration key that is unknown or out of range."""


class TooLongError(ConfigError):
    """A message is longer than its topic takes, even compressed.

    Attributes:
        limit: bytes that the topic takes.
    """

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(
            f"topic {topic}: found a message of {size} bytes to be written; expected at most {limit}: raise its "
            "max.message.bytes"
        )
        self.limit = limit


class ShortHistoryError(UserError):
    """A history that is too short to learn from; more of it may do."""


class BundleError(UserError):
    """A bundle that is missing, damaged, foreign or of another version."""


class RegistryError(UserError):
    """A registry of bundles that cannot be reached, is damaged, or does not allow what is asked of it."""


class ConflictError(RegistryError):
    """Somebody else was first: the registry is not, or no longer, as the caller had seen it."""


class CheckpointError(DriftlineError):
    """A saved position or state that cannot be continued from."""

    exit_status = 2


class MissingExtraError(DriftlineError):
    """An optional package is not installed; the message names the extra that brings it."""

    exit_status = 2


class LossError(DriftlineError):
    """Records or state are gone, and the configured policy is to stop; the message tells the exact loss."""

    exit_status = 3


class StoppedError(DriftlineError):
    """The user has stopped what had not come far enough to be of use.

    Args:
        exit_status: tells the signal.
    """

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class FeedError(DriftlineError):
    """Kafka cannot be reached or refuses; by itself this may pass."""


class ExpiredError(FeedError):
    """The positions of partitions are no longer in their logs.

    Attributes:
        positions: offset asked for, by (topic, partition).
    """

    def __init__(self, message: str, positions: Mapping[tuple[str, int], int]) -> None:
        super().__init__(message)
        self.positions = positions


class TransactionError(FeedError):
    """A commit failed; what came behind the one before has to be done again."""


class FencedError(TransactionError):
    """Another process goes by the name of this one, which has to end."""


def without_secrets(text: str) -> str:
    """The text, the passwords and the queries of URLs in it masked."""
    return _QUERY.sub(r"\1?***", _PASSWORD.sub(r"\1:***@", text))


def nearest(name: str, valid: Iterable[str]) -> str:
    """'; did you mean X?' for the valid name closest to `name`, or '' when none is close."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
