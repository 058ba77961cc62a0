"""Anomalies as JSON."""

from collections.abc import Iterable

import msgspec

from pipeline.records import Anomaly

_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_anomaly(anomaly: Anomaly) -> bytes:
    """One JSON object, in the field order of `Anomaly`."""
    return _ENCODER.encode(anomaly)


def encode_anomalies(anomalies: Iterable[Anomaly]) -> bytes:
    """One JSON object per line, in the field order of `Anomaly`."""
    return _ENCODER.encode_lines(list(anomalies))
