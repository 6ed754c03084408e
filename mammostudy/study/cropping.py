"""Cropping strategies: full, loose and tight frames, and the scale of the loose one.

What the tables say is put into words by :mod:`mammostudy.study.cropping_reading`, examples of
frames are cut by :mod:`mammostudy.study.cropping_examples`.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.runs.spec import BASELINES, RunSpec
from mammostudy.study import printed, published, recipes, tables

STRATEGIES: Final = ("full", "loose", "tight")
SCALES: Final = (1.5, 3.0, 4.0)
BOXES: Final = ("oracle", "jittered")
MODEL: Final = "cGAN"
MODELS: Final = (MODEL, *BASELINES)
METRICS: Final = ("dice", "iou", "dice_image", "iou_image", "hd95")
HEADINGS: Final = {
    "dice": "Dice, frame",
    "iou": "IoU, frame",
    "dice_image": "Dice, image",
    "iou_image": "IoU, image",
    "hd95": "HD95, frame pixels",
}


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


def labelled(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the framings by ``framing|model``."""
    named = {(strategy, MODEL): specs for strategy, specs in framings(cohort, preset).items()}
    named |= baselines(cohort, preset)
    return {f"{strategy}|{name}": specs for (strategy, name), specs in named.items()}


def absent(cohort: str, preset: str) -> list[str]:
    """Return the names of rows, scales and truths with a run that has no record."""
    framed = {name.replace("|", ", "): runs for name, runs in labelled(cohort, preset).items()}
    scales = {f"scale {at:g}, {MODEL}": [run] for at, run in scaled(cohort, preset).items()}
    scales |= {
        f"scale {at:g}, {name}": [run]
        for (name, at), run in scaled_baselines(cohort, preset).items()
    }
    named = framed | scales | truths(cohort, preset)
    return tables.not_run(named, tables.records_of(named, preset))


def rows(cohort: str, preset: str, *, postprocessing: str = "none") -> pd.DataFrame:
    """Return the test rows of the three framings, model and baselines, oracle and jittered boxes.

    Columns beside the metrics: ``row`` (model), ``framing``, ``box``, ``fold``, ``replicate``.
    """
    stacked = tables.rows_of(tables.records_of(labelled(cohort, preset), preset))
    stacked = stacked[stacked["postprocessing"] == postprocessing]
    parts = stacked["row"].astype(str).str.split("|")
    return stacked.assign(framing=parts.str[0], row=parts.str[1])


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise the framings: Dice and IoU in the frame's grid and in the common window.

    Args:
        stacked: from :func:`rows`.

    Returns:
        A row a framing, model, box and metric (see :func:`mammostudy.study.tables.summarise`).
    """
    return tables.summarise(stacked, METRICS, by=("framing", "row", "box"))


def printed_table(summary: pd.DataFrame, box: str) -> pd.DataFrame:
    """Lay out :func:`table` for one kind of box, a row a framing and model, run or not."""
    part = summary[summary["box"] == box] if len(summary) else summary
    by = {"framing": "framing", "row": "model"}
    wide = printed.wide_table(part, HEADINGS, by, {"hd95": 1})
    expected = [(framing, model) for framing in STRATEGIES for model in MODELS]
    return printed.with_absent(wide, expected, ["framing", "model"])


def beside_published(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the paper's cGAN cells beside ours: other data, so shown and not compared.

    Returns:
        A row a framing: Dice and IoU in %, here (known boxes, frame's grid, no post-processing;
        missing where not run) and in the paper's two test sets.
    """
    paper = published.segmentation_table()
    paper = paper[paper["model"] == "proposed cGAN"]
    wide = paper.pivot(index="framing", columns="dataset", values=["dice", "iou"])
    metrics, data = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = metrics.map(_NAMES) + ", paper, " + data + " (other data)"
    for metric in ("iou", "dice"):
        wide.insert(0, f"{_NAMES[metric]}, here", _means(summary, metric).mul(100))
    return wide.loc[list(STRATEGIES)].reset_index()


_NAMES: Final = {"dice": "Dice", "iou": "IoU"}


