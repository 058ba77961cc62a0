"""An end to what kafka-python's producers wait for without one."""

import threading
from collections.abc import Callable
from typing import Any

from kafka import errors

from pipeline.adapters.kafka.ending import end_at_once


def within(seconds: float, step: Callable[[], Any]) -> None:
    """Do a step of a transaction, but do not wait for it for ever.

    kafka-python (3.0.12) waits for the answer to a request of a transaction without end, and there is none when the
    connection went away at the wrong moment. A step that is given up goes on in its thread until the producer is ended.

    Raises:
        KafkaTimeoutError: it took longer.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as exc:  # noqa: BLE001  it is raised again by the thread that waits
            raised.append(exc)

    thread = threading.Thread(target=run, name="transaction", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise errors.KafkaTimeoutError(f"no answer to a step of a transaction in {seconds:.0f} s")


def end_producer(producer: Any, *, abort: bool = False) -> None:
    """End a producer without waiting for what it still has to send.

    Args:
        abort: take its transaction back first; brokers that do not answer do so themselves in time.
    """
    try:
        if abort:
            within(5.0, producer.abort_transaction)
            producer.close(timeout=1)
    except Exception:  # noqa: BLE001, S110  whatever it is: the broker ends the transaction in time
        pass
    end_at_once(producer)
