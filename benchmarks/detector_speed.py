"""Time the detectors: images a second, a training step, an epoch, memory, parameters.

Run as ``python benchmarks/detector_speed.py [--views N] [--study] [names ...]`` on a quiet machine:
two threads that share their cores with other work wait for each other and fall below one. Without
names, the light ones run; ``all`` runs every detector. First come the detectors as published, at
320 px; then (``--study``: these alone) those of ``mammostudy.study.recipes``: 256 px, SSD300
at its 300, Faster R-CNN, RetinaNet and FCOS with a ResNet-18, each step in seconds of one core
beside the ``STEP_SECONDS`` that the recipes reckon with. An epoch is the steps of four views that
show ``N`` views once (default 120, about what a fold of CDD-CESM trains on), reckoned from the
median step. Each detector has a process of its own at each number of threads, so that the memory
(the most held until then) is its own too. Times are
the machine's; the ratios (detector against detector, threads against threads) travel.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mammostudy.models import build_detector, detector_names
from mammostudy.models.detectors.common import Detector
from mammostudy.runs.kinds import DetectSpec
from mammostudy.study import recipes

STEP_SECONDS = {
    "ssd300-vgg16": 6.75,
    "ssd-light": 0.20,
    "ssdlite-mobilenetv3": 0.44,
    "faster-rcnn": 4.6,
    "retinanet": 2.1,
    "fcos": 2.1,
}
"""Seconds of one core for a step of four views, by which the budget of equal time (150 s) is cut
into steps; ``ssd-light`` of width 32, half of that at width 16."""
LIGHT = ("ssd-light", "ssdlite-mobilenetv3")
SIDE, STEP_BATCH, ROUNDS, VIEWS = 320, 4, 5, 120
SIDES = (0.04, 0.06, 0.09, 0.13, 0.2)  # of masses, for anchors of the cohort


def images(count: int, side: int = SIDE) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, side, side, generator=generator) for _ in range(count)]


def targets(count: int, side: int = SIDE) -> list[dict[str, Tensor]]:
    box = torch.tensor([[0.44, 0.47, 0.53, 0.56]]) * side  # 9 % of the side
    return [{"boxes": box, "labels": torch.ones(1, dtype=torch.int64)} for _ in range(count)]


def median_seconds(
    task: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    task()  # the first one also sets up memory
    times = []
    for _ in range(ROUNDS):
        start = clock()
        task()
        times.append(clock() - start)
    return statistics.median(times)


def step_seconds(model: Detector, clock: Callable[[], float] = time.perf_counter) -> float:
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)
    batch, truth = images(STEP_BATCH, model.size), targets(STEP_BATCH, model.size)

    def step() -> None:
        optimiser.zero_grad()
        sum(model(batch, truth).values()).backward()
        optimiser.step()

    return median_seconds(step, clock)


def epoch(step: float, views: int) -> str:
    seconds = math.ceil(views / STEP_BATCH) * step
    return f"an epoch of {views} views {seconds:.0f} s"


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@torch.inference_mode()
def image_seconds(name: str, batch: int) -> float:
    torch.manual_seed(0)
    model = build_detector(name).eval()
    shown = images(batch)
    return median_seconds(lambda: model(shown)) / batch


def measure(threads: int, name: str, views: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    parameters = sum(weights.numel() for weights in build_detector(name).parameters())
    one, at_one = image_seconds(name, 1), peak()
    eight, at_eight = image_seconds(name, 8), peak()
    step = step_seconds(build_detector(name))
    print(
        f"{name}, {parameters / 1e6:.1f} million parameters, {threads} thread(s): "
        f"batch 1 {1 / one:.1f} images/s, {at_one:.0f} MB; "
        f"batch 8 {1 / eight:.1f} images/s, {at_eight:.0f} MB; "
        f"a step of {STEP_BATCH} {step:.2f} s ({step / STEP_BATCH / eight:.1f} x a prediction an "
        f"image), {peak():.0f} MB, {epoch(step, views)}",
        flush=True,
    )


def of_study(name: str) -> list[tuple[str, DetectSpec, float]]:
    """The detectors of the study by this name, and the seconds of a step in its recipes."""
    known = recipes.detector_steps("cdd-cesm", "reference")[recipes.LONG]
    rows = [row for row in known if recipes.DETECTORS[row]["name"] == name]
    seconds = STEP_SECONDS[name]
    found = [(row, recipes.detect_recipe("cdd-cesm", "reference", row), seconds) for row in rows]
    if name == "ssd-light":
        found.append((rows[0], recipes.detect_recipe("phantom", "quick"), seconds / 2))
    return found


def measure_study(name: str, views: int) -> None:
    torch.set_num_threads(1)
    for row, spec, reckoned in of_study(name):
        torch.manual_seed(0)
        model = build_detector(name, **spec.fields(SIDES))
        step = step_seconds(model, time.process_time)
        trunk = f", {spec.detector.trunk}" if "trunk" in spec.fields(SIDES) else ""
        width = f", width {spec.detector.width}" if row == recipes.LIGHT else ""
        print(
            f"  {row}{trunk}{width}, {spec.detector.size} px, 1 thread: a step of {STEP_BATCH} "
            f"{step:.2f} s of the core (the recipes reckon with {reckoned:.2f}), "
            f"{epoch(step, views)}; peak "
            f"memory {peak():.0f} MB",
            flush=True,
        )


def alone(task: Callable[[str, int], None], name: str, views: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=task, args=(name, views))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the detectors.")
    parser.add_argument("names", nargs="*", default=LIGHT)
    parser.add_argument("--views", type=int, default=VIEWS, help="views of an epoch")
    parser.add_argument("--study", action="store_true", help="those of the study alone")
    given = parser.parse_args()
    names = detector_names() if list(given.names) == ["all"] else given.names
    if not given.study:
        print(f"{SIDE} x {SIDE} pixels, a mass an image; a bare start is part of the memory")
        for name, threads in itertools.product(names, (1, 2)):
            alone(partial(measure, threads), name, given.views)
    print("as the study trains them")
    for name in names:
        alone(measure_study, name, given.views)
    print("load " + ", ".join(f"{load:.2f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
