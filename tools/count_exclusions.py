"""Count what each rule that picks the masses of CDD-CESM takes and leaves, to commit.

    python tools/count_exclusions.py

``results/cohort-counts/<cohort>-exclusions.csv`` holds counts, medians and means, never a row of
the data: the page on the data reads it, so that it says the same where the data are not at hand.

A row a rule, the first of what was read, the last of the masses that remain. Of the regions that it
takes (the last: of the masses): regions, irregular (by the label of their image), fill (median
share of their box), ellipse (mean Dice of the ellipse in their box, of the one scale that suits the
masses best) and both (that Dice on them and the masses together). Of what is left then: images,
patients and left, the regions.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cache import write_atomically
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.data.sources import cdd_cesm
from mammostudy.imaging.contours import box_of, fill_outline, inscribed_ellipse
from mammostudy.models.baselines import FACTORS
from mammostudy.paths import results_root

COHORTS = ("cdd-cesm", "cdd-cesm-cm")
TOGETHER, NESTED, MASSES = "regions not told apart", "inside another mass", "masses"
RULES = (
    cdd_cesm.NO_MASS,
    cdd_cesm.rule_fault(0, 1, 1),
    cdd_cesm.rule_fault(1e4, 1e4, 1e4),
    cdd_cesm.rule_fault(1e4, 1e4, 1),
    NESTED,
)
"""What takes a region, in the order in which it is asked."""


def dice_of_ellipses(mask: NDArray[np.bool_]) -> list[float]:
    """Return the Dice of the ellipses in a mask's box, of every scale."""
    x_min, y_min, x_max, y_max = box_of(mask)
    width, height = x_max - x_min, y_max - y_min
    cut = np.pad(mask[y_min:y_max, x_min:x_max], ((height, height), (width, width)))
    box = width, height, 2 * width, 2 * height
    drawn = [inscribed_ellipse(box, cut.shape, factor) for factor in FACTORS]
    return [float(2 * (each & cut).sum() / (each.sum() + cut.sum())) for each in drawn]


def regions_of(cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the images of a cohort's kind, and their regions with the rule that takes each."""
    images, regions = cdd_cesm.read_tables(cohort.root, describe(cohort.name).modality)
    regions = regions.merge(images[["image", "patient"]], on="image")
    lines = (cohort.root / "outlines.jsonl").read_text(encoding="utf-8").splitlines()
    drawn = {(one["image"], str(one["region_id"])): one["points"] for one in map(json.loads, lines)}
    rows, scores = [], []
    for row in regions.to_dict("records"):
        width, height = row["x_max"] - row["x_min"], row["y_max"] - row["y_min"]
        rule = cdd_cesm.rule_fault(row["area_px"], width, height)
        kept = f"{row['image']}_{row['region_id']}" in cohort.masses.index
        taken = rule or (MASSES if kept else NESTED)
        row["leaves"] = taken if row["mass_image"] == "True" else cdd_cesm.NO_MASS
        row["fill"] = row["area_px"] / (width * height)
        points = drawn[row["image"], row["region_id"]]
        scores.append(dice_of_ellipses(fill_outline(points, (cdd_cesm.SIZE, cdd_cesm.SIZE))))
        rows.append(row)
    table, every = pd.DataFrame(rows), np.array(scores)
    best = every[(table["leaves"] == MASSES).to_numpy()].mean(axis=0).argmax()
    return images, table.assign(ellipse=every[:, best])


def count(name: str) -> pd.DataFrame:
    """Count the exclusions of a cohort on the data at hand."""
    images, regions = regions_of(load_cohort(name))

    def left(among: pd.DataFrame) -> dict[str, Any]:
        return {"images": among["image"].nunique(), "patients": among["patient"].nunique()}

    lines: list[dict[str, Any]] = [{"leaves": "read"} | left(images)]
    lines.append({"leaves": TOGETHER} | left(regions) | {"left": len(regions)})
    rest, masses = regions, regions[regions["leaves"] == MASSES]
    for rule in [*(rule for rule in RULES if rule in set(regions["leaves"])), MASSES]:
        taken = regions[regions["leaves"] == rule]
        rest = rest if rule == MASSES else rest[rest["leaves"] != rule]
        said = {"leaves": rule, "regions": len(taken), "fill": round(taken["fill"].median(), 3)}
        said["irregular"] = int((taken["mass_shape"] == "irregular").sum())
        said["ellipse"] = round(taken["ellipse"].mean(), 4)
        said["both"] = round(pd.concat([taken, masses])["ellipse"].mean(), 4)
        lines.append(said | left(rest) | {"left": len(rest)})
    names = "leaves regions irregular fill ellipse both images patients left"
    table = pd.DataFrame(lines, columns=names.split())
    return table.astype(dict.fromkeys(("regions", "irregular", "left"), "Int64"))


def main() -> None:
    """Count every cohort and write the files to commit."""
    for name in COHORTS:
        text = count(name).to_csv(index=False)
        path = results_root() / "cohort-counts" / f"{name}-exclusions.csv"
        write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
        print(f"{path}\n{text}")


if __name__ == "__main__":
    main()
