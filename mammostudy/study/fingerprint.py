"""The fingerprint of a cohort: counts and distributions that say what was studied.

It holds counts, quartiles and histograms only: no image, and no row of the data. A committed copy
(``results/<cohort>/fingerprint.json``, printed by ``mammostudy data describe``) lets the pages tell
them where the data are not at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.descriptors import describe
from mammostudy.data.frames import Frame, Preprocessing, frame_sample
from mammostudy.data.load import image_facts, load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.splits import parted, split_cases, strata
from mammostudy.figures.pictures import at_hand
from mammostudy.paths import results_root

VERSION: Final = 2
STUDIED: Final = ("phantom", "cdd-cesm", "cdd-cesm-cm")
"""Cohorts of the study with a committed fingerprint."""
BINS: Final = 12
GREY_BINS: Final = 32
MEASURED: Final = 24  # masses whose frames the grey-value histograms are made of
EXAMINED: Final = 24  # images whose grey values are looked at, evenly spaced
BACKGROUND: Final = 0.05  # grey values up to this count as air
PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
COUNTED: Final = ("site", "view", "side", "shape", "pathology", "subtype")
THIRDS: Final = {"0": "smallest third", "1": "middle third", "2": "largest third"}
STEPS: Final = {
    "framed and resized": Preprocessing(denoise_sigma=0.0, equalise=False),
    "Gaussian, sigma 0.5": Preprocessing(equalise=False),
    "equalised": Preprocessing(denoise_sigma=0.0),
    "both, as published": Preprocessing(),
}
"""In the order in which pages show them: without, each by itself, both."""


def committed(cohort: str) -> Path:
    """Return where a cohort's fingerprint is committed."""
    return results_root() / cohort / "fingerprint.json"


def read_committed(cohort: str) -> dict[str, Any]:
    """Read the committed fingerprint of a cohort; no data are needed."""
    content: dict[str, Any] = json.loads(committed(cohort).read_text(encoding="utf-8"))
    return content


def fingerprint(cohort: str) -> dict[str, Any]:
    """Return the fingerprint of a cohort: from its data, else the committed one."""
    if (loaded := at_hand(cohort)) is not None:
        return measure(loaded)
    if committed(cohort).is_file():
        return read_committed(cohort)
    return measure(load_cohort(cohort))  # says what is missing


def measure(cohort: Cohort) -> dict[str, Any]:
    """Measure a cohort: counts of images, masses and patients, sizes, splits, grey values.

    Diameters are those of the disc of equal area: as a share of the image's longer side, in pixels,
    and in millimetres where the spacing is known.
    """
    if isinstance(cohort, OutlineCohort):
        msg = f"{cohort.name}: has outlines only; `mammostudy data describe` counts them"
        raise DataError(msg)
    masses, manifest, facts = cohort.masses, cohort.manifest, image_facts(cohort)
    sizes = _sizes(cohort)
    heights, edges = np.histogram(sizes["share"], bins=BINS)
    known = sizes["mm"].dropna()
    return {
        "version": VERSION,
        "cohort": cohort.name,
        "manifest_hash": cohort.manifest_hash,
        "images": int(manifest["image"].nunique()),
        "images_without_mass": len(set(manifest["image"]) - set(masses["image"])),
        "masses": len(masses),
        "patients": int(manifest["patient"].nunique()),
        "patients_with_mass": int(masses["patient"].nunique()),
        "counts": {column: _grouped(masses, column, "masses") for column in COUNTED},
        "masses_an_image": _counted(masses.groupby("image").size()),
        "masses_a_patient": _counted(masses.groupby("patient").size()),
        "diameter_share": _quartiles(sizes["share"])
        | {"edges": _rounded(edges, 5), "masses": heights.tolist()},
        "fill_of_box": _quartiles(sizes["fill"]),
        "area_share": _quartiles(sizes["area_share"], 6),
        "diameter_px": _quartiles(sizes["px"], 1),
        "diameter_mm": _quartiles(known, 2) if len(known) else None,
        "spacing_known": int(masses["spacing_mm"].notna().sum()),
        "density": _grouped(facts, "density", "images") if "density" in facts else None,
        "intensity": _intensity(cohort),
        "dropped": {reason: int(n) for reason, n in cohort.dropped.items()},
        "splits": _splits(cohort),
        "frame_intensity": _frame_intensities(cohort),
    }


