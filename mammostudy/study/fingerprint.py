"""The fingerprint of a cohort: counts and distributions that say what was studied.

It holds counts, quartiles and histograms only: no image, and no row of the data. A committed copy
(``results/<cohort>/fingerprint.json``) lets the pages tell them where the data are not at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cache import write_atomically
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import Frame, Preprocessing, frame_sample
from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.data.splits import parted, split_cases, strata
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import results_root
from mammostudy.study import fingerprint_measures as more
from mammostudy.study import recipes

VERSION: Final = 2
BINS: Final = 12
GREY_BINS: Final = 32
MEASURED: Final = 24  # masses whose frames the intensity histograms are made of
COUNTED: Final = ("site", "view", "side", "shape", "pathology", "subtype")
THIRDS: Final = {"0": "smallest third", "1": "middle third", "2": "largest third"}
STEPS: Final = {
    "framed and resized": Preprocessing(denoise_sigma=0.0, equalise=False),
    "Gaussian, sigma 0.5": Preprocessing(equalise=False),
    "equalised": Preprocessing(denoise_sigma=0.0),
    "both, as published": Preprocessing(),
}


def at_hand(cohort: str) -> Cohort | None:
    """Return the cohort, or None where its data folder is not set or missing."""
    try:
        return load_cohort(cohort)
    except MissingDataError:
        return None


def committed(cohort: str) -> Path:
    """Return where a cohort's fingerprint is committed."""
    return results_root() / cohort / "fingerprint.json"


def fingerprint(cohort: str) -> dict[str, Any]:
    """Return the fingerprint of a cohort: from its data, else from the committed file.

    Raises:
        DataError: neither the data nor a committed fingerprint is at hand.
    """
    path = committed(cohort)
    loaded = at_hand(cohort)
    if loaded is None and not path.is_file():
        loaded = load_cohort(cohort)  # says what is missing
    if loaded is not None:
        return measure(loaded)
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_fingerprint(cohort: str) -> Path:
    """Measure a cohort and write the file to commit, whole or not at all.

    Raises:
        DataError: the cohort is unknown or its data are missing.
    """
    text = json.dumps(measure(load_cohort(cohort)), indent=1, sort_keys=True) + "\n"
    path = committed(cohort)
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    path.chmod(0o644)
    return path


def measure(cohort: Cohort) -> dict[str, Any]:
    """Measure a cohort: counts of images, masses and patients, sizes, splits, grey values.

    Diameters are those of the disc of equal area: as a share of the image's longer side, in
    pixels, and in millimetres where the spacing is known.

    Raises:
        DataError: the cohort has outlines only, or a file behind it cannot be used.
    """
    if isinstance(cohort, OutlineCohort):
        msg = f"{cohort.name}: has outlines only; `mammostudy data describe` counts them"
        raise DataError(msg)
    masses = cohort.masses
    sizes = pd.DataFrame([_size(cohort, row) for _, row in masses.iterrows()])
    heights, edges = np.histogram(sizes["share"], bins=BINS)
    return {
        "version": VERSION,
        "cohort": cohort.name,
        "manifest_hash": cohort.manifest_hash,
        "images": int(cohort.manifest["image"].nunique()),
        "images_without_mass": len(set(cohort.manifest["image"]) - set(masses["image"])),
        "masses": len(masses),
        "patients": int(cohort.manifest["patient"].nunique()),
        "patients_with_mass": int(masses["patient"].nunique()),
        "counts": {column: _counts(masses, column) for column in COUNTED},
        "masses_an_image": _counts_of(masses.groupby("image").size()),
        "masses_a_patient": _counts_of(masses.groupby("patient").size()),
        "diameter_share": _quartiles(sizes["share"])
        | {"edges": [round(float(edge), 5) for edge in edges], "masses": heights.tolist()},
        "fill_of_box": _quartiles(sizes["fill"]),
        "area_share": _quartiles(sizes["area_share"], 6),
        "diameter_px": _quartiles(sizes["px"], 1),
        "diameter_mm": _known_quartiles(sizes["mm"]),
        "spacing_known": int(masses["spacing_mm"].notna().sum()),
        "density": more.densities(cohort),
        "intensity": more.intensity(cohort),
        "dropped": {reason: int(n) for reason, n in cohort.dropped.items()},
        "splits": _splits(cohort),
        "frame_intensity": _intensities(cohort),
    }


