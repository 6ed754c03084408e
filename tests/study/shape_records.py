"""Shape records made by hand: 4 test masks a class and fold of two patients, 1 for validation."""

import numpy as np
import pandas as pd

from mammostudy.runs.kinds import NETWORKS
from mammostudy.runs.record import read_record, write_record

MASKS = ("00", "01", "02", "10")  # patient and mask of each class and fold
TOOLS = ("polygon", "circle", "ellipse", "polygon")
HASH = "0" * 16


def shape_cases(spec, *, wrong=0, missed=0, tools=False, sharpness=2.0):
    """Rows of one fold.

    The first ``wrong`` masks of each class are predicted as the next class; the last ``missed``
    ones of the last class are missed by the sources after ``truth``. The predicted class has the
    logit ``sharpness``, the others 0.
    """
    classes, rows = spec.classes, []
    asked = [
        (part, source) for part in ("test", "validation") for source in spec.evaluation.sources
    ]
    for part, source in asked:
        test = part == "test"
        for number, label in enumerate(classes):
            for at in range(4 if test else 1):
                last = test and number == len(classes) - 1
                gone = last and source != "truth" and at >= 4 - missed
                guess = classes[(number + (test and at < wrong)) % len(classes)]
                case = f"{'' if test else 'v-'}f{spec.split.fold}-{label}-{MASKS[at]}"
                row = {"part": part, "case": case, "patient": case[:-1], "site": "s"}
                row |= {"source": source, "tool": TOOLS[at] if tools else "", "missed": gone}
                row |= {"label": label, "predicted": "none" if gone else guess}
                for name in classes:
                    row[f"logit_{name}"] = sharpness if name == guess and not gone else 0.0
                rows.append(row)
    return pd.DataFrame(rows)


def write_shape_fold(spec, *, converged=True, temperature=2.0, **said):
    """Write the record of one shape run into the local store and read it back."""
    table = shape_cases(spec, **said)
    trained = {"curves": [], "temperature": temperature, "converged": None}
    if spec.classifier in NETWORKS:
        trained["converged"] = converged
    content = {
        "spec": spec.model_dump(mode="json"), "key": spec.key(HASH), "manifest_hash": HASH,
        "recipe_key": spec.recipe_key(), "status": "completed",
        "classes_trained": dict.fromkeys(spec.classes, 12),
        "provenance": {"commit": "abc", "training_seconds": 6.0},
    }  # fmt: skip
    chances = np.random.default_rng(0).dirichlet(np.ones(len(spec.classes)), (3, 7))
    kept = {"between_positions": np.linspace(0, 3, 7), "between_probabilities": chances}
    arrays = kept if spec.evaluation.explain else None
    return read_record(write_record(content | trained, table, arrays=arrays).folder)
