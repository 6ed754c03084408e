"""Time what every page pays for: framing and pre-processing of 1,000 crops, and the import.

Run as ``python benchmarks/imaging_speed.py``. Seconds are the machine's; the ratios travel.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from mammostudy.imaging import crop_and_resize, frame_box, paste_back, postprocess, preprocess
from mammostudy.imaging.contours import chan_vese_mask, otsu_mask

CROPS = 1_000
SHAPE = (2_000, 1_600)


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def import_seconds(code: str) -> float:
    def once() -> object:
        return subprocess.run([sys.executable, "-c", code], check=True)

    return statistics.median(seconds(once, 1) for _ in range(5))


def main() -> None:
    rng = np.random.default_rng(0)
    image = rng.random(SHAPE, dtype=np.float32)
    corners = rng.integers(0, 1_200, size=(CROPS, 2))
    sides = rng.integers(60, 400, size=(CROPS, 2))
    boxes = [
        (int(x), int(y), int(x + w), int(y + h))
        for (x, y), (w, h) in zip(corners, sides, strict=True)
    ]

    def frame(size: int) -> list[np.ndarray]:
        return [crop_and_resize(image, frame_box(box, SHAPE), size) for box in boxes]

    print(f"{CROPS} loose crops of an image of {SHAPE[1]} x {SHAPE[0]} pixels")
    for size in (64, 128, 256):
        crops = frame(size)
        masks = np.stack(crops) > 0.5
        framed = seconds(lambda size=size: frame(size), 2)
        prepared = seconds(lambda crops=crops: [preprocess(crop) for crop in crops], 2)
        cleaned = seconds(lambda masks=masks: postprocess(masks), 2)
        print(
            f"{size:4d} px: frame {framed:.2f} s, pre-process {prepared:.2f} s "
            f"({prepared / framed:.1f} x frame), post-process {cleaned:.2f} s "
            f"({cleaned / framed:.2f} x frame)"
        )
    crop = preprocess(frame(128)[0])
    otsu, chan_vese = seconds(lambda: otsu_mask(crop)), seconds(lambda: chan_vese_mask(crop))
    back = seconds(lambda: paste_back(crop, frame_box(boxes[0], SHAPE), SHAPE))
    print(f"one at 128 px: Otsu {1e3 * otsu:.1f} ms, Chan-Vese {1e3 * chan_vese:.1f} ms", end=", ")
    print(f"paste back {1e3 * back:.1f} ms")

    bare, ours = import_seconds("pass"), import_seconds("import mammostudy")
    torch = import_seconds("import torch")
    print(f"import mammostudy: {ours - bare:.3f} s over a bare start of {bare:.3f} s", end=" ")
    print(f"({(ours - bare) / (torch - bare):.1%} of import torch)")


if __name__ == "__main__":
    main()
