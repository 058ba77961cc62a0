"""Members that are killed, frozen, told to leave and started again at random, while records come in."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.promoting import Champions
from tests.chaos.scraping import Scraper
from tests.chaos.service import Serving
from tests.chaos.stored import Archive
from tests.kafka_broker import Broker, send

MEMBERS = 3
PARTITIONS = 4
_BEGIN_S = 240.0
_FROZEN_S = 8.0
"""Longer than the session timeout of `write_config`."""
_SETTLE_S = 1.0
"""For a partition to go over to a champion that its member has found."""
_FOUND = re.compile(r'"bundle": "(\w+)".*"event": "(?:starting|champion_found)"')


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much is done.

    Attributes:
        records: of the topic, unusable ones not counted.
        kills: processes killed, besides those told to leave and one restart of the broker.
        freezes: processes stopped until the group has given them up, and then let go on.
        swaps: promotions of another bundle, each with one of the kills aimed at it; if any, there is one more without.
        structures: whether the bundles are of networks of different structures.
    """

    records: int
    keys: int
    kills: int
    freezes: int
    swaps: int
    seed: int
    structures: bool = False


@dataclass(slots=True)
class Crowd:
    """The members of a group.

    Attributes:
        configs: by address; a member that takes the place of another has its address.
        directory: for their logs.
        archive: is told of each, where there is one.
        members: that run now, or are to.
        started: that ever were.
    """

    configs: Mapping[str, Path]
    directory: Path
    scraper: Scraper
    archive: Archive | None = None
    members: list[Serving] = field(default_factory=list)
    started: list[Serving] = field(default_factory=list)
    _frozen: list[tuple[float, Serving]] = field(default_factory=list)

    def start(self, at: int) -> Serving:
        """One more, at an address where there is none."""
        address, config = list(self.configs.items())[at]
        member = Serving(config, self.directory / f"member-{len(self.started) + 1}.log")
        self.started.append(member)
        self.scraper.watch(member)
        if self.archive is not None:
            self.archive.watch(member, address)
        return member

    def kill(self, at: int) -> None:
        """One, and start another in its place."""
        self.members[at].kill()
        self.members[at] = self.start(at)

    def tell_to_leave(self, at: int) -> None:
        """One, and start another in its place."""
        self.members[at].stop()
        self.members[at] = self.start(at)

    def freeze(self, at: int) -> None:
        """One, until the group has given it up."""
        self.members[at].freeze()
        self._frozen.append((time.monotonic() + _FROZEN_S, self.members[at]))

    def mend(self) -> None:
        """Start again what found no broker, and thaw what was frozen for long enough.

        Raises:
            AssertionError: another one has ended by itself.
        """
        for at, member in enumerate(self.members):
            if _had_no_broker(member):
                self.members[at] = self.start(at)
        require_running(self.members)
        for until, member in self._frozen:
            if until <= time.monotonic():
                member.thaw()
        self._frozen = [(until, member) for until, member in self._frozen if until > time.monotonic()]

    def thaw_all(self) -> None:
        """Wait until none is frozen any more."""
        while self._frozen:
            time.sleep(0.1)
            self.mend()

    @property
    def awake(self) -> list[int]:
        """Which members are not frozen."""
        frozen = [one for _, one in self._frozen]
        return [at for at, member in enumerate(self.members) if member not in frozen]

    @property
    def logs(self) -> Iterable[str]:
        """What each that was ever started has told."""
        return (member.told for member in self.started)


