"""Anomalies and other values as bytes."""

from collections.abc import Iterable

import msgspec

from pipeline.records import Anomaly

_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_anomalies(anomalies: Iterable[Anomaly]) -> bytes:
    """One JSON object per line, in the field order of `Anomaly`."""
    return _ENCODER.encode_lines(list(anomalies))
