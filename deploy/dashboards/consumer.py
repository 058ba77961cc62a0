"""The consumer of Kafka and the state it keeps."""

from deploy.dashboards.page import Page, Panel, Query, Unit

_RATE = '{job=~"$job"}[$__rate_interval]'


def _times(title: str, says: str, metric: str, labels: str = 'job=~"$job"', by: str = "job", unit: Unit = "s") -> Panel:
    """Half and ninety-nine of a hundred of a histogram."""
    queries = [
        Query(
            f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))",
            f"{legend} {share:.0%}",
        )
        for share in (0.5, 0.99)
        for legend in [" ".join(f"{{{{{label}}}}}" for label in by.split(", "))]
    ]
    return Panel(title, says, unit, tuple(queries))


PAGE = Page(
    "driftline-consumer",
    "Driftline / Consumer and state",
    "Positions, stages, commits, snapshots and restores.",
    (
        (
            "Position",
            (
                Panel(
                    "Lag by partition",
                    "One that stands out is stuck, or has a key that is far more frequent than others.",
                    "short",
                    (
                        Query(
                            'max by (topic, partition) (driftline_lag_records{job=~"$job", topic=~"$topic"})',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                ),
                Panel(
                    "Records committed by partition",
                    "0 while records come in is a partition that is stuck.",
                    "cps",
                    (
                        Query(
                            'max by (topic, partition) (deriv(driftline_committed_offset{job=~"$job", topic=~"$topic"}[5m]))',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                ),
                Panel(
                    "Records that come in, by partition",
                    "How fast the ends move.",
                    "cps",
                    (
                        Query(
                            'max by (topic, partition) (deriv(driftline_end_offset{job=~"$job", topic=~"$topic"}[5m]))',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Stages",
            (
                Panel(
                    "Messages in progress",
                    "The stage that holds most holds everything up: decode waits for the processor, score for the engine, "
                    "commit for Kafka.",
                    "short",
                    (Query('sum by (stage) (driftline_stage_in_progress_messages{job=~"$job"})', "{{stage}}"),),
                ),
                Panel(
                    "Messages through the stages",
                    "In and out of a stage differ by what waits in it, and by what was given up to be done again.",
                    "cps",
                    (
                        Query(f"sum by (stage) (rate(driftline_stage_in_messages_total{_RATE}))", "{{stage}} in"),
                        Query(f"sum by (stage) (rate(driftline_stage_out_messages_total{_RATE}))", "{{stage}} out"),
                    ),
                ),
                _times(
                    "Latency",
                    "From arrival to commit: since the time that a record bears, and since it was fetched.",
                    "driftline_score_latency_seconds",
                    by="since",
                ),
                _times("Scoring a micro-batch", "Time in the engine.", "driftline_scoring_seconds"),
                _times("Decoding a chunk", "Time in the decoder.", "driftline_decode_seconds"),
                _times(
                    "Records per micro-batch",
                    "Small ones make each record dear.",
                    "driftline_batch_records",
                    unit="short",
                ),
            ),
        ),
        (
            "Commits",
            (
                _times("Time of a commit", "Above a second, Kafka is slow.", "driftline_commit_seconds"),
                Panel(
                    "Commits, failures, aborted",
                    "A failure now and then, as when a broker restarts, is normal; what it drops is done again.",
                    "ops",
                    (
                        Query(f"sum by (job) (rate(driftline_commits_total{_RATE}))", "{{job}} committed"),
                        Query(f"sum by (job) (rate(driftline_commit_failures_total{_RATE}))", "{{job}} failed"),
                        Query(f"sum by (job) (rate(driftline_transactions_aborted_total{_RATE}))", "{{job}} aborted"),
                    ),
                ),
                Panel(
                    "Time since the newest commit, and since Kafka answered",
                    "The first rises while nothing comes in; the second, of the member that has waited longest, does not.",
                    "s",
                    (
                        Query(
                            'time() - max by (job) (driftline_last_commit_timestamp_seconds{job=~"$job"} > 0)',
                            "{{job}}, commit",
                        ),
                        Query(
                            'time() - min by (job) (driftline_last_kafka_answer_timestamp_seconds{job=~"$job"} > 0)',
                            "{{job}}, answer",
                        ),
                    ),
                ),
            ),
        ),
        (
            "State",
            (
                Panel(
                    "Records since the newest snapshot",
                    "As many are done again after a crash.",
                    "short",
                    (
                        Query(
                            'max by (topic, partition) (driftline_committed_offset{job=~"$job", topic=~"$topic"} - '
                            'driftline_snapshot_offset{job=~"$job", topic=~"$topic"})',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                ),
                Panel(
                    "Age of the newest snapshot",
                    "A partition that nothing comes to needs no newer one.",
                    "s",
                    (
                        Query(
                            'time() - max by (topic, partition) (driftline_last_snapshot_timestamp_seconds{job=~"$job", '
                            'topic=~"$topic"} > 0)',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                    orange=300,
                    red=900,
                ),
                _times("Time of a snapshot", "Snapshots go out in parts with commits.", "driftline_snapshot_seconds"),
                Panel(
                    "Snapshots",
                    "Completed, by the hour.",
                    "short",
                    (Query('sum by (job) (increase(driftline_snapshots_total{job=~"$job"}[1h]))'),),
                ),
                Panel(
                    "Time of a restore",
                    "Mean time that reading the state of a partition took, since the processes began.",
                    "s",
                    (
                        Query(
                            'sum by (job) (driftline_restore_seconds_sum{job=~"$job"}) / sum by (job) (driftline_restore_seconds_count{job=~"$job"} > 0)'
                        ),
                    ),
                    orange=10,
                    red=60,
                ),
                Panel(
                    "Time since the newest restore",
                    "When partitions last moved.",
                    "s",
                    (Query('time() - max by (job) (driftline_last_restore_timestamp_seconds{job=~"$job"} > 0)'),),
                ),
            ),
        ),
        (
            "Group",
            (
                Panel(
                    "Partitions by status",
                    "All should be live.",
                    "short",
                    (Query('sum by (status) (driftline_partitions{job=~"$job"})', "{{status}}"),),
                    is_stacked=True,
                ),
                Panel(
                    "Rebalances",
                    "By the hour. Lost means thrown out of the group.",
                    "short",
                    (Query('sum by (kind) (increase(driftline_rebalances_total{job=~"$job"}[1h]))', "{{kind}}"),),
                ),
                Panel(
                    "Faults",
                    "All of these are 0 in a service that is well.",
                    "short",
                    (
                        Query('sum by (job) (driftline_stalled_partitions{job=~"$job"})', "{{job}} stalled partitions"),
                        Query(
                            'sum by (job) (increase(driftline_lost_records_total{job=~"$job"}[1h]))',
                            "{{job}} lost records",
                        ),
                        Query(
                            'sum by (job) (abs(driftline_accounting_imbalance_records{job=~"$job", topic=~"$topic"}))',
                            "{{job}} unaccounted records",
                        ),
                    ),
                    red=1,
                ),
            ),
        ),
    ),
)
