"""How fast networks are trained, beside what the device can do at most, measured in the same process.

A training step cuts its excerpts from the staged history and takes them through the LSTM and its gradients. What bounds
it are copies in memory and products of matrices, so their measured rates are the ceilings that the step's own bytes and
operations are compared with. A step counts as reading and writing each activation once, and as the products of gates
and head forward and twice as many backward; the context has them forward alone.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from detectors.examples import training_examples
from detectors.excerpts import Excerpts
from detectors.features import INPUTS
from detectors.frontend import series_inputs
from detectors.network import HORIZONS
from detectors.profiles import PROFILES
from detectors.series import Series
from detectors.synthetic import Corpus
from detectors.training import ExcerptSource, Ranks, TrainingConfig
from detectors.training.devices import CPU_BATCH, SAMPLE, choose_batch, choose_kernels
from detectors.training.model import new_model
from detectors.training.run import Run
from pipeline.cli.cpus import usable_cpus
from pipeline.cli.fitting import CONTEXT
from pipeline.cli.trainings import TUNING_RATE
from pipeline.pretrain import BLOCK_BATCHES, PretrainConfig, Streams

LENGTH, HIDDEN = 256, 64
SERIES, POINTS = 1024, 2000
"""So many that as many excerpts as a device has room for lie apart."""
STEPS, ROUNDS = {"cpu": 4, "cuda": 20}, 3
KEEPS_UP = 200
"""How many times as fast as a core trains series have to be made, to keep up with a GPU."""


def run() -> dict[str, Any]:
    """Figures of the CPU on one core, of the GPU where there is one, and of making series."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        history = _history()
        devices = {"cpu, one core": _measure(torch.device("cpu"), "float32", history, cudnn=False)}
        if torch.cuda.is_available():
            for precision, cudnn in (("bfloat16", True), ("float32", False), ("bfloat16", False)):
                name = f"{torch.cuda.get_device_name()}, {precision}{', cuDNN' if cudnn else ''}"
                devices[name] = _measure(torch.device("cuda"), precision, history, cudnn=cudnn)
        return {"devices": devices, "gpu": torch.cuda.is_available(), "making": _making(), "threads": 1}
    finally:
        torch.set_num_threads(threads)


def _measure(device: torch.device, precision: str, history: Excerpts, *, cudnn: bool) -> dict[str, Any]:
    """Medians of rounds in which ceilings and training take turns; on CUDA by fused kernels, unless those of cuDNN."""
    config = TrainingConfig(hidden=HIDDEN, context=CONTEXT, device=device.type)
    model = new_model(config, INPUTS).to(device)
    source, told = ExcerptSource(history, 7, None), ""
    if device.type == "cuda" and not cudnn:
        model.is_fused, told = choose_kernels(model, *source.sample(SAMPLE, device))
    batch = choose_batch(model, *source.sample(SAMPLE, device), source.most) if device.type == "cuda" else CPU_BATCH
    model.is_mixed = precision == "bfloat16"
    run = Run(config, model, Ranks())
    batches = source.open(1, batch, device, Ranks())

    def steps() -> None:
        for _ in range(STEPS[device.type]):
            run.step(*next(batches), TUNING_RATE)

    steps()  # kernels are chosen and memory is allocated
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rounds = [
        (_seconds(steps, device) / STEPS[device.type], _copy_rate(device), _product_rate(device, dtype))
        for _ in range(ROUNDS)
    ]
    seconds, copies, products = (median(values) for values in zip(*rounds, strict=True))
    return {
        "batch": batch,
        "piece": run.pieces.size or batch,
        "told": told,
        "peak_gb": torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None,
        "windows_per_s": batch / seconds,
        "time_steps_per_s": batch * (CONTEXT + LENGTH) / seconds,
        "copy_ceiling_gb_per_s": copies / 1e9,
        "product_ceiling_gflop_per_s": products / 1e9,
        "share_of_copies": batch * _bytes_each() / seconds / copies,
        "share_of_products": batch * _operations_each() / seconds / products,
    }


def _history() -> Excerpts:
    """Random series: what they hold costs the same."""
    rng = np.random.default_rng(7)
    targets = len(HORIZONS)
    return Excerpts(
        [
            Series(
                rng.normal(size=(POINTS, INPUTS)).astype(np.float32),
                rng.normal(size=(POINTS, targets)).astype(np.float32),
                POINTS - POINTS // 5,
            )
            for _ in range(SERIES)
        ],
        CONTEXT,
        LENGTH,
    )


def _operations_each() -> float:
    """Floating-point operations of an excerpt's products; a product and a sum are two."""
    gates = 2 * 4 * HIDDEN * (INPUTS + HIDDEN)
    head = 2 * 3 * len(HORIZONS) * (HIDDEN + INPUTS)
    return CONTEXT * gates + LENGTH * 3 * (gates + head)


