"""What tells of feedback, in the service."""

from pipeline.catalogue.metric import Label, Metric

SUPPRESSING = ("false_alarm", "maintenance")

SUPPRESSED_EVENTS = Metric(
    "suppressed_events",
    "counter",
    "events",
    "Events of episodes that were marked or dropped, by what was said of their time; episode_events counts them too.",
    "How much does feedback keep from people?",
    (Label("kind", SUPPRESSING),),
)
OUTLASTED_EPISODES = Metric(
    "outlasted_episodes",
    "counter",
    "episodes",
    "Episodes told of behind what they were suppressed by.",
    "Was a maintenance longer than said?",
)
FEEDBACK = Metric(
    "feedback",
    "gauge",
    "messages",
    "Feedback that holds.",
    "What has been said of anomalies?",
    (Label("kind", ("true_anomaly", *SUPPRESSING)),),
)
FEEDBACK_UNUSABLE = Metric(
    "feedback_unusable",
    "gauge",
    "messages",
    "Messages of the feedback topic of which nothing can be made.",
    "Does feedback arrive?",
)
METRICS = (SUPPRESSED_EVENTS, OUTLASTED_EPISODES, FEEDBACK, FEEDBACK_UNUSABLE)
