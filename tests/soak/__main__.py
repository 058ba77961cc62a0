"""The soak: one process serves millions of records while another joins and leaves, and its memory must stay flat.

`python -m tests.soak`, or `make soak`. Every joining and leaving is a rebalance in which partitions are given up and
taken up again, with snapshots and restores. Memory is what the process has resident, sampled all the way; it is flat
when the newest third of the samples is hardly above the third before.
"""

import argparse
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from statistics import median

from tests.chaos.records import make_records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker, create_topic, send
from tests.processes import program, scratch

PARTITIONS, KEYS = 4, 2_000
AT_ONCE = 50_000
GROWTH = 1.05
"""Of the median of the last third of the samples over that of the third before."""
_SAMPLE_S = 0.5
_WAIT_S = 120.0


def main() -> int:
    """Exit status: 0 when memory stays flat and nothing is left unread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rebalances", type=int, default=50)
    options = parser.parse_args()
    with scratch() as directory, Broker(directory / "broker") as broker:
        return _soak(broker, directory, options.records, options.rebalances)


def _soak(broker: Broker, directory: Path, records: int, rebalances: int) -> int:
    names = Names.of("soak", "input")
    create_topic(broker.bootstrap, names.input, PARTITIONS)
    config = write_config(
        directory / "driftline.toml",
        broker.bootstrap,
        names,
        service={"micro_batch": 5_000},
        http={"history": "8MiB"},  # full long before the end
    )
    service = Serving(config, directory / "stays.log")
    samples: list[int] = []
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(service.process.pid, samples, done))
    try:
        service.wait_until_ready()
        sampler.start()
        sent = threading.Thread(target=_send, args=(broker.bootstrap, names.input, records), daemon=True)
        sent.start()
        _rebalance(service, config, directory, rebalances)
        sent.join()
        service.wait_for(lambda: _consumed(service) >= records, 900)
        done.set()
        sampler.join()
        return _judge(samples, records, rebalances, service)
    finally:
        done.set()
        if service.is_running:
            service.kill()


def _rebalance(service: Serving, config: Path, directory: Path, rebalances: int) -> None:
    """Have another member join and leave until there have been so many rebalances of the one that stays."""
    began, visits = time.monotonic(), 0
    while (count := _rebalances(service)) < rebalances:
        visits += 1
        guest = Serving(config, directory / f"guest-{visits % 2}.log")
        before = count
        service.wait_for(lambda before=before: _rebalances(service) > before, _WAIT_S)
        guest.wait_until_ready(_WAIT_S)
        if guest.stop() != 0:
            raise AssertionError(f"found the guest failing: {guest.told[-2000:]}")
        service.wait_for(lambda: _held(service) == PARTITIONS, _WAIT_S)
        print(f"{_rebalances(service):.0f} rebalances in {time.monotonic() - began:.0f} s", flush=True)


def _send(bootstrap: str, topic: str, records: int) -> None:
    made = make_records(records, KEYS, PARTITIONS, 1)
    while part := list(islice(made, AT_ONCE)):
        send(bootstrap, topic, part, compression_type="lz4")


def _sample(pid: int, samples: list[int], done: threading.Event) -> None:
    """Bytes resident, so long as the process is there."""
    while not done.wait(_SAMPLE_S):
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        samples.append(int(fields[1]) * 4096)


def _rebalances(service: Serving) -> float:
    return sum(value for (name, _), value in service.metrics().items() if name == "driftline_rebalances_total")


def _held(service: Serving) -> float:
    return service.metrics().get(("driftline_partitions", (("status", "live"),)), 0)


def _consumed(service: Serving) -> float:
    """Records behind the newest commits, by all who have held the partitions."""
    shown = service.metrics().items()
    return sum(value for (name, _), value in shown if name == "driftline_accounting_consumed_records_total")


def _judge(samples: list[int], records: int, rebalances: int, service: Serving) -> int:
    third = len(samples) // 3
    before, after = median(samples[third : 2 * third]), median(samples[2 * third :])
    consumed, count = _consumed(service), _rebalances(service)
    print(
        f"{consumed:,.0f} records, {count:.0f} rebalances; resident {samples[0] / 2**20:.0f} MiB at first, then "
        f"{before / 2**20:.0f} and {after / 2**20:.0f} MiB, {max(samples) / 2**20:.0f} MiB at most: "
        f"ratio {after / before:.3f}, expected at most {GROWTH}"
    )
    status = service.stop()
    good = after <= GROWTH * before and consumed >= records and count >= rebalances and status == 0
    print("memory stays flat" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    with program():
        sys.exit(main())
