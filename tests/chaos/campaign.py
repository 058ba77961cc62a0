"""What a campaign does, and what it compares."""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from pipeline.adapters.state.topic import TopicStateStore
from pipeline.codec.checkpoints import encode_checkpoint
from pipeline.records import Place
from tests.chaos.records import make_records
from tests.chaos.service import Names, Samples, Serving, write_config
from tests.kafka_broker import Broker, create_topic, read_committed, send

PARTITIONS = 4
MEMBERS = 3
OUTPUTS = ("anomalies", "verdicts", "dead_letters")
_FIRST_SHARE = 0.25
_DRAIN_S = 600.0
_FROZEN_S = 8.0
"""Longer than the session timeout of `write_config`."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much is done.

    Attributes:
        records: of the topic, unusable ones not counted.
        kills: processes killed, besides those told to leave and one restart of the broker.
        freezes: processes stopped until the group has given them up, and then let go on.
    """

    records: int
    keys: int
    kills: int
    freezes: int
    seed: int


@dataclass(slots=True)
class Result:
    """What a run leaves behind for readers."""

    outputs: dict[str, Any] = field(default_factory=dict)
    state: dict[int, str] = field(default_factory=dict)


def run_campaign(campaign: Campaign, directory: Path, *, tell: Callable[[str], None]) -> list[str]:
    """What differs between the run undisturbed and the other; nothing, if all is well."""
    directory.mkdir(parents=True, exist_ok=True)
    broker = Broker(directory / "broker")
    broker.start()
    try:
        return _run(campaign, broker, directory, tell)
    finally:
        broker.stop()


def _run(campaign: Campaign, broker: Broker, directory: Path, tell: Callable[[str], None]) -> list[str]:
    topic = "input"
    create_topic(broker.bootstrap, topic, PARTITIONS)
    records = list(make_records(campaign.records, campaign.keys, PARTITIONS, campaign.seed))
    first = int(len(records) * _FIRST_SHARE)
    send(broker.bootstrap, topic, records[:first])
    disturbed = Names.of("disturbed", topic)
    began = time.monotonic()
    _disturb(campaign, broker, disturbed, directory, records[first:], len(records), tell)
    tell(f"disturbed run: {time.monotonic() - began:.0f} s")
    calm = Names.of("calm", topic)
    began = time.monotonic()
    alone = Serving(write_config(directory / "calm.toml", broker.bootstrap, calm), directory / "calm.log")
    _drain(broker, topic, calm, [alone])
    tell(f"calm run: {time.monotonic() - began:.0f} s")
    _require_accounts([alone], len(records))
    if (status := alone.stop()) != 0:
        raise AssertionError(f"found exit status {status}: {alone.told[-2000:]}")
    results = {names.group: _result(broker, names) for names in (calm, disturbed)}
    return _compare(results["calm"], results["disturbed"], tell)


