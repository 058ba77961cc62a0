"""What the streams do: anomalies, budget, quality of the data, forecasts."""

from deploy.dashboards.page import Page, Panel, Query, number

_RATE = '{job=~"$job"}[$__rate_interval]'


def _quantile(share: float) -> Query:
    return Query(
        f"histogram_quantile({share}, sum by (job, le) (rate(driftline_residual_ratio_bucket{_RATE})))",
        f"{{{{job}}}} {share:.0%}",
    )


PAGE = Page(
    "driftline-streams",
    "Driftline / Streams and anomalies",
    "What the streams do, how much of it is anomalous, and what is wrong with the data.",
    (
        (
            "Anomalies",
            (
                Panel(
                    "Flagged points by severity",
                    "Points carry the id of the newest anomaly, which is the id of its record in the topic.",
                    "cps",
                    (Query(f"sum by (severity) (rate(driftline_anomalies_total{_RATE}))", "{{severity}}"),),
                    is_stacked=True,
                    has_exemplars=True,
                ),
                Panel(
                    "Events of episodes",
                    "Each is a message in the topic of anomalies.",
                    "cps",
                    (Query(f"sum by (event) (rate(driftline_episode_events_total{_RATE}))", "{{event}}"),),
                    has_exemplars=True,
                ),
                Panel(
                    "Open episodes",
                    "Many at once are an incident, or thresholds that do not fit.",
                    "short",
                    (Query('sum by (job) (driftline_episodes_open{job=~"$job"})'),),
                ),
                Panel(
                    "Share of lanes with an open episode",
                    "What part of what is watched misbehaves.",
                    "percentunit",
                    (
                        Query(
                            'sum by (job) (driftline_episodes_open{job=~"$job"}) / sum by (job) (driftline_lanes{job=~"$job"} > 0)'
                        ),
                    ),
                    orange=0.05,
                    red=0.25,
                ),
                Panel(
                    "Lanes with the most alarms",
                    "Empty unless http.top_lanes is set. A dashed budget of names: what is left out is counted beside it.",
                    "short",
                    (
                        Query('topk(10, driftline_top_lane_alarms{job=~"$job"})', "{{key}} {{field}}"),
                        Query(
                            f"sum by (job) (rate(driftline_top_lanes_truncated_alarms_total{_RATE}))",
                            "{{job}} left out, per second",
                        ),
                    ),
                ),
                Panel(
                    "Burning of the alarm budget",
                    "Alarms opened for each that the risk allows, by the hour and by six hours; above 10 and 3 an alert looks closer.",
                    "none",
                    (
                        Query(
                            'sum by (job) (increase(driftline_alarms_opened_total{job=~"$job"}[1h])) / '
                            'sum by (job) (increase(driftline_alarms_expected_total{job=~"$job"}[1h]) > 0)',
                            "{{job}} 1 h",
                        ),
                        Query(
                            'sum by (job) (increase(driftline_alarms_opened_total{job=~"$job"}[6h])) / '
                            'sum by (job) (increase(driftline_alarms_expected_total{job=~"$job"}[6h]) > 0)',
                            "{{job}} 6 h",
                        ),
                    ),
                    orange=3,
                    red=10,
                ),
            ),
        ),
        (
            "Data",
            (
                Panel(
                    "Unusable values",
                    "What is wrong with the data, by reason.",
                    "cps",
                    (Query(f"sum by (reason) (rate(driftline_problems_total{_RATE}))", "{{reason}}"),),
                ),
                Panel(
                    "Dead letters by reason",
                    "Messages that could not be used, by their first fault.",
                    "cps",
                    (Query(f"sum by (reason) (rate(driftline_dead_letters_total{_RATE}))", "{{reason}}"),),
                ),
                Panel(
                    "Late, duplicate, and after a gap",
                    "Points that no verdict is given of, and streams that come with breaks.",
                    "cps",
                    (
                        Query(
                            'sum by (disposition) (rate(driftline_points_total{job=~"$job", '
                            'disposition=~"late|duplicate|missing"}[$__rate_interval]))',
                            "{{disposition}}",
                        ),
                        Query(f"sum(rate(driftline_gaps_total{_RATE}))", "after a gap"),
                    ),
                ),
            ),
        ),
        (
            "Forecasts",
            (
                Panel(
                    "Residuals",
                    "In standard deviations of each lane: half, and nine in ten, lie below. A rise that stays is drift.",
                    "none",
                    (_quantile(0.5), _quantile(0.9)),
                ),
                Panel(
                    "Lanes by phase",
                    "Warming lanes are not judged yet; stale ones are silent.",
                    "short",
                    (Query('sum by (phase) (driftline_lanes{job=~"$job"})', "{{phase}}"),),
                    is_stacked=True,
                ),
                number(
                    "Lanes judged",
                    "Provisional and live.",
                    "short",
                    'sum by (job) (driftline_lanes{job=~"$job", phase=~"provisional|live"})',
                ),
            ),
        ),
    ),
)
