"""Lane state layout: what a lane remembers, as one row of fixed width.

A *lane* is one (key, field). All lanes of a partition live in one slab, a handful of arrays with a row per lane; the
scoring kernel reads and writes the rows in place. A row is the same bytes wherever it lies, so it can be copied out,
saved, put back and go on where it left off. A row of zeros is a lane that has seen nothing.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.profiles import RING_LENGTHS, Profile
from detectors.streams import SEGMENT_GROUPS
from detectors.structure import CELLS, PLAIN, Structure

SCALARS = np.dtype(
    [
        ("last_time_us", "i8"),  # event time of the newest point
        ("episode_position", "i8"),  # position and event time of the record that opened the episode
        ("episode_us", "i8"),
        ("network", "i8"),  # mark of the network that the carried state is of; 0 of none
        ("mean", "f8"),  # normaliser, in the units of the value
        ("variance", "f8"),
        ("previous", "f8"),  # newest value
        ("frame_mean", "f8"),  # value frame: rings and tails hold (value - frame_mean) / frame_scale
        ("frame_scale", "f4"),  # 0 until frozen
        ("magnitude", "f4"),  # largest |value| among the first points, which sets the floor of the scale
        ("interval_us", "f4"),  # estimated sampling interval, 0 until known
        ("location_1", "f4"),  # pending one-step forecast: Student-t location, log scale, degrees of freedom
        ("log_scale_1", "f4"),
        ("freedom_1", "f4"),
        ("day_sum", "f4"),  # value being averaged into the current slot of the day, in frame units
        ("day_replaced", "f4"),  # what the slot written last held before
        ("week_sum", "f4"),
        ("week_replaced", "f4"),
        ("alert_score", "f4"),  # score of the last alert
        ("peak_score", "f4"),  # of the episode
        ("level_before", "f4"),  # of the episode: mean and spread of the window when it opened, in frame units
        ("spread_before", "f4"),
        ("points", "i4"),  # points seen
        ("episode_points", "i4"),  # flagged points of the episode; 0 when none is open
        ("seasonal_points", "i4"),  # differences from a day and from a week before, seen
        ("weekly_points", "i4"),
        ("quiet", "i4"),  # points since the last flagged point of the episode
        ("since_alert", "i2"),  # one more than the points since the last alert, saturating; 0 before the first
        ("day_count", "i2"),
        ("day_slot", "i2"),
        ("week_count", "i2"),
        ("week_slot", "i2"),
        ("run", "i2"),  # points since the last gap, saturating
    ],
    align=True,
)
"""The scalars of a lane; the same for every profile. They leave no byte unused: what lies there would not be saved."""


class Plan(NamedTuple):
    """Offsets and sizes that the kernel walks a row by; integers, all in elements. -1 is an absent ring."""

    layers: int
    hidden: int
    cell: int
    inputs: int
    convolution: int
    attention: int
    window: int
    generation: int
    tail_size: int
    day_slots: int
    week_slots: int
    stride_32: int
    stride_96: int
    day: int
    week: int
    forecast_8: int
    forecast_32: int
    forecast_96: int
    log_scale_32: int
    log_scale_96: int
    mean_residual_8: int
    mean_residual_32: int
    mean_residual_96: int
    mean_surprise_1: int
    mean_surprise_32: int
    mean_surprise_96: int
    mean_seasonal_difference: int
    mean_weekly_difference: int
    rings: int


Slab = dict[str, NDArray[Any]]
"""State of many lanes: arrays by name, each with a leading lane axis."""


class Lanes(NamedTuple):
    """The detector's arrays of a slab, as the kernel takes them."""

    scalars: NDArray[Any]  # (lanes,) of SCALARS
    hidden: NDArray[Any]  # (lanes, state of the network): h of each layer, then c of each; or a share of a key's
    rings: NDArray[Any]  # (lanes, plan.rings)
    window: NDArray[Any]  # (lanes, window), frame units, point t at t % window
    tails: NDArray[Any]  # (lanes, streams * 4 * tail_size): [stream][upper, lower][generation][rank], lower negated
    tail_counts: NDArray[np.uint16]  # (lanes, streams * 4 * tail_size): how often the value of that rank was seen
    tail_means: NDArray[np.float32]  # (lanes, streams)
    segment_moments: NDArray[np.float32]  # (lanes, 2 * segment streams): mean and variance of each
    segment_energy: NDArray[np.float32]  # (lanes, groups of segment streams)