def _sizes(cohort: Cohort) -> pd.DataFrame:
    table = cohort.masses
    area = table["case"].map(lambda case: float(cohort.mask(case).sum()))
    box = (table["x_max"] - table["x_min"]) * (table["y_max"] - table["y_min"])
    px, sides = 2 * np.sqrt(area / np.pi), table[["height", "width"]]
    found = {"share": px / sides.max(axis=1), "fill": area / box, "px": px}
    found |= {"area_share": area / sides.prod(axis=1), "mm": px * table["spacing_mm"]}
    return pd.DataFrame(found).astype(float)


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _quartiles(values: pd.Series, digits: int = 4) -> dict[str, Any]:
    found = _rounded(np.percentile(values, [25, 50, 75]), digits)
    return dict(zip(("q1", "median", "q3"), found, strict=True))


def _grouped(rows: pd.DataFrame, column: str, what: str) -> dict[str, dict[str, int]]:
    """Count rows and patients by the values of a column, missing ones as ``unknown``."""
    known = rows[column].astype(object).where(rows[column].notna(), "unknown")
    found = rows["patient"].groupby(known).agg(["size", "nunique"])
    return {str(name): {what: int(n), "patients": int(p)} for name, n, p in found.itertuples()}


def _counted(sizes: pd.Series) -> dict[str, int]:
    return {str(size): int(n) for size, n in sizes.value_counts().sort_index().items()}


def _intensity(cohort: Cohort) -> dict[str, Any]:
    """Return percentiles of the grey values of the breast, means over some images.

    Grey values are in [0, 1] as read; those up to :data:`BACKGROUND` are air and left out.
    """
    rows = cohort.manifest.drop_duplicates("image")
    chosen = rows.iloc[:: max(1, len(rows) // EXAMINED)].head(EXAMINED)
    found, air = [], []
    for _, row in chosen.iterrows():
        image = cohort.image(row)
        breast = image[image > BACKGROUND]
        air.append(1 - breast.size / image.size)
        if breast.size:
            found.append(np.percentile(breast, PERCENTILES))
    means = np.mean(found, axis=0) if found else np.zeros(len(PERCENTILES))
    percentiles = dict(zip(map(str, PERCENTILES), _rounded(means, 4), strict=True))
    return {
        "images": len(chosen),
        "air": round(float(np.mean(air)), 4),
        "percentiles": percentiles,
    }


def _splits(cohort: Cohort) -> list[dict[str, Any]]:
    """Count patients and masses of each part of each fold that the study's runs may use."""
    from mammostudy.runs.spec import SplitSpec

    split = SplitSpec.model_validate(describe(cohort.name).split)
    masses = parted(cohort, cohort.masses, split.rule)
    named = pd.Series(strata(masses), index=masses.index).replace(THIRDS)
    out: list[dict[str, Any]] = []
    for fold in range(split.folds if split.rule == "folds" else 1):
        parts = split_cases(masses, **split.model_dump() | {"fold": fold}).parts()
        for part, cases in parts.items():
            kinds = named.loc[list(cases)]
            balance = {str(name): int((kinds == name).sum()) for name in sorted(named.unique())}
            patients = int(masses.loc[list(cases), "patient"].nunique())
            counts = {"patients": patients, "masses": len(kinds), "strata": balance}
            out.append({"fold": fold, "part": part} | counts)
    return out


def _frame_intensities(cohort: Cohort) -> dict[str, list[float]]:
    """Return the mean grey-value histogram of loose frames after each step, shares of pixels."""
    cases = cohort.masses.index[:: max(1, len(cohort) // MEASURED)][:MEASURED]
    totals = {name: np.zeros(GREY_BINS) for name in STEPS}
    for case in cases:
        sample = cohort.sample(case)
        for name, steps in STEPS.items():
            image = frame_sample(sample, Frame(), steps)[0]
            totals[name] += np.histogram(image, bins=GREY_BINS, range=(0, 1))[0] / image.size
    return {name: _rounded(total / len(cases), 5) for name, total in totals.items()}
