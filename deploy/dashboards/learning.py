"""What scores, how good its forecasts are, and whether alarms come as often as was asked for."""

from deploy.dashboards.page import Page, Panel, Query, number

_RATE = '{job=~"$job"}[$__rate_interval]'
_SCORED = 'sum by (job) (increase(driftline_points_total{job=~"$job", disposition="scored"}[6h]) > 0)'

PAGE = Page(
    "driftline-learning",
    "Driftline / Learning",
    "Which bundle scores, how well it forecasts, how it is calibrated, and how bundles change.",
    (
        (
            "Bundle",
            (
                number(
                    "Bundle",
                    "What scores now.",
                    "none",
                    'count by (bundle, profile) (driftline_bundle_info{job=~"$job"})',
                    "{{bundle}} {{profile}}",
                ),
                number(
                    "On probation",
                    "1 while a newer bundle is compared with the one before.",
                    "none",
                    'max by (job) (driftline_bundle_probation{job=~"$job"})',
                    orange=1,
                ),
                number(
                    "Age of what it has learned",
                    "Of a bundle trained on records; none is shown of the shipped one, which was trained on made-up streams.",
                    "s",
                    'max by (job) (driftline_watermark_timestamp_seconds{job=~"$job"}) - min by (job) '
                    '(driftline_bundle_trained_until_timestamp_seconds{job=~"$job"} > 0)',
                    orange=30 * 86_400,
                ),
                number(
                    "Rollbacks, a day",
                    "Newer bundles that did worse than the one before.",
                    "none",
                    'sum by (job) (increase(driftline_rollbacks_total{job=~"$job"}[1d]))',
                    red=1,
                ),
                number(
                    "Swaps, a day",
                    "Partitions that went over to another bundle or configuration.",
                    "none",
                    'sum by (job) (increase(driftline_swaps_total{job=~"$job"}[1d]))',
                ),
                number(
                    "Configurations rejected, a day",
                    "Changes of the file that could not be taken over.",
                    "none",
                    'sum by (job) (increase(driftline_config_reloads_total{job=~"$job", result="rejected"}[1d]))',
                    orange=1,
                ),
            ),
        ),
        (
            "Forecasts",
            (
                Panel(
                    "Residuals",
                    "In standard deviations of each lane: half, nine in ten and 99 in a hundred lie below.",
                    "none",
                    tuple(
                        Query(
                            f"histogram_quantile({share}, sum by (job, le) (rate(driftline_residual_ratio_bucket{_RATE})))",
                            f"{{{{job}}}} {share:.0%}",
                        )
                        for share in (0.5, 0.9, 0.99)
                    ),
                ),
                Panel(
                    "Mean residual beside that of a day before",
                    "Half as large again as a day and a week ago, for hours, is drift that nobody has dealt with.",
                    "none",
                    (
                        Query(
                            f"sum by (job) (rate(driftline_residual_ratio_sum{_RATE})) / sum by (job) (rate(driftline_residual_ratio_count{_RATE}) > 0)",
                            "{{job}}",
                        ),
                        Query(
                            f"sum by (job) (rate(driftline_residual_ratio_sum{_RATE} offset 1d)) / sum by (job) (rate(driftline_residual_ratio_count{_RATE} offset 1d) > 0)",
                            "{{job}} a day before",
                        ),
                    ),
                ),
                Panel(
                    "Lanes that are not live yet",
                    "New streams forecast worse for a while by themselves.",
                    "short",
                    (
                        Query(
                            'sum by (phase) (driftline_lanes{job=~"$job", phase=~"warming|provisional"})', "{{phase}}"
                        ),
                    ),
                ),
            ),
        ),
        (
            "Drift and training",
            (
                Panel(
                    "Drift by partition",
                    "Newest residuals against the usual ones; 1 is no drift. Shown with retrain.enabled.",
                    "none",
                    (
                        Query(
                            'max by (topic, partition) (driftline_drift_ratio{job=~"$job", topic=~"$topic"})',
                            "{{topic}}/{{partition}}",
                        ),
                    ),
                    orange=1.5,
                    red=2,
                ),
                Panel(
                    "Drifts told, and signals that wait for a training",
                    "A drift asks for a training; a signal that waits for long has no trainer.",
                    "short",
                    (
                        Query('sum by (job) (increase(driftline_drifts_total{job=~"$job"}[1h]))', "{{job}} drifts"),
                        Query('sum by (job) (driftline_training_signals_pending{job=~"$job"})', "{{job}} pending"),
                    ),
                ),
                Panel(
                    "Trainings by what became of them, a day",
                    "Refused by the gate is as good an end as promoted; failed is not.",
                    "short",
                    (
                        Query(
                            'sum by (outcome) (increase(driftline_training_runs_total{job=~"$job"}[1d]))', "{{outcome}}"
                        ),
                    ),
                ),
                Panel(
                    "Stage and loss of the training",
                    "What is being done, and the loss of the newest step.",
                    "none",
                    (
                        Query('max by (stage) (driftline_training_stage{job=~"$job"})', "{{stage}}"),
                        Query('max by (job) (driftline_training_step_loss{job=~"$job"})', "{{job}} loss"),
                    ),
                ),
                Panel(
                    "Champion and challenger",
                    "Nats per point on the slice that the last training was judged on: lower is better.",
                    "none",
                    (Query('max by (bundle) (driftline_training_last_loss{job=~"$job"})', "{{bundle}}"),),
                ),
                Panel(
                    "Time of the last training, by part",
                    "Training itself is what a GPU shortens.",
                    "s",
                    (Query('max by (stage) (driftline_training_last_seconds{job=~"$job"})', "{{stage}}"),),
                ),
                Panel(
                    "Memory of the last training",
                    "The most that its process took, and a GPU; what beside the latter is free can take more excerpts a step.",
                    "bytes",
                    (Query('max by (kind) (driftline_training_last_memory_bytes{job=~"$job"})', "{{kind}}"),),
                ),
                number(
                    "Trained on",
                    "Device of the last training.",
                    "none",
                    'count by (device) (driftline_training_device_info{job=~"$job"})',
                    "{{device}}",
                ),
                number(
                    "Step",
                    "Of the training that goes on, or of the last.",
                    "short",
                    'max by (job) (driftline_training_step{job=~"$job"})',
                ),
                number(
                    "Done",
                    "Of what the training is at: reading, learning or judging.",
                    "percentunit",
                    'max by (job) (driftline_training_done_ratio{job=~"$job"})',
                ),
                number(
                    "Left",
                    "Of that, at the pace so far; learning ends earlier where it gets no better.",
                    "s",
                    'max by (job) (driftline_training_left_seconds{job=~"$job"})',
                ),
                number(
                    "Since the last decision",
                    "Of a training, whatever it was.",
                    "s",
                    'time() - max by (job) (driftline_training_last_success_timestamp_seconds{job=~"$job"} > 0)',
                ),
            ),
        ),
        (
            "Feedback",
            (
                Panel(
                    "Feedback that holds",
                    "What people have said of anomalies.",
                    "short",
                    (
                        Query('max by (kind) (driftline_feedback{job=~"$job"})', "{{kind}}"),
                        Query('max by (job) (driftline_feedback_unusable{job=~"$job"})', "{{job}} unusable"),
                    ),
                ),
                Panel(
                    "Events suppressed, and episodes that outlasted it",
                    "What feedback keeps from people.",
                    "cps",
                    (
                        Query(f"sum by (kind) (rate(driftline_suppressed_events_total{_RATE}))", "{{kind}}"),
                        Query(f"sum by (job) (rate(driftline_outlasted_episodes_total{_RATE}))", "{{job}} outlasted"),
                    ),
                ),
            ),
        ),
        (
            "Calibration",
            (
                Panel(
                    "Alarms per 1,000 points, asked and observed",
                    "Over six hours. Observed ones include true anomalies, so they lie above what was asked for where there are some.",
                    "none",
                    (
                        Query(
                            f'1000 * sum by (job) (increase(driftline_alarms_expected_total{{job=~"$job"}}[6h])) / {_SCORED}',
                            "{{job}} asked",
                        ),
                        Query(
                            f'1000 * sum by (job) (increase(driftline_alarms_opened_total{{job=~"$job"}}[6h])) / {_SCORED}',
                            "{{job}} observed",
                        ),
                    ),
                    width=12,
                ),
                Panel(
                    "Alarms opened and expected, a day",
                    "The same as counts.",
                    "short",
                    (
                        Query(
                            'sum by (job) (increase(driftline_alarms_opened_total{job=~"$job"}[1d]))', "{{job}} opened"
                        ),
                        Query(
                            'sum by (job) (increase(driftline_alarms_expected_total{job=~"$job"}[1d]))',
                            "{{job}} expected",
                        ),
                    ),
                    width=12,
                ),
            ),
        ),
    ),
)
