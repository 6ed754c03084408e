"""Time the shape networks: an epoch of training, and the prediction of a mask.

Run as ``python benchmarks/shape_speed.py`` on a quiet machine: two threads that share their
cores with other work wait for each other and fall below one. Times are the machine's; the ratios
(threads against threads, channels last or not, network against network) travel.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models import ShapeCNN, ShapeResNet
from mammostudy.training import shapes

MASKS, BATCH, ROUNDS = 876, 16, 12
STEPS = -(-MASKS // BATCH)
TARGET = 6.0  # ms a mask on two cores
PUBLISHED = "published, on a GTX 1070: under a second an epoch, about 6 ms a mask"


def masks(count: int) -> Tensor:
    planes = [shape_between(3 * i / (count - 1), seed=i) for i in range(count)]
    return torch.tensor(np.stack(planes)[:, None], dtype=torch.float32)


def median_ms(task: Callable[[], object], rounds: int) -> float:
    task()  # the first one also sets up memory
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def step_ms(network: type[nn.Module], *, rotate: bool = False) -> float:
    torch.manual_seed(0)
    model, inputs = network(), masks(BATCH)
    labels, budget = torch.arange(BATCH) % 4, shapes.ShapeBudget(ROUNDS, BATCH, 1e-3, 0.9, 0.9)
    times = [time.perf_counter()]

    def note() -> dict[str, float]:
        times.append(time.perf_counter())
        return {}

    with tempfile.TemporaryDirectory() as folder:
        shapes.fit_shapes(
            model, inputs, labels, budget, weights=torch.ones(4), focal_gamma=0.0, rotate=rotate,
            seed=0, validate=note, checkpoint=Path(folder) / "none.pt", progress=False,
        )  # fmt: skip
    return 1000 * statistics.median(b - a for a, b in itertools.pairwise(times))


def mask_ms(network: type[nn.Module], batch: int) -> float:
    torch.manual_seed(0)
    model, inputs = network(), masks(64)[:batch]
    return median_ms(lambda: shapes.predict_logits(model, inputs), ROUNDS) / batch


def plain(batch: Tensor, model: nn.Module) -> Tensor:
    return batch


def main() -> None:
    print(PUBLISHED)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for network in (ShapeCNN, ShapeResNet):
            step, turned = step_ms(network), step_ms(network, rotate=True)
            one, many = mask_ms(network, 1), mask_ms(network, 64)
            ready, shapes._ready = shapes._ready, plain
            slow_step, slow_many = step_ms(network), mask_ms(network, 64)
            shapes._ready = ready
            print(
                f"{network.__name__}, {threads} thread(s): {step * STEPS / 1000:.2f} s an epoch of "
                f"{MASKS} masks ({turned / step:.2f} x with turns), a mask {one:.2f} ms alone, "
                f"{many:.2f} ms in 64; channels first: {slow_step / step:.2f} x a step, "
                f"{slow_many / many:.2f} x a mask; target {TARGET:g} ms: "
                f"{'met' if max(one, many) <= TARGET else 'MISSED'}"
            )
    print("load " + ", ".join(f"{load:.2f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
