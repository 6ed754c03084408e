"""Small cohorts in a folder, and runs on them that take a moment."""

import hashlib
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import COLUMNS, write_manifest
from mammostudy.runs.execute import ensure
from mammostudy.runs.kinds import SOURCES, DetectSpec, ShapeSpec
from mammostudy.runs.masks import native_masks
from mammostudy.runs.spec import RunSpec

SIDE = 64


def write_squares(folder, images):
    """Write images of square masses, each a table of boxes by case, and their manifest."""
    rows = []
    for number, (name, boxes) in enumerate(images.items()):
        labels = np.zeros((SIDE, SIDE), np.uint8)
        for label, (case, (left, top, right, low)) in enumerate(boxes.items(), start=1):
            labels[top:low, left:right] = label
            rows.append(
                {
                    "case": case, "patient": name, "site": "one", "image": f"images/{name}.png",
                    "height": SIDE, "width": SIDE, "view": "CC", "side": "L", "modality": "DM",
                    "x_min": left, "y_min": top, "x_max": right, "y_max": low,
                    "mask": f"masks/{name}.png", "mask_label": label, "pathology": "unknown",
                }
            )  # fmt: skip
        noise = np.random.default_rng(number).integers(0, 120, labels.shape)
        for room, pixels in (
            ("images", (90 * (labels > 0) + noise).astype(np.uint8)),
            ("masks", labels),
        ):
            (folder / room).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / room / f"{name}.png"), pixels)
    table = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    files = [(folder / image).read_bytes() for image in table["image"]]
    table["image_sha256"] = [hashlib.sha256(file).hexdigest() for file in files]
    write_manifest(table, folder / "manifest.csv")
    return load_cohort(folder.name, folder.parent)


@pytest.fixture(name="write_squares")
def _write_squares():
    """Return ``write(folder, images)`` of cohorts of square masses."""
    return write_squares


@pytest.fixture
def own_folders(tmp_path, monkeypatch):
    """A project, a store and a data folder of this test alone."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "study.yaml").touch()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    return tmp_path


def two_boxes(number):
    """A box in the upper left and one in the lower right of an image."""
    rng, boxes = np.random.default_rng(number), {}
    for label, corner in ((1, 8), (2, 36)):
        x, y = (corner + rng.integers(0, 6, 2)).tolist()
        width, height = rng.integers(10, 18, 2).tolist()
        boxes[f"p{number}-{label}"] = (x, y, x + width, y + height)
    return boxes


@pytest.fixture
def tiny(own_folders):
    """The cohort ``tiny``: eight patients with an image of two square masses each."""
    return write_squares(
        own_folders / "data" / "tiny", {f"p{number}": two_boxes(number) for number in range(8)}
    )


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


@pytest.fixture(scope="session")
def _shaped(tmp_path_factory, write_cohort):
    data, store = tmp_path_factory.mktemp("shaped-data"), tmp_path_factory.mktemp("shaped-store")
    write_cohort(data, patients=18)
    changes = {"split__folds": 3, "optimiser__iterations": 1, "optimiser__validations": 1}
    runs = tuple(TINY.changed(**changes, split__fold=fold) for fold in range(3))
    spec = ShapeSpec.parse(
        {
            "cohort": "tiny",
            "classes": ("irregular", "round"),
            "split": {"folds": 3, "validation_folds": 3},
            "training": {"epochs": 2, "batch": 8},
            "evaluation": {"sources": SOURCES},
            "segmenter": runs,
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(store))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        cohort = load_cohort("tiny")
        ensure(runs, workers=1, progress=False)
        for source in SOURCES:
            native_masks(cohort, source, runs)
    return SimpleNamespace(cohort=cohort, store=store, runs=runs, spec=spec)


@pytest.fixture
def shaped(_shaped, tmp_path, monkeypatch):
    """18 patients, odd ones round; segmenters of three folds on record, a shape run's spec."""
    shutil.copytree(_shaped.store, tmp_path / "shaped")
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "shaped"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_shaped.cohort.root.parent))
    return _shaped


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
