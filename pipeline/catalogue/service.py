"""What the service shows beside its engines."""

from pipeline.accounting import RECORD_DISPOSITIONS
from pipeline.catalogue.metric import Label, Metric, names_of

REBALANCES = ("assigned", "revoked", "lost")
STATUSES = ("assigned", "restoring", "catching_up", "swapping", "live")
STAGES = ("decode", "score", "commit")
OTHER = "other"
DEAD_LETTER_REASONS = (
    "bad_key", "bad_time", "empty", "malformed", "missing", "not_a_number", "too_large", "too_many_points", OTHER,
)  # fmt: skip
"""Values of the label; a reason that is none of them counts as the last."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LATENCY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_HELD = "partitions that the process holds"
_PLACE = (Label("topic", bound=_HELD), Label("partition", bound=_HELD))

MESSAGES_FETCHED = Metric(
    "messages_fetched",
    "counter",
    "messages",
    "Messages that came from Kafka, those done again after a restart included.",
    "Does Kafka give us anything?",
)
STAGE_IN = Metric(
    "stage_in_messages",
    "counter",
    "messages",
    "Messages that a stage took: decoded from those fetched, scored from those decoded, committed from those scored.",
    "Which stage gets nothing?",
    (Label("stage", STAGES),),
)
STAGE_OUT = Metric(
    "stage_out_messages",
    "counter",
    "messages",
    "Messages that a stage is done with; what a rebalance or a failed transaction gave up never comes out.",
    "Which stage holds everything up?",
    (Label("stage", STAGES),),
)
STAGE_IN_PROGRESS = Metric(
    "stage_in_progress_messages",
    "gauge",
    "messages",
    "Messages that a stage has taken and is not done with.",
    "Where do messages wait?",
    (Label("stage", STAGES),),
)
DECODE_SECONDS = Metric(
    "decode_seconds",
    "histogram",
    "seconds",
    "Time that decoding a chunk of messages took.",
    "Where does the time go?",
    buckets=_SECONDS,
)
SCORE_LATENCY = Metric(
    "score_latency_seconds",
    "histogram",
    "seconds",
    "Time from the arrival of a message to the commit of what came of it: since the time that it bears, which is the "
    "broker's or its producer's, and since it was fetched. Measured on up to 64 messages of a chunk, each for its "
    "neighbours.",
    "How soon is an anomaly known?",
    (Label("since", ("record", "fetch")),),
    buckets=LATENCY_SECONDS,
)
DEAD_LETTERS = Metric(
    "dead_letters",
    "counter",
    "messages",
    "Messages sent to the dead letters, by their first fault.",
    "How much cannot be used, and why?",
    (Label("reason", DEAD_LETTER_REASONS),),
)
COMMITS = Metric("commits", "counter", "commits", "Transactions committed.", "Is anything made last?")
COMMIT_FAILURES = Metric(
    "commit_failures",
    "counter",
    "commits",
    "Transactions that failed, and were done again.",
    "Is Kafka well?",
)
TRANSACTIONS_ABORTED = Metric(
    "transactions_aborted",
    "counter",
    "transactions",
    "Transactions dropped with what was sent in them: behind a failed commit, or as partitions were lost.",
    "How much is done twice?",
)
COMMIT_SECONDS = Metric(
    "commit_seconds",
    "histogram",
    "seconds",
    "Time that a commit took.",
    "Is Kafka slow?",
    buckets=_SECONDS,
)
LAST_COMMIT = Metric(
    "last_commit_timestamp_seconds", "gauge", "seconds", "Time of the newest commit.", "When was it last well?"
)
LAST_KAFKA_ANSWER = Metric(
    "last_kafka_answer_timestamp_seconds",
    "gauge",
    "seconds",
    "Time at which Kafka last took a commit, gave messages or partitions, or told where they end; 0 before the first.",
    "Is Kafka there for the service?",
)
COMMITTED_OFFSET = Metric(
    "committed_offset",
    "gauge",
    "offset",
    "Offset of the next record to take, as committed.",
    "Does a partition move on?",
    _PLACE,
)
END_OFFSET = Metric(
    "end_offset",
    "gauge",
    "offset",
    "Offset that the next record of the input will have, as last seen.",
    "Is more coming in?",
    _PLACE,
)
LAG_RECORDS = Metric(
    "lag_records",
    "gauge",
    "records",
    "Records of the input behind the committed offset.",
    "Does the service keep up?",
    _PLACE,
)
ACCOUNTING_CONSUMED = Metric(
    "accounting_consumed_records",
    "counter",
    "records",
    "Records consumed since the state began, whichever process did it.",
    "What is the state made of?",
    _PLACE,
)
ACCOUNTING_RECORDS = Metric(
    "accounting_records",
    "counter",
    "records",
    "Records consumed since the state began, by what became of them.",
    "What is the state made of?",
    (*_PLACE, Label("disposition", names_of(name.name for name in RECORD_DISPOSITIONS))),
)
ACCOUNTING_IMBALANCE = Metric(
    "accounting_imbalance_records",
    "gauge",
    "records",
    "Records consumed that nothing accounts for; anything but 0 is a fault.",
    "Is a record lost in the program?",
    _PLACE,
)
SNAPSHOTS = Metric("snapshots", "counter", "snapshots", "Snapshots completed.", "Is the state kept safe?")
SNAPSHOT_SECONDS = Metric(
    "snapshot_seconds",
    "histogram",
    "seconds",
    "Time from the beginning of a snapshot to its completion, commits in between included.",
    "How long does keeping the state safe take?",
    buckets=_LONG_SECONDS,
)
SNAPSHOT_OFFSET = Metric(
    "snapshot_offset",
    "gauge",
    "offset",
    "Offset of the newest snapshot that this process has read or completed; -1 for none.",
    "How much would be done again after a crash?",
    _PLACE,
)
LAST_SNAPSHOT = Metric(
    "last_snapshot_timestamp_seconds",
    "gauge",
    "seconds",
    "Time of the newest snapshot that this process completed; 0 for none.",
    "How old is what a restart would begin from?",
    _PLACE,
)
RESTORE_SECONDS = Metric(
    "restore_seconds",
    "histogram",
    "seconds",
    "Time that reading the state of a partition took.",
    "How long is a partition away when it moves?",
    buckets=_SECONDS,
)
LAST_RESTORE = Metric(
    "last_restore_timestamp_seconds",
    "gauge",
    "seconds",
    "Time at which the state of a partition was last read; 0 before the first.",
    "When did partitions last move?",
)
SWAPS = Metric(
    "swaps",
    "counter",
    "swaps",
    "Partitions whose state went over to another configuration or bundle.",
    "When did the way of scoring change?",
)
ROLLBACKS = Metric(
    "rollbacks",
    "counter",
    "rollbacks",
    "Newer bundles that this process found worse and asked to go back from.",
    "Did a new bundle turn out bad?",
)
BUNDLE_PROBATION = Metric(
    "bundle_probation",
    "gauge",
    "",
    "1 while a newer bundle is being compared with the one before, else 0.",
    "Is the bundle settled?",
)
BUNDLE_TRAINED_UNTIL = Metric(
    "bundle_trained_until_timestamp_seconds",
    "gauge",
    "seconds",
    "Event time at which the records end that the bundle was trained on; 0 where it was trained on made-up streams.",
    "How old is what the network knows?",
)
PARTITIONS = Metric(
    "partitions",
    "gauge",
    "partitions",
    "Partitions held, by what they are at.",
    "Is everything restored and live?",
    (Label("status", STATUSES),),
)
REBALANCES_TOTAL = Metric(
    "rebalances",
    "counter",
    "changes",
    "Changes of this member's partitions.",
    "Is the group stable?",
    (Label("kind", REBALANCES),),
)
LOST_RECORDS = Metric(
    "lost_records",
    "counter",
    "records",
    "Records deleted before they were read.",
    "Is retention shorter than our outages?",
)
STALLED_PARTITIONS = Metric(
    "stalled_partitions",
    "gauge",
    "partitions",
    "Partitions whose lag grows while their position stands still, as the watchdog sees it.",
    "Is the service alive but stuck?",
)
CONFIG_RELOADS = Metric(
    "config_reloads",
    "counter",
    "reloads",
    "Configurations read again.",
    "Was a change of the configuration taken?",
    (Label("result", ("accepted", "rejected")),),
)
TOP_LANE_ALARMS = Metric(
    "top_lane_alarms",
    "gauge",
    "alarms",
    "Alarms of the lanes with the most of them; only with http.top_lanes, and so many of them at most.",
    "Which streams misbehave most?",
    (Label("key", bound="http.top_lanes"), Label("field", bound="http.top_lanes")),
)
TOP_LANES_TRUNCATED = Metric(
    "top_lanes_truncated_alarms",
    "counter",
    "alarms",
    "Alarms of lanes that were not among those shown; 0 without http.top_lanes.",
    "How much does the list of top lanes leave out?",
)
METRICS = (
    MESSAGES_FETCHED, STAGE_IN, STAGE_OUT, STAGE_IN_PROGRESS, DECODE_SECONDS, SCORE_LATENCY, DEAD_LETTERS, COMMITS,
    COMMIT_FAILURES, TRANSACTIONS_ABORTED, COMMIT_SECONDS, LAST_COMMIT, LAST_KAFKA_ANSWER, COMMITTED_OFFSET,
    END_OFFSET, LAG_RECORDS, ACCOUNTING_CONSUMED, ACCOUNTING_RECORDS, ACCOUNTING_IMBALANCE, SNAPSHOTS,
    SNAPSHOT_SECONDS, SNAPSHOT_OFFSET, LAST_SNAPSHOT, RESTORE_SECONDS, LAST_RESTORE, SWAPS, ROLLBACKS,
    BUNDLE_PROBATION, BUNDLE_TRAINED_UNTIL, PARTITIONS, REBALANCES_TOTAL, LOST_RECORDS, STALLED_PARTITIONS,
    CONFIG_RELOADS, TOP_LANE_ALARMS, TOP_LANES_TRUNCATED,
)  # fmt: skip
