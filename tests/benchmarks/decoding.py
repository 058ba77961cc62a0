"""Points per second of each format's decoder, beside a plain decoding of the same content that makes no columns."""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.codec.decoding import make_decoder
from pipeline.codec.encoding import Encoding, encode_points
from pipeline.codec.formats import FormatName, MessageFormat

ROUNDS = 9
POINTS, POINTS_PER_MESSAGE, KEYS = 50_000, 100, 50
KINDS: tuple[FormatName, ...] = ("json", "json-array", "json-lines", "arrow")
AT_LEAST = dict.fromkeys(KINDS[1:], 1.0)
_START_US, _INTERVAL_US = 1_700_000_000_000_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """As a decoder takes it."""

    offset: int
    key: bytes
    value: bytes
    timestamp: int = -1


def run() -> dict[str, Any]:
    """Figures by name: points per second of each side, and ratios of the decoders to that of JSON objects."""
    sides: dict[str, Callable[[], float]] = {}
    for kind in KINDS:
        messages = _messages(kind)
        sides[_decoder(kind)] = partial(_decoder_rate, kind, messages)
        for name, load in _PLAIN[kind].items():
            sides[f"{kind}, {name}"] = partial(_plain_rate, load, messages)
    for side in sides.values():
        side()  # warm
    rounds = [{name: side() for name, side in sides.items()} for _ in range(ROUNDS)]
    ratios = {
        kind: median(figures[_decoder(kind)] / figures[_decoder("json")] for figures in rounds) for kind in AT_LEAST
    }
    return {
        "points_per_s": {name: round(median(figures[name] for figures in rounds)) for name in sides},
        "ratio_to_json_objects": {kind: round(ratio, 2) for kind, ratio in ratios.items()},
        "at_least": AT_LEAST,
        "rounds": ROUNDS,
        "points": POINTS,
        "points_per_message": POINTS_PER_MESSAGE,
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    return [
        f"{kind} decoded at {figures['ratio_to_json_objects'][kind]} times the rate of JSON objects, expected {least}"
        for kind, least in AT_LEAST.items()
        if figures["ratio_to_json_objects"][kind] < least
    ]


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(side, points per second, ratio to JSON objects, what is expected of it) of each side, as text."""
    ratios = {
        _decoder(kind): (f"{figures['ratio_to_json_objects'][kind]:.1f}x", least) for kind, least in AT_LEAST.items()
    }
    return [
        (side, f"{rate:,}", ratios[side][0], f">= {ratios[side][1]:.0f}x")
        if side in ratios
        else (side, f"{rate:,}", "", "")
        for side, rate in figures["points_per_s"].items()
    ]


def _decoder(kind: FormatName) -> str:
    return f"{kind}, decoded to columns"


def _messages(kind: FormatName) -> list[Message]:
    """Two values at a time, the keys of messages taking turns."""
    dice = np.random.default_rng(7)
    keys = [f"key-{at // POINTS_PER_MESSAGE % KEYS}" for at in range(POINTS)]
    times = _START_US + np.arange(POINTS) * _INTERVAL_US
    encoding = Encoding(kind, ("value", "heat"), points=POINTS_PER_MESSAGE)
    points = encode_points(encoding, keys, times, dice.normal(size=(POINTS, 2)).round(4))
    return [Message(offset, key.encode(), content) for offset, (key, content, _) in enumerate(points)]


def _decoder_rate(kind: FormatName, messages: Sequence[Message]) -> float:
    decoder = make_decoder(MessageFormat(kind, ("value", "heat"), "time", time_unit="ms"))
    started = time.perf_counter()
    batch = decoder.decode(messages)
    took = time.perf_counter() - started
    if len(batch) != POINTS or batch.problems:
        raise RuntimeError(f"found {len(batch)} points and {len(batch.problems)} problems, expected {POINTS} and none")
    return POINTS / took


def _plain_rate(load: Callable[[bytes], Any], messages: Sequence[Message]) -> float:
    started = time.perf_counter()
    for message in messages:
        load(message.value)
    return POINTS / (time.perf_counter() - started)


def _json_lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


def _arrow_rows(content: bytes) -> list[Any]:
    with pa.ipc.open_stream(io.BytesIO(content)) as reader:
        rows: list[Any] = reader.read_all().to_pylist()
    return rows


_MSGSPEC = msgspec.json.Decoder()
_PLAIN: dict[FormatName, dict[str, Callable[[bytes], Any]]] = {
    "json": {"json.loads": json.loads, "msgspec": _MSGSPEC.decode},
    "json-array": {"json.loads": json.loads, "msgspec": _MSGSPEC.decode},
    "json-lines": {"json.loads": _json_lines, "msgspec": _MSGSPEC.decode_lines},
    "arrow": {"to_pylist": _arrow_rows},
}
