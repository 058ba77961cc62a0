"""The reports of a gate in a directory and with the bundle, and promotion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.adapters.bundles.history import Act, short
from pipeline.adapters.bundles.reading import REPORTS
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.claims import claim_directory
from pipeline.adapters.outputs.durable import replacing, told_as_user_error
from pipeline.adapters.report.gate import render_gate
from pipeline.cli.evaluate.running import to_json
from pipeline.cli.gate.running import Judged
from pipeline.config import Config

_MARK = ".driftline-gate"


def write_reports(described: dict[str, Any], out: Path) -> dict[str, bytes]:
    """Both reports by name, which are in the directory from now on.

    Raises:
        ConfigError: the directory holds something else.
        UserError: it cannot be written.
    """
    claim_directory(out, _MARK, "a gate", overwrite=True)
    reports = {"gate.json": to_json(described), "gate.html": render_gate(described).encode()}
    with told_as_user_error(out):
        for name, content in reports.items():
            partial = out / f".{name}.partial"
            partial.write_bytes(content)
            with replacing(out / name, partial):
                pass
    return reports


def keep_and_promote(
    judged: Judged, reports: dict[str, bytes], config: Config, act: Act, *, promote: bool = True
) -> Iterator[str]:
    """Publish and promote a challenger that passed, and keep the reports with it; gives lines to tell.

    One that was refused has its reports kept if it is in the registry.

    Args:
        promote: whether it is to be promoted, not only published.

    Raises:
        ConflictError: the champion is another by now.
        RegistryError: promotion is held, or the registry cannot be reached or is damaged.
    """
    registry, name = Registry(config.models.registry), judged.challenger.manifest.id
    passed = judged.described["passed"]
    reason = f"{act.reason}: {judged.described['told']}" if act.reason else str(judged.described["told"])
    act = Act(act.actor, act.at, reason)
    if passed:
        registry.publish(judged.challenger, act)
    if name in registry.standing().published:
        for report, content in reports.items():
            registry.attach_report(name, f"{act.at:%Y%m%dT%H%M%SZ}-{report}", content)
        yield f"the report is kept in {registry.shown}/{REPORTS}/{short(name)}..."
    if not passed:
        yield f"{short(name)} is not promoted; {short(judged.in_service)} stays the champion"
        return
    if not promote:
        yield f"{short(name)} passes and is in the registry; {short(judged.in_service)} stays the champion"
        return
    event = registry.promote(name, act, expected=judged.in_service)
    now = "now champion" if event else "champion already"
    yield f"{short(name)} is {now}; before, it was {short(judged.in_service)}"