def _means(summary: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return the model's means by framing on known boxes; empty where nothing was run."""
    if summary.empty:
        return pd.Series(dtype=float)
    ours = summary[(summary["row"] == MODEL) & (summary["box"] == "oracle")]
    return ours[ours["metric"] == metric].set_index("framing")["mean"]


def _tested(stacked: pd.DataFrame, by: str, a: str, b: str, metric: str) -> dict[str, object]:
    """Test two values of a column against each other, paired over patients."""
    test = tables.paired(stacked.assign(row=stacked[by]), a, b, metric)
    return {"metric": metric, **vars(test)}


def framing_tests(stacked: pd.DataFrame, metric: str = "dice_image") -> pd.DataFrame:
    """Test loose frames against full and tight ones, and the model against the ellipse.

    Args:
        stacked: from :func:`rows`.
        metric: a column of it; only ``_image`` ones compare different frames in one grid.

    Returns:
        A row a comparison and box: framing (of the comparison with the ellipse), difference,
        low, high, p values (not corrected), patients, smallest_detectable, and ``unsettled``,
        the framings compared whose training had not converged.
    """
    out = []
    for box in BOXES:
        part = stacked[stacked["box"] == box]
        model = part[part["row"] == MODEL]
        for other in ("full", "tight"):
            if {"loose", other} <= set(model["framing"]):
                test = _tested(model, "framing", "loose", other, metric)
                compared = _unsettled(model, ("loose", other))
                name = f"loose - {other}"
                out.append({"comparison": name, "box": box, **test, "unsettled": compared})
        for framing in STRATEGIES:
            pair = part[(part["framing"] == framing) & part["row"].isin([MODEL, "ellipse"])]
            if pair["row"].nunique() == 2:
                test = _tested(pair, "row", MODEL, "ellipse", metric)
                name = f"{framing}: {MODEL} - ellipse"
                unsettled = _unsettled(model, (framing,))
                out.append({"comparison": name, "box": box, **test, "unsettled": unsettled})
    return pd.DataFrame(out)


def _unsettled(model: pd.DataFrame, framings: tuple[str, ...]) -> str:
    flags = model[model["framing"].isin(framings)].groupby("framing")["converged"]
    return ", ".join(str(name) for name, each in flags if not each.astype(bool).all())


def jitter_cost(stacked: pd.DataFrame) -> pd.DataFrame:
    """Return what a jittered box costs: jittered minus oracle, paired over patients.

    Returns:
        A row a framing, model and metric (``dice``, ``dice_image``): difference, low, high,
        p values, patients, smallest_detectable.
    """
    out = []
    for (framing, row), part in stacked.groupby(["framing", "row"], sort=False):
        if set(part["box"]) >= set(BOXES):
            for metric in ("dice", "dice_image"):
                test = _tested(part, "box", "jittered", "oracle", metric)
                out.append({"framing": framing, "row": row, **test})
    return pd.DataFrame(out)


def printed_tests(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`framing_tests`."""
    names = {"comparison": "comparison", "box": "box", "unsettled": "not converged"}
    return printed.tests_table(tests, names)


def printed_costs(costs: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`jitter_cost`."""
    grids = {"dice": "frame", "dice_image": "image"}
    table = costs.assign(metric=costs["metric"].map(grids)) if len(costs) else costs
    names = {"framing": "framing", "row": "model", "metric": "grid"}
    return printed.tests_table(table, names)


def scale_curve(cohort: str, preset: str) -> pd.DataFrame:
    """Return Dice by the scale of the frame, model and baselines, first fold.

    Columns: row, scale, box, metric (``dice`` in the frame, ``dice_image`` in the common window),
    and those of :func:`mammostudy.study.tables.summarise`.
    """
    labels = {f"{MODEL}|{scale}": [spec] for scale, spec in scaled(cohort, preset).items()}
    for (name, scale), spec in scaled_baselines(cohort, preset).items():
        labels[f"{name}|{scale}"] = [spec]
    stacked = tables.rows_of(tables.records_of(labels, preset))
    stacked = stacked[stacked["postprocessing"] == "none"]
    parts = stacked["row"].astype(str).str.split("|")
    stacked = stacked.assign(row=parts.str[0], scale=pd.to_numeric(parts.str[1]))
    return tables.summarise(stacked, ("dice", "dice_image"), by=("row", "scale", "box"))


def printed_scales(curve: pd.DataFrame) -> pd.DataFrame:
    """Lay out the model's part of :func:`scale_curve`, known and jittered boxes, run or not."""
    part = curve[curve["row"] == MODEL] if len(curve) else curve
    headings = {name: HEADINGS[name] for name in ("dice", "dice_image")}
    wide = printed.wide_table(part, headings, {"scale": "scale", "box": "box"})
    scales = sorted({1.0, 2.0, *SCALES})
    expected = [(scale, box) for scale in scales for box in BOXES]
    return printed.with_absent(wide, expected, ["scale", "box"])


def truth_table(cohort: str, preset: str) -> pd.DataFrame:
    """Return the loose run under both definitions of truth; empty where the cohort has one."""
    named = truths(cohort, preset)
    if not named:
        return pd.DataFrame()
    stacked = tables.rows_of(tables.records_of(named, preset))
    chosen = tables.chosen(stacked)
    summary = tables.summarise(chosen, ("dice", "iou", "recall", "precision"))
    headings = {"dice": "Dice", "iou": "IoU", "recall": "recall", "precision": "precision"}
    wide = printed.wide_table(summary, headings, {"row": "truth"})
    return printed.with_absent(wide, [(name,) for name in named], ["truth"])