def _size(cohort: Cohort, row: pd.Series) -> dict[str, float]:
    area = float(cohort.mask(row["case"]).sum())
    x_min, y_min, x_max, y_max = box_of_row(row)
    diameter = 2 * np.sqrt(area / np.pi)
    return {
        "share": diameter / max(row["height"], row["width"]),
        "fill": area / ((x_max - x_min) * (y_max - y_min)),
        "area_share": area / (row["height"] * row["width"]),
        "px": diameter,
        "mm": np.nan if pd.isna(row["spacing_mm"]) else diameter * float(row["spacing_mm"]),
    }


def _quartiles(values: pd.Series, digits: int = 4) -> dict[str, Any]:
    names = ("q1", "median", "q3")
    found = np.percentile(values, [25, 50, 75])
    return {name: round(float(q), digits) for name, q in zip(names, found, strict=True)}


def _known_quartiles(values: pd.Series) -> dict[str, Any] | None:
    """Return quartiles of the masses whose spacing is known; None where it is for none."""
    known = values.dropna()
    return _quartiles(known, 2) if len(known) else None


def _counts(masses: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    known = masses[column].astype(object).where(masses[column].notna(), "unknown")
    grouped = masses.assign(value=known).groupby("value")["patient"].agg(["size", "nunique"])
    return {
        str(name): {"masses": int(row["size"]), "patients": int(row["nunique"])}
        for name, row in grouped.iterrows()
    }


def _counts_of(sizes: pd.Series) -> dict[str, int]:
    return {str(size): int(n) for size, n in sizes.value_counts().sort_index().items()}


def _splits(cohort: Cohort) -> list[dict[str, Any]]:
    """Count patients and masses of each part of each fold that the study's runs may use."""
    split = recipes.recipe(cohort.name, "smoke").split
    masses = parted(cohort, cohort.masses, split.rule)
    named = pd.Series(strata(masses), index=masses.index).replace(THIRDS)
    out: list[dict[str, Any]] = []
    for fold in range(split.folds if split.rule == "folds" else 1):
        parts = split_cases(masses, **split.model_dump() | {"fold": fold}).parts()
        for part, cases in parts.items():
            rows = masses.loc[list(cases)]
            balance = {
                str(name): int((named.loc[rows.index] == name).sum())
                for name in sorted(named.unique())
            }
            patients = int(rows["patient"].nunique())
            counts = {"patients": patients, "masses": len(rows), "strata": balance}
            out.append({"fold": fold, "part": part} | counts)
    return out


def _intensities(cohort: Cohort) -> dict[str, list[float]]:
    """Return the mean grey-value histogram of loose frames after each step, shares of pixels."""
    cases = cohort.masses.index[:: max(1, len(cohort) // MEASURED)][:MEASURED]
    totals = {name: np.zeros(GREY_BINS) for name in STEPS}
    for case in cases:
        sample = cohort.sample(case)
        for name, steps in STEPS.items():
            totals[name] += grey_histogram(frame_sample(sample, Frame(), steps)[0])
    return {
        name: [round(float(v), 5) for v in total / len(cases)] for name, total in totals.items()
    }


def grey_histogram(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of pixels in each of :data:`GREY_BINS` bins of [0, 1]."""
    heights, _ = np.histogram(image, bins=GREY_BINS, range=(0, 1))
    return np.asarray(heights / image.size, dtype=np.float64)
