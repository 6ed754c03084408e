"""From mammogram to shape: what is left of mask and shape when a detector gives the box.

A missed mass counts as a Dice of 0 and as a shape told wrong. The error at the end is followed
back mass by mass, and its parts add up exactly: what the segmenter loses from the known box, what a
found mass loses by its imperfect box, and what a missed one loses on top.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.descriptors import describe
from mammostudy.figures import pictures
from mammostudy.figures.detection import MARKS, boxed
from mammostudy.imaging.framing import Box, crop_and_resize, paste_back
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.kinds import ChainSpec, DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study import shape_recipes
from mammostudy.study.comparing import BESIDE, Runs, compare, summarise
from mammostudy.study.found import OPERATING
from mammostudy.study.recipes import LIGHT, PRIOR_ROW, baselines, detect_folds, recipe

PAPER, STUDY, ELLIPSE = "paper's chain", "study's chain", "ellipse in the box"
ARMS: Final = (PAPER, STUDY, PRIOR_ROW, ELLIPSE)
SOURCES: Final = {
    "truth": "true mask",
    "oracle": "known box",
    "jittered": "shaken box",
    "detected": "detected box",
    "found": "found only",
}
SEGMENTATION, BOX, MISSED = "segmentation from the known box", "imperfect box", "missed"
COMMONEST: Final = "always the commonest shape"
_COLUMNS: Final = ("source", "found", "label", "told", "right", "truth_pixels")
SIDE: Final = 256  # of a frame as shown, pixels


def _chain(cohort: str, preset: str, arm: str, detector: DetectSpec) -> ChainSpec:
    """Return the chain of an arm behind a detector; the stages share its fold."""
    variant, fold = "paper" if arm == PAPER or preset == "quick" else "study", detector.split.fold
    segmenter = recipe(cohort, preset, variant, split__fold=fold, seed=fold)
    if arm == PAPER:  # a headline run of the other chapters
        segmenter = segmenter.changed(evaluation__postprocessing="every")
    if arm == ELLIPSE:
        segmenter = next(each for each in baselines(segmenter) if each.model.name == "ellipse")
    row = shape_recipes.PAPER if variant == "paper" else shape_recipes.STUDY
    shapes = shape_recipes.rows_of(cohort, preset, "classifier").get(row, [])
    if describe(cohort).phantom:  # their outlines are of other patients: one classifier is enough
        shapes = shapes[:1]
    return ChainSpec.parse(
        {
            "cohort": describe(cohort).views,
            "variant": "baseline" if arm in (PRIOR_ROW, ELLIPSE) else variant,
            "detector": detector.model_dump(),
            "segmenter": segmenter.model_dump(),
            "shapes": [each.model_dump() for each in shapes],
            "postprocessing": "published" if arm == PAPER else "chosen",
            "operating": OPERATING,
        }
    )


def grid(cohort: str, preset: str) -> dict[str, list[ChainSpec]]:
    """Return the chains of every arm over the folds of the detector.

    Quick pages have those whose stages are trained for other pages.
    """
    out = {}
    for arm in (PAPER, ELLIPSE) if preset == "quick" else ARMS:
        detectors = detect_folds(cohort, preset, PRIOR_ROW if arm == PRIOR_ROW else LIGHT)
        out[arm] = [_chain(cohort, preset, arm, detector) for detector in detectors]
    return out


def specs(cohort: str, preset: str) -> list[Any]:
    """Return every chain of the page and the runs that stand in them, those first, each once."""
    chains = [each for listed in grid(cohort, preset).values() for each in listed]
    return list(dict.fromkeys([*(run for each in chains for run in each.before), *chains]))


def settled(record: Record) -> bool:
    """Whether every stage of a chain was trained to its end and had converged."""
    stages = [each for listed in record.content["stages"].values() for each in listed]
    return all(each["converged"] is not False and each["status"] == "completed" for each in stages)


def stages(runs: Runs) -> pd.DataFrame:
    """Return what stands in each chain, a row an arm and fold; an open end had not converged."""
    lines = []
    for (arm,), records in runs.found.items():
        for record in records:
            spec, ran = record.spec, record.content["stages"]
            ends = [each for listed in ran.values() for each in listed]
            line: dict[str, Any] = {"chain": arm, "fold": spec.split.fold + 1}
            line |= {"detector": spec.detector.detector.name}
            line["score from"] = record.content["threshold"]
            line["segmenter"] = f"{spec.segmenter.model.name}, {spec.segmenter.variant}"
            line["post-processing"] = ", ".join(record.content["postprocessing"]) or "none"
            line["shape models"] = len(spec.shapes)
            line["open ends"] = sum(each["converged"] is False for each in ends)
            lines.append(line)
    return pd.DataFrame(lines)


def masses_of(runs: Runs) -> pd.DataFrame:
    """Return the rows of the masses of all chains, a row a mass and source of its mask.

    ``converged`` tells whether every stage had. A mass is ``told`` if its shape is known and a
    classifier may tell it, and ``right`` if the shape told is the known one; ``source`` ``found``
    repeats the detected ones that were found.
    """
    if runs.rows.empty:
        return pd.DataFrame(columns=list(dict.fromkeys([*runs.rows.columns, *_COLUMNS])))
    table = runs.rows[runs.rows["row"] == "mass"]
    known = {(r.spec.split.fold, *arm): settled(r) for arm in runs.found for r in runs.of(*arm)}
    table = table.assign(
        converged=[known[key] for key in zip(table["fold"], table["arm"], strict=True)],
        found=table["found"].astype(float),
        told=table["label"].notna() & table["predicted"].notna(),
        right=(table["label"] == table["predicted"]).astype(float),
    )
    found = table[(table["source"] == "detected") & (table["found"] == 1)]
    return pd.concat([table, found.assign(source="found")], ignore_index=True)


def scores(masses: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Summarise masks, or shapes (``right``), by chain and by what they were made from.

    As :func:`mammostudy.study.comparing.summarise`, the source in place of the metric; of masks
    also the share of masses found, of shapes the rule of naming the commonest one.
    """
    masses = masses[masses["source"] != "truth" if metric == "dice" else masses["told"] == 1]
    if masses.empty:
        return summarise(masses, (metric,), ("arm",))
    table = summarise(masses, (metric,), ("arm", "source"))
    table = table.assign(metric=table["source"].map(SOURCES)).drop(columns="source")
    end = masses[masses["source"] == "detected"]
    if metric == "dice":
        more = summarise(end, ("found",), ("arm",)).assign(metric="share found")
    else:
        end = end[end["arm"] == end["arm"].iloc[0]]
        right = (end["label"] == end["label"].value_counts().idxmax()).astype(float)
        more = summarise(end.assign(arm=COMMONEST, right=right), ("right",), ("arm",))
        more = more.assign(metric=SOURCES["detected"])
    return pd.concat([table, more], ignore_index=True)


