"""The data and what is done to them before the model: fingerprint, steps, ablations."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row, load_cohort
from mammostudy.data.frames import Frame, Preprocessing
from mammostudy.errors import DataError
from mammostudy.paths import results_root
from mammostudy.runs.spec import RunSpec
from mammostudy.study import recipes, tables

SIZES: Final = {64: 6, 128: 7, 256: 8}  # side of the frame in pixels -> levels of the generator
BINS: Final = 12
RECIPES: Final = ("mammostudy.imaging.framing", "mammostudy.imaging.preprocessing")
STEPS: Final = {
    "as published": {},
    "no denoising": {"preprocessing__denoise_sigma": 0.0},
    "no equalisation": {"preprocessing__equalise": False},
    "neither": {"preprocessing__denoise_sigma": 0.0, "preprocessing__equalise": False},
}


def ablations(cohort: str, preset: str) -> dict[str, dict[str, list[RunSpec]]]:
    """Return the ablations by name: rows and their runs; none where the preset cannot afford them.

    The ``reference`` and ``paper`` presets train them, on the first fold.
    """
    if preset in tables.TRAINED_BY_PAGES:
        return {}
    main = recipes.headline(cohort, preset)[0]
    side = main.frame.size
    steps = {
        name: [recipes.recipe(cohort, preset, **changes) if changes else main]
        for name, changes in STEPS.items()
    }
    sizes = {
        f"{size} px": [
            main
            if size == side
            else recipes.recipe(cohort, preset, frame__size=size, model__levels=levels)
        ]
        for size, levels in SIZES.items()
    }
    return {"pre-processing": steps, "input size": sizes}


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    named = ablations(cohort, preset).values()
    return list(dict.fromkeys(s for rows in named for specs in rows.values() for s in specs))


def ablation_table(cohort: str, preset: str, name: str) -> pd.DataFrame:
    """Return Dice in the frame and in the image's grid by row of an ablation, on test.

    Frames of different sizes are compared in the image's grid (``dice_image``).
    """
    named = ablations(cohort, preset)[name]
    stacked = tables.chosen(tables.rows_of(tables.records_of(named, preset)))
    return tables.summarise(stacked, ("dice", "dice_image"))


def ablation_tests(cohort: str, preset: str, name: str, metric: str = "dice_image") -> pd.DataFrame:
    """Test every row of an ablation against the paper's own, paired over patients."""
    named = ablations(cohort, preset)[name]
    stacked = tables.chosen(tables.rows_of(tables.records_of(named, preset)))
    main = "as published" if name == "pre-processing" else f"{_side(cohort, preset)} px"
    out = []
    for row in stacked["row"].unique():
        if row != main:
            test = tables.paired(stacked, row, main, metric)
            out.append({"comparison": f"{row} - {main}", "metric": metric, **vars(test)})
    return pd.DataFrame(out)


def _side(cohort: str, preset: str) -> int:
    return recipes.headline(cohort, preset)[0].frame.size


def at_hand(cohort: str) -> Cohort | None:
    """Return the cohort, or None where its data folder is not set or missing."""
    try:
        return load_cohort(cohort)
    except DataError:
        return None


