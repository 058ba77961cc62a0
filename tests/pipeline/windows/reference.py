"""Time windows by their definition: every pane's content is gathered first, and looked at afterwards."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from pipeline.records import Disposition
from pipeline.windows import Aggregate, TimeWindows
from tests.pipeline.windows.streams import FIRST_POSITION, Point, Step

_AGGREGATES: dict[Aggregate, Callable[[list[Point]], float]] = {
    "last": lambda points: max(enumerate(points), key=lambda numbered: (numbered[1].time_us, numbered[0]))[1].value,
    "mean": lambda points: math.fsum(point.value for point in points) / len(points),
    "sum": lambda points: math.fsum(point.value for point in points),
    "min": lambda points: min(point.value for point in points),
    "max": lambda points: max(point.value for point in points),
    "count": lambda points: float(len(points)),
}


def reference(spec: TimeWindows, stream: Sequence[Point]) -> tuple[list[Step], list[Disposition]]:
    """Steps and dispositions that the definition gives for a whole stream."""
    watermarks = [
        max((before.time_us for before in stream[: i + 1] if math.isfinite(before.value)), default=0)
        - spec.allowed_lateness_us
        for i in range(len(stream))
    ]
    dispositions = _judge(spec, stream, watermarks)
    contents: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for i, point in enumerate(stream):
        if dispositions[i] == Disposition.SCORED:
            contents[_pane_end(spec, point), point.lane].append(i)
    empty = set()
    if spec.counts_empty_panes:
        empty = {(end + i * spec.hop_us, lane) for end, lane in contents for i in range(1, spec.silence_panes + 1)}
    steps = []
    for end, lane in sorted(contents.keys() | empty):
        closed_by = next((i for i, watermark in enumerate(watermarks) if watermark >= end), None)
        if closed_by is None:
            continue
        if (end, lane) in contents:
            indices = contents[end, lane]
            value = _AGGREGATES[spec.aggregate]([stream[i] for i in indices])
            steps.append(Step(lane, end, value, FIRST_POSITION + indices[-1], closed_by))
        else:
            steps.append(Step(lane, end, 0.0, -1, closed_by))
    return steps, dispositions


def _pane_end(spec: TimeWindows, point: Point) -> int:
    return (point.time_us // spec.hop_us + 1) * spec.hop_us


def _judge(spec: TimeWindows, stream: Sequence[Point], watermarks: Sequence[int]) -> list[Disposition]:
    dispositions = []
    newest: dict[int, Point] = {}
    for point, watermark in zip(stream, watermarks, strict=True):
        if math.isnan(point.value):
            dispositions.append(Disposition.MISSING)
        elif math.isinf(point.value):
            dispositions.append(Disposition.DEAD_LETTERED)
        elif _pane_end(spec, point) <= watermark:
            dispositions.append(Disposition.LATE)
        elif newest.get(point.lane) == point:
            dispositions.append(Disposition.DUPLICATE)
        else:
            dispositions.append(Disposition.SCORED)
            if point.lane not in newest or point.time_us >= newest[point.lane].time_us:
                newest[point.lane] = point
    return dispositions