def _disturb(
    campaign: Campaign,
    broker: Broker,
    names: Names,
    directory: Path,
    rest: list[Any],
    records: int,
    tell: Callable[[str], None],
) -> None:
    """Kill, freeze, stop and start members at random while the rest of the records comes in."""
    dice = random.Random(campaign.seed)  # noqa: S311  a campaign that can be repeated
    config = write_config(directory / "disturbed.toml", broker.bootstrap, names)
    started = 0

    def start() -> Serving:
        nonlocal started
        started += 1
        return Serving(config, directory / f"member-{started}.log")

    members = [start() for _ in range(MEMBERS)]
    frozen: list[tuple[float, Serving]] = []
    part = -(-len(rest) // (campaign.kills + 1))
    broker_dies_at = campaign.kills // 2
    freeze_at = set(dice.sample(range(campaign.kills), min(campaign.freezes, campaign.kills)))
    for kill in range(campaign.kills):
        send(broker.bootstrap, names.input, rest[kill * part : (kill + 1) * part])
        time.sleep(dice.uniform(0.5, 7.0))
        members = [start() if _had_no_broker(member) else member for member in members]
        _require_no_faults(members)
        frozen = _thaw(frozen, time.monotonic())
        awake = [at for at, member in enumerate(members) if member not in [one for _, one in frozen]]
        at = dice.choice(awake)
        if kill in freeze_at and len(awake) > 1:
            members[at].freeze()
            frozen.append((time.monotonic() + _FROZEN_S, members[at]))
            awake.remove(at)
            at = dice.choice(awake)
        members[at].kill()
        members[at] = start()
        if kill == broker_dies_at:
            tell("the broker is killed and started again")
            broker.kill()
            time.sleep(dice.uniform(0.5, 3.0))
            broker.start()
        elif dice.random() < 0.3:
            leaver = dice.choice(awake)
            members[leaver].stop()
            members[leaver] = start()
    send(broker.bootstrap, names.input, rest[campaign.kills * part :])
    members = [start() if _had_no_broker(member) else member for member in members]
    while frozen:
        time.sleep(0.1)
        frozen = _thaw(frozen, time.monotonic())
    tell(f"{campaign.kills} kills, {len(freeze_at)} freezes, {started} processes started")
    _drain(broker, names.input, names, members)
    _require_accounts(members, records)
    for member in members:
        if (status := member.stop()) != 0:
            raise AssertionError(f"found exit status {status}: {member.told[-2000:]}")


def _thaw(frozen: list[tuple[float, Serving]], now: float) -> list[tuple[float, Serving]]:
    """Those that stay frozen; the others go on."""
    for until, member in frozen:
        if until <= now:
            member.thaw()
    return [(until, member) for until, member in frozen if until > now]


def _had_no_broker(member: Serving) -> bool:
    """Whether it was started while the broker was down, and has said so and ended; whoever runs it starts it again."""
    return not member.is_running and "found no answer from" in member.told


def _require_no_faults(members: list[Serving]) -> None:
    for member in members:
        if not member.is_running:
            raise AssertionError(f"found a member that ended by itself: {member.told[-3000:]}")


def _drain(broker: Broker, topic: str, names: Names, members: list[Serving]) -> None:
    """Wait until the group has committed all there is, and every partition is live."""
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=names.group, enable_auto_commit=False)
    try:
        ends = consumer.end_offsets(places)
        deadline = time.monotonic() + _DRAIN_S
        while any((consumer.committed(place) or 0) < ends[place] for place in places):
            _require_no_faults(members)
            if time.monotonic() > deadline:
                raise AssertionError(f"found no end; one told: {members[0].told[-3000:]}")
            time.sleep(0.5)
    finally:
        consumer.close()
    for member in members:
        member.wait_until_ready()


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
        members[0].wait_for(are_all_consumed, 30)
    except AssertionError as exc:
        raise AssertionError(f"found {consumed:.0f} records consumed, {parts:.0f} of them accounted for; "
                             f"expected {records}") from exc  # fmt: skip


def _by_name(shown: list[Samples], name: str) -> list[float]:
    return [value for samples in shown for (one, _), value in samples.items() if one == name]


def _result(broker: Broker, names: Names) -> Result:
    found = read_committed(broker.bootstrap, *(getattr(names, name) for name in OUTPUTS))
    outputs = dict(zip(OUTPUTS, found, strict=True))
    return Result(outputs, {n: state_hash(broker.bootstrap, names, Place(names.input, n)) for n in range(PARTITIONS)})


def state_hash(bootstrap: str, names: Names, place: Place) -> str:
    """Of the newest snapshot, in every byte."""

    def consumer() -> Any:
        return KafkaConsumer(
            bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False,
        )  # fmt: skip

    outbox: Any = None
    reader = TopicStateStore(outbox, names.state, names.group, consumer).reader(place, 2**62, "")
    while not reader.read(1.0):
        pass
    found = reader.found()
    if found is None:
        raise AssertionError(f"found no snapshot of {place}: {reader.damages()}")
    digest = hashlib.sha256(f"{found[1]}".encode())
    for part in encode_checkpoint(found[0]):
        digest.update(part)
    return digest.hexdigest()


def _compare(calm: Result, disturbed: Result, tell: Callable[[str], None]) -> list[str]:
    differences = []
    for name in OUTPUTS:
        one, other = calm.outputs[name], disturbed.outputs[name]
        tell(f"{name}: {sum(map(len, one.values()))} messages")
        for partition in range(PARTITIONS):
            if one.get(partition, []) != other.get(partition, []):
                sets = (
                    "as sets too" if set(one.get(partition, [])) != set(other.get(partition, [])) else "in order only"
                )
                counts = f"{len(one.get(partition, []))} and {len(other.get(partition, []))} messages"
                differences.append(f"{name}, partition {partition}: {counts}, {sets}")
    differences += [f"state of partition {n}" for n in range(PARTITIONS) if calm.state[n] != disturbed.state[n]]
    return differences
