"""JSON lines: one object per line, decoded in blocks of lines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.adapters.files.blocks import Block, check_names, shorten
from pipeline.adapters.files.cells import cell_text
from pipeline.adapters.files.text_file import BOM, estimate_lines, open_text, read_head, reading
from pipeline.errors import InputError

_BLOCK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 16 << 20
_SAMPLE_ROWS = 1000
_EXPECTED = "one JSON object per line"


@dataclass(frozen=True, slots=True)
class JsonReader:
    """Reads one object per line; its columns are the names in the objects, and a name that one lacks is null there."""

    path: Path

    def columns(self) -> tuple[str, ...]:
        """Names in the first 1000 objects, in the order in which they turn up; later ones are not looked for."""
        with reading(self.path, "JSON lines"):
            read_head(self.path)
        lines = next(self._blocks(), [])[:_SAMPLE_ROWS]
        names = dict.fromkeys(name for row in self._decode(lines, 1) for name in row if name)
        check_names(self.path, tuple(names))
        return tuple(names)

    def estimate_rows(self) -> int:
        """Lines, were they all as long as the first."""
        with reading(self.path, "JSON lines"):
            return estimate_lines(self.path)

    def read(self, columns: Sequence[str], *, after_row: int = 0) -> Iterator[Block]:
        """Blocks of numbers where a column has nothing else in it, of text otherwise; blank lines are no rows."""
        row = 1
        for lines in self._blocks():
            skip = min(max(after_row - row + 1, 0), len(lines))
            if skip < len(lines):
                objects = self._decode(lines[skip:], row + skip)
                yield Block(row + skip, tuple(_as_array([one.get(name) for one in objects]) for name in columns))
            row += len(lines)

    def _blocks(self) -> Iterator[list[bytes]]:
        """Lines that are not blank, never none of them; memory is bounded by a block and the longest line."""
        rest = b""
        with reading(self.path, "JSON lines"), open_text(self.path) as stream:
            while data := stream.read(_BLOCK_BYTES):
                text = rest + data
                end = text.rfind(b"\n") + 1
                rest = text[end:]
                if len(rest) > _LONGEST_LINE_BYTES:
                    found = f"a line of more than {_LONGEST_LINE_BYTES >> 20} MiB"
                    raise InputError(str(self.path), found=found, expected=_EXPECTED)
                if lines := _lines(text[:end]):
                    yield lines
        if lines := _lines(rest):
            yield lines

    def _decode(self, lines: list[bytes], first_row: int) -> list[dict[str, Any]]:
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        objects = []
        for index, line in enumerate(lines):
            try:
                objects.append(decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                objects.append(self._decode_leniently(line, first_row + index))
        return objects

    def _decode_leniently(self, line: bytes, row: int) -> dict[str, Any]:
        """The object in a line that the strict decoder refuses: Python, among others, writes NaN and Infinity."""
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as exc:
            raise InputError(str(self.path), row=row, found=shorten(repr(line)), expected="text in UTF-8") from exc
        except json.JSONDecodeError as exc:
            found = f"{shorten(line.decode())!r}, which is not valid JSON"
            raise InputError(str(self.path), row=row, found=found, expected=_EXPECTED) from exc
        if not isinstance(value, dict):
            raise InputError(str(self.path), row=row, found=shorten(line.decode()), expected=_EXPECTED)
        return value


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.removeprefix(BOM).splitlines() if line and not line.isspace()]


def _as_array(cells: list[Any]) -> pa.Array:
    """Numbers where all are of one type that holds them exactly, text otherwise."""
    types = set(map(type, cells)) - {type(None)}
    number = pa.float64() if types == {float} else pa.int64() if types == {int} else None
    if number is not None:
        try:
            return pa.array(cells, number)
        except (pa.ArrowInvalid, OverflowError):
            pass  # an integer beyond 64 bits
    return pa.array(map(cell_text, cells), pa.string())
