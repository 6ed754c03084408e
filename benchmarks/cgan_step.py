"""Time a training step of the paper's cGAN against a plain one, and against the machine's peak.

Run as ``python benchmarks/cgan_step.py [--rounds 5] [--threads 2]``, on a quiet machine.

Method. 256 pixels, width 32, 8 levels, batch 8, float32. *Ours* is the step that runs take
(:func:`mammostudy.runs.segmentation.build_trainer`). *Plain* does the same as the released code
does it: torch's usual layout and layers, gradients into D's weights during G's step too, an
optimiser that is not fused. Both start from the same weights and take turns in one process, one
step each a round after one step to warm up; the ratio is that of the medians. A matrix product of
2048 x 2048 takes its turn in every round, and its median is the machine's peak: the share of peak
is the floating-point operations of the convolutions done directly (counted by torch on a plain
step without the gradients that nobody uses) over time and peak. Part of ours goes by Winograd's
products, which are fewer: the share is of the work asked for, not of what the processor did.

Both have what a run asks of the C library (:mod:`mammostudy.runs.execute`): it is no part of the
ratio. Give ``--give-back`` to see both without it.

Before that, both take three steps with equal dropout (drawn pixel by pixel, so that the layout of
memory does not matter), and their losses must agree.

Wall time suffers from whatever else runs: the load average stands beside it, and processor time is
printed too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mammostudy.models import Discriminator, Generator
from mammostudy.models.quick_layers import keep_freed_memory
from mammostudy.runs.segmentation import build_trainer
from mammostudy.study.recipes import recipe
from mammostudy.training.loop import batch_of
from mammostudy.training.losses import dice_loss
from mammostudy.training.segmentation import Adversarial, flip_and_rotate

STEPS, TOLERANCE, SIDE = 3, 2e-3, 2048
GROUPS = {
    "convolutions and products": ("convolution", "aten::mm", "bmm", "addmm", "col2im", "im2col"),
    "batch norm": ("batch_norm",),
    "activations and dropout": ("relu", "tanh", "threshold", "clamp_min", "dropout", "bernoulli"),
    "copies and concatenation": ("copy_", "aten::cat", "fill_", "zero_", "clone", "pad"),
    "optimiser": ("adam", "addcmul", "addcdiv", "lerp", "sqrt"),
}


class Plain:
    """The step as the released code writes it."""

    def __init__(self, generator: Generator, discriminator: Discriminator) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.optimisers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (generator, discriminator)
        ]

    def step(self, images: Tensor, masks: Tensor) -> dict[str, float]:
        """Take one step of D, then one of G; return the parts of the losses."""
        ours, theirs = self.optimisers
        output = self.generator(images)
        p = (output + 1) / 2
        theirs.zero_grad()
        real = self.judge(images, masks, 1.0)
        fake = self.judge(images, p.detach(), 0.0)
        (real + fake).backward()
        theirs.step()
        ours.zero_grad()
        adversarial = self.judge(images, p, 1.0)
        overlap = dice_loss(p, masks)
        (adversarial + 150 * overlap).backward()
        ours.step()
        parts = {"discriminator_real": real, "discriminator_fake": fake}
        parts |= {"adversarial": adversarial, "overlap": overlap}
        return {name: float(part.detach()) for name, part in parts.items()}

    def judge(self, images: Tensor, masks: Tensor, wanted: float) -> Tensor:
        """Score masks; return the cross-entropy to what is wanted."""
        scores = self.discriminator(torch.cat([images, masks], dim=1))
        return functional.binary_cross_entropy(scores, torch.full_like(scores, wanted))


def dropout_by_pixel(values: Tensor, p: float, training: bool = True) -> Tensor:
    """Drop alike in any layout of memory."""
    kept = (torch.rand(values.shape) >= p).to(values.dtype) if training else 1 - p
    return values * kept / (1 - p)


def both() -> tuple[Adversarial, Plain]:
    torch.manual_seed(0)
    ours = build_trainer(recipe("phantom", "paper"))
    assert isinstance(ours, Adversarial)
    generator, discriminator = Generator(width=32, levels=8), Discriminator(width=32)
    generator.load_state_dict(ours.generator.state_dict())
    discriminator.load_state_dict(ours.discriminator.state_dict())
    return ours, Plain(generator, discriminator)


def check_equal(images: Tensor, masks: Tensor) -> float:
    """Take some steps with both; return the largest relative difference of a loss."""
    worst, steppers = 0.0, both()
    with mock.patch("mammostudy.models.generator.F.dropout", dropout_by_pixel):
        for at in range(STEPS):
            losses = []
            for stepper in steppers:
                torch.manual_seed(at)
                losses.append(stepper.step(images, masks))
            one, other = losses
            worst = max(worst, *(abs(one[k] - other[k]) / abs(other[k]) for k in other))
    assert worst < TOLERANCE, f"losses differ by {worst:.1e}"
    return worst


def operations(images: Tensor, masks: Tensor) -> int:
    """Count the floating-point operations that a step asks for."""
    torch.manual_seed(0)
    generator, discriminator = Generator(width=32, levels=8), Discriminator(width=32)
    ours = build_trainer(recipe("phantom", "paper"))
    assert isinstance(ours, Adversarial)
    ours.generator, ours.discriminator = generator, discriminator
    with FlopCounterMode(display=False) as counter:
        ours.step(images, masks)
    return counter.get_total_flops()


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def shares(call: Callable[[], object]) -> str:
    """Say where the time of a call goes."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        call()
    spent: Counter[str] = Counter()
    for event in recorded.key_averages():
        name = event.key.lower()
        known = (group for group, words in GROUPS.items() if any(word in name for word in words))
        spent[next(known, "the rest")] += event.self_cpu_time_total
    total = sum(spent.values())
    return ", ".join(f"{name} {value / total:.0%}" for name, value in spent.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--give-back", action="store_true", help="memory that is freed")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if not chosen.give_back:
        keep_freed_memory()
    torch.manual_seed(0)
    images = torch.rand(8, 1, 256, 256)
    masks = (torch.rand(images.shape) > 0.7).float()
    print(f"losses of {STEPS} steps agree to {check_equal(images, masks):.1e}", flush=True)
    work = operations(images, masks)
    ours, plain = both()
    square = torch.rand(SIDE, SIDE)
    pool = images.repeat(5, 1, 1, 1)

    def load() -> None:
        rows = batch_of(len(pool), 3, 8, 0)
        flip_and_rotate(pool[rows], pool[rows], 3, 0)

    calls: dict[str, Callable[[], object]] = {
        "plain": lambda: plain.step(images, masks),
        "ours": lambda: ours.step(images, masks),
        "peak": lambda: square @ square,
        "loader": load,
    }
    for call in calls.values():
        call()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(chosen.rounds):
        for name, call in calls.items():
            times[name].append(timed(call))
    for at, clock in enumerate(("wall", "processor")):
        medians = {name: statistics.median(t[at] for t in found) for name, found in times.items()}
        peak = 2 * SIDE**3 / medians["peak"]
        share = {name: work / medians[name] / peak for name in ("plain", "ours")}
        print(
            f"{clock} time of a step: plain {medians['plain']:.2f} s ({share['plain']:.0%} of "
            f"peak), ours {medians['ours']:.2f} s ({share['ours']:.0%}), ratio "
            f"{medians['plain'] / medians['ours']:.2f}; loader "
            f"{medians['loader'] / medians['ours']:.2%} of a step; peak {peak / 1e9:.0f} GFLOP/s"
        )
        if clock == "wall":
            last = medians, share
    print(f"profile of plain: {shares(calls['plain'])}")
    print(f"profile of ours: {shares(calls['ours'])}")
    print(f"{work / 1e9:.0f} GFLOP a step; load {', '.join(f'{x:.1f}' for x in os.getloadavg())}")
    medians, share = last
    print(
        f"{chosen.threads} threads: {medians['plain'] / medians['ours']:.2f} x plain, "
        f"{share['ours']:.0%} of peak"
    )


if __name__ == "__main__":
    main()
