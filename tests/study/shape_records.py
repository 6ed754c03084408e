"""Shape records made by hand, for the tests of every page that reads them.

``write_shape(spec, ...)`` writes one fold of a tiny cohort: in each fold two patients a class,
three masks for the first of them and one for the second, so 4 test masks a class and fold; the
validation part holds one mask a class. Take it from the fixture ``write_shape`` (conftest).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammostudy.runs.record import read_record, write_record

MASKS = ((0, 0), (0, 1), (0, 2), (1, 0))  # (patient, mask) of each class and fold
TOOLS = ("polygon", "circle", "ellipse", "polygon")
HASH = "0" * 16


def case_name(fold, label, at):
    patient, mask = MASKS[at]
    return f"f{fold}-{label}-{patient}{mask}"


def shape_cases(spec, *, wrong=0, missed=0, tools=False, sharpness=2.0):
    """Rows of one fold.

    Args:
        spec: the run; its classes, sources and fold are used.
        wrong: the first masks of each class that are predicted as the next class.
        missed: masks of the last class, from the last on, that the sources after ``truth`` miss.
        tools: name drawing tools.
        sharpness: logit of the predicted class; the others have 0.
    """
    classes = spec.classes
    rows = []
    for part, count in (("test", len(MASKS)), ("validation", 1)):
        for source in spec.evaluation.sources:
            for number, label in enumerate(classes):
                for at in range(count):
                    gone = (
                        part == "test"
                        and source != "truth"
                        and number == len(classes) - 1
                        and at >= len(MASKS) - missed
                    )
                    turned = at < wrong and part == "test"
                    guess = classes[(number + turned) % len(classes)]
                    prefix = "" if part == "test" else "v-"
                    case = prefix + case_name(spec.split.fold, label, at)
                    logits = {
                        f"logit_{name}": sharpness if name == guess and not gone else 0.0
                        for name in classes
                    }
                    rows.append(
                        {
                            "part": part,
                            "case": case,
                            "patient": case[:-1],
                            "site": "s",
                            "source": source,
                            "tool": TOOLS[at] if tools else "",
                            "missed": gone,
                            "label": label,
                            "predicted": "none" if gone else guess,
                            **logits,
                        }
                    )
    return pd.DataFrame(rows)


def shape_arrays(spec, cases):
    """What an explaining run keeps, in its shapes and types."""
    test = cases[(cases["part"] == "test") & (cases["source"] == spec.evaluation.sources[0])]
    names = test["case"].to_numpy(str)
    k = len(spec.classes)
    rng = np.random.default_rng(0)
    place = test["label"].map({name: at for at, name in enumerate(spec.classes)}).to_numpy()
    probabilities = rng.dirichlet(np.ones(k), (3, 7))
    maps = rng.normal(0, 0.1, (2, 64, 64))
    return {
        "embedding": (rng.normal(size=(len(names), 128)) + 4 * place[:, None]).astype(np.float16),
        "embedding_cases": names,
        "embedding_labels": test["label"].to_numpy(str),
        "embedding_parts": np.array(["test"] * (len(names) - 1) + ["train"]),
        "between_positions": np.linspace(0, 3, 7),
        "between_seeds": np.arange(3),
        "between_probabilities": probabilities,
        "occlusion_cases": names[:2],
        "occlusion_maps": maps.astype(np.float16),
    }


def curves_of(epochs=3):
    return [
        {
            "epoch": float(epoch),
            "iteration": float(10 * epoch),
            "loss": 1.0 / epoch,
            "validation_loss": 1.2 / epoch,
            "validation_accuracy": 0.5 + 0.1 * epoch,
            "validation_macro_recall": 0.4 + 0.1 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


def write_shape_fold(
    spec, *, cases=None, converged=True, status="completed", temperature=2.0, curves=None, **said
):
    """Write the record of one shape run into the local store and read it back.

    Args:
        spec: what was run; ``spec.evaluation.explain`` adds arrays.
        cases: its rows; none makes them with :func:`shape_cases` from the other keywords.
        converged: whether validation had settled.
        status: of the run.
        temperature: fitted on validation.
        curves: rows by epoch; none makes three.
        said: keywords of :func:`shape_cases`.
    """
    table = shape_cases(spec, **said) if cases is None else cases
    content = {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(HASH),
        "recipe_key": spec.recipe_key(),
        "manifest_hash": HASH,
        "status": status,
        "converged": converged if spec.is_network else None,
        "curves": (curves_of() if curves is None else curves) if spec.is_network else [],
        "temperature": temperature,
        "classes_trained": dict.fromkeys(spec.classes, 12),
        "provenance": {"commit": "abc", "training_seconds": 6.0},
    }
    arrays = shape_arrays(spec, table) if spec.evaluation.explain else None
    return read_record(write_record(content, table, arrays=arrays).folder)
