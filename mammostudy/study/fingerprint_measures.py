"""Parts of a fingerprint that need more than the manifest: breast density, grey values."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import describe

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
EXAMINED: Final = 24  # images whose grey values are looked at, evenly spaced in the manifest
BACKGROUND: Final = 0.05  # grey values up to this count as air


def densities(cohort: Cohort) -> dict[str, dict[str, int]] | None:
    """Count images and patients by breast density, where the owners' tables give it.

    Returns:
        ``{"b": {"images": n, "patients": n}}`` with ``unknown`` for images without a letter;
        None for cohorts whose tables give no density, as the manifest has no column for it.

    Raises:
        DataError: the owners' table cannot be read.
    """
    if describe(cohort.name).reader != "cdd_cesm":
        return None
    from mammostudy.data.sources.cdd_cesm import read_images

    images = read_images(cohort.root)
    names = cohort.manifest["image"].str.removeprefix("images/").str.removesuffix(".jpg")
    rows = images[images["image"].isin(set(names))]
    grouped = rows.fillna({"density": "unknown"}).groupby("density")["patient"]
    counted = grouped.agg(["size", "nunique"])
    return {
        str(letter): {"images": int(row["size"]), "patients": int(row["nunique"])}
        for letter, row in counted.iterrows()
    }


def intensity(cohort: Cohort) -> dict[str, Any]:
    """Return percentiles of the grey values of the breast, means over some images.

    Grey values are in [0, 1] as read; those up to :data:`BACKGROUND` are air and left out.

    Raises:
        DataError: an image cannot be read.
    """
    rows = cohort.manifest.drop_duplicates("image")
    chosen = rows.iloc[:: max(1, len(rows) // EXAMINED)].head(EXAMINED)
    found = []
    air = []
    for _, row in chosen.iterrows():
        image = cohort.image(row)
        breast = image[image > BACKGROUND]
        air.append(1 - breast.size / image.size)
        if breast.size:
            found.append(np.percentile(breast, PERCENTILES))
    means = np.mean(found, axis=0) if found else np.zeros(len(PERCENTILES))
    return {
        "images": len(chosen),
        "air": round(float(np.mean(air)), 4),
        "percentiles": {
            str(p): round(float(v), 4) for p, v in zip(PERCENTILES, means, strict=True)
        },
    }
