"""How much more it can take."""

from deploy.dashboards.page import Page, Panel, Query, number

_RATE = '{job=~"$job"}[$__rate_interval]'

PAGE = Page(
    "driftline-capacity",
    "Driftline / Capacity",
    "How busy processes are, how much memory streams take, and how much more there is room for.",
    (
        (
            "Now",
            (
                number(
                    "Memory of the streams",
                    "Share of state.budget that is taken; beyond it streams wait on disk.",
                    "percentunit",
                    'sum by (job) (driftline_state_bytes{job=~"$job"}) / sum by (job) (driftline_state_budget_bytes{job=~"$job"} > 0)',
                    orange=0.75,
                    red=0.9,
                ),
                number(
                    "Bytes per lane",
                    "A constant of the profile.",
                    "bytes",
                    'sum by (job) (driftline_state_bytes{job=~"$job"}) / sum by (job) (driftline_lanes{job=~"$job"} > 0)',
                ),
                number("Lanes", "In memory.", "short", 'sum by (job) (driftline_lanes{job=~"$job"})'),
                number(
                    "Time in the engine",
                    "Seconds of a second that all processes together spend scoring.",
                    "percentunit",
                    f"sum by (job) (rate(driftline_scoring_seconds_sum{_RATE}))",
                ),
                number(
                    "Workers up",
                    "Only with --workers.",
                    "none",
                    'sum by (job) (driftline_workers{job=~"$job", state="up"})',
                ),
                number(
                    "Versions",
                    "More than one only while they are changed.",
                    "none",
                    'count by (version) (driftline_build_info{job=~"$job"})',
                    "{{version}}",
                ),
            ),
        ),
        (
            "Work",
            (
                Panel(
                    "Records per second, and per second of scoring",
                    "The second is what the engine could do were it never to wait: the distance is head room.",
                    "cps",
                    (
                        Query(f"sum by (job) (rate(driftline_records_consumed_total{_RATE}))", "{{job}} consumed"),
                        Query(
                            f"sum by (job) (rate(driftline_records_consumed_total{_RATE})) / sum by (job) (rate(driftline_scoring_seconds_sum{_RATE}) > 0)",
                            "{{job}} of the engine",
                        ),
                    ),
                ),
                Panel(
                    "Time decoding, scoring and committing",
                    "Seconds of a second, all processes together; the loop decodes while the engine scores.",
                    "percentunit",
                    (
                        Query(f"sum by (job) (rate(driftline_decode_seconds_sum{_RATE}))", "{{job}} decode"),
                        Query(f"sum by (job) (rate(driftline_scoring_seconds_sum{_RATE}))", "{{job}} score"),
                        Query(f"sum by (job) (rate(driftline_commit_seconds_sum{_RATE}))", "{{job}} commit"),
                    ),
                ),
                Panel(
                    "Processor",
                    "Cores that each process keeps busy; one is busy with about one and a little more.",
                    "none",
                    (
                        Query(
                            f"sum by (job, instance, worker) (rate(process_cpu_seconds_total{_RATE}))",
                            "{{instance}} {{worker}}",
                        ),
                    ),
                ),
                Panel(
                    "Fetched from Kafka",
                    "Messages, those done again included.",
                    "cps",
                    (Query(f"sum by (job) (rate(driftline_messages_fetched_total{_RATE}))"),),
                ),
            ),
        ),
        (
            "Memory",
            (
                Panel(
                    "State of the streams and its budget",
                    "Above the budget streams wait on disk and come back as they were.",
                    "bytes",
                    (
                        Query('sum by (job) (driftline_state_bytes{job=~"$job"})', "{{job}} taken"),
                        Query('sum by (job) (driftline_state_budget_bytes{job=~"$job"})', "{{job}} budget"),
                    ),
                ),
                Panel(
                    "Keys moved to disk and back",
                    "Moves to and fro cost time: raise state.budget.",
                    "cps",
                    (
                        Query(f"sum by (job) (rate(driftline_evictions_total{_RATE}))", "{{job}} evicted"),
                        Query(f"sum by (job) (rate(driftline_returns_total{_RATE}))", "{{job}} returned"),
                    ),
                ),
                Panel(
                    "Memory of the processes",
                    "In RAM. State comes on top of some 300 MB.",
                    "bytes",
                    (Query('process_resident_memory_bytes{job=~"$job"}', "{{instance}} {{worker}}"),),
                ),
                Panel(
                    "Open files",
                    "Connections and spilled state.",
                    "short",
                    (Query('process_open_fds{job=~"$job"}', "{{instance}} {{worker}}"),),
                ),
                Panel(
                    "Restarts of workers",
                    "By the hour, with --workers.",
                    "short",
                    (
                        Query(
                            'sum by (job, worker) (increase(driftline_worker_restarts_total{job=~"$job"}[1h]))',
                            "{{job}} {{worker}}",
                        ),
                    ),
                    orange=1,
                ),
            ),
        ),
    ),
)
