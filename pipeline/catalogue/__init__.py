"""Every metric, described once: its instrument, its row in docs/metrics.md and what dashboards and alerts may name."""