def disturb(
    campaign: Campaign,
    broker: Broker,
    crowd: Crowd,
    champions: Champions,
    topic: str,
    rest: Sequence[Any],
    dice: random.Random,
    tell: Callable[[str], None],
) -> None:
    """Kill, freeze, stop and start members at random while the rest of the records comes in."""
    crowd.members = [crowd.start(at) for at in range(len(crowd.configs))]
    part = -(-len(rest) // (campaign.kills + 1))
    broker_dies_at = campaign.kills // 2
    freeze_at = set(dice.sample(range(campaign.kills), min(campaign.freezes, campaign.kills)))
    promote_at = set(dice.sample(range(1, campaign.kills), min(campaign.swaps, campaign.kills - 1)))
    moments = Counter[str]()
    for kill in range(campaign.kills):
        send(broker.bootstrap, topic, rest[kill * part : (kill + 1) * part])
        time.sleep(dice.uniform(0.5, 7.0))
        crowd.mend()
        if kill in freeze_at and len(crowd.awake) > 1:
            crowd.freeze(dice.choice(crowd.awake))
        awake = crowd.awake
        if kill in promote_at:
            _wait_until_begun(crowd)
            moment, at = champions.promote_and_aim([crowd.members[n] for n in awake])
            moments[moment] += 1
            crowd.kill(awake[at])
        else:
            crowd.kill(dice.choice(awake))
        if kill == broker_dies_at:
            tell("the broker is killed and started again")
            broker.kill()
            time.sleep(dice.uniform(0.5, 3.0))
            broker.start()
        elif dice.random() < 0.3:
            crowd.tell_to_leave(dice.choice(awake))
    crowd.mend()
    crowd.thaw_all()
    last = rest[campaign.kills * part :]
    if campaign.swaps:
        _promote_undisturbed(crowd, champions)
    send(broker.bootstrap, topic, last)
    tell(
        f"{campaign.kills} kills, {len(freeze_at)} freezes, {len(crowd.started)} processes started, "
        f"{sum(moments.values())} promotions{' and one undisturbed' if campaign.swaps else ''}, "
        f"kills aimed at: {dict(moments)}"
    )


def _promote_undisturbed(crowd: Crowd, champions: Champions) -> None:
    """A promotion at which nothing is killed, and that a partition goes over by.

    Kills may cut off every other swap, of which nothing would then be seen to have come about.
    """
    wait_until_settled(crowd, champions)
    before = _swaps(crowd)
    champions.promote()
    deadline = time.monotonic() + _BEGIN_S
    while _swaps(crowd) == before:
        if time.monotonic() > deadline:
            raise AssertionError(f"found no swap behind a promotion: {crowd.members[0].told[-3000:]}")
        crowd.mend()
        time.sleep(0.1)


def wait_until_settled(crowd: Crowd, champions: Champions) -> None:
    """Until every member knows the newest champion, and every partition is live with it.

    A champion that none has gone over to yet may be followed by the one before, and then nothing is gone over from.
    """
    deadline = time.monotonic() + _BEGIN_S
    since = None
    while since is None or time.monotonic() < since + _SETTLE_S:
        if time.monotonic() > deadline:
            raise AssertionError(f"found partitions that are not live: {crowd.members[0].told[-3000:]}")
        crowd.mend()
        is_settled = _know(crowd, champions.newest) and _live(crowd) == PARTITIONS
        since = (since or time.monotonic()) if is_settled else None
        time.sleep(0.1)


def _know(crowd: Crowd, champion: str) -> bool:
    """Whether it is the last that each member has found."""
    return all(_FOUND.findall(member.told)[-1:] == [champion] for member in crowd.members)


def _live(crowd: Crowd) -> int:
    """How many partitions the members show as live."""
    try:
        shown = [member.metrics(timeout_s=2.0) for member in crowd.members]
    except (OSError, AssertionError):  # one is not up yet
        return 0
    return int(sum(one.get(("driftline_partitions", (("status", "live"),)), 0.0) for one in shown))


def _swaps(crowd: Crowd) -> int:
    """How many have been told."""
    return sum(told.count('"swapped"') for told in crowd.logs)


def _wait_until_begun(crowd: Crowd) -> None:
    """Until something of every partition is committed.

    Before that one may begin with the newer bundle, and nothing tells of it, as nothing is gone over from.
    """
    deadline = time.monotonic() + _BEGIN_S
    while len(crowd.scraper.partitions_committed) < PARTITIONS:
        if time.monotonic() > deadline:
            raise AssertionError(f"found nothing committed of some partition: {crowd.members[0].told[-3000:]}")
        crowd.mend()
        time.sleep(0.1)


def require_running(members: Iterable[Serving]) -> None:
    """Fail where one has ended by itself."""
    for member in members:
        if not member.is_running:
            raise AssertionError(f"found a member that ended by itself: {member.told[-3000:]}")


def _had_no_broker(member: Serving) -> bool:
    """Whether it was started while the broker was down, and has said so and ended; whoever runs it starts it again."""
    return not member.is_running and "found no answer from" in member.told
