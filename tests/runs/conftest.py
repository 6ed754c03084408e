"""Small cohorts in a folder, and runs on them that take a moment."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import write_manifest
from mammostudy.runs.execute import ensure
from mammostudy.runs.kinds import SOURCES, DetectSpec, ShapeSpec
from mammostudy.runs.masks import native_masks
from mammostudy.runs.spec import RunSpec

SIDE = 64


def mass_row(case, patient, image, box):
    """A manifest row of a square mass in ``masks/<image>.png``."""
    return {
        "case": case, "patient": patient, "site": "one", "image": f"images/{image.name}",
        "height": SIDE, "width": SIDE, "view": "CC", "side": "L", "modality": "DM",
        "x_min": box[0], "y_min": box[1], "x_max": box[2], "y_max": box[3],
        "mask": f"masks/{image.name}", "mask_label": int(case[-1]), "outline": None,
        "spacing_mm": None, "shape": None, "pathology": "unknown", "subtype": None,
        "image_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
    }  # fmt: skip


def write_tiny(folder):
    """Write eight patients with an image of two square masses each."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = []
    for number in range(8):
        rng = np.random.default_rng(number)
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
def own_folders(tmp_path, monkeypatch):
    """A project, a store and a data folder of this test alone."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "study.yaml").touch()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def tiny(own_folders):
    """The cohort ``tiny``."""
    write_tiny(own_folders / "data" / "tiny")
    return load_cohort("tiny")


TINY = RunSpec.parse(
    {
        "cohort": "tiny",
        "split": {"folds": 4, "validation_folds": 3},
        "frame": {"size": 32},
        "model": {"width": 2, "levels": 5},
        "optimiser": {"iterations": 2, "batch": 4, "validations": 2},
    }
)


@pytest.fixture
def tiny_spec():
    """Two iterations of a small cGAN on ``tiny``."""
    return TINY


@pytest.fixture
def one():
    """Run one spec in this process, and what it works on before it."""
    return lambda spec: ensure([spec], workers=1, progress=False)[0]


@pytest.fixture
def refuse():
    """Stand in for what must not run: it raises RuntimeError, ``ran``."""

    def ran(*_, **__):
        raise RuntimeError("ran")

    return ran


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shaped_specs():
    """Segmenters of the three folds of ``tiny``, and a shape run on masks of every source."""
    changes = {"split__folds": 3, "optimiser__iterations": 1, "optimiser__validations": 1}
    runs = tuple(TINY.changed(**changes, split__fold=fold) for fold in range(3))
    shape = ShapeSpec.parse(
        {
            "cohort": "tiny",
            "classes": ("irregular", "round"),
            "split": {"folds": 3, "validation_folds": 3},
            "training": {"epochs": 2, "batch": 8},
            "evaluation": {"sources": SOURCES},
            "segmenter": runs,
        }
    )
    return runs, shape


@dataclass(frozen=True)
class Shaped:
    """The cohort ``tiny`` of 18 patients, odd ones round, and what was run on it."""

    cohort: Cohort  # 37 masses
    store: Path  # where ``runs`` have their records
    runs: tuple[RunSpec, ...]  # segmenters, one a fold
    spec: ShapeSpec  # on ``truth``, tested on all sources


@pytest.fixture(scope="session")
def _shaped(tmp_path_factory, write_cohort):
    data, store = tmp_path_factory.mktemp("shaped-data"), tmp_path_factory.mktemp("shaped-store")
    write_cohort(data, patients=18)
    runs, spec = shaped_specs()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(store))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        cohort = load_cohort("tiny")
        ensure(runs, workers=1, progress=False)
        for source in SOURCES:
            native_masks(cohort, source, runs)
    return Shaped(cohort, store, runs, spec)


@pytest.fixture
def shaped(_shaped, tmp_path, monkeypatch):
    """``tiny`` with segmenters and masks, in a copy of their store that this test alone uses."""
    store = tmp_path / "shaped"
    shutil.copytree(_shaped.store, store)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_shaped.cohort.root.parent))
    return replace(_shaped, store=store)


VIEWS = DetectSpec.parse(
    {
        "cohort": "views",
        "variant": "study",
        "split": {"folds": 3, "validation_folds": 4},
        "detector": {"name": "ssd-light", "size": 64, "width": 8, "aspect": "letterbox"},
        "training": {"iterations": 4, "batch": 4, "validations": 2},
    }
)


@pytest.fixture(scope="session")
def _searched(tmp_path_factory, write_views):
    root = tmp_path_factory.mktemp("searched")
    write_views(root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(root / "store"))
        patch.setenv("MAMMOSTUDY_DATA", str(root / "data"))
        ensure([VIEWS], workers=1, progress=False)
    return root


@pytest.fixture
def searched(_searched, own_folders, monkeypatch):
    """Twelve patients, four without a mass; 25 views of 48 x 64 pixels; a detector on record."""
    shutil.copytree(_searched / "store", own_folders / "store")
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_searched / "data"))
    return SimpleNamespace(cohort=load_cohort("views"), spec=VIEWS)
