"""Detection records made by hand, for the tests of every page that reads them.

``write_detection(spec, ...)`` writes one fold: four patients with two test views each, the second
of each patient without a mass, and one mass in each first view; validation holds two such patients.
Take it from the fixture ``write_detection`` (conftest).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammostudy.data.views import ViewSet
from mammostudy.runs.detection_rows import judged_rows
from mammostudy.runs.record import read_record, write_record

SIDE = 200
PATIENTS = {"test": 4, "validation": 2}
MASS = (40.0, 60.0, 80.0, 100.0)  # the mass of the first patient; each further one is 10 px larger
HASH = "0" * 16


def mass_of(patient):
    x_min, y_min, x_max, y_max = MASS
    return x_min, y_min, x_max + 10 * patient, y_max + 10 * patient


def views_of_part(part, fold):
    rows, boxes, cases = [], [], []
    for patient in range(PATIENTS[part]):
        for held in (True, False):
            name = f"{part[0]}{fold}-{patient}-{'mass' if held else 'free'}"
            place = {"patient": f"{part[0]}{fold}-{patient}", "site": "s", "side": "L"}
            rows.append({"name": name, **place, "height": SIDE, "width": SIDE, "image": name})
            boxes.append(np.array([mass_of(patient)] if held else np.zeros((0, 4)), np.float32))
            cases.append((f"{name}-case",) if held else ())
    return ViewSet(pd.DataFrame(rows).set_index("name"), tuple(boxes), tuple(cases))


def boxes_of_part(part, *, found, false, shift=0.0):
    """Boxes of each view: the first ``found`` masses at falling scores, then false ones.

    Args:
        part: ``test`` or ``validation``.
        found: patients, from the first on, whose mass gets a box (scores 0.9, 0.8, ...).
        false: false boxes of every view, scores 0.5, 0.45, ...
        shift: of the hits to the right, pixels.
    """
    boxes, scores = [], []
    for patient in range(PATIENTS[part]):
        for held in (True, False):
            x_min, y_min, x_max, y_max = mass_of(patient)
            hits = [(x_min + shift, y_min, x_max + shift, y_max)] if held else []
            hits = hits if patient < found else []
            wrong = [(150.0, 5.0 + at, 190.0, 45.0 + at) for at in range(false)]
            boxes.append(np.array([*hits, *wrong], np.float64).reshape(-1, 4))
            good = [0.9 - 0.1 * patient for _ in hits]
            scores.append(np.array([*good, *(0.5 - 0.05 * at for at in range(false))]))
    return boxes, scores


def curves_of(points):
    return [
        {"iteration": 10.0 * at, "loss": 1.0 / at, "seconds": 6.0 * at}
        | {"validation_sensitivity": 0.1 * at}
        for at in range(1, points + 1)
    ]


def write_detection_fold(
    spec, *, found=3, false=1, shift=0.0, converged=True, status="completed", seconds=120.0
):
    """Write the record of one detection run into the local store and read it back.

    Args:
        spec: what was run; the prior box lays one false box on every view.
        found: test and validation patients whose mass is found.
        false: false boxes of every view.
        shift: of the hits, pixels.
        converged: whether validation had settled.
        status: ``diverged`` lays no box.
        seconds: of training.
    """
    rows = []
    for part in PATIENTS:
        if status == "diverged":
            laid = boxes_of_part(part, found=0, false=0)
        elif spec.is_baseline:
            laid = boxes_of_part(part, found=0, false=1)
        else:
            laid = boxes_of_part(part, found=found, false=false, shift=shift)
        rows.append(judged_rows(part, views_of_part(part, spec.split.fold), *laid))
    trained = not spec.is_baseline
    content = {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(HASH),
        "recipe_key": spec.recipe_key(),
        "manifest_hash": HASH,
        "status": status,
        "converged": converged if trained else None,
        "curves": curves_of(5) if trained else [],
        "split": {"train": ["a", "b", "c"], "validation": [], "test": []},
        "box_sides": [0.05, 0.1, 0.2] if spec.has_anchors else [],
        "provenance": {
            "commit": "abc",
            "training_seconds": seconds if trained else 0.0,
            "machine": {"threads": 1},
        },
    }
    return read_record(write_record(content, pd.concat(rows, ignore_index=True)).folder)
