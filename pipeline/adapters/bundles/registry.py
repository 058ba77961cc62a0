"""A registry of bundles at any URL that fsspec knows.

    <url>/bundles/<id>/weights.safetensors
                       manifest.json
    <url>/history/<sequence, 10 digits>.json
    <url>/reports/<id>/<name>

A bundle is there once an event of the history says so, and each event is one file that is never changed and made by one
writer alone. So a process killed at any moment leaves either what was or what is to be, and of two that promote at the
same time one is told that it came second.
"""

import re

from pipeline.adapters.bundles.collection import Plan, Rule, reasons_to_keep
from pipeline.adapters.bundles.form import Bundle, encode_bundle
from pipeline.adapters.bundles.history import Act, Event, Standing, next_event, short
from pipeline.adapters.bundles.names import why_absent
from pipeline.adapters.bundles.reading import REPORTS, RegistryView
from pipeline.errors import ConflictError

REPORT_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


class Registry(RegistryView):
    """Bundles, and which of them is in service; its folder is made by the first publication."""

    def publish(self, bundle: Bundle, act: Act) -> str:
        """Put a bundle into the registry and return its id; one that is there is mended where it is damaged.

        Raises:
            RegistryError: as `standing`.
            BundleError: what was written did not come back.
        """
        name, files = bundle.manifest.id, encode_bundle(bundle)
        if not (name in self.standing().published and self._shelf.is_sound(name)):
            self._shelf.put(name, files)
        parent, size = bundle.manifest.lineage.parent, sum(map(len, files.values()))

        def propose(standing: Standing) -> Event | None:
            if name in standing.published:
                return None
            return next_event(standing, act, "published", name, parent=parent, size_bytes=size)

        # a collection of it that went on meanwhile may have removed what was written
        if self._journal.record(propose) is not None and not self._shelf.is_sound(name):
            self._shelf.put(name, files)
        return name

    def promote(
        self, bundle: str, act: Act, *, expected: str | None = None, despite_hold: bool = False
    ) -> Event | None:
        """Make a bundle the champion; None when it is already.

        Args:
            bundle: id.
            act: who, when and why.
            expected: id of the champion that it was compared with, '' for none; promotes nothing if it is another by
                now.
            despite_hold: promote even while promotion is held; it stays held.

        Raises:
            BundleError: the bundle is damaged.
            ConflictError: the champion is not `expected`.
            RegistryError: no such bundle, promotion is held, or as `standing`.
        """
        self._require_published(bundle, self.standing())
        self.load(bundle)

        def propose(standing: Standing) -> Event | None:
            self._require_published(bundle, standing)
            self._require_champion(expected, standing)
            if standing.champion == bundle:
                return None
            hold = standing.hold
            if hold is not None and not despite_hold:
                raise self._refusal(
                    f"found promotion held since {hold.at:%Y-%m-%d %H:%M} by {hold.actor} "
                    f"({hold.reason or 'no reason given'}); expected it to be free: look into it, then driftline "
                    "models release"
                )
            return next_event(standing, act, "promoted", bundle)

        return self._journal.record(propose)

    def rollback(self, act: Act, *, hold: bool = False, expected: str | None = None) -> Event:
        """Make the bundle champion that was it before; again, and it goes further back, never to a damaged one.

        Args:
            act: who, when and why.
            hold: hold promotion from then on, by the same event.
            expected: id of the champion to leave; does nothing if it is another by now.

        Raises:
            ConflictError: the champion is not `expected`.
            RegistryError: there is nothing to go back to, or as `standing`.
        """

        def propose(standing: Standing) -> Event:
            self._require_champion(expected, standing)
            if standing.champion is None:
                raise self._refusal("found no champion to roll back; expected one: promote a bundle first")
            skipped: list[str] = []
            for earlier in standing.earlier:
                if earlier in standing.published and self._shelf.is_sound(earlier):
                    return next_event(standing, act, "rolled_back", earlier, held=hold or None, skipped=tuple(skipped))
                skipped.append(earlier)
            passed = f" ({', '.join(map(short, skipped))}: damaged or collected)" if skipped else ""
            raise self._refusal(
                f"found no champion before {short(standing.champion)} to go back to{passed}; expected one: promote "
                "another bundle instead"
            )

        return _made(self._journal.record(propose))

    def hold(self, act: Act) -> Event:
        """Hold promotion until `release`.

        Raises:
            RegistryError: it is held already, or as `standing`.
        """

        def propose(standing: Standing) -> Event:
            if standing.hold is not None:
                since = f"since {standing.hold.at:%Y-%m-%d %H:%M} by {standing.hold.actor}"
                raise self._refusal(f"found promotion held already, {since}; expected it to be free")
            return next_event(standing, act, "held", held=True)

        return _made(self._journal.record(propose))

    def release(self, act: Act) -> Event:
        """Free promotion again.

        Raises:
            RegistryError: it is not held, or as `standing`.
        """

        def propose(standing: Standing) -> Event:
            if standing.hold is None:
                raise self._refusal("found promotion free; expected it to be held: there is nothing to release")
            return next_event(standing, act, "released", held=False)

        return _made(self._journal.record(propose))

    def pin(self, bundle: str, act: Act) -> Event | None:
        """Keep a bundle from being collected; None when it is kept so already.

        Raises:
            RegistryError: no such bundle, or as `standing`.
        """

        def propose(standing: Standing) -> Event | None:
            self._require_published(bundle, standing)
            return None if bundle in standing.pinned else next_event(standing, act, "pinned", bundle)

        return self._journal.record(propose)

    def unpin(self, bundle: str, act: Act) -> Event | None:
        """Let a bundle be collected again; None when it is not pinned. Raises as `standing`."""
        return self._journal.record(
            lambda standing: next_event(standing, act, "unpinned", bundle) if bundle in standing.pinned else None
        )

    def attach_report(self, bundle: str, name: str, content: bytes) -> None:
        """Keep a report with a bundle; it is not part of it, and goes when the bundle is collected.

        Args:
            bundle: id.
            name: of the file, such as '20261126T052056Z-gate.json'; never used again.
            content: of the file.

        Raises:
            RegistryError: no such bundle, a report of this name is there, or as `standing`.
            ValueError: a name that is none of a file.
        """
        if not REPORT_NAME.fullmatch(name):
            raise ValueError(f"found the name {name!r} of a report; expected letters, digits, '.', '_' and '-'")
        self._require_published(bundle, self.standing())
        if not self._blobs.create(f"{REPORTS}/{bundle}/{name}", content):
            raise self._refusal(f"found a report {name} of {short(bundle)}; expected none of this name: try again")

    def plan(self, rule: Rule, act: Act) -> Plan:
        """What `collect` would do now. Raises as `standing`."""
        standing = self.standing()
        kept = reasons_to_keep(standing, self._journal.events(), rule, act.at)
        going = tuple(bundle for bundle, reasons in kept.items() if not reasons)
        others = [f"{REPORTS}/{one}" for one in self._blobs.names(REPORTS) if one not in standing.published]
        others += self._shelf.others([*standing.published])
        strays = [one for one in others if self._is_old(one, rule, act)]
        return Plan(
            kept={one: reasons for one, reasons in kept.items() if reasons},
            going=going,
            strays=tuple(strays),
            bytes_freed=sum(standing.published[bundle].size_bytes or 0 for bundle in going),
        )

    def collect(self, rule: Rule, act: Act) -> Plan:
        """Remove what the rule does not keep, and return what that was.

        The event comes first, then the files go: a bundle promoted in the meantime is seen and stays, and one that goes
        can be promoted no more. What a killed collection leaves is a stray of the next.

        Raises:
            RegistryError: as `standing`.
        """
        plan = self.plan(rule, act)

        def propose(standing: Standing) -> Event | None:
            nonlocal plan
            plan = self.plan(rule, act)
            return next_event(standing, act, "collected", collected=plan.going) if plan.going else None

        self._journal.record(propose)
        for bundle in plan.going:
            self._shelf.remove(bundle)
            self._blobs.remove(f"{REPORTS}/{bundle}")
        for stray in plan.strays:
            if self._is_old(stray, rule, act):  # a publication may have taken it up again
                self._blobs.remove(stray)
        return plan

    def _is_old(self, stray: str, rule: Rule, act: Act) -> bool:
        written = self._blobs.newest(stray)
        return written is not None and act.at - written > rule.strays_after

    def _require_published(self, bundle: str, standing: Standing) -> None:
        if bundle not in standing.published:
            raise self._refusal(why_absent(bundle, standing))

    def _require_champion(self, expected: str | None, standing: Standing) -> None:
        if expected is not None and (standing.champion or "") != expected:
            raise ConflictError(
                f"registry {self.shown}: found the champion {short(standing.champion)}; expected {short(expected)}, as "
                "when this was decided: decide again"
            )


def _made(event: Event | None) -> Event:
    """The event of a proposal that makes one or raises."""
    if event is None:
        raise TypeError("found no event; expected one")
    return event
