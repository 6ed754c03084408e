"""Shape records made by hand, for the tests of every page that reads them.

In each fold two patients a class, three masks for the first of them and one for the second, so 4
test masks a class and fold; the validation part holds one mask a class. Take it from the fixture
``write_shape`` (conftest).
"""

import numpy as np
import pandas as pd

from mammostudy.runs.record import read_record, write_record

MASKS = ("00", "01", "02", "10")  # patient and mask of each class and fold
TOOLS = ("polygon", "circle", "ellipse", "polygon")
HASH = "0" * 16


def shape_cases(spec, *, wrong=0, missed=0, tools=False, sharpness=2.0):
    """Rows of one fold.

    Args:
        spec: the run; its classes, sources and fold are used.
        wrong: the first masks of each class that are predicted as the next class.
        missed: masks of the last class, from the last on, that the sources after ``truth`` miss.
        tools: name drawing tools.
        sharpness: logit of the predicted class; the others have 0.
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


def shape_arrays(spec, cases):
    """What an explaining run keeps, in its shapes and types."""
    test = cases[(cases["part"] == "test") & (cases["source"] == spec.evaluation.sources[0])]
    names, rng = test["case"].to_numpy(str), np.random.default_rng(0)
    return {
        "between_positions": np.linspace(0, 3, 7),
        "between_seeds": np.arange(3),
        "between_probabilities": rng.dirichlet(np.ones(len(spec.classes)), (3, 7)),
        "occlusion_cases": names[:2],
        "occlusion_maps": rng.normal(0, 0.1, (2, 64, 64)).astype(np.float16),
    }


def write_shape_fold(spec, *, converged=True, temperature=2.0, **said):
    """Write the record of one shape run into the local store and read it back.

    Args:
        spec: what was run; ``spec.evaluation.explain`` adds arrays.
        converged: whether validation had settled.
        temperature: fitted on validation.
        said: keywords of :func:`shape_cases`.
    """
    table = shape_cases(spec, **said)
    content = {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(HASH),
        "recipe_key": spec.recipe_key(),
        "manifest_hash": HASH,
        "status": "completed",
        "converged": converged if spec.is_network else None,
        "curves": [],
        "temperature": temperature,
        "classes_trained": dict.fromkeys(spec.classes, 12),
        "provenance": {"commit": "abc", "training_seconds": 6.0},
    }
    arrays = shape_arrays(spec, table) if spec.evaluation.explain else None
    return read_record(write_record(content, table, arrays=arrays).folder)
