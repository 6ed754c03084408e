"""Audit of the paper: do its published numbers agree with each other?

No image and no run is needed. The claims, and the sentences that the numbers of this module fill,
lie in ``tables/checks.csv``; what follows from the published numbers by arithmetic is computed in
:mod:`mammostudy.study.arithmetic`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mammostudy.study import arithmetic, published

Found = Iterator[tuple[str, bool, dict[str, Any]]]
"""Checks by name: whether the claim holds, and the numbers that its sentences name."""


def checks() -> pd.DataFrame:
    """Every check of the audit: columns check, claim, published, computed, verdict."""
    makers = (_shapes, _overlap, _tight_frames, _training, _counts)
    found = {name: (holds, numbers) for make in makers for name, holds, numbers in make()}
    facts = {name: fact.value for name, fact in published.FACTS.items()}
    rows = []
    for row in published.read("checks").to_dict("records"):
        holds, numbers = found[row["name"]]
        texts = {name: row[name].format(**facts, **numbers) for name in ("published", "computed")}
        verdict = "consistent" if holds else row["otherwise"]
        rows.append({"check": row["check"], "claim": row["claim"], **texts, "verdict": verdict})
    return pd.DataFrame(rows)


def _fact(name: str) -> float:
    return published.FACTS[name].value


def _ratio(values: pd.Series) -> float:
    return float(values.max() / values.min())


def _shapes() -> Found:
    matrix = published.confusion_matrix()
    right, masses = np.diag(matrix), matrix.sum(axis=1)
    accuracy = 100 * right.sum() / masses.sum()
    numbers: dict[str, Any] = {"accuracy": accuracy, "macro": 100 * (right / masses).mean()}
    numbers |= {"right": right.sum(), "masses": masses.sum()}
    agree = abs(_fact("shape accuracy") - accuracy) <= 0.5
    yield "accuracy", agree, numbers
    yield "weighted accuracy", agree, numbers
    table = arithmetic.class_weights()
    pull = _ratio(table["pull"])
    numbers = {"spread": _ratio(table["weight"]), "imbalance": _ratio(table["masses"])}
    numbers |= {"pull": pull, "weights": ", ".join(f"{w:.3f}" for w in table["weight"])}
    yield "weights", pull <= 2, numbers
    same = dict(arithmetic.stretched_agreement().to_numpy())
    yield "stretch", same["stretch"] <= 0.99, same
    ddsm = int(published.read("shape_counts")["masses"].sum())
    fold = ddsm / _fact("shape folds")
    held_out = ddsm * (1 - _fact("shape train share"))
    numbers = {"ddsm": ddsm, "fold": fold, "held_out": held_out}
    yield "folds", abs(_fact("shape test masses") - fold) <= 1, numbers


def _overlap() -> Found:
    pairs = arithmetic.overlap_pairs()
    broken, equal = (pairs[pairs["status"] == status] for status in ("broken", "equal"))
    worst = broken[broken["model"] == "proposed cGAN"].sort_values("gap")
    named = "; ".join(
        f"{r['dataset']} {r['framing']} {r['dice']}/{r['iou']}, bound {r['bound']:.2f}"
        for r in worst.to_dict("records")
    )
    numbers = {"pairs": len(pairs), "broken": len(broken), "equal": len(equal), "named": named}
    numbers |= {"slack": arithmetic.BROKEN_BY, "within": arithmetic.EQUAL_WITHIN}
    yield "bound", broken.empty, numbers
    yield "equal", equal.empty, numbers
    means = arithmetic.box_plot_means()
    headline = means[means["model"] == "proposed cGAN"].iloc[0]
    yield "headline", not headline["impossible"], {str(k): v for k, v in headline.items()}


def _tight_frames() -> Found:
    whole = arithmetic.everything_in_tight_frame().set_index("metric")["analytic"]
    tight = published.segmentation_table().query("framing == 'tight'")
    below = int((tight["dice"] < whole["dice"]).sum())
    numbers = {f"all_{metric}": score for metric, score in whole.items()}
    numbers |= {metric: (tight[metric].min(), tight[metric].max()) for metric in ("dice", "iou")}
    yield "tight scores", not below, numbers | {"below": below, "tight": len(tight)}
    largest = max(_fact("tight fill, largest panel"), whole["iou"])
    yield "fill", largest >= _fact("tight fill"), numbers


def _training() -> Found:
    units = [published.FACTS[f"{name} loss at the end"].unit for name in ("dice", "L1")]
    yield "losses", units[0] == units[1], {"units": units}
    costs = arithmetic.dice_loss_costs().set_index("prediction")["released"]
    perfect, nothing = costs["perfect"], costs["middle grey (output 0)"]
    numbers = {"perfect": perfect, "nothing": nothing, "least": costs.min()}
    yield "released loss", perfect <= nothing, numbers
    steps = math.ceil(_fact("training images") / _fact("batch")) * int(_fact("epochs"))
    yield "iterations", steps == _fact("iterations"), {"steps": steps}
    scores = published.segmentation_table().query("dataset == 'INbreast' and framing == 'loose'")
    printed = scores.set_index("model")["dice"]
    repeated = {
        metric: [100 * _fact(f"reproduced {model} {metric}") for model in ("cGAN", "UNet")]
        for metric in ("dice", "iou")
    }
    numbers = {"cgan": printed["proposed cGAN"], "unet": printed["UNet"]}
    yield "reproduction", repeated["dice"][0] > repeated["dice"][1], numbers | repeated


def _counts() -> Found:
    counts = arithmetic.parameter_counts()
    for network, printed in published.PARAMETER_COUNTS.items():
        exact = counts[(counts["network"] == network) & counts["exact"]]["reading"]
        said = "no reading gives it" if exact.empty else f"exact with {exact.iloc[0]}"
        yield network, not exact.empty, {"count": printed, "said": said}
    totals, stated = published.subtype_table().sum(axis=1), published.subtype_counts()
    numbers = {"totals": ", ".join(map(str, totals)), "total": totals.sum()}
    yield "subtypes", totals.equals(stated), numbers | {"stated": ", ".join(map(str, stated))}
