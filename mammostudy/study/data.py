"""The data and what is done to them before the model: counts, splits, steps, ablations."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.runs.spec import RunSpec
from mammostudy.study import fingerprint as prints
from mammostudy.study import published, recipes, tables
from mammostudy.study.examples import mammograms, shapes, steps_of, typical_case
from mammostudy.study.fingerprint import at_hand, fingerprint, measure, write_fingerprint

__all__ = [
    "at_hand",
    "fingerprint",
    "mammograms",
    "measure",
    "shapes",
    "steps_of",
    "typical_case",
    "write_fingerprint",
]

SIZES: Final = {64: 6, 128: 7, 256: 8}  # side of the frame in pixels -> levels of the generator
STEPS: Final[dict[str, dict[str, Any]]] = {
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


def ablation_rows(cohort: str, preset: str, name: str) -> pd.DataFrame:
    """Return the test rows of an ablation on oracle boxes before post-processing."""
    named = ablations(cohort, preset).get(name, {})
    found = tables.records_of(named, preset)
    return tables.chosen(tables.rows_of(found))


def ablation_absent(cohort: str, preset: str, name: str) -> list[str]:
    """Return the rows of an ablation that were not run."""
    named = ablations(cohort, preset).get(name, {})
    return tables.not_run(named, tables.records_of(named, preset))


def ablation_table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise an ablation: Dice in the frame and in the image's grid by row, on test.

    Frames of different sizes are compared in the image's grid (``dice_image``).
    """
    return tables.summarise(stacked, ("dice", "dice_image"))


def ablation_tests(stacked: pd.DataFrame, main: str, metric: str = "dice_image") -> pd.DataFrame:
    """Test every row of an ablation against the paper's own, paired over patients.

    Args:
        stacked: from :func:`ablation_rows`.
        main: name of the paper's own row.
        metric: what is compared.

    Returns:
        comparison, difference, low, high, p_wilcoxon, patients, smallest_detectable; empty where
        the paper's own row was not run.
    """
    names = list(stacked["row"].unique())
    if main not in names:
        return pd.DataFrame()
    tests = {row: tables.paired(stacked, row, main, metric) for row in names if row != main}
    shown = ("difference", "low", "high", "p_wilcoxon", "patients", "smallest_detectable")
    return pd.DataFrame(
        {"comparison": f"{row} - {main}", **{name: getattr(test, name) for name in shown}}
        for row, test in tests.items()
    )


def main_row(cohort: str, preset: str, name: str) -> str:
    """Return the name of the paper's own row in an ablation."""
    if name == "pre-processing":
        return "as published"
    return f"{recipes.headline(cohort, preset)[0].frame.size} px"


def paper_table(content: dict[str, Any]) -> pd.DataFrame:
    """Set the paper's data beside a cohort's: columns data, masses, patients, role."""
    facts = published.FACTS
    rows = [
        ("private (paper)", facts["training images"].value, "training"),
        ("private (paper)", facts["test images"].value, "test"),
        ("INbreast (paper)", facts["INbreast images"].value, "test"),
    ]
    table = pd.DataFrame(rows, columns=["data", "masses", "role"])
    title = recipes.cohort_title(str(content["cohort"]))
    here = {"data": f"{title} (here)", "masses": content["masses"], "role": "both, by patient"}
    table = pd.concat([table, pd.DataFrame([here])], ignore_index=True)
    table["masses"] = table["masses"].astype(int)
    patients = ["not reported"] * len(rows) + [str(content["patients_with_mass"])]
    return table.assign(patients=patients)


def overview(content: dict[str, Any]) -> pd.DataFrame:
    """Return what a cohort holds as a table: what, number."""
    share, fill = content["diameter_share"], content["fill_of_box"]
    rows = {
        "mammograms": f"{content['images']:,}",
        "of them without a mass": f"{content['images_without_mass']:,}",
        "masses": f"{content['masses']:,}",
        "patients": f"{content['patients']:,}",
        "of them with a mass": f"{content['patients_with_mass']:,}",
        "masses whose pixel spacing is known": f"{content['spacing_known']:,}",
        "diameter of a mass, % of the image's longer side: median (quartiles)": _spread(share),
        "diameter in pixels: median (quartiles)": _spread(content["diameter_px"], 1),
        "diameter in mm: median (quartiles)": _spread(content["diameter_mm"], 1),
        "area of a mass, % of the image: median (quartiles)": _spread(
            content["area_share"], 100, 2
        ),
        "share of its box that a mass fills, %: median (quartiles)": _spread(fill),
    }
    return pd.DataFrame({"what": list(rows), "number": list(rows.values())})


def _spread(values: dict[str, Any] | None, scale: float = 100, digits: int = 1) -> str:
    if values is None:
        return "unknown: no pixel spacing"
    q1, median, q3 = (scale * values[name] for name in ("q1", "median", "q3"))
    return f"{median:.{digits}f} ({q1:.{digits}f} to {q3:.{digits}f})"


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


def size_histogram(content: dict[str, Any]) -> pd.DataFrame:
    """Return the histogram of diameters: columns low, high (% of the longer side), masses."""
    edges = 100 * np.array(content["diameter_share"]["edges"])
    heights = content["diameter_share"]["masses"]
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "masses": heights})


def selection_rule(cohort: str) -> str:
    """Return the rule by which regions of a cohort became masses."""
    if cohort.startswith("cdd-cesm"):
        from mammostudy.data.sources.cdd_cesm import RULE

        return f"Masses are {RULE}."
    return "Every mass of the manifest is used; nothing is dropped."


def dropped_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return what the rule dropped: columns reason, dropped; most first."""
    table = pd.DataFrame(list(content["dropped"].items()), columns=["reason", "dropped"])
    return table.sort_values("dropped", ascending=False, ignore_index=True)


def split_table(content: dict[str, Any], cohort: str, preset: str) -> pd.DataFrame:
    """Return patients and masses of each part, for the folds of a preset.

    Columns: fold, part, patients, masses, and the share of masses of each stratum in %.
    """
    folds = recipes.preset(preset).folds
    rows = []
    for row in content["splits"]:
        if row["fold"] in folds:
            total = max(row["masses"], 1)
            balance = {f"{name}, %": 100 * n / total for name, n in row["strata"].items()}
            plain = {name: row[name] for name in ("fold", "part", "patients", "masses")}
            rows.append(plain | balance)
    return pd.DataFrame(rows)


def grey_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return mean grey-value histograms after each step: columns step, value, share (%)."""
    centres = (np.arange(prints.GREY_BINS) + 0.5) / prints.GREY_BINS
    return pd.concat(
        [
            pd.DataFrame({"step": step, "value": centres, "share": 100 * np.array(shares)})
            for step, shares in content["frame_intensity"].items()
        ],
        ignore_index=True,
    )
