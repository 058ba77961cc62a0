"""What an engine shows, in the service and in a replay."""

from pipeline.accounting import RECORD_DISPOSITIONS
from pipeline.catalogue.metric import Label, Metric, names_of
from pipeline.records import Disposition, Phase, Severity
from pipeline.residuals import BOUNDS

PROBLEM_REASONS = (
    "bad_key", "bad_time", "empty", "malformed", "missing", "non_finite", "not_a_number", "too_large",
    "too_many_points",
)  # fmt: skip
"""Reasons shown as 0 before they occur; another one is shown once it has."""

_SCORING_SECONDS = (1e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1.0, 2.5)
_SEVERITY = Label("severity", names_of(name.name for name in Severity if name))
_RECORD_DISPOSITION = Label("disposition", names_of(name.name for name in RECORD_DISPOSITIONS))
_POINT_DISPOSITION = Label("disposition", names_of(name.name for name in Disposition))

RECORDS_CONSUMED = Metric(
    "records_consumed", "counter", "records", "Records taken from the source.", "How fast does the data come?"
)
RECORDS = Metric(
    "records",
    "counter",
    "records",
    "Records by what became of them; their sum is the records consumed.",
    "Is the data used, or is it late, twice there, unusable?",
    (_RECORD_DISPOSITION,),
)
POINTS = Metric(
    "points",
    "counter",
    "points",
    "Points (one field of one record) by what became of them.",
    "How many values are judged?",
    (_POINT_DISPOSITION,),
)
PROBLEMS = Metric(
    "problems",
    "counter",
    "values",
    "Unusable values and records.",
    "What is wrong with the data?",
    (Label("reason", PROBLEM_REASONS, is_open=True),),
)
GAPS = Metric(
    "gaps", "counter", "points", "Points that came after a gap in their lane.", "Do streams come without breaks?"
)
ANOMALIES = Metric(
    "anomalies",
    "counter",
    "points",
    "Points flagged as anomalous; exemplars name the record of an anomaly.",
    "How much is flagged, and how badly?",
    (_SEVERITY,),
)
EPISODE_EVENTS = Metric(
    "episode_events",
    "counter",
    "events",
    "Events of episodes, silences included.",
    "How many anomalies are reported?",
    (Label("event", ("opened", "worsened", "closed")),),
)
ALARMS_OPENED = Metric(
    "alarms_opened",
    "counter",
    "alarms",
    "Episodes opened by points, silences not included.",
    "How often is somebody told, which the risk is a budget of?",
)
ALARMS_EXPECTED = Metric(
    "alarms_expected",
    "counter",
    "alarms",
    "Alarms that the configured risk allows on as many points, or lane-days, were there no fault at all.",
    "Are there more alarms than chance makes?",
)
EVICTIONS = Metric(
    "evictions",
    "counter",
    "keys",
    "Keys whose state was moved out of memory for want of room.",
    "Is the budget of memory too small?",
)
RETURNS = Metric(
    "returns", "counter", "keys", "Evicted keys whose state was brought back.", "Is state moved to and fro?"
)
LANES = Metric(
    "lanes",
    "gauge",
    "lanes",
    "Lanes in memory by phase; a lane that is silent counts as stale alone.",
    "How many streams are watched, and how far can they be trusted?",
    (Label("phase", names_of(name.name for name in Phase)),),
)
EPISODES_OPEN = Metric(
    "episodes_open",
    "gauge",
    "episodes",
    "Open episodes of lanes in memory, silences not included.",
    "How many streams misbehave now?",
)
STATE_BYTES = Metric(
    "state_bytes", "gauge", "bytes", "State of the lanes in memory.", "How much memory do the streams take?"
)
STATE_BUDGET = Metric(
    "state_budget_bytes",
    "gauge",
    "bytes",
    "Most that the lanes may take: state.budget for each partition held.",
    "How much room is left for more streams?",
)
WATERMARK = Metric(
    "watermark_timestamp_seconds",
    "gauge",
    "seconds",
    "Newest event time accepted; 0 before the first.",
    "How far behind the present is what is judged?",
)
LAST_RECORD = Metric(
    "last_record_timestamp_seconds",
    "gauge",
    "seconds",
    "Wall-clock time at which a micro-batch was last processed; 0 before the first.",
    "Does data come at all?",
)
BATCH_RECORDS = Metric(
    "batch_records",
    "histogram",
    "records",
    "Records per micro-batch.",
    "Is there enough at a time to be fast?",
    buckets=(1, 10, 100, 1_000, 10_000, 100_000),
)
SCORING_SECONDS = Metric(
    "scoring_seconds",
    "histogram",
    "seconds",
    "Time a micro-batch spent in the engine.",
    "Where does the time go?",
    buckets=_SCORING_SECONDS,
)
RESIDUAL_RATIO = Metric(
    "residual_ratio",
    "histogram",
    "ratio",
    "Absolute one-step residuals of scored points, in standard deviations of their lanes; each counts as at most 10 in "
    "the sum.",
    "Does the network still forecast well?",
    buckets=BOUNDS,
)
BUILD = Metric(
    "build",
    "info",
    "",
    "Version of Driftline; always 1.",
    "What runs here?",
    (Label("version", bound="one at a time"),),
)
BUNDLE = Metric(
    "bundle",
    "info",
    "",
    "Bundle and profile that score; always 1.",
    "What scores here?",
    (Label("bundle", bound="one at a time"), Label("profile", bound="one at a time")),
)
METRICS = (
    RECORDS_CONSUMED, RECORDS, POINTS, PROBLEMS, GAPS, ANOMALIES, EPISODE_EVENTS, ALARMS_OPENED, ALARMS_EXPECTED,
    EVICTIONS, RETURNS, LANES, EPISODES_OPEN, STATE_BYTES, STATE_BUDGET, WATERMARK, LAST_RECORD, BATCH_RECORDS,
    SCORING_SECONDS, RESIDUAL_RATIO, BUILD, BUNDLE,
)  # fmt: skip
