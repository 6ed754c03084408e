"""What each detector was given, and whether a longer training did better on validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mammostudy.errors import SpecError
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study import detect_recipes, detection
from mammostudy.study.detect_convergence import outdone, validated
from mammostudy.study.detection_judged import OPERATING, Judged


def budgets(found: detection.Groups, cohort: str, preset: str) -> pd.DataFrame:
    """Describe the detectors of the page and what each was given.

    Returns:
        A row a detector: detector, weights (million parameters), input (side and how an image is
        brought to it), boxes it starts from, steps in either budget.
    """
    groups = detection.named(cohort, preset)
    rows = list(dict.fromkeys(row for budget in detection.BUDGETS for row in groups[budget]))
    out = []
    for row in rows:
        listed = [groups[budget].get(row, []) for budget in detection.BUDGETS]
        spec = next(each[0] for each in reversed(listed) if each)
        run = [r for budget in detection.BUDGETS for r in found[budget].get(row, [])]
        steps = {
            f"steps, {budget}": str(each[0].training.iterations) if each else "–"
            for budget, each in zip(detection.BUDGETS, listed, strict=True)
        }
        out.append(
            {
                "detector": row,
                "weights, million": weights(spec),
                "input": f"{spec.detector.size} px, {spec.detector.aspect}",
                "boxes it starts from": anchors(spec, run),
                "mass-free views teach": "yes" if learns_from_mass_free(spec) else "no",
                **steps,
            }
        )
    return pd.DataFrame(out)


def weights(spec: DetectSpec) -> str:
    """Count the weights of a detector, in millions; said so where its library is missing."""
    from mammostudy.runs.detection import build

    sides = () if not spec.has_anchors or spec.detector.anchors == "default" else (0.05, 0.1, 0.2)
    try:
        model = build(spec, sides)
    except SpecError:
        return "not counted: library missing"
    return f"{sum(each.numel() for each in model.parameters()) / 1e6:.1f}"


def anchors(spec: DetectSpec, run: Sequence[Record]) -> str:
    """Say which boxes a detector starts from."""
    if not spec.has_anchors:
        return "none"
    if spec.detector.anchors == "default":
        return "the library's"
    sides = run[0].box_sides if run else ()
    measured = f", {100 * min(sides):.0f} to {100 * max(sides):.0f} % of the side" if sides else ""
    return f"the training masses'{measured}"


def learns_from_mass_free(spec: DetectSpec) -> bool:
    """Whether views without a mass are shown in training, and have a loss there."""
    return spec.training.mass_free and spec.detector.negatives_on_empty


def trainings(found: detection.Groups) -> pd.DataFrame:
    """Follow each detector through its budgets on the first fold.

    Returns:
        A row a training: row, group (the budget), iterations, minutes (of one core), validated
        (mean sensitivity on validation views), masses of those views, at_one (sensitivity at 1
        false positive a view on test), converged; ordered by detector and length.
    """
    out: list[dict[str, Any]] = []
    undone = outdone(*(found[group] for group in detection.TRAININGS))
    for group in detection.TRAININGS:
        for row, records in found[group].items():
            for record in records[:1]:
                one = Judged(row, (record,), undone)
                out.append(
                    {
                        "row": row,
                        "group": group,
                        "iterations": record.spec.training.iterations,
                        "minutes": one.minutes,
                        "validated": validated(record),
                        "masses": _masses(record),
                        "at_one": one.curve().sensitivity_at(OPERATING),
                        "converged": one.settled,
                    }
                )
    columns = ["row", "group", "iterations", "minutes", "validated", "masses", "at_one"]
    table = pd.DataFrame(out, columns=[*columns, "converged"])
    return table.sort_values("row", key=_place, kind="stable", ignore_index=True)


def _masses(record: Record) -> int:
    rows = record.part("validation")
    return int(rows.loc[rows["row"] == "view", "masses"].sum())


def _place(rows: pd.Series) -> pd.Series:
    return rows.map(list(detect_recipes.ROWS).index)


def printed_trainings(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`trainings`, a row a training."""
    return pd.DataFrame(
        {
            "detector": row["row"],
            "budget": row["group"],
            "steps": str(row["iterations"]),
            "core-minutes": f"{row['minutes']:.1f}",
            "mean sensitivity, validation": f"{row['validated']:.3f}",
            "sensitivity at 1 false positive a view, test": f"{row['at_one']:.2f}",
            "converged": row["converged"],
        }
        for row in table.to_dict("records")
    )


def left_out(cohort: str, preset: str) -> list[str]:
    """Return the detectors of this study that a preset has no room for in either budget."""
    groups = detection.named(cohort, preset)
    asked = {row for budget in detection.BUDGETS for row in groups[budget]}
    return [row for row in detect_recipes.DETECTORS if row not in asked]
