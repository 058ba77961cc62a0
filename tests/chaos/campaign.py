"""What a campaign does, and what it compares."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from pipeline.config import load_config
from pipeline.records import Place
from tests.chaos.disturbing import MEMBERS, PARTITIONS, Campaign, Crowd, disturb, require_running, wait_until_settled
from tests.chaos.oracle import OUTPUTS, Account, Oracle, Seen, Told, swaps_told
from tests.chaos.promoting import Champions
from tests.chaos.records import make_records
from tests.chaos.scraping import Looks, Scraper, compare_counts
from tests.chaos.service import Names, Samples, Serving, write_config
from tests.chaos.state import state_hash
from tests.chaos.stored import Archive, compare_stored
from tests.kafka_broker import Broker, create_topic, free_port, read_committed, read_to_end, send

_FIRST_SHARE = 0.25
_DRAIN_S = 600.0


def run_campaign(
    campaign: Campaign, directory: Path, *, tell: Callable[[str], None], prometheus: str | None = None
) -> list[str]:
    """What differs between the oracle and the run; nothing, if all is well.

    Args:
        prometheus: the program, to be asked as well.
    """
    directory.mkdir(parents=True, exist_ok=True)
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(MEMBERS)]
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(directory / "broker"))
        archive = None
        if prometheus is not None:
            archive = Archive(prometheus, directory / "prometheus", addresses)
            stack.callback(archive.stop)
        return _run(campaign, broker, directory, addresses, archive, tell)


def _run(
    campaign: Campaign,
    broker: Broker,
    directory: Path,
    addresses: list[str],
    archive: Archive | None,
    tell: Callable[[str], None],
) -> list[str]:
    dice = random.Random(campaign.seed)  # noqa: S311  a campaign that can be repeated
    names = Names.of("disturbed", "input")
    create_topic(broker.bootstrap, names.input, PARTITIONS)
    records = list(make_records(campaign.records, campaign.keys, PARTITIONS, campaign.seed))
    first = int(len(records) * _FIRST_SHARE)
    send(broker.bootstrap, names.input, records[:first])
    champions = Champions(directory / "models", dice, structures=campaign.structures)
    configs = {
        address: write_config(
            directory / f"disturbed-{n}.toml", broker.bootstrap, names, detector={"bundle": "champion"},
            models={"registry": str(champions.url), "check_interval": "100ms", "rollback": False},
            log={"repeat_interval": "0s"}, http={"port": int(address.rpartition(":")[2])},
        )
        for n, address in enumerate(addresses, 1)
    }  # fmt: skip
    crowd = Crowd(configs, directory, Scraper(), archive)
    began = time.monotonic()
    disturb(campaign, broker, crowd, champions, names.input, records[first:], dice, tell)
    _drain(broker, names, crowd.members)
    wait_until_settled(crowd, champions)
    _require_accounts(crowd.members, len(records))
    looks = crowd.scraper.close()
    stored = None if archive is None else archive.read(len(records))
    for member in crowd.members:
        if (status := member.stop()) != 0:
            raise AssertionError(f"found exit status {status}: {member.told[-2000:]}")
    tell(f"disturbed run: {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    oracle = Oracle(
        load_config(next(iter(configs.values())), {}, environ={}).config, champions.bundles, names.input, directory
    )
    told = swaps_told(crowd.logs, names.input)
    seen = looks if stored is None else [*looks, *stored.looks]
    accounts, ends = _judge(oracle, broker, names, told, seen, tell)
    tell(f"oracle: {time.monotonic() - began:.0f} s")
    differences = [one.difference for one in accounts.values() if one.difference]
    if differences:  # counts up to an offset behind that are not known
        return differences
    came = sum(len(one.swaps) for one in accounts.values())
    tell(f"swaps of partitions: {came} came about, {sum(map(len, told.values())) - came} were told and cut off")
    tallies = {n: one.tallies for n, one in accounts.items()}
    differences, summary = compare_counts(looks, tallies, ends)
    tell(summary)
    if stored is None:
        return differences
    others, summaries = compare_stored(stored, tallies, ends)
    for summary in summaries:
        tell(summary)
    return differences + others


def _judge(
    oracle: Oracle,
    broker: Broker,
    names: Names,
    told: dict[int, list[Told]],
    looks: list[Looks],
    tell: Callable[[str], None],
) -> tuple[dict[int, Account], dict[int, int]]:
    """The oracle's account of each partition, and where it ends."""
    there = dict(
        zip(OUTPUTS, read_committed(broker.bootstrap, *(getattr(names, name) for name in OUTPUTS)), strict=True)
    )
    for name, by_partition in there.items():
        tell(f"{name}: {sum(map(len, by_partition.values()))} messages")
    messages: dict[int, list[Any]] = {n: [] for n in range(PARTITIONS)}
    for message in read_to_end(broker.bootstrap, names.input):
        messages[message.partition].append(message)
    marks: dict[int, set[int]] = {n: set() for n in range(PARTITIONS)}
    for one in looks:
        for standing in one.standings:
            marks[standing.partition].add(standing.offset)
        for (partition, start), offset in one.committed.items():
            marks[partition] |= {start, offset}
    accounts = {
        n: oracle.judge(
            n, mine, told.get(n, []),
            Seen(
                {name: there[name].get(n, []) for name in OUTPUTS},
                state_hash(broker.bootstrap, names, Place(names.input, n)),
            ),
            marks[n],
        )
        for n, mine in messages.items()
    }  # fmt: skip
    return accounts, {n: mine[-1].offset + 1 for n, mine in messages.items()}


def _drain(broker: Broker, names: Names, members: list[Serving]) -> None:
    """Wait until the group has committed all there is."""
    places = [TopicPartition(names.input, partition) for partition in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=names.group, enable_auto_commit=False)
    try:
        ends = consumer.end_offsets(places)
        deadline = time.monotonic() + _DRAIN_S
        while any((consumer.committed(place) or 0) < ends[place] for place in places):
            require_running(members)
            if time.monotonic() > deadline:
                raise AssertionError(f"found no end; one told: {members[0].told[-3000:]}")
            time.sleep(0.5)
    finally:
        consumer.close()


def _require_accounts(members: list[Serving], records: int) -> None:
    """All records are consumed, and all consumed are accounted for, by what Prometheus sees of all members."""
    consumed = parts = 0.0

    def are_all_consumed() -> bool:
        nonlocal consumed, parts
        shown = [member.metrics() for member in members]
        if any(_by_name(shown, "driftline_accounting_imbalance_records")):
            raise AssertionError("found an imbalance of accounts")
        consumed = sum(_by_name(shown, "driftline_accounting_consumed_records_total"))
        parts = sum(_by_name(shown, "driftline_accounting_records_total"))
        return consumed == parts == records

    try:
        members[0].wait_for(are_all_consumed)
    except AssertionError as exc:
        raise AssertionError(f"found {consumed:.0f} records consumed, {parts:.0f} of them accounted for; "
                             f"expected {records}") from exc  # fmt: skip


def _by_name(shown: list[Samples], name: str) -> list[float]:
    return [value for samples in shown for (one, _), value in samples.items() if one == name]
