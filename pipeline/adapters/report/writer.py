"""Writes `report.html` from the three files that a replay leaves."""

import math
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.adapters.report.encode import pack_lane, sparkline
from pipeline.adapters.report.episodes import Episode, milliseconds, read_episodes
from pipeline.adapters.report.header import Summary
from pipeline.adapters.report.limits import Limits
from pipeline.adapters.report.page import Lane, Page, render
from pipeline.adapters.report.survey import Survey, survey
from pipeline.adapters.report.thin import thin
from pipeline.adapters.report.verdicts import Verdicts
from pipeline.errors import InputError

_Name = tuple[str, str]
_Labels = dict[str, list[tuple[float, float]]]

_LIMITS = Limits()


def write_report(out_dir: Path, limits: Limits = _LIMITS) -> Path:
    """Writes the report on the replay whose files are in `out_dir`, and gives back its path.

    Walks twice over the verdicts, in chunks, so that memory does not grow with the replay. The report appears whole or
    not at all.

    Args:
        out_dir: holds `verdicts.parquet`, `anomalies.jsonl` and `summary.json`.
        limits: how much of a large replay is shown.

    Raises:
        InputError: one of the three files cannot be read.
    """
    summary, labels = _read_summary(out_dir / "summary.json")
    episodes = read_episodes(out_dir / "anomalies.jsonl")
    verdicts = Verdicts(out_dir / "verdicts.parquet")
    found = survey(verdicts.chunks())
    lanes = _ranked(verdicts.lanes, found, episodes, labels, limits)
    shown, packed = _filled(lanes[: limits.lanes], verdicts, found, limits)
    page = Page(
        summary=summary,
        lanes=shown,
        lanes_in_all=len(lanes),
        flagged=int(found.flagged.sum()),
        episodes=episodes,
        first_us=found.first_in_all_us,
        last_us=found.last_in_all_us,
    )
    path, partial = out_dir / "report.html", out_dir / "report.html.partial"
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(render(page, packed))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _read_summary(path: Path) -> tuple[Summary, _Labels]:
    """The summary, and its labelled windows by key in milliseconds."""
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        windows = msgspec.convert(summary.get("labels") or {}, dict[str, list[tuple[datetime, datetime]]])
    except OSError as exc:
        raise InputError(str(path), found=exc.strerror or str(exc), expected="a readable summary.json") from exc
    except msgspec.DecodeError as exc:
        raise InputError(str(path), found=str(exc), expected="the summary of a replay") from exc
    labels = {key: [(milliseconds(a), milliseconds(b)) for a, b in spans] for key, spans in windows.items()}
    return summary, labels


def _ranked(
    numbers: dict[_Name, int], found: Survey, episodes: list[Episode], labels: _Labels, limits: Limits
) -> list[Lane]:
    """All lanes, worst first, without their points; a lane may have fallen silent before its first point."""
    by_lane: dict[_Name, list[Episode]] = {name: [] for name in numbers}
    for episode in episodes:
        by_lane.setdefault((episode.key, episode.field), []).append(episode)
    worst = {id(episode) for episode in sorted(episodes, key=lambda episode: episode.rank)[-limits.episodes :]}
    lanes = []
    for name, own in by_lane.items():
        number = numbers.get(name)
        grades = [episode.severity for episode in own]
        peaks = [episode.peak_score for episode in own if episode.peak_score is not None]
        if number is not None:
            grades.append(int(found.severity[number]))
            peaks.append(float(found.peak_score[number]))
        lanes.append(
            Lane(
                *name,
                points=0 if number is None else int(found.points[number]),
                flagged=0 if number is None else int(found.flagged[number]),
                warming=0 if number is None else int(found.warming[number]),
                severity=max(grades),
                peak_score=max((peak for peak in peaks if math.isfinite(peak)), default=None),
                episodes=[episode for episode in own if id(episode) in worst],
                labels=labels.get(name[0], []),
            )
        )
    return sorted(lanes, key=lambda lane: lane.rank)


def _filled(lanes: list[Lane], verdicts: Verdicts, found: Survey, limits: Limits) -> tuple[list[Lane], list[str]]:
    """The lanes with what draws them, and their packed points."""
    numbers = [verdicts.lanes.get((lane.key, lane.field), -1) for lane in lanes]
    plotted = np.array([number for number in numbers if number >= 0], np.int64)
    points = thin(verdicts.chunks(), found, plotted, limits)
    filled, packed = [], []
    for lane, number in zip(lanes, numbers, strict=True):
        if number < 0:
            filled.append(lane)
            packed.append("")
            continue
        pack, text = pack_lane(points[number])
        filled.append(replace(lane, spark=sparkline(points[number]), pack=pack))
        packed.append(text)
    return filled, packed