def fingerprint(cohort: str) -> dict[str, Any]:
    """Return counts and distributions of a cohort: from its data, else from the committed file.

    Raises:
        DataError: neither the data nor a committed fingerprint is at hand.
    """
    loaded = at_hand(cohort)
    if loaded is not None:
        return measure(loaded)
    path = results_root() / cohort / "fingerprint.json"
    if not path.is_file():
        return measure(load_cohort(cohort))
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def measure(cohort: Cohort) -> dict[str, Any]:
    """Measure a cohort: counts of images, masses and patients, sizes, fill, intensities.

    Diameters are those of the disc of equal area, as a share of the image's longer side.
    """
    masses = cohort.masses
    rows = [_mass(cohort, case) for case in masses.index]
    share = np.array([row["share"] for row in rows])
    fill = np.array([row["fill"] for row in rows])
    images = cohort.manifest.drop_duplicates("image")
    sample = [cohort.image(row) for _, row in images.iloc[:: max(1, len(images) // 24)].iterrows()]
    pixels = np.concatenate([image[image > 0][::101] for image in sample])
    counts = {
        column: _counts(masses, column)
        for column in ("view", "side", "site", "shape", "pathology", "subtype")
    }
    heights, edges = np.histogram(share, bins=BINS)
    return {
        "cohort": cohort.name,
        "manifest_hash": cohort.manifest_hash,
        "images": len(images),
        "images_without_mass": len(set(cohort.manifest["image"]) - set(masses["image"])),
        "masses": len(masses),
        "patients": int(cohort.manifest["patient"].nunique()),
        "patients_with_mass": int(masses["patient"].nunique()),
        "counts": counts,
        "masses_an_image": _counts_of(masses.groupby("image").size()),
        "masses_a_patient": _counts_of(masses.groupby("patient").size()),
        "diameter_share": _spread(share) | {"edges": edges.tolist(), "masses": heights.tolist()},
        "fill_of_box": _spread(fill),
        "intensity": {str(q): round(float(np.percentile(pixels, q)), 4) for q in (1, 25, 50, 75, 99)},
        "spacing_known": int(masses["spacing_mm"].notna().sum()),
        "dropped": cohort.dropped,
    }


def _mass(cohort: Cohort, case: str) -> dict[str, float]:
    row = cohort.masses.loc[case]
    area = float(cohort.mask(case).sum())
    x_min, y_min, x_max, y_max = box_of_row(row)
    diameter = 2 * np.sqrt(area / np.pi)
    return {
        "share": diameter / max(row["height"], row["width"]),
        "fill": area / ((x_max - x_min) * (y_max - y_min)),
    }


def _spread(values: NDArray[np.float64]) -> dict[str, Any]:
    quartiles = np.percentile(values, [25, 50, 75])
    names = ("q1", "median", "q3")
    return {name: round(float(q), 4) for name, q in zip(names, quartiles, strict=True)}


def _counts(masses: pd.DataFrame, column: str) -> dict[str, int]:
    known = masses[column].astype(object).where(masses[column].notna(), "unknown")
    return {str(name): int(n) for name, n in known.value_counts().items()}


def _counts_of(sizes: pd.Series) -> dict[str, int]:
    return {str(size): int(n) for size, n in sizes.value_counts().sort_index().items()}


def counts_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return the counts of a fingerprint as a table: what, value, masses."""
    rows = [
        {"by": column, "value": value, "masses": n}
        for column, counts in content["counts"].items()
        for value, n in counts.items()
    ]
    return pd.DataFrame(rows)


def split_table(cohort: str, preset: str) -> pd.DataFrame:
    """Return patients and masses of each part by fold, as the records or the data say."""
    named = {"cGAN": recipes.headline(cohort, preset)[: len(recipes.preset(preset).folds)]}
    out = []
    for record in tables.records_of(named, preset)["cGAN"]:
        for part, cases in record.content["split"].items():
            out.append({"fold": record.spec.split.fold, "part": part, "masses": len(cases)})
    return pd.DataFrame(out)


def steps_of(cohort: str, case: str | None = None, size: int = 256) -> dict[str, NDArray[Any]]:
    """Return each pre-processing step on one loose frame; empty without the data.

    Args:
        cohort: its name.
        case: the mass; default the one of median area.
        size: of the resized frame.

    Returns:
        float32 ``(size, size)`` by step: framed, denoised, equalised, as published.
    """
    from mammostudy.data.frames import frame_sample

    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    sample = loaded.sample(case or typical_case(loaded))
    steps = {
        "framed and resized": Preprocessing(denoise_sigma=0.0, equalise=False),
        "Gaussian, sigma 0.5": Preprocessing(equalise=False),
        "equalised": Preprocessing(denoise_sigma=0.0),
        "both, as published": Preprocessing(),
    }
    frame = Frame(size=size)
    return {name: frame_sample(sample, frame, step)[0] for name, step in steps.items()}


def typical_case(cohort: Cohort) -> str:
    """Return the mass whose box has the median area: a rule, so that no one picks the example."""
    masses = cohort.masses
    area = (masses["x_max"] - masses["x_min"]) * (masses["y_max"] - masses["y_min"])
    return str(area.sort_values().index[len(area) // 2])
