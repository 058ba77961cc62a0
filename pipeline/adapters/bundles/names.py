"""How people name the bundles of a registry."""

import re

from pipeline.adapters.bundles.history import Standing, short

CHAMPION, PREVIOUS = "champion", "previous"
SHORTEST = 4
"""Fewest digits that an id may be abbreviated to."""
_DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}", re.ASCII)


def find(name: str, standing: Standing) -> str:
    """Id of the bundle of a name: the first digits of its id, 'champion', or 'previous' for the one before.

    Raises:
        LookupError: none or several; says what was found and what to do.
    """
    if name in {CHAMPION, PREVIOUS}:
        found = standing.champion if name == CHAMPION else standing.previous
        if found is None:
            raise LookupError(f"found no {name}; expected one: driftline models promote makes a bundle champion")
        return found
    if not _DIGITS.fullmatch(name):
        raise LookupError(
            f"found the name {name!r}; expected {SHORTEST} or more of the first hex digits of an id, {CHAMPION!r} or "
            f"{PREVIOUS!r}: driftline models list shows what is there"
        )
    fitting = sorted(one for one in standing.published if one.startswith(name))
    if len(fitting) > 1:
        raise LookupError(
            f"found {len(fitting)} bundles that begin with {name!r}: {', '.join(map(short, fitting[:5]))}; expected "
            "one: give more digits"
        )
    if not fitting:
        raise LookupError(why_absent(name, standing))
    return fitting[0]


def why_absent(name: str, standing: Standing) -> str:
    """What has become of a bundle that is not there."""
    gone = [event for bundle, event in standing.gone.items() if bundle.startswith(name)]
    if gone:
        return (
            f"found that bundle {short(name)} was collected {gone[-1].at:%Y-%m-%d %H:%M} by {gone[-1].actor}; expected "
            "one that is there: put it in again with driftline models add"
        )
    return f"found no bundle {short(name)}; expected one of those that driftline models list shows"
