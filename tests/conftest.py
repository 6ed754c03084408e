"""Shared fixtures: a private store for every test session, and the real data where it is found."""

import hashlib
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import hypothesis
import numpy as np
import pandas as pd
import pytest

HEIGHT, WIDTH = 48, 64
hypothesis.settings.register_profile("no clock", deadline=None)  # machines are shared
hypothesis.settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def private_store(tmp_path_factory, monkeypatch):
    """Send records, caches and phantoms of the tests to a folder of their own."""
    store = tmp_path_factory.getbasetemp() / "store"
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    return store


@pytest.fixture
def real_data():
    """The folder of real cohorts that ``MAMMOSTUDY_DATA`` names; skips where there is none."""
    root = os.environ.get("MAMMOSTUDY_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("MAMMOSTUDY_DATA does not name a folder of real cohorts")
    return Path(root)


def _write_cohort(root, name="tiny", patients=6):
    from mammostudy.data.manifest import COLUMNS, write_manifest

    folder, rows = root / name, []
    for room in ("images", "masks"):
        (folder / room).mkdir(parents=True, exist_ok=True)
    for patient in range(patients):
        for view in ("CC", "MLO"):
            rows += _write_view(folder, patient, view)
    free = rows[-1] | dict.fromkeys(("x_min", "y_min", "x_max", "y_max", "mask_label"))
    free |= {"mask": None, "outline": None, "shape": None, "case": "free", "view": "ML"}
    rows.append(free | _write_image(folder, "free", np.zeros((HEIGHT, WIDTH), np.uint8), 999))
    write_manifest(pd.DataFrame(rows)[list(COLUMNS)], folder / "manifest.csv")
    return folder


def _write_image(folder, name, labels, seed):
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    pixels = 90 + 25 * smooth / smooth.std() + 70 * (labels > 0)
    path = folder / "images" / f"{name}.png"
    cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"image": f"images/{name}.png", "image_sha256": digest}


def _write_view(folder, patient, view):
    name = f"P{patient}_{view}"
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    centres = [(22 + patient, 20 + patient % 3)]
    if name == "P0_CC":
        centres.append((36, 24))
    for label, centre in enumerate(centres, start=1):
        cv2.ellipse(labels, centre, (6 + patient % 2, 5), 0, 0, 360, label, -1)
    shared = _write_image(folder, name, labels, 2 * patient + (view == "CC"))
    shared |= {
        "patient": f"P{patient}", "site": "north" if patient % 2 else "south", "height": HEIGHT,
        "width": WIDTH, "view": view, "side": "L", "modality": "DM", "spacing_mm": 0.5,
        "shape": "round" if patient % 2 else "irregular", "pathology": "malignant",
        "subtype": None, "mask": None, "mask_label": None, "outline": None,
    }  # fmt: skip
    rows = []
    for label in range(1, len(centres) + 1):
        y, x = np.nonzero(labels == label)
        box = {"x_min": x.min(), "y_min": y.min(), "x_max": x.max() + 1, "y_max": y.max() + 1}
        row = shared | box | {"case": f"{name}_{label}"}
        if view == "CC":
            cv2.imwrite(str(folder / "masks" / f"{name}.png"), labels)
            row |= {"mask": f"masks/{name}.png", "mask_label": label}
        else:
            outline = cv2.findContours(labels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
            row |= {"outline": json.dumps(outline[:, 0].tolist())}
        rows.append(row)
    return rows


@pytest.fixture(scope="session")
def write_cohort():
    """Return ``write(root, name="tiny", patients=6)``: writes a small cohort, returns its folder.

    Two views of 48 x 64 pixels a patient with a mass each (CC: a label mask, MLO: an outline); the
    first CC view shows a second mass, and one further view shows none: 13 masses of 6 patients.
    """
    return _write_cohort


@pytest.fixture
def ended():
    """Return ``ended(process, number, group)``: send a signal, give the seconds until all is gone.

    All are the process and what it started; a ``group`` gets the signal as from a terminal.
    """

    psutil = pytest.importorskip("psutil")

    def lives(one):
        try:
            return one.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def end(process, number, group=False):
        top = psutil.Process(process.pid)
        everyone, began = [top, *top.children(recursive=True)], time.monotonic()
        os.killpg(process.pid, number) if group else os.kill(process.pid, number)
        while any(map(lives, everyone)) and time.monotonic() - began < 60:
            process.poll()
            time.sleep(0.05)
        for one in filter(lives, everyone):
            one.kill()
        return time.monotonic() - began

    return end


@pytest.fixture
def own_store(tmp_path, monkeypatch):
    """An empty store that no other test shares."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "own-store"))
    return tmp_path / "own-store"


@pytest.fixture(scope="session")
def _trained(tmp_path_factory, write_cohort):
    data, store = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("trained")
    write_cohort(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(store))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        from mammostudy.runs.execute import execute
        from mammostudy.study.recipes import recipe

        spec = recipe(
            "tiny", "smoke", "study", frame__size=32, model__levels=5, optimiser__iterations=2
        )
        record = execute(spec, progress=False)
        return SimpleNamespace(data=data, store=store, record=record)


@pytest.fixture
def trained(_trained, monkeypatch):
    """A store with one trained ``study`` model (two iterations on 32-pixel frames), put to work.

    ``data`` is a folder with the cohort ``tiny``, ``store`` the store, ``record`` was made there.
    """
    from mammostudy.runs import choice

    monkeypatch.setattr(choice, "LEAST", dict.fromkeys(choice.LEAST, 0))
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(_trained.store))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_trained.data))
    return _trained


@pytest.fixture(scope="session")
def write_views(write_cohort):
    """Return ``write(root, name="views", patients=12, free=4)``: a cohort for detectors.

    As ``write_cohort``, but the last ``free`` patients show no mass in any view (as do the views
    named ``free`` and the MLO of P1, whose CC has one), and odd patients are right breasts.
    """

    def write(root, name="views", patients=12, free=4):
        folder = write_cohort(root, name, patients)
        table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        number = table["patient"].str[1:].astype(int)
        empty = (number >= patients - free) | (table["case"] == "P1_MLO_1")
        gone = ["x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline", "shape"]
        table.loc[empty, gone] = ""
        table.loc[number % 2 == 1, "side"] = "R"
        table.to_csv(folder / "manifest.csv", index=False)
        return folder

    return write
