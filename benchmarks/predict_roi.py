"""Time the prediction of one ROI: the exported segmenter against torch.

Run as ``python benchmarks/predict_roi.py [--rounds 8] [--threads 2]``, on a quiet machine, with
the extra ``export``.

Method. The paper's generator (256 pixels, width 32, 8 levels, dropout off) with batch-norm
statistics of a few random batches; one ROI a call, as ``predict`` frames them. *Eager* is the model
that torch runs, *exported* what :mod:`mammostudy.exported` makes of it. They take turns in one
process, six calls a turn, and so does a matrix product of 2048 x 2048, the machine's peak; the
first call of a turn is not counted, for the threads of the one before still wait beside it (a
program predicts by one of them alone). Ratios are of medians.
The share of peak is the convolutions' floating-point operations over time and peak. The two must
agree to 1e-5 of a probability. Wall time suffers from whatever else runs: the load average stands
beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from mammostudy.exported import TOLERANCE
from mammostudy.models import build_segmenter
from mammostudy.models.onnx import onnx_session, write_onnx

SIDE, BLOCK = 2048, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    model = build_segmenter("cgan", width=32, levels=8)
    roi, square = torch.rand(1, 1, 256, 256), torch.rand(SIDE, SIDE)
    with torch.inference_mode():
        for _ in range(3):
            model(torch.rand(4, 1, 256, 256))
        model.eval()
        with FlopCounterMode(display=False) as counter:
            expected = model(roi)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            with torch.inference_mode(mode=False):
                write_onnx(model, roi.clone(), path)
            exported = onnx_session(path)
            worst = float((exported(roi) - expected).abs().max()) / 2
        assert worst <= TOLERANCE, f"the export differs by {worst:.1e}"
        print(f"probabilities agree to {worst:.1e}", flush=True)
        calls: dict[str, Callable[[], object]] = {
            "eager": lambda: model(roi),
            "exported": lambda: exported(roi),
            "peak": lambda: square @ square,
        }
        for call in calls.values():
            call()
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for _ in range(chosen.rounds):
            for name, call in [(n, c) for n, c in calls.items() for _ in range(BLOCK)]:
                wall, processor = time.perf_counter(), time.process_time()
                call()
                spent = time.perf_counter() - wall, time.process_time() - processor
                times[name].append(spent)
    lines = []
    for at, clock in enumerate(("wall", "processor")):
        medians = {
            name: statistics.median(t[at] for i, t in enumerate(found) if i % BLOCK)
            for name, found in times.items()
        }
        share = counter.get_total_flops() / medians["exported"] / (2 * SIDE**3 / medians["peak"])
        lines.append(
            f"{medians['eager'] / medians['exported']:.2f} x eager, "
            f"{1 / medians['exported']:.1f} ROI/s, {share:.0%} of peak"
        )
        print(f"{clock} time of an ROI: eager {medians['eager'] * 1e3:.0f} ms, {lines[-1]}")
    print(f"load {', '.join(f'{x:.1f}' for x in os.getloadavg())}")
    print(f"{chosen.threads} threads: {lines[0]}")


if __name__ == "__main__":
    main()
