"""The scoring kernel: walks the points of a micro-batch in order and updates each one's lane in place.

    value --receive--> inputs, derived streams --advance--> forecasts
                                      +--score--> verdict, episode --remember--> tails

One point at a time and one order of summation make every result independent of how the stream was cut into batches, of
what other lanes do, and of how many processes share the work.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.episodes import CLOSED, NOTHING, is_learned, levels_of, threshold_of, track_episode
from detectors.features import INPUTS
from detectors.forecasts import keep_forecasts, receive, spread_of
from detectors.groups import Groups, Joint, groups_at, lay_out, make_groups
from detectors.layout import Lanes, Plan
from detectors.lstm import SCORED_OUTPUTS
from detectors.minifloat import load
from detectors.rebuilding import is_foreign, rebuild_hidden, rebuild_joint_hidden
from detectors.recurrence import BLOCK, Scratch, advance_groups, advance_rows, make_scratch
from detectors.scoring import (
    ScoreWork,
    Streams,
    count_seasons,
    from_day_before,
    make_score_work,
    remember_point,
    score_of,
    take_evidence,
    take_values,
)
from detectors.segments import smooth_segment
from detectors.streams import STREAMS


class Work(NamedTuple):
    """Scratch of the kernel, for a block of rows of (h, c) that step together, and for their points."""

    scratch: Scratch
    groups: Groups | None  # None for a shared network
    out: NDArray[np.float32]  # (points, SCORED_OUTPUTS)
    inputs: NDArray[np.float32]  # (points, INPUTS)
    derived: NDArray[np.float64]  # (points, derived streams)
    score: ScoreWork


def make_work(lanes: Lanes, plan: Plan, streams: Streams, joint: Joint | None) -> Work:
    """Scratch for a walk."""
    fields = 1 if joint is None else len(joint.places)
    points = BLOCK * fields
    return Work(
        make_scratch(plan),
        None if joint is None else make_groups(fields, BLOCK),
        np.empty((points, SCORED_OUTPUTS), np.float32),
        np.empty((points, INPUTS), np.float32),
        np.empty((points, len(STREAMS))),
        make_score_work(streams, lanes.tails),
    )


class Verdicts(NamedTuple):
    """What the kernel says of each point (n,), and of each point with an episode event (m <= n)."""

    score: NDArray[np.float32]  # nan while warming
    threshold: NDArray[np.float32]
    expected: NDArray[np.float64]  # one-step forecast, in the units of the value; nan for none
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    surprise: NDArray[np.float32]  # one-step residual in units of its forecast scale; nan for none
    level: NDArray[np.float32]  # normalised value; nan where the detector has none
    segment: NDArray[np.float32]  # segment score; nan while warming
    points: NDArray[np.int32]  # points of the lane before this one
    gap: NDArray[np.bool_]
    log_scale: NDArray[np.float32]  # of the one-step forecast, in normalised units; nan for none and for constant lanes
    freedom: NDArray[np.float32]  # degrees of freedom of that forecast, a Student-t distribution; nan likewise
    flagged: NDArray[np.bool_]
    event: NDArray[np.int8]
    episode: NDArray[np.int64]  # position of the record that opened the point's episode; -1 for none
    event_point: NDArray[np.int64]  # (m,)
    event_opened_us: NDArray[np.int64]  # (m,) event time of the record that opened the episode
    event_peak: NDArray[np.float32]  # (m,) highest score of the episode so far
    event_points: NDArray[np.int32]  # (m,) flagged points of the episode so far
    event_novelty: NDArray[np.float32]  # (m, streams)
    event_evidence: NDArray[np.void]  # (m, streams) of EVIDENCE
    event_levels: NDArray[np.float64]  # (m, 2) level before the episode and now, in the units of the value
    event_window: NDArray[np.float64]  # (m, window), newest last, in the units of the value; nan before the first


@compiled
def copy_window(lane, window, out):
    """Write the window in the units of the value, newest last; called before the newest point is counted."""
    size = len(window)
    scale = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    for back in range(size):
        have = back <= lane.points
        stored = np.float64(load(window[(lane.points - back) % size]))
        out[size - 1 - back] = lane.frame_mean + scale * stored if have else np.nan


@compiled
def _block_at(rows, start):
    """End of the run of at most `BLOCK` distinct rows that begins at `start`."""
    end = start + 1
    while end < min(start + BLOCK, len(rows)):
        for i in range(start, end):
            if rows[i] == rows[end]:
                return end
        end += 1
    return end


@compiled
def walk(
    lanes, hidden, plan, streams, segment, weights, joint, decision, rows, time_us, values, positions, records, work,
    verdicts,
):  # fmt: skip
    """Score points in order; returns how many episode events there were.

    Up to four neighbouring points of different lanes go through the LSTM together, which changes no bit of any; with a
    joint network up to four groups of points of different keys, see `detectors.groups`.

    Args:
        lanes: arrays of the slab, updated in place.
        hidden: (h, c) of each lane, as in `lanes`; with a joint network a view of it by key, (keys, 2 * layers * H).
        streams: derived streams that the profile scores.
        segment: streams of the segment score and their groups.
        joint: what a joint network has besides; None for a shared one, for which what concerns it is not compiled.
        rows: (n,) row of each point's lane.
        time_us: (n,) event time, rising within a lane.
        values: (n,) finite values.
        positions: (n,) position of each point's record.
        records: (n,) what tells the records apart that released the points; looked at for a joint network alone.
        work: scratch; see `make_work`.
        verdicts: filled.
    """
    events = start = 0
    while start < len(rows):
        if joint is None:
            end = _block_at(rows, start)
            for n in range(start, end):
                row = rows[n]
                if lanes.scalars[row].network != weights.mark:
                    rebuild_hidden(
                        lanes.scalars[row], hidden, rows[n : n + 1], lanes.window[row], plan, weights, work.scratch,
                        work.inputs,
                    )  # fmt: skip
        else:
            end = groups_at(rows, time_us, records, joint, start, work.groups)
            for g in range(work.groups.number[0]):
                key = work.groups.keys[g]
                first, last = key * joint.width, (key + 1) * joint.width
                if is_foreign(lanes.scalars[first:last], weights.mark):
                    rebuild_joint_hidden(
                        lanes.scalars[first:last], hidden, work.groups.keys[g : g + 1], lanes.window[first:last],
                        joint.places, plan, weights, work.scratch, work.inputs, work.groups.inputs,
                    )  # fmt: skip
        for n in range(start, end):
            row, i = rows[n], n - start
            lane = lanes.scalars[row]
            verdicts.points[n] = lane.points
            verdicts.log_scale[n], verdicts.freedom[n] = spread_of(lane)
            (
                verdicts.gap[n], verdicts.expected[n], verdicts.lower[n], verdicts.upper[n], verdicts.surprise[n],
            ) = receive(
                lane, lanes.rings[row], lanes.window[row], plan, weights.band, values[n], time_us[n], work.derived[i],
                work.inputs[i],
            )  # fmt: skip
            verdicts.level[n] = work.inputs[i, 0]
        if joint is None:
            advance_rows(hidden, rows[start:end], plan, weights, work.scratch, work.inputs, work.out)
        else:
            lay_out(rows, start, joint, work.inputs, work.groups)
            advance_groups(hidden, work.groups, joint, rows, start, plan, weights, work.scratch, work.out)
        for n in range(start, end):
            row, i = rows[n], n - start
            lane, window = lanes.scalars[row], lanes.window[row]
            keep_forecasts(lane, lanes.rings[row], plan, work.inputs[i], work.out[i])
            take_values(lane, lanes.tails[row], streams, work.derived[i], work.score)
            score = score_of(
                lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams, work.derived[i],
                decision.warm_up, work.score,
            )  # fmt: skip
            energy = smooth_segment(
                lanes.segment_moments[row], lanes.segment_energy[row], segment, work.derived[i], work.score.ages
            )
            verdicts.segment[n] = energy if lane.points >= decision.warm_up else np.nan
            threshold = threshold_of(decision, lane.points, lane.interval_us)
            flagged_before = lane.episode_points
            flagged, event, episode = False, NOTHING, np.int64(-1)
            if lane.points >= decision.warm_up:
                flagged, event = track_episode(
                    lane, window, decision, score, threshold, positions[n], from_day_before(work.derived[i])
                )
                if lane.episode_points > 0 or event >= CLOSED:
                    episode = lane.episode_position
            else:
                score = np.nan
            if event != NOTHING:
                take_evidence(
                    lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams,
                    work.derived[i], np.float64(work.inputs[i, 0]), work.score, verdicts.event_evidence[events],
                )  # fmt: skip
            remember_point(
                lane, lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], plan, streams, work.derived[i],
                is_learned(lane, decision, threshold, flagged, work.inputs[i, 0]), work.score,
            )  # fmt: skip
            count_seasons(lane, work.derived[i])
            verdicts.score[n], verdicts.threshold[n] = score, threshold
            verdicts.flagged[n], verdicts.event[n], verdicts.episode[n] = flagged, event, episode
            if event != NOTHING:
                verdicts.event_point[events] = n
                verdicts.event_opened_us[events] = lane.episode_us
                verdicts.event_peak[events] = lane.peak_score
                verdicts.event_points[events] = max(flagged_before, lane.episode_points)
                for s in range(len(work.score.novelties)):
                    verdicts.event_novelty[events, s] = work.score.novelties[s]
                verdicts.event_levels[events, 0], verdicts.event_levels[events, 1] = levels_of(lane, window, decision)
                copy_window(lane, window, verdicts.event_window[events])
                events += 1
            lane.points += 1
        start = end
    return events
