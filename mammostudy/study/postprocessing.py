"""Post-processing: the published order, every subset and order of it, decided on validation."""

from __future__ import annotations

import pandas as pd

from mammostudy.runs.spec import RunSpec
from mammostudy.study import recipes, tables


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter: the paper's model on loose frames."""
    return {"cGAN": recipes.headline(cohort, preset)}


def framings(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the paper's model in each framing, with the published post-processing measured."""
    from mammostudy.study import cropping

    return cropping.framings(cohort, preset)


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    both = [*named(cohort, preset).values(), *framings(cohort, preset).values()]
    return list(dict.fromkeys(spec for specs in both for spec in specs))


def rows(cohort: str, preset: str, part: str) -> pd.DataFrame:
    """Return the rows of every order on oracle boxes; ``part`` is validation or test.

    ``row`` is the order's name.
    """
    found = tables.records_of(named(cohort, preset), preset)
    stacked = tables.rows_of(found, part=part)
    oracle = stacked[stacked["box"] == "oracle"]
    return oracle.assign(row=oracle["postprocessing"])


def decide(validation: pd.DataFrame, metric: str = "dice") -> str:
    """Return the order with the highest mean on validation; a tie goes to fewer steps.

    Args:
        validation: rows of the validation part alone.
        metric: what decides.

    Raises:
        ValueError: a row of another part is among them.
    """
    if set(validation["part"]) != {"validation"}:
        msg = "post-processing is decided on validation rows alone"
        raise ValueError(msg)
    means = validation.groupby("row")[metric].mean().round(6)
    best = means[means == means.max()].index
    return str(min(best, key=lambda name: (0 if name == "none" else name.count("+") + 1, name)))


def table(validation: pd.DataFrame, test: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return every order with its validation mean and its paired gain on test.

    Columns: order, steps, validation mean, test mean, gain [low, high] over no post-processing.
    """
    out = []
    for name in validation["row"].unique():
        both = test[test["row"].isin(["none", name])]
        gain = None if name == "none" else tables.paired(both, name, "none", metric)
        out.append(
            {
                "order": name,
                "steps": 0 if name == "none" else name.count("+") + 1,
                "validation": validation.loc[validation["row"] == name, metric].mean(),
                "test": test.loc[test["row"] == name, metric].mean(),
                "gain": 0.0 if gain is None else gain.difference,
                "low": 0.0 if gain is None else gain.low,
                "high": 0.0 if gain is None else gain.high,
            }
        )
    return pd.DataFrame(out).sort_values("validation", ascending=False, ignore_index=True)


def published_gain(cohort: str, preset: str) -> pd.DataFrame:
    """Return what the published order gains in each framing, in Dice and IoU, on test.

    Columns: framing, metric, difference, low, high, p_wilcoxon, patients.
    """
    found = tables.records_of(framings(cohort, preset), preset)
    stacked = tables.rows_of(found)
    stacked = stacked[stacked["box"] == "oracle"]
    out = []
    for framing in stacked["row"].unique():
        inside = stacked[stacked["row"] == framing]
        inside = inside.assign(row=inside["postprocessing"])
        for metric in ("dice", "iou"):
            test = tables.paired(inside, tables.PUBLISHED, "none", metric)
            out.append(
                {
                    "framing": framing,
                    "metric": metric,
                    "difference": test.difference,
                    "low": test.low,
                    "high": test.high,
                    "p_wilcoxon": test.p_wilcoxon,
                    "patients": test.patients,
                }
            )
    return pd.DataFrame(out)
