"""How the page of a comparison names streams, numbers and times."""

from datetime import UTC, datetime, timedelta

from pipeline.records import JOINT


def stream_name(key: str, field: str) -> str:
    """A lane in words."""
    return f"{key} · {'all fields together' if field == JOINT else field}"


def number_or_dash(number: float | None, form: str) -> str:
    """As the format says; a dash for None."""
    return "-" if number is None else form.format(number)


def minute(time_us: float) -> str:
    """Event time to the minute, in UTC."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=float(time_us)):%Y-%m-%d %H:%M}"
