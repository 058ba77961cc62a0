"""The end of a producer that still has something to send."""

from contextlib import suppress
from typing import Any

_ABORT_S = 1.0


def end_at_once(producer: Any) -> None:
    """End a `KafkaProducer` without waiting for what it still has to send, whatever it is at."""
    # closing waits for what is on its way, and stops nothing when that does not come
    producer._sender.force_close()  # noqa: SLF001
    producer._sender.join(_ABORT_S)  # noqa: SLF001
    with suppress(Exception):
        producer.close(timeout=0)
    # a sender that is slow to notice ends by itself; without this the producer would wait for it once more when it is
    # collected, and complain on standard error
    producer._closed = True  # noqa: SLF001
