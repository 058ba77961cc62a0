"""What tells of learning: drift in the service, trainings in the trainer."""

from pipeline.catalogue.metric import Label, Metric

OUTCOMES = ("promoted", "passed", "held", "refused", "overtaken", "not_enough_history", "failed")
MEMORY_KINDS = ("process", "device")
STAGES = ("measuring", "reading", "training", "judging", "publishing")
_HELD = "partitions that the process holds"

DRIFT_RATIO = Metric(
    "drift_ratio",
    "gauge",
    "ratio",
    "Newest residuals against the usual ones under this bundle, of the quantile that has risen most; 1 for no drift; "
    "with retrain.enabled, once it is known.",
    "Do streams still go on as the network has learned?",
    (Label("topic", bound=_HELD), Label("partition", bound=_HELD)),
)
DRIFTS = Metric("drifts", "counter", "drifts", "Lasting rises of residuals that were told.", "When did streams change?")
TRAINING_RUNS = Metric(
    "training_runs",
    "counter",
    "trainings",
    "Trainings by what became of them.",
    "Does it learn?",
    (Label("outcome", OUTCOMES),),
)
TRAINING_STAGE = Metric(
    "training_stage",
    "gauge",
    "",
    "What the training that goes on is at: 1, the others 0.",
    "What does the trainer do now?",
    (Label("stage", STAGES),),
)
TRAINING_STEP = Metric(
    "training_step", "gauge", "steps", "Optimiser step of the training that goes on, or of the last.", "How far is it?"
)
TRAINING_STEP_LOSS = Metric("training_step_loss", "gauge", "nats", "Loss of that step.", "Does it converge?")
TRAINING_DONE = Metric(
    "training_done_ratio",
    "gauge",
    "ratio",
    "Share that is done of what the training is at: of the records that it reads or judges on, or of the steps or time "
    "that it may take; NaN where that is not known.",
    "How far is it?",
)
TRAINING_LEFT = Metric(
    "training_left_seconds",
    "gauge",
    "seconds",
    "Time that the rest of that takes at the pace so far; learning may end earlier, where it gains nothing more. NaN "
    "where that is not known.",
    "When is it done?",
)
TRAINING_LAST_SECONDS = Metric(
    "training_last_seconds",
    "gauge",
    "seconds",
    "Time that a part of the last training took.",
    "How long does a training take?",
    (Label("stage", STAGES),),
)
TRAINING_LAST_MEMORY = Metric(
    "training_last_memory_bytes",
    "gauge",
    "bytes",
    "Most memory that the last training took: of its process, and of a GPU; 0 for the latter on a CPU.",
    "Does it fit into the GPU, and beside the service?",
    (Label("kind", MEMORY_KINDS),),
)
TRAINING_LAST_LOSS = Metric(
    "training_last_loss",
    "gauge",
    "nats",
    "Nats per point on what the last training was judged on.",
    "Was the challenger better?",
    (Label("bundle", ("champion", "challenger")),),
)
TRAINING_LAST_SUCCESS = Metric(
    "training_last_success_timestamp_seconds",
    "gauge",
    "seconds",
    "When the last training came to a decision; 0: none.",
    "When did it last learn?",
)
TRAINING_DEVICE = Metric(
    "training_device",
    "info",
    "",
    "What the last training ran on; always 1.",
    "Is the GPU used?",
    (Label("device", bound="one at a time"),),
)
TRAINING_SIGNALS_PENDING = Metric(
    "training_signals_pending",
    "gauge",
    "signals",
    "Signals that ask for a training and have not been answered.",
    "Does anybody wait for a training?",
)
SERVICE_METRICS = (DRIFT_RATIO, DRIFTS)
TRAINER_METRICS = (
    TRAINING_RUNS, TRAINING_STAGE, TRAINING_STEP, TRAINING_STEP_LOSS, TRAINING_DONE, TRAINING_LEFT,
    TRAINING_LAST_SECONDS, TRAINING_LAST_MEMORY, TRAINING_LAST_LOSS, TRAINING_LAST_SUCCESS, TRAINING_DEVICE,
    TRAINING_SIGNALS_PENDING,
)  # fmt: skip
