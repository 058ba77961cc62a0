"""Which columns of a file are the time, the key and the values: as asked for, and as resolved against a file."""

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError

TimeUnit = Literal["auto", "iso", "s", "ms", "us", "ns"]
"""'iso': dates and times, written out or typed; 's' to 'ns': numbers since 1970-01-01 UTC; 'auto': as the first is."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What the user says about the columns; what is None or 'auto' is detected from the first file.

    Attributes:
        time_field: column of event times.
        value_fields: columns of numbers, in the order of the records' fields.
        key_field: column that names the stream of each row; without one every file is a stream.
        time_unit: how times are written; columns of a timestamp or date type are read as what they are.

    Raises:
        ConfigError: no value field, or a column named twice.
    """

    time_field: str | None = None
    value_fields: tuple[str, ...] | None = None
    key_field: str | None = None
    time_unit: TimeUnit = "auto"

    def __post_init__(self) -> None:
        if self.value_fields == ():
            raise ConfigError(
                "value_fields: found none; expected at least one column, or no such setting to detect them"
            )
        named = [name for name in (self.time_field, self.key_field, *(self.value_fields or ())) if name is not None]
        for name in named:
            if named.count(name) > 1:
                raise ConfigError(
                    f"column mapping: found {name!r} twice; expected each column once among time, key and values"
                )


@dataclass(frozen=True, slots=True)
class ResolvedMapping:
    """The columns that are read, the same for every file of a source.

    Attributes:
        time_field: column of event times.
        value_fields: columns of numbers; the fields of the records.
        key_field: column of keys; None when the file's name is the key.
        time_unit: how times are written; never 'auto'.
        detected: names of the attributes above that were found out rather than given.
    """

    time_field: str
    value_fields: tuple[str, ...]
    key_field: str | None
    time_unit: TimeUnit
    detected: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read: the time, the values, the key if there is one."""
        return (self.time_field, *self.value_fields, *([self.key_field] if self.key_field is not None else []))
