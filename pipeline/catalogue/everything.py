"""The catalogue as a whole: groups of metrics, in the order in which people are told of them."""

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.catalogue import engine, feedback, learning, process, service
from pipeline.catalogue.metric import Metric

GROUPS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        "engine": engine.METRICS,
        "service": service.METRICS,
        "feedback": feedback.METRICS,
        "learning": learning.SERVICE_METRICS,
        "trainer": learning.TRAINER_METRICS,
        "workers": process.WORKER_METRICS,
        "process": process.PROCESS_METRICS,
    }
)
"""A group is a table of docs/metrics.md between the marks of its name."""

CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {metric.name: metric for group in GROUPS.values() for metric in group}
)
"""Every metric by its name."""
