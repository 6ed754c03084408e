"""The best recipe found here: what it is, how it did on validation, and one field less each."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from mammostudy.evaluation import bootstrap_ci, holm, paired_test
from mammostudy.runs.store import Record
from mammostudy.study import printed, tables, words
from mammostudy.study import segmenter_recipes as models
from mammostudy.study.segmenters import Found
from mammostudy.study.segmenters_comparison import pairs

METRIC: Final = "dice_image"
"""Frames of other sizes have other pixels: ablations are compared in the image's grid."""
WHOLE: Final = "best, whole"
EARNED, COST, UNSHOWN = "earned its place", "cost Dice", "not shown to matter"
FIELDS: Final = {
    "encoder from scratch": "the pretrained encoder",
    "Dice loss alone": "cross-entropy beside the Dice loss",
    "no flips and turns in training": "flips and quarter turns in training",
    "last weights instead of their average": "averaged weights",
    "one prediction instead of four mirrored": "averaging over mirrored images",
    "frames of 128 pixels": "frames of 64 pixels, not 128",
}
"""The field that an ablation takes away."""


def records(cohort: str, preset: str, found: Found) -> dict[str, list[Record]]:
    """Return the records behind the ablations, first fold: best whole, then one field changed.

    Args:
        cohort: the page's cohort.
        preset: of the page.
        found: :func:`mammostudy.study.segmenters.records`.
    """
    whole = found.get(("loose", models.BEST), [])
    first = [record for record in whole if record.spec.split.fold == 0]
    return {WHOLE: first, **tables.records_of(models.ablations(cohort, preset), preset)}


def absent(cohort: str, preset: str, ablated: dict[str, list[Record]]) -> list[str]:
    """Return the ablations that were asked for and have no record."""
    return tables.not_run(models.ablations(cohort, preset), ablated)


def rows(ablated: dict[str, list[Record]], part: str) -> pd.DataFrame:
    """Return the rows of ``validation`` or ``test``, known boxes, before post-processing."""
    return tables.chosen(tables.rows_of(ablated, part=part))


def table(ablated: dict[str, list[Record]]) -> pd.DataFrame:
    """Compare the whole recipe with itself less one field, on validation and on test.

    Holm's correction is over the ablations, on validation.

    Returns:
        A row an ablation: row, field, ``mean`` (of the ablated, validation), difference (whole
        less ablated), low, high, p_holm, patients, ``test_difference``, ``test_low``,
        ``test_high``, ``test_patients``, ``unsettled``, verdict (on validation alone).
    """
    lines: list[dict[str, Any]] = []
    seen = {part: rows(ablated, part) for part in ("validation", "test")}
    for name in FIELDS:
        if not ablated.get(name) or not ablated.get(WHOLE):
            continue
        validation = _compared(seen["validation"], name)
        test = _compared(seen["test"], name)
        own = seen["validation"][seen["validation"]["row"] == name]
        loose = [row for row in (WHOLE, name) if ablated[row][0].converged is False]
        lines.append(
            {"row": name, "field": FIELDS[name], "mean": own[METRIC].mean(), **validation}
            | {f"test_{key}": value for key, value in test.items()}
            | {"unsettled": words.listed(loose) if loose else ""}
        )
    out = pd.DataFrame(lines, columns=list(_COMPARED))
    out["p_holm"] = holm(out["p_permutation"].astype(float))
    out["verdict"] = [_verdict(row) for _, row in out.iterrows()]
    return out


_TEST: Final = ("difference", "low", "high", "p_permutation", "patients")
_COMPARED: Final = (
    "row", "field", "mean", *_TEST, *(f"test_{name}" for name in _TEST), "unsettled",
)  # fmt: skip


def _compared(seen: pd.DataFrame, name: str) -> dict[str, float]:
    test = vars(paired_test(*pairs(seen, WHOLE, name, METRIC)))
    return {key: test[key] for key in _TEST}


def _verdict(row: pd.Series) -> str:
    """Judge a field on validation: its corrected p value and its interval must agree."""
    if row["unsettled"]:
        return "not converged"
    if row["p_holm"] < 0.05 and row["low"] > 0:
        return EARNED
    if row["p_holm"] < 0.05 and row["high"] < 0:
        return COST
    return UNSHOWN


def printed_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`table`, a row an ablation, run or not."""
    lines = [
        {
            "recipe": row["row"],
            "validation Dice": f"{row['mean']:.3f}",
            "best minus this, validation": words.interval(
                row["difference"], row["low"], row["high"]
            ),
            "p (Holm)": printed.p_value(row["p_holm"]),
            "patients": row["patients"],
            "verdict on validation": row["verdict"],
            "best minus this, test": words.interval(
                row["test_difference"], row["test_low"], row["test_high"]
            ),
            "test patients": row["test_patients"],
        }
        for _, row in compared.iterrows()
    ]
    wide = pd.DataFrame(lines, columns=list(_PRINTED))
    return printed.with_absent(wide, [(name,) for name in FIELDS], ["recipe"])


_PRINTED: Final = (
    "recipe", "validation Dice", "best minus this, validation", "p (Holm)", "patients",
    "verdict on validation", "best minus this, test", "test patients",
)  # fmt: skip


def validation_table(found: Found) -> pd.DataFrame:
    """Return what the choice was made on: Dice of every model on validation, first fold.

    Returns:
        model, Dice (frame's grid) with interval over patients, Dice in the image's grid, masses,
        patients, converged; best first among the converged, the others after them.
    """
    loose = {row: listed for (framing, row), listed in found.items() if framing == "loose"}
    lines = []
    for name in models.ROWS:
        first = [record for record in loose.get(name, ()) if record.spec.split.fold == 0][:1]
        if not first:
            continue
        seen = rows({name: first}, "validation")
        low, high = bootstrap_ci(seen["dice"].to_numpy(), seen["patient"].to_numpy())
        lines.append(
            {
                "model": name,
                "mean": seen["dice"].mean(),
                "Dice on validation": printed.cell(seen["dice"].mean(), low, high),
                "Dice, image's grid": f"{seen[METRIC].mean():.3f}",
                "masses": len(seen),
                "patients": seen["patient"].nunique(),
                "converged": "yes" if first[0].converged else "no",
            }
        )
    out = pd.DataFrame(lines, columns=list(_VALIDATED))
    ordered = out.sort_values(["converged", "mean"], ascending=False, kind="stable")
    return ordered.reset_index(drop=True)


_VALIDATED: Final = (
    "model", "mean", "Dice on validation", "Dice, image's grid", "masses", "patients", "converged",
)  # fmt: skip
