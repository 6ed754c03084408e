"""Cropping strategies: full, loose and tight frames, the scale of the loose one, and its aspect."""

from __future__ import annotations

import pandas as pd

from mammostudy.runs.spec import RunSpec
from mammostudy.study import published, recipes, tables

STRATEGIES = ("full", "loose", "tight")
SCALES = (1.5, 3.0, 4.0)


def framings(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the paper's model in each framing, over the folds of the preset."""
    named = {
        strategy: recipes.folds_of(cohort, preset, frame__strategy=strategy)
        for strategy in STRATEGIES
    }
    return named | {"loose": recipes.headline(cohort, preset)}


def scaled(cohort: str, preset: str) -> dict[float, RunSpec]:
    """Return the paper's model by the scale of its frame, first fold; 1 is the tight frame."""
    by_name = framings(cohort, preset)
    first = {1.0: by_name["tight"][0], 2.0: by_name["loose"][0]}
    more = {scale: recipes.recipe(cohort, preset, frame__scale=scale) for scale in SCALES}
    return dict(sorted((first | more).items()))


def truths(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the loose run with the other definition of truth, where the cohort needs one."""
    main = recipes.headline(cohort, preset)[0]
    if main.frame.truth == "all":
        return {}
    other = recipes.recipe(cohort, preset, frame__truth="all")
    return {"target": [main], "all masses": [other]}


def baselines(cohort: str, preset: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the baselines without training by framing and name, over the folds."""
    out: dict[tuple[str, str], list[RunSpec]] = {}
    for strategy, specs in framings(cohort, preset).items():
        folds = len(recipes.preset(preset).folds)
        for spec in specs[:folds]:
            for baseline in recipes.baselines(_plain(spec)):
                out.setdefault((strategy, baseline.model.name), []).append(baseline)
    return out


def scaled_baselines(cohort: str, preset: str) -> dict[tuple[str, float], RunSpec]:
    """Return the baselines by name and scale of the frame, first fold."""
    return {
        (baseline.model.name, scale): baseline
        for scale, spec in scaled(cohort, preset).items()
        for baseline in recipes.baselines(_plain(spec))
    }


def _plain(spec: RunSpec) -> RunSpec:
    return spec.changed(evaluation__postprocessing="published")


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    listed = [spec for specs in framings(cohort, preset).values() for spec in specs]
    listed += scaled(cohort, preset).values()
    listed += [spec for specs in truths(cohort, preset).values() for spec in specs]
    listed += [spec for specs in baselines(cohort, preset).values() for spec in specs]
    listed += scaled_baselines(cohort, preset).values()
    return list(dict.fromkeys(listed))


def rows(cohort: str, preset: str, *, postprocessing: str = "none") -> pd.DataFrame:
    """Return the test rows of the three framings, model and baselines, oracle and jittered boxes.

    Columns beside the metrics: ``row`` (model), ``framing``, ``box``, ``fold``, ``replicate``.
    """
    named: dict[tuple[str, str], list[RunSpec]] = {
        (strategy, "cGAN"): specs for strategy, specs in framings(cohort, preset).items()
    }
    named |= baselines(cohort, preset)
    labels = {f"{strategy}|{name}": specs for (strategy, name), specs in named.items()}
    stacked = tables.rows_of(tables.records_of(labels, preset))
    stacked = stacked[stacked["postprocessing"] == postprocessing]
    parts = stacked["row"].str.split("|", expand=True)
    return stacked.assign(framing=parts[0], row=parts[1])


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise the framings: Dice and IoU in the frame's grid and in the common window.

    Args:
        stacked: from :func:`rows`.

    Returns:
        A row a framing, model, box and metric (see :func:`mammostudy.study.tables.summarise`).
    """
    metrics = ("dice", "iou", "dice_image", "iou_image", "hd95")
    return tables.summarise(stacked, metrics, by=("framing", "row", "box"))


def beside_published(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the paper's cGAN cells beside ours: other data, so shown and not compared."""
    ours = summary[
        (summary["row"] == "cGAN")
        & (summary["box"] == "oracle")
        & summary["metric"].isin(["dice", "iou"])
    ]
    ours = ours.pivot(index="framing", columns="metric", values="mean").mul(100)
    paper = published.segmentation_table()
    paper = paper[paper["model"] == "proposed cGAN"]
    wide = paper.pivot(index="framing", columns="dataset", values=["dice", "iou"])
    wide.columns = [f"{metric}, paper, {dataset}" for metric, dataset in wide.columns]
    ours = ours.rename(columns={"dice": "dice, here", "iou": "iou, here"})
    return ours.join(wide).loc[[name for name in STRATEGIES if name in ours.index]]


def scale_curve(cohort: str, preset: str) -> pd.DataFrame:
    """Return Dice by the scale of the frame, model and baselines, first fold.

    Columns: row, scale, box, metric (``dice`` in the frame, ``dice_image`` in the common window),
    mean, low, high.
    """
    labels = {f"cGAN|{scale}": [spec] for scale, spec in scaled(cohort, preset).items()}
    for (name, scale), spec in scaled_baselines(cohort, preset).items():
        labels[f"{name}|{scale}"] = [spec]
    stacked = tables.rows_of(tables.records_of(labels, preset))
    stacked = stacked[stacked["postprocessing"] == "none"]
    parts = stacked["row"].str.split("|", expand=True)
    stacked = stacked.assign(row=parts[0], scale=parts[1].astype(float))
    return tables.summarise(stacked, ("dice", "dice_image"), by=("row", "scale", "box"))


def truth_table(cohort: str, preset: str) -> pd.DataFrame:
    """Return the loose run under both definitions of truth; empty where the cohort has one."""
    found = tables.records_of(truths(cohort, preset), preset)
    stacked = tables.rows_of(found)
    if stacked.empty:
        return stacked
    return tables.summarise(tables.chosen(stacked), ("dice", "iou"))
