"""A made-up topic: keyed sine waves with faults, and records that are late, twice or unusable among them."""

import json
from collections.abc import Iterator

import numpy as np

START_MS = 1_700_000_000_000
INTERVAL_MS = 60_000
GARBAGE = (
    b"\xff\xfe\x00garbage",
    b'{"key": "a", "time": 1700',
    b"[" * 5000,
    b'{"time": 1700000000000, "value": NaN}',
    b'{"time": "yesterday", "value": 1}',
    b'{"time": 1700000000000, "value": "high"}',
    b'{"time": 1700000000000, "value": 1e999}',
    b'{"time": 1700000000000, "value": null}',
    b"",
    b'"text"',
)


def make_records(
    count: int, keys: int, partitions: int, seed: int, *, garbage: float = 0.01, extra: tuple[bytes, ...] = ()
) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, value) in the order in which they are produced.

    Args:
        garbage: share of records that cannot be used; those that can are the same whatever it is.
        extra: garbage besides the usual.
    """
    good, bad = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    junk = GARBAGE + extra
    phase = good.uniform(0, 2 * np.pi, keys)
    told: list[int] = [0] * keys
    last: dict[int, bytes] = {}
    for at in range(count):
        while bad.random() < garbage:
            key = int(bad.integers(keys))
            yield key % partitions, b"key-%d" % key, junk[int(bad.integers(len(junk)))]
        key = at % keys if at < 2 * keys else int(good.integers(keys))
        dice = good.random()
        partition, name = key % partitions, b"key-%d" % key
        if dice < 0.01 and key in last:
            yield partition, name, last[key]  # twice
            continue
        n = told[key]
        told[key] += 1
        value = 10 + np.sin(phase[key] + n / 8) + good.normal(0, 0.1)
        if n > 160 and n % 97 < 3:
            value += 8
        time_ms = START_MS + n * INTERVAL_MS - (50 * INTERVAL_MS if 0.01 <= dice < 0.02 and n > 60 else 0)
        last[key] = json.dumps({"time": time_ms, "value": round(float(value), 6)}).encode()
        yield partition, name, last[key]
