"""Time a training step of the paper's cGAN at the size of the ``quick`` preset.

Run as ``python benchmarks/training_step.py``, on a quiet machine: two threads that share
their cores with other work wait for each other and fall below one. Samples a second are the
machine's; the ratios (threads against threads, cGAN against no adversary) travel.
"""

from __future__ import annotations

import statistics
import time

import torch

from mammostudy.runs.segmentation import build_trainer
from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import recipe

ROUNDS = 8


def samples_per_second(spec: RunSpec, threads: int) -> float:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    size, batch = spec.frame.size, spec.optimiser.batch
    images = torch.rand(batch, spec.model.channels, size, size)
    masks = (torch.rand(images.shape) > 0.7).float()
    trainer = build_trainer(spec)
    trainer.step(images, masks)  # the first one also sets up memory
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        trainer.step(images, masks)
        times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def main() -> None:
    spec = recipe("phantom", "quick")
    print(f"{spec.frame.size} px, width {spec.model.width}, batch {spec.optimiser.batch}")
    speeds = {}
    alone = spec.changed(loss__adversarial_weight=0.0)
    for name, chosen in (("cGAN", spec), ("no adversary", alone)):
        for threads in (1, 2):
            speeds[name, threads] = samples_per_second(chosen, threads)
            print(f"{name}, {threads} thread(s): {speeds[name, threads]:.1f} samples/s")
    print(
        f"2 threads against 1: {speeds['cGAN', 2] / speeds['cGAN', 1]:.2f} x; "
        f"no adversary against cGAN: {speeds['no adversary', 1] / speeds['cGAN', 1]:.2f} x"
    )


if __name__ == "__main__":
    main()
