"""The data and what is done to them before the model: counts, splits, steps, ablations."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.frames import Frame, frame_sample
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.runs.spec import RunSpec
from mammostudy.study import published
from mammostudy.study.comparing import TRAINED_BY_PAGES
from mammostudy.study.fingerprint import GREY_BINS, STEPS
from mammostudy.study.pictures import at_hand, typical_case
from mammostudy.study.recipes import cohort_title, headline, preset, recipe

LEVELS: Final = {64: 6, 128: 7, 256: 8}  # by the side of the frame in pixels
PUBLISHED: Final = "as published"
CHANGES: Final[dict[str, dict[str, Any]]] = {
    PUBLISHED: {},
    "no denoising": {"preprocessing__denoise_sigma": 0.0},
    "no equalisation": {"preprocessing__equalise": False},
    "neither": {"preprocessing__denoise_sigma": 0.0, "preprocessing__equalise": False},
    **{
        f"{size} px": {"frame__size": size, "model__levels": levels}
        for size, levels in LEVELS.items()
    },
}
PAIRS: Final = tuple((row, PUBLISHED) for row in CHANGES if row != PUBLISHED)
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
    same = f"{main.frame.size} px"
    return {
        name: [recipe(cohort, preset_name, **changes) if changes else main]
        for name, changes in CHANGES.items()
        if name != same
    }


def specs(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return every run that the chapter shows, each once."""
    runs = ablations(cohort, preset_name).values()
    return list(dict.fromkeys(spec for each in runs for spec in each))


def paper_table(content: dict[str, Any]) -> pd.DataFrame:
    """Set the paper's data beside a cohort's: data, masses, role, patients."""
    names = ("training images", "test images", "INbreast images")
    masses = [int(published.FACTS[name].value) for name in names]
    return pd.DataFrame(
        {
            "data": [
                "private (paper)",
                "private (paper)",
                "INbreast (paper)",
                f"{cohort_title(str(content['cohort']))} (here)",
            ],
            "masses": [*masses, content["masses"]],
            "role": ["training", "test", "test", "both, by patient"],
            "patients": ["not reported"] * 3 + [str(content["patients_with_mass"])],
        }
    )


def spread(content: dict[str, Any], name: str, scale: float, digits: int) -> str:
    """Print a median with its quartiles, ``12.1 (9.0 to 15.3)``, or that it is unknown."""
    values = content[name]
    if values is None:
        return "unknown: no pixel spacing"
    q1, median, q3 = (f"{scale * values[key]:.{digits}f}" for key in ("q1", "median", "q3"))
    return f"{median} ({q1} to {q3})"


def overview(content: dict[str, Any]) -> pd.DataFrame:
    """Return what a cohort holds as a table: what, number; medians with their quartiles."""
    counts = {
        "mammograms": "images",
        "of them without a mass": "images_without_mass",
        "masses": "masses",
        "patients": "patients",
        "of them with a mass": "patients_with_mass",
        "masses whose pixel spacing is known": "spacing_known",
    }
    rows = {what: f"{content[name]:,}" for what, name in counts.items()}
    rows |= {what: spread(content, *how) for what, how in SPREADS.items()}
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
    """Return how many masses share an image, and a patient: columns masses, images, patients."""
    images, patients = content["masses_an_image"], content["masses_a_patient"]
    numbers = sorted({int(n) for n in (*images, *patients)})
    rows = [(n, images.get(str(n), 0), patients.get(str(n), 0)) for n in numbers]
    return pd.DataFrame(rows, columns=["masses", "images with so many", "patients with so many"])


def dropped_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return what the rule dropped: columns reason, dropped; most first."""
    table = pd.DataFrame(list(content["dropped"].items()), columns=["reason", "dropped"])
    return table.sort_values("dropped", ascending=False, ignore_index=True)


def split_table(content: dict[str, Any], preset_name: str) -> pd.DataFrame:
    """Return patients and masses of each part, for the folds of a preset.

    Columns: fold, part, patients, masses, and the share of masses of each stratum in %.
    """
    rows = []
    for row in content["splits"]:
        if row["fold"] in preset(preset_name).folds:
            total = max(row["masses"], 1)
            plain = {name: row[name] for name in ("fold", "part", "patients", "masses")}
            rows.append(
                plain | {f"{name}, %": 100 * n / total for name, n in row["strata"].items()}
            )
    return pd.DataFrame(rows)


def grey_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return mean grey-value histograms after each step: columns step, value, share (%)."""
    centres = (np.arange(GREY_BINS) + 0.5) / GREY_BINS
    shares = content["frame_intensity"]
    parts = [
        pd.DataFrame({"step": step, "value": centres, "share": 100 * np.array(shares[step])})
        for step in STEPS
    ]
    return pd.concat(parts, ignore_index=True)


def steps_of(cohort: str, size: int = 256) -> dict[str, NDArray[np.float32]]:
    """Return each pre-processing step on one loose frame, float32 ``(size, size)`` by step.

    The mass of median area stands for the cohort; empty without the images.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    sample = loaded.sample(typical_case(loaded.masses))
    frame = Frame(size=size)
    return {name: frame_sample(sample, frame, step)[0] for name, step in STEPS.items()}


def examples(cohort: str) -> dict[str, NDArray[np.uint8]]:
    """Return a mammogram of each site and view, then a mass of each shape, outlined, by title.

    The mass of median box stands for its group. uint8 ``(h, w, 3)``; at most four mammograms; empty
    without the images.
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
