"""Time and memory of ``mammostudy data check`` on a made table.

``python benchmarks/check_speed.py 20000 2000 256 256``: rows, images, their height and width.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mammostudy.data.manifest import COLUMNS


def make(folder: Path, rows: int, images: int, height: int, width: int) -> None:
    """Write a cohort: each image shows its share of the masses, which are labels of one mask."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    rng, table = np.random.default_rng(0), []
    each = rows // images
    for number in range(images):
        coarse = rng.standard_normal((9, 7)).astype(np.float32)
        tissue = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        breast = np.hypot((y - rng.uniform(0.4, 0.6)) / 0.48, x / rng.uniform(0.5, 0.9)) < 1
        fine = rng.standard_normal((height, width), np.float32)
        drawn = np.clip(breast * (120 + 30 * tissue + 6 * fine), 0, 255).astype(np.uint8)
        mask, name = np.zeros_like(drawn), f"{number:06}"
        _, content = cv2.imencode(".png", drawn)
        (folder / "images" / f"{name}.png").write_bytes(content)
        side = min(height, width) // (2 * each + 2)
        for label in range(1, each + 1):
            top = 2 * label * side
            mask[top : top + side, side : 2 * side] = label
            box = dict(zip(("x_min", "y_min"), (side, top), strict=True))
            box |= dict(zip(("x_max", "y_max"), (2 * side, top + side), strict=True))
            table.append({
                "case": f"{name}_{label}", "patient": f"P{number // 4}", "site": "made",
                "image": f"images/{name}.png", "height": height, "width": width, "view": "CC",
                "side": "L", "modality": "DM", "mask": f"masks/{name}.png", "mask_label": label,
                "pathology": "unknown", "image_sha256": hashlib.sha256(content).hexdigest(), **box,
            })  # fmt: skip
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    pd.DataFrame(table, columns=list(COLUMNS)).to_csv(folder / "manifest.csv", index=False)


def main() -> None:
    """Make the cohort, check it, and print what it took."""
    with tempfile.TemporaryDirectory() as base:
        make(Path(base, "made"), *map(int, sys.argv[1:]))
        began, command = time.perf_counter(), [sys.executable, "-m", "mammostudy.cli"]
        subprocess.run([*command, "data", "check", "made", "--root", base], check=True)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{time.perf_counter() - began:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU")
        print(f"{used.ru_maxrss / 1024:.0f} MiB at most in one process, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
