"""The fast way for Arrow: columns of many messages become columns of a batch, without a look at single rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.codec.arrow import BAD_STREAM, ThoroughArrow, read_batches
from pipeline.codec.arrow_plan import Declined, Plan, make_plan
from pipeline.codec.columns import Columns, Unusable, join
from pipeline.codec.fast import key_text
from pipeline.codec.formats import MessageFormat, RawMessage
from pipeline.codec.thorough import own_key, own_time_us
from pipeline.codec.times import iso_us, range_of, whole_us
from pipeline.records import POINTS_PER_MESSAGE, Batch

_NOT_TAKEN = (Declined, Unusable, *BAD_STREAM)


class _Read(NamedTuple):
    """A message that has been read and has rows."""

    message: RawMessage
    batches: list[Any]
    rows: int

    @property
    def schema(self) -> Any:
        """That of all its batches."""
        return self.batches[0].schema


class FastArrow:
    """Takes streams in which all is as it should be, with nulls for missing values; declines all others.

    Args:
        thorough: what becomes of a message that is declined; it also finds out the unit of times.
    """

    def __init__(self, layout: MessageFormat, thorough: ThoroughArrow) -> None:
        self._layout = layout
        self._thorough = thorough
        self._schema: Any = None
        self._plan: Plan | None = None

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `pipeline.codec.formats.Decoder.decode`; messages of one schema that follow one another go together."""
        parts = [Columns(len(self._layout.value_fields)).batch()]
        run: list[_Read] = []
        for message in messages:
            read = self._read(message)
            if run and (read is None or not read.schema.equals(run[0].schema)):
                parts += self._convert(run)
                run = []
            if read is None:
                parts.append(self._told_thoroughly(message))
            else:
                run.append(read)
        if run:
            parts += self._convert(run)
        return join(parts)

    def _read(self, message: RawMessage) -> _Read | None:
        content = message.value
        if not content or len(content) > self._layout.max_message_bytes:
            return None
        try:
            batches = list(read_batches(content))
        except _NOT_TAKEN:
            return None
        rows = sum(batch.num_rows for batch in batches)
        return _Read(message, batches, rows) if rows and self._plan_for(batches[0].schema) else None

    def _plan_for(self, schema: Any) -> Plan | None:
        if self._schema is None or not schema.equals(self._schema):
            self._schema, self._plan = schema, make_plan(schema, self._layout)
        return self._plan

    def _convert(self, run: list[_Read]) -> list[Batch]:
        """The points of messages of one schema; halved until those are alone that are declined."""
        try:
            return [self._batch(run)]
        except _NOT_TAKEN:
            if len(run) == 1:
                return [self._told_thoroughly(run[0].message)]
        middle = len(run) // 2
        return [*self._convert(run[:middle]), *self._convert(run[middle:])]

    def _told_thoroughly(self, message: RawMessage) -> Batch:
        columns = Columns(len(self._layout.value_fields))
        columns.add_all(message.offset * POINTS_PER_MESSAGE, self._thorough.records(message))
        return columns.batch()

    def _batch(self, run: list[_Read]) -> Batch:
        plan = self._plan_for(run[0].schema)
        if plan is None:
            raise Declined
        batches = [batch for read in run for batch in read.batches]
        counts = [read.rows for read in run]
        values = np.full((sum(counts), len(plan.values)), np.nan)
        for field, way in enumerate(plan.values):
            if way is not None:
                values[:, field] = _numbers(way.find(batches))
        if plan.time is None:
            times = np.repeat(np.array([own_time_us(read.message) for read in run]), counts)
        else:
            times = _times(plan.time.find(batches), self._thorough.unit, detected=self._thorough.detects)
        if plan.key is None:
            names = [own_key(read.message) for read in run]
            codes = np.repeat(np.arange(len(run), dtype=np.int32), counts)
        else:
            names, codes = _keys(plan.key.find(batches))
        position = np.concatenate([np.arange(read.rows) + read.message.offset * POINTS_PER_MESSAGE for read in run])
        return Batch(names, codes, times, values, position)


def _numbers(array: Any) -> NDArray[np.float64]:
    """As they are, NaN for null."""
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    numbers: NDArray[np.float64] = array.to_numpy(zero_copy_only=False).astype(np.float64)
    if np.count_nonzero(np.isfinite(numbers)) != len(array) - array.null_count:
        raise Declined
    return numbers


def _keys(array: Any) -> tuple[list[str], NDArray[np.int32]]:
    """(names, code of each row)."""
    encoded = array.dictionary_encode()
    names = [key_text(key) for key in encoded.dictionary.to_pylist()]
    if encoded.null_count or not all(names):
        raise Declined
    return names, encoded.indices.to_numpy().astype(np.int32)


def _times(array: Any, unit: str | None, *, detected: bool) -> NDArray[np.int64]:
    """Event times; those of a type that means a point in time need no unit."""
    if array.null_count:
        raise Declined
    if pa.types.is_timestamp(array.type):
        numbers = array.cast(pa.int64()).to_numpy()
        if array.type.unit == "ns" and (numbers % 1000).any():
            raise Declined  # Python's own times end at microseconds
        return _times_of_numbers(numbers, array.type.unit, detected=False)
    if unit is None or pa.types.is_integer(array.type) == (unit == "iso"):
        raise Declined
    if unit != "iso":
        return _times_of_numbers(array.to_numpy(), unit, detected=detected)
    times = iso_us(array)
    if (times < 0).any():
        raise Declined
    return times


def _times_of_numbers(numbers: NDArray[Any], unit: str, *, detected: bool) -> NDArray[np.int64]:
    least, end = range_of(unit, detected=detected)
    if not ((numbers >= least) & (numbers < end)).all():
        raise Declined
    return whole_us(numbers.astype(np.int64), unit)
