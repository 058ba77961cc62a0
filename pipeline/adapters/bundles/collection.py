"""Which bundles of a registry may go, by rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.adapters.bundles.history import Event, Standing


@dataclass(frozen=True, slots=True)
class Rule:
    """What is kept; everything else may go. The champion, the one before it and what is pinned are always kept.

    Attributes:
        ancestors: generations before the champion, by what each was trained on from.
        events: newest events of the history, all bundles of which are kept.
        younger_than: age of a publication up to which a bundle is kept.
        strays_after: age from which files are removed that belong to no bundle, as an interrupted publication leaves.
    """

    ancestors: int = 5
    events: int = 20
    younger_than: timedelta = timedelta(days=30)
    strays_after: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection does.

    Attributes:
        kept: by id, why each bundle stays.
        going: ids of the bundles that go, by age.
        strays: names of the files and folders that go with them.
        bytes_freed: by the bundles.
    """

    kept: dict[str, tuple[str, ...]]
    going: tuple[str, ...]
    strays: tuple[str, ...]
    bytes_freed: int


def reasons_to_keep(
    standing: Standing, history: Sequence[Event], rule: Rule, now: datetime
) -> dict[str, tuple[str, ...]]:
    """By id of every bundle that is there, why it stays; where there is no reason it may go.

    Args:
        history: all events, the oldest first.
    """
    parents = {event.bundle: event.parent for event in history if event.kind == "published"}
    ancestors: list[str] = []
    parent = parents.get(standing.champion)
    while parent is not None and parent not in ancestors and len(ancestors) < rule.ancestors:
        ancestors.append(parent)
        parent = parents.get(parent)
    newest = history[max(0, len(history) - rule.events) :]
    named = {one for event in newest for one in (event.bundle, event.champion)}

    def reasons(bundle: str) -> tuple[str, ...]:
        told = {
            "champion": bundle == standing.champion,
            "to roll back to": bundle == standing.previous,
            "pinned": bundle in standing.pinned,
            "ancestor of the champion": bundle in ancestors,
            f"in the last {rule.events} events": bundle in named,
            "young": now - standing.published[bundle].at < rule.younger_than,
        }
        return tuple(text for text, holds in told.items() if holds)

    return {bundle: reasons(bundle) for bundle in standing.published}