def _bytes_each() -> float:
    """Bytes of an excerpt's inputs and activations, each written and read once, and as many again for gradients."""
    step = 4 * (INPUTS + 4 * HIDDEN + 2 * HIDDEN)
    head = 4 * (2 * 3 * len(HORIZONS) + len(HORIZONS))
    return 2 * (CONTEXT * step + 2 * LENGTH * (step + head))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of the core where one does it all, so that what else the machine does counts little; else of the clock."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    _wait(device)
    began = clock()
    work()
    _wait(device)
    return clock() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _copy_rate(device: torch.device) -> float:
    """Bytes read and written per second by copies that no cache has room for."""
    source = torch.ones(1 << (28 if device.type == "cuda" else 25), device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = _seconds(lambda: [target.copy_(source) for _ in range(4)], device) / 4
    return 2 * source.nbytes / seconds


def _product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of products of large square matrices."""
    size = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    left @ right
    return 4 * 2 * size**3 / _seconds(lambda: [left @ right for _ in range(4)], device)


def _making() -> dict[str, Any]:
    """Series per second that one core makes to pre-train on, by part, and those that it trains on."""
    corpus = Corpus(1, 0, 240, 1125)
    streams = corpus.block(0)
    profile = PROFILES["balanced"]
    seen = series_inputs(streams.values, streams.time_us, profile)
    parts: dict[str, Callable[[], object]] = {
        "streams": lambda: corpus.block(1),
        "inputs": lambda: series_inputs(streams.values, streams.time_us, profile),
        "targets": lambda: training_examples(streams.values, *seen),
    }
    config = TrainingConfig(hidden=HIDDEN, device="cpu")
    run = Run(config, new_model(config, INPUTS), Ranks())
    examples = training_examples(streams.values, *seen).rows(0, CPU_BATCH)
    inputs, targets = torch.from_numpy(examples.inputs), torch.from_numpy(examples.targets)
    cpu = torch.device("cpu")
    run.step(inputs, targets, TUNING_RATE)
    rounds = [
        {name: _seconds(work, cpu) / corpus.count for name, work in parts.items()}
        | {"training": _seconds(lambda: run.step(inputs, targets, TUNING_RATE), cpu) / CPU_BATCH}
        for _ in range(ROUNDS)
    ]
    seconds = {name: median(each[name] for each in rounds) for name in rounds[0]}
    made = 1 / sum(seconds[name] for name in parts)
    makers = max(usable_cpus() - 1, 1)
    return {
        "makers": makers,
        "made_by_makers_per_s": _made_together(makers),
        "series_per_s": {name: 1 / each for name, each in seconds.items()},
        "all_parts_per_s": made,
        "times_the_training": made * seconds["training"],
        "cores_to_keep_up": KEEPS_UP / (made * seconds["training"]),
    }


def _made_together(makers: int) -> float:
    """Series per second of so many threads, by the clock, as `driftline pretrain` has them made."""
    config = PretrainConfig(TrainingConfig(device="cpu"), makers=makers)
    batches = Streams(config).batches(1)
    for _ in range((makers + 1) * BLOCK_BATCHES):  # those that are begun at once
        next(batches)
    began, count = time.perf_counter(), 3 * makers * BLOCK_BATCHES
    for _ in range(count):
        next(batches)
    return count * config.batch / (time.perf_counter() - began)


def rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table of devices."""
    return [
        [
            name, f"{of['batch']}", f"{of['peak_gb']:.1f}" if of["peak_gb"] else "",
            f"{of['windows_per_s']:,.0f}", f"{of['time_steps_per_s']:,.0f}",
            f"{of['copy_ceiling_gb_per_s']:,.1f}", f"{of['share_of_copies']:.1%}",
            f"{of['product_ceiling_gflop_per_s']:,.0f}", f"{of['share_of_products']:.1%}",
        ]
        for name, of in figures["devices"].items()
    ]  # fmt: skip


def making_rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table of what making series takes."""
    making = figures["making"]
    told = {"made: " + name: rate for name, rate in making["series_per_s"].items() if name != "training"}
    told |= {"made: all parts": making["all_parts_per_s"], "trained on": making["series_per_s"]["training"]}
    told[f"made: all parts, {making['makers']} threads"] = making["made_by_makers_per_s"]
    return [
        *([name, f"{rate:,.0f}"] for name, rate in told.items()),
        [f"cores that keep up with {KEEPS_UP} cores of training", f"{making['cores_to_keep_up']:.1f}"],
    ]


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What is slower than it should be beside a core of this machine."""
    cpu, *gpus = figures["devices"].values()
    return [f"{name}: {of['told']}" for name, of in figures["devices"].items() if of["told"]] + [
        f"a GPU trains {gpu['windows_per_s'] / cpu['windows_per_s']:.0f} times as fast as a core, expected {KEEPS_UP}"
        for gpu in gpus[-1:]
        if gpu["windows_per_s"] < KEEPS_UP * cpu["windows_per_s"]
    ]