def make_plan(profile: Profile, layers: int, hidden: int, structure: Structure = PLAIN, inputs: int = 0) -> Plan:
    """Where each ring of a row starts, for this profile and a network of this size and structure.

    Args:
        profile: what a lane remembers.
        layers, hidden: size of the network.
        structure: of the network.
        inputs: of the network; of no account without a convolution.
    """
    needed = {*profile.streams, *profile.segment_streams}
    surprises = {32: "mean_surprise_32" in needed, 96: "mean_surprise_96" in needed}
    residuals = {h: bool(needed & {f"residual_{h}", f"mean_residual_{h}", f"mean_surprise_{h}"}) for h in (8, 32, 96)}
    lengths = {
        "day": profile.day_slots,
        "week": profile.week_slots,
        "forecast_8": RING_LENGTHS["forecast_8"] * residuals[8],
        "forecast_32": 32 // profile.stride_32 * residuals[32],
        "forecast_96": 96 // profile.stride_96 * residuals[96],
        "log_scale_32": 32 // profile.stride_32 * surprises[32],
        "log_scale_96": 96 // profile.stride_96 * surprises[96],
    } | {name: length * (name in needed) for name, length in RING_LENGTHS.items() if name != "forecast_8"}
    offsets, used = {}, 0
    for name, length in lengths.items():
        offsets[name] = used if length else -1
        used += length
    return Plan(
        layers=layers,
        hidden=hidden,
        cell=CELLS[structure.cell],
        inputs=inputs,
        convolution=structure.convolution,
        attention=structure.attention,
        window=profile.window,
        generation=profile.generation,
        tail_size=profile.tail_size,
        day_slots=profile.day_slots,
        week_slots=profile.week_slots,
        stride_32=profile.stride_32,
        stride_96=profile.stride_96,
        rings=used,
        **offsets,
    )


def lane_dtype(
    profile: Profile, layers: int, hidden: int, sharing: int = 1, structure: Structure = PLAIN, inputs: int = 0
) -> np.dtype[Any]:
    """Every array of a slab, by name, as a field of one row; other owners may append theirs.

    Args:
        profile: what a lane remembers.
        layers, hidden: size of the network.
        sharing: lanes of a key that have one state between them, which lies spread over their neighbouring rows.
        structure, inputs: of the network; see `make_plan`.
    """
    plan = make_plan(profile, layers, hidden)
    tails = len(profile.streams) * 4 * profile.tail_size
    ring = "i2" if profile.compact_rings else "f4"
    tail = "i2" if profile.compact_tails else "f4"
    state = "i2" if profile.compact_hidden else "f4"
    return np.dtype(
        [
            ("scalars", SCALARS),
            ("hidden", state, (-(-structure.state_size(layers, hidden, inputs) // sharing),)),
            ("rings", ring, (plan.rings,)),
            ("window", state, (profile.window,)),
            ("tails", tail, (tails,)),
            ("tail_counts", "u2", (tails,)),
            ("tail_means", "f4", (len(profile.streams),)),
            ("segment_moments", "f4", (2 * len(profile.segment_streams),)),
            ("segment_energy", "f4", (max(SEGMENT_GROUPS.values()) + 1,)),
        ]
    )


def without_hidden(row: np.dtype[Any]) -> np.dtype[Any]:
    """A row without what the network carries, which is all of it that depends on the network."""
    return np.dtype([(name, row[name]) for name in row.names or () if name != "hidden"])


def allocate(row: np.dtype[Any], lanes: int) -> Slab:
    """A slab of `lanes` rows that have seen nothing.

    Args:
        row: dtype with one field per array, see `lane_dtype`.
        lanes: rows.
    """
    return {name: np.zeros((lanes, *row[name].shape), row[name].base) for name in row.names or ()}


def view_lanes(slab: Slab) -> Lanes:
    """The detector's arrays of a slab."""
    return Lanes(*(slab[name] for name in Lanes._fields))