def parts(masses: pd.DataFrame) -> pd.DataFrame:
    """Split 1 - Dice of every mass into its parts: a row an arm and mass, a column a part."""
    known = masses.set_index(["arm", "case", "patient", *BESIDE])
    oracle, end = (known[known["source"] == name] for name in ("oracle", "detected"))
    step, found = oracle["dice"] - end["dice"], end["found"] == 1
    table = {SEGMENTATION: 1 - oracle["dice"], BOX: step.where(found, 0.0)}
    table |= {MISSED: step.where(~found, 0.0), "sum": 1 - end["dice"]}
    return pd.DataFrame(table).reset_index()


def budget(masses: pd.DataFrame) -> pd.DataFrame:
    """Summarise the parts of the error of every chain; ``sum`` is the whole of it."""
    return summarise(parts(masses), (SEGMENTATION, BOX, MISSED, "sum"), ("arm",))


def tests(masses: pd.DataFrame) -> pd.DataFrame:
    """Set the study's chain against the others: Dice of all masses, each patient counting once."""
    end = masses[masses["source"] == "detected"]
    return compare(end, [(STUDY, other) for other in ARMS if other != STUDY], by="arm")


def picked(masses: pd.DataFrame, arm: str) -> dict[str, pd.Series]:
    """Pick masses of an arm's first fold by rule: found ones by Dice, and the largest missed."""
    ours = (masses["arm"] == arm) & (masses["fold"] == masses["fold"].min())
    end = masses[ours & (masses["source"] == "detected")]
    end = end.set_index("case", drop=False).rename_axis(None)
    missed = end[end["found"] == 0].sort_values(["truth_pixels", "case"], ascending=[False, True])
    chosen = {rule: end.loc[case] for rule, case in pictures.picked(end[end["found"] == 1]).items()}
    return chosen if missed.empty else chosen | {"largest missed": missed.iloc[0]}


def examples(cohort: Cohort | None, runs: Runs, arm: str) -> list[tuple[str, NDArray[Any]]]:
    """Show the picked masses: mammogram with boxes and, if found, frame and agreement of the mask.

    None without the images.
    """
    record, shown = runs.first(arm), list[tuple[str, NDArray[Any]]]()
    if cohort is None or record is None:
        return shown
    predictions = record.predictions()
    for rule, row in picked(masses_of(runs), arm).items():
        sample = cohort.sample(row["case"])
        image, marks = sample.image, [(MARKS["mass"], box_of_row(sample.row), True, "")]
        if not row["found"]:
            shown.append((rule, boxed(image, marks)))
            continue
        kept, edges = predictions[row["case"]]
        window: Box = tuple(edges.tolist())
        mask = paste_back(kept, window, sample.mask.shape)
        cut, truth, found = (crop_and_resize(x, window, SIDE) for x in (image, sample.mask, mask))
        overlay = agreement_overlay(np.clip(cut, 0, 1), truth, found, alpha=0.45)
        said = f"Dice {row['dice']:.3f}; told {row['predicted']}, is {row['label']}"
        picture = boxed(image, [*marks, (MARKS["hit"], window, False, "")])
        shown += [(rule, picture), ("frame", cut), (said, overlay)]
    return shown
