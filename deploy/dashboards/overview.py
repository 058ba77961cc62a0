"""Is it well, does it keep up, what has it found?"""

from deploy.dashboards.page import Page, Panel, Query, number

PAGE = Page(
    "driftline-overview",
    "Driftline / Overview",
    "Whether Driftline is well, keeps up, and what it has found. Each panel says what to make of it.",
    (
        (
            "Now",
            (
                number(
                    "Targets that answer",
                    "Processes that Prometheus has an answer from; the job must have driftline in its name.",
                    "none",
                    'sum by (job) (up{job=~"$job", job=~".*driftline.*"})',
                ),
                number(
                    "Records per second",
                    "What comes in and is taken.",
                    "cps",
                    'sum by (job) (rate(driftline_records_consumed_total{job=~"$job"}[$__rate_interval]))',
                ),
                number(
                    "Lag",
                    "Records that wait in Kafka. It rises for a moment with every restart, and should come back to next to nothing.",
                    "short",
                    'sum by (job) (driftline_lag_records{job=~"$job", topic=~"$topic"})',
                    orange=10_000,
                    red=1_000_000,
                ),
                number(
                    "Latency, 99 %",
                    "From a record's own time to the commit of its verdict. Of history that is loaded later it is as old as "
                    "that.",
                    "s",
                    'histogram_quantile(0.99, sum by (job, le) (rate(driftline_score_latency_seconds_bucket{job=~"$job", '
                    'since="record"}[$__rate_interval])))',
                    orange=5,
                    red=30,
                ),
                number(
                    "Open episodes",
                    "Lanes that misbehave now.",
                    "none",
                    'sum by (job) (driftline_episodes_open{job=~"$job"})',
                ),
                number(
                    "Partitions not live",
                    "Their streams are not watched until they are back.",
                    "none",
                    'sum by (job) (driftline_partitions{job=~"$job", status!="live"})',
                    orange=1,
                ),
            ),
        ),
        (
            "Flow",
            (
                Panel(
                    "Records by what became of them",
                    "Nearly all should be scored, once streams are warm.",
                    "cps",
                    (
                        Query(
                            'sum by (disposition) (rate(driftline_records_total{job=~"$job"}[$__rate_interval]))',
                            "{{disposition}}",
                        ),
                    ),
                    is_stacked=True,
                ),
                Panel(
                    "Lag by topic",
                    "A lag that grows means that it is read more slowly than it is written.",
                    "short",
                    (
                        Query(
                            'sum by (job, topic) (driftline_lag_records{job=~"$job", topic=~"$topic"})',
                            "{{job}} {{topic}}",
                        ),
                    ),
                ),
                Panel(
                    "Age of the newest event time",
                    "How far behind the present what is judged lies, in event time.",
                    "s",
                    (Query('time() - min by (job) (driftline_watermark_timestamp_seconds{job=~"$job"} > 0)'),),
                    orange=300,
                    red=3600,
                ),
            ),
        ),
        (
            "Findings",
            (
                Panel(
                    "Flagged points by severity",
                    "Points carry the id of the newest anomaly, which is the id of its record in the topic.",
                    "cps",
                    (
                        Query(
                            'sum by (severity) (rate(driftline_anomalies_total{job=~"$job"}[$__rate_interval]))',
                            "{{severity}}",
                        ),
                    ),
                    is_stacked=True,
                    has_exemplars=True,
                ),
                Panel(
                    "Alarms against the budget, an hour",
                    "Alarms opened, and as many as the configured risk allows were there no fault at all.",
                    "short",
                    (
                        Query(
                            'sum by (job) (increase(driftline_alarms_opened_total{job=~"$job"}[1h]))', "{{job}} opened"
                        ),
                        Query(
                            'sum by (job) (increase(driftline_alarms_expected_total{job=~"$job"}[1h]))',
                            "{{job}} expected",
                        ),
                    ),
                ),
                Panel(
                    "Lanes by phase",
                    "Warming lanes are not judged yet; stale ones are silent.",
                    "short",
                    (Query('sum by (phase) (driftline_lanes{job=~"$job"})', "{{phase}}"),),
                    is_stacked=True,
                ),
            ),
        ),
    ),
)
