"""The data and what is done to them before the model: counts, splits, steps, ablations."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.descriptors import describe
from mammostudy.data.frames import Frame, frame_sample
from mammostudy.figures.pictures import at_hand, typical_case
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.paths import results_root
from mammostudy.runs.spec import RunSpec
from mammostudy.study import published
from mammostudy.study.comparing import TRAINED_BY_PAGES, every_run
from mammostudy.study.fingerprint import GREY_BINS, STEPS
from mammostudy.study.recipes import headline, preset, recipe

PUBLISHED: Final = "as published"
CHANGES: Final[dict[str, dict[str, Any]]] = {
    PUBLISHED: {},
    "no denoising": {"preprocessing__denoise_sigma": 0.0},
    "no equalisation": {"preprocessing__equalise": False},
    "neither": {"preprocessing__denoise_sigma": 0.0, "preprocessing__equalise": False},
    "64 px": {"frame__size": 64, "model__levels": 6},
    "128 px": {"frame__size": 128, "model__levels": 7},
    "256 px": {"frame__size": 256, "model__levels": 8},
}
PAIRS: Final = tuple((row, PUBLISHED) for row in CHANGES if row != PUBLISHED)
COUNTS: Final = {
    "mammograms": "images",
    "of them without a mass": "images_without_mass",
    "masses": "masses",
    "patients": "patients",
    "of them with a mass": "patients_with_mass",
    "masses whose pixel spacing is known": "spacing_known",
}
SPREADS: Final = {
    "diameter, % of the image's longer side": ("diameter_share", 100, 1),
    "diameter, pixels": ("diameter_px", 1, 1),
    "diameter, mm": ("diameter_mm", 1, 1),
    "area, % of the image": ("area_share", 100, 2),
    "share of its box that a mass fills, %": ("fill_of_box", 100, 1),
}


def ablations(cohort: str, preset_name: str) -> dict[str, list[RunSpec]]:
    """Return the paper's model on the first fold with one thing changed each, by row.

    None in presets whose pages train.
    """
    if preset_name in TRAINED_BY_PAGES:
        return {}
    main = headline(cohort, preset_name)[0]
    runs = {name: [recipe(cohort, preset_name, **fields)] for name, fields in CHANGES.items()}
    runs.pop(f"{main.frame.size} px", None)
    return runs | {PUBLISHED: [main]}


specs = every_run(ablations)


def paper_table(content: dict[str, Any]) -> pd.DataFrame:
    """Set the paper's data beside a cohort's: data, masses, role, patients."""
    parts = ["training images", "test images", "INbreast images"]
    here, patients = describe(str(content["cohort"])).title, str(content["patients_with_mass"])
    return pd.DataFrame(
        {
            "data": [*["private (paper)"] * 2, "INbreast (paper)", f"{here} (here)"],
            "masses": [*(int(published.FACTS[name].value) for name in parts), content["masses"]],
            "role": ["training", "test", "test", "both, by patient"],
            "patients": [*["not reported"] * 3, patients],
        }
    )


def overview(content: dict[str, Any]) -> pd.DataFrame:
    """Return what a cohort holds as a table: what, number; medians with their quartiles."""
    rows = {what: f"{content[name]:,}" for what, name in COUNTS.items()}
    for what, (name, scale, digits) in SPREADS.items():
        rows[what] = "unknown: no pixel spacing"
        if (values := content[name]) is not None:
            q1, median, q3 = (f"{scale * values[q]:.{digits}f}" for q in ("q1", "median", "q3"))
            rows[what] = f"{median} ({q1} to {q3})"
    return pd.DataFrame({"what": list(rows), "number": list(rows.values())})


def counts_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return the counts of a fingerprint as a table: by, value, masses, patients."""
    rows = [
        {"by": column, "value": value, **counts}
        for column, values in content["counts"].items()
        for value, counts in values.items()
    ]
    table = pd.DataFrame(rows)
    return table.sort_values(["by", "masses"], ascending=[True, False], ignore_index=True)


def sharing_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return how many masses share an image, and a patient, by the number of masses."""
    images, patients = content["masses_an_image"], content["masses_a_patient"]
    counts = {"images with so many": images, "patients with so many": patients}
    table = pd.DataFrame(counts).fillna(0).astype(int)
    return table.set_axis(table.index.astype(int)).sort_index().reset_index(names="masses")


def exclusions(cohort: str) -> pd.DataFrame:
    """Read what ``tools/count_exclusions.py`` found that each rule takes and leaves, in order."""
    path = results_root() / "cohort-counts" / f"{cohort}-exclusions.csv"
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["leaves"])


def split_table(content: dict[str, Any], preset_name: str) -> pd.DataFrame:
    """Return patients and masses of each part, for the folds of a preset."""
    table = pd.DataFrame(content["splits"])
    strata = pd.DataFrame(table.pop("strata").tolist()).add_suffix(", %")
    shares = (100 * strata).div(table["masses"].clip(lower=1), axis=0)
    table = table[["fold", "part", "patients", "masses"]].join(shares)
    return table[table["fold"].isin(preset(preset_name).folds)].reset_index(drop=True)


def grey_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return mean grey-value histograms after each step: columns step, value, share (%)."""
    shares = pd.DataFrame(content["frame_intensity"])[list(STEPS)]
    shares.insert(0, "value", (np.arange(GREY_BINS) + 0.5) / GREY_BINS)
    table = shares.melt("value", var_name="step", value_name="share")
    return table.assign(share=100 * table["share"])[["step", "value", "share"]]


def steps_of(cohort: str) -> dict[str, NDArray[np.float32]]:
    """Return each pre-processing step on one loose frame, float32, by step.

    The mass of median area stands for the cohort; empty without the images.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    sample = loaded.sample(typical_case(loaded.masses))
    return {name: frame_sample(sample, Frame(), step)[0] for name, step in STEPS.items()}


def examples(cohort: str) -> dict[str, NDArray[np.uint8]]:
    """Return a mammogram of each site and view, then a mass of each shape, outlined, by title.

    The mass of median box stands for its group; at most four mammograms, none without images.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    out = {}
    for (site, view), masses in list(loaded.masses.groupby(["site", "view"]))[:4]:
        sample = loaded.sample(typical_case(masses))
        out[f"{site}, {view}"] = outline_overlay(sample.image, sample.mask, thickness=2)
    frame = Frame(size=192, aspect="square", truth="target")
    for shape, masses in loaded.masses.groupby("shape"):
        sample = loaded.sample(typical_case(masses))
        image, mask, _ = frame_sample(sample, frame, STEPS["framed and resized"])
        out[str(shape)] = outline_overlay(image, mask)
    return out
