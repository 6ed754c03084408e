"""A cohort of eight patients in a folder, and a run on it that takes a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.cohort import Cohort, load_cohort
from mammostudy.data.manifest import write_manifest
from mammostudy.runs.spec import RunSpec, parse_spec

SIDE = 64


def mass_row(
    case: str, patient: str, image: Path, box: tuple[int, int, int, int]
) -> dict[str, Any]:
    """A manifest row of a square mass in ``masks/<image>.png``."""
    return {
        "case": case, "patient": patient, "site": "one", "image": f"images/{image.name}",
        "height": SIDE, "width": SIDE, "view": "CC", "side": "L", "modality": "DM",
        "x_min": box[0], "y_min": box[1], "x_max": box[2], "y_max": box[3],
        "mask": f"masks/{image.name}", "mask_label": int(case[-1]), "outline": None,
        "spacing_mm": None, "shape": None, "pathology": "unknown", "subtype": None,
        "image_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
    }  # fmt: skip


def write_tiny(folder: Path, *, twins: bool = False) -> None:
    """Write eight patients with an image of two square masses each; twins share their pixels."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = []
    for number in range(8):
        rng = np.random.default_rng(0 if twins else number)
        labels = np.zeros((SIDE, SIDE), np.uint8)
        boxes = []
        for label, corner in ((1, 8), (2, 36)):
            x, y = (corner + rng.integers(0, 6, 2)).tolist()
            width, height = rng.integers(10, 18, 2).tolist()
            labels[y : y + height, x : x + width] = label
            boxes.append((x, y, x + width, y + height))
        pixels = 90 * (labels > 0) + rng.integers(0, 120, labels.shape)
        path = folder / "images" / f"p{number}.png"
        cv2.imwrite(str(path), pixels.astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / path.name), labels)
        rows += [mass_row(f"p{number}-{n + 1}", f"p{number}", path, b) for n, b in enumerate(boxes)]
    write_manifest(pd.DataFrame(rows), folder / "manifest.csv")


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, a store and a data folder of this test alone."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "study.yaml").touch()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def tiny(own_folders: Path) -> Cohort:
    """The cohort ``tiny``."""
    write_tiny(own_folders / "data" / "tiny")
    return load_cohort("tiny")


@pytest.fixture
def tiny_twins(own_folders: Path) -> Cohort:
    """The cohort ``tiny``, every image the same."""
    write_tiny(own_folders / "data" / "tiny", twins=True)
    return load_cohort("tiny")


@pytest.fixture
def tiny_spec() -> RunSpec:
    """Two iterations of a small cGAN on ``tiny``."""
    return parse_spec(
        {
            "cohort": "tiny",
            "split": {"folds": 4, "validation_folds": 3},
            "frame": {"size": 32},
            "model": {"width": 2, "levels": 5},
            "optimiser": {"iterations": 2, "batch": 4, "validations": 2},
        }
    )


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
