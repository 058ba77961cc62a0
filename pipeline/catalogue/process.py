"""What is shown of processes: of several under one roof by their supervisor, and by prometheus-client of each."""

from pipeline.catalogue.metric import Kind, Label, Metric

WORKERS = Metric(
    "workers",
    "gauge",
    "workers",
    "Workers that answer (up), and that do not (down).",
    "Is every worker there?",
    (Label("state", ("up", "down")),),
)
WORKER_RESTARTS = Metric(
    "worker_restarts",
    "counter",
    "restarts",
    "Times that a worker was started again.",
    "Does a worker end again and again?",
    (Label("worker", bound="--workers"),),
)
WORKER_METRICS = (WORKERS, WORKER_RESTARTS)


def _foreign(stem: str, kind: Kind, unit: str, meaning: str, question: str) -> Metric:
    return Metric(stem, kind, unit, meaning, question, is_foreign=True)


RESIDENT_BYTES = _foreign(
    "process_resident_memory_bytes", "gauge", "bytes", "Memory of the process that is in RAM.", "How large is it?"
)
VIRTUAL_BYTES = _foreign(
    "process_virtual_memory_bytes", "gauge", "bytes", "Addresses that the process has taken.", "How large is it?"
)
CPU_SECONDS = _foreign(
    "process_cpu_seconds", "counter", "seconds", "Time that the process spent computing.", "How busy is it?"
)
START_TIME = _foreign(
    "process_start_time_seconds", "gauge", "seconds", "Time at which the process began.", "When was it restarted?"
)
OPEN_FDS = _foreign("process_open_fds", "gauge", "files", "Open files and sockets.", "Does it leak connections?")
MAX_FDS = _foreign("process_max_fds", "gauge", "files", "Most that may be open.", "Does it leak connections?")
PROCESS_METRICS = (RESIDENT_BYTES, VIRTUAL_BYTES, CPU_SECONDS, START_TIME, OPEN_FDS, MAX_FDS)
