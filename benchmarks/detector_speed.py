"""Time the detectors: images a second at batch 1 and 8, a training step, memory, parameters.

Run as ``python benchmarks/detector_speed.py [names ...]`` on a quiet machine: two threads that
share their cores with other work wait for each other and fall below one. Without names, the light
ones run; ``all`` runs every detector. Each has a process of its own, so that the memory is its
own too. Times are the machine's; the ratios (detector against detector, threads against threads)
travel.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mammostudy.models import build_detector, detector_names

LIGHT = ("ssd-light", "ssdlite-mobilenetv3")
SIDE, STEP_BATCH, ROUNDS = 320, 4, 5


def images(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, SIDE, SIDE, generator=generator) for _ in range(count)]


def targets(count: int) -> list[dict[str, Tensor]]:
    box = torch.tensor([[140.0, 150.0, 170.0, 178.0]])  # 9 % of the side
    return [{"boxes": box, "labels": torch.ones(1, dtype=torch.int64)} for _ in range(count)]


def median_seconds(task: Callable[[], object]) -> float:
    task()  # the first one also sets up memory
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def step_seconds(name: str) -> float:
    torch.manual_seed(0)
    model = build_detector(name).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
    batch, truth = images(STEP_BATCH), targets(STEP_BATCH)

    def step() -> None:
        optimiser.zero_grad()
        sum(model(batch, truth).values()).backward()
        optimiser.step()

    return median_seconds(step)


@torch.inference_mode()
def image_seconds(name: str, batch: int) -> float:
    torch.manual_seed(0)
    model = build_detector(name).eval()
    shown = images(batch)
    return median_seconds(lambda: model(shown)) / batch


def measure(name: str) -> None:
    parameters = sum(weights.numel() for weights in build_detector(name).parameters())
    print(f"{name}: {parameters / 1e6:.1f} million parameters")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        one, eight = (image_seconds(name, batch) for batch in (1, 8))
        predicted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        step = step_seconds(name)
        trained = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"  {threads} thread(s): {1 / one:.1f} images/s at batch 1, {1 / eight:.1f} at batch "
            f"8; a step of {STEP_BATCH} {step:.2f} s ({step / STEP_BATCH / eight:.1f} x a "
            f"prediction an image); peak memory so far {predicted:.0f} MB, with steps "
            f"{trained:.0f} MB",
            flush=True,
        )


def main() -> None:
    names = tuple(sys.argv[1:]) or LIGHT
    names = tuple(detector_names()) if names == ("all",) else names
    print(f"{SIDE} x {SIDE} pixels, a mass an image; a bare start is part of the memory")
    for name in names:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(name,))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)
    print("load " + ", ".join(f"{load:.2f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
