"""The shipped prior pre-trained anew, by its recipe: how long it takes on what is here, and how good it becomes.

Measuring its thresholds, which `driftline pretrain` goes on with, is not part of it: that is the work of processors.
"""

import time
from typing import Any

from detectors.training import TrainingConfig, is_fast
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli.cpus import usable_cpus
from pipeline.pretrain import PretrainConfig, pretrain

AT_MOST_S = 120
"""Of a GPU."""
NOISE = 0.02
"""By which the validation loss may be above that of the shipped network, which a CPU has trained."""


def run() -> dict[str, Any]:
    """Figures of one training, on CUDA where there is one."""
    import torch

    notes: list[str] = []
    on_cuda = is_fast("auto")
    config = PretrainConfig(TrainingConfig(), makers=max(usable_cpus() - 1, 1) if on_cuda else 0)
    began = time.perf_counter()
    prior = pretrain(config, clock=time.monotonic, progress=lambda _step: None, note=notes.append)
    seconds = time.perf_counter() - began
    steps = prior.metrics["learning_curve"]["step"][-1]
    learned = config.length - config.length // 5
    shipped = load_bundle(shipped_bundle_path()).manifest
    return {
        "device": torch.cuda.get_device_name() if on_cuda else "cpu, one core",
        "precision": prior.metrics["precision"],
        "makers": config.makers,
        "seconds": seconds,
        "steps": steps,
        "time_steps_per_s": steps * config.batch * learned / seconds,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if on_cuda else None,
        "loss": min(prior.metrics["learning_curve"]["validation"]),
        "shipped_loss": min(shipped.metrics["learning_curve"]["validation"]),
        "same_streams": prior.data_hash == shipped.data_hash,
        "notes": notes,
        "gpu": on_cuda,
    }


def rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table."""
    most = f"at most {AT_MOST_S}" if figures["gpu"] else ""
    return [
        ["device", f"{figures['device']}, {figures['precision']}", ""],
        ["seconds, streams included", f"{figures['seconds']:.1f}", most],
        ["time-steps/s, all included", f"{figures['time_steps_per_s']:,.0f}", ""],
        ["validation loss", f"{figures['loss']:.4f}", f"{figures['shipped_loss']:.4f} shipped, {NOISE} more at most"],
        ["streams of the shipped prior", "yes" if figures["same_streams"] else "no", "yes"],
        *(["note", note, ""] for note in figures["notes"]),
    ]


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What a GPU does not do."""
    short = []
    if figures["gpu"] and figures["seconds"] > AT_MOST_S:
        short.append(f"the prior takes {figures['seconds']:.0f} s, expected at most {AT_MOST_S}")
    if figures["loss"] > figures["shipped_loss"] + NOISE:
        short.append(f"its loss is {figures['loss']:.4f}, expected at most {figures['shipped_loss'] + NOISE:.4f}")
    return short
