"""CDD-CESM: real mammograms with radiologists' contours (Khaled et al. 2022, CC BY 4.0).

Reads the development layout: ``images.csv``, ``regions.csv``, ``outlines.jsonl``, ``images/``.
Contours mark every annotated region, so a stated rule picks the masses: regions of images that
hold masses and whose regions are told apart, of at least :data:`MINIMUM_AREA`, of a mass's shape,
not nested in another mass. Low-energy (DM) and subtracted (CM) images are two cohorts and never
meet in one number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom_file import guarded
from mammostudy.data.manifest import BOX
from mammostudy.data.sources import files
from mammostudy.data.sources.files import Row
from mammostudy.data.tables import check, read_table
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_outline

MINIMUM_AREA: Final = 100  # px of the 512-px grid: a disc of 11 px
MINIMUM_FILL: Final = 0.35  # share of its box that a mass fills; an ellipse fills 0.785
MAXIMUM_ASPECT: Final = 3.0  # longer over shorter side of the box
NESTED: Final = 0.95  # share of a region inside a larger one from which on it is part of that mass
SIZE: Final = 512
SHAPES: Final = ("irregular", "oval", "round")
NO_MASS: Final = "image without a mass"
_IMAGES: Final = (
    "image", "patient_id", "side", "modality", "view", "pathology", "mask_kind", "breast_density",
)  # fmt: skip
_REGIONS: Final = (
    "image", "region_id", *BOX, "area_px", "mass_image", "mass_shape", "only_mass_findings",
)  # fmt: skip


def rule_fault(area: float, width: float, height: float, scale: float = 1.0) -> str | None:
    """Return why a region of this area and box is no mass by the rule, None where it is."""
    if area * scale**2 < MINIMUM_AREA:  # the scale is that of the 512-px grid to theirs
        return f"smaller than {MINIMUM_AREA} px"
    if area < MINIMUM_FILL * width * height:
        return f"fills less than {MINIMUM_FILL:.0%} of its box"
    long = max(width, height) > MAXIMUM_ASPECT * min(width, height)
    return f"box aspect above {MAXIMUM_ASPECT:g}" if long else None


def outermost(
    found: files.Gathered, rows: list[Row], masks: list[NDArray[np.bool_]], *, equal: bool = False
) -> list[Row]:
    """Leave out the rows whose masks lie within a larger one or, if so asked, an equal earlier."""
    sizes = [(int(mask.sum()), -place * equal) for place, mask in enumerate(masks)]
    drawn = list(zip(sizes, masks, strict=True))
    kept = [
        row
        for row, (size, mask) in zip(rows, drawn, strict=True)
        if not any(o > size and (mask & other).sum() >= NESTED * size[0] for o, other in drawn)
    ]
    found.dropped["inside another mass"] += len(rows) - len(kept)
    return kept


def build_manifest(
    folder: Path, modality: str, free_views: bool = False
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Pick the masses of one modality, ``DM`` (low energy) or ``CM`` (subtracted), by the rule.

    Views without a mass, what a detector sees, come behind them where asked for: the images of
    annotated regions none of which is said to be a mass. Images whose masses were all dropped, or
    whose regions are not told apart, are left out.
    """
    images, regions = read_tables(folder, modality)
    path = folder / "outlines.jsonl"
    with guarded(path, "not a line an outline (image, region_id, points); copy it anew"):
        drawn = [json.loads(line) for line in files.read_text(path).splitlines()]
        outlines = {(one["image"], str(one["region_id"])): one["points"] for one in drawn}
    found, free = files.Gathered(folder), []
    for _, image in images.iterrows():
        rows, masks = [], []
        own = regions[regions["image"] == image["image"]]
        for _, region in own.iterrows():
            with found.sorting():
                if region["mass_image"] != "True":
                    raise files.RejectedError(NO_MASS)
                x_min, y_min, x_max, y_max, area = region[[*BOX, "area_px"]]
                if reason := rule_fault(area, x_max - x_min, y_max - y_min):
                    raise files.RejectedError(reason)
                key = image["image"], region["region_id"]
                if key not in outlines:
                    raise DataError(f"{path}: no outline of region {key}")
                mask, shape = fill_outline(outlines[key], (SIZE, SIZE)), region["mass_shape"]
                sure = region["only_mass_findings"] == "True" and shape in SHAPES
                row = _row(folder, image, key[1]) | dict(zip(BOX, box_of(mask), strict=True))
                row |= {"outline": json.dumps(outlines[key]), "shape": shape if sure else None}
                rows.append(row)
                masks.append(mask)
        found.rows += (kept := outermost(found, rows, masks))
        if free_views and not kept and image["mask_kind"] == "instances":
            with found.sorting():
                view, said = _row(folder, image, "view"), (own["mass_image"] == "True").sum()
                free += files.masses_or_view(view, [], said)
    found.rows += free
    together = int((images["mask_kind"] == "binary").sum())
    found.dropped["regions not told apart (counted in images)"] = together
    if free_views:
        del found.dropped[NO_MASS]
    return found.result()


def read_images(folder: Path) -> pd.DataFrame:
    """Read the table of all images, with patient, and density: a letter a to d or missing."""
    images = read_table(folder / "images.csv", _IMAGES)
    letters = images["breast_density"].str.lower()
    density = letters.where(letters.isin(list("abcd")))
    return images.assign(patient="P" + images["patient_id"], density=density)


def read_tables(folder: Path, modality: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images of a modality and all regions, their boxes and areas as numbers."""
    images = read_images(folder)
    regions = read_table(folder / "regions.csv", _REGIONS)
    check(folder / "regions.csv", regions, dict.fromkeys((*BOX, "area_px"), r"-?\d+(\.\d+)?"))
    regions = regions.astype(dict.fromkeys((*BOX, "area_px"), float))
    return images[images["modality"] == modality], regions


def _row(folder: Path, image: pd.Series, region: str) -> Row:
    """Return a row of the manifest without a mass."""
    path = folder / "images" / f"{image['image']}.jpg"
    facts = files.look(folder, path)
    if (facts["height"], facts["width"]) != (SIZE, SIZE):
        raise DataError(f"{path}: expected an image of {SIZE}x{SIZE} pixels; copy it anew")
    same = {name: image[name] for name in ("patient", "view", "side", "modality", "pathology")}
    return facts | same | {"case": f"{image['image']}_{region}", "site": "cdd-cesm"}
