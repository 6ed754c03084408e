"""The tables of the page on leaks: who is tested on patients already learnt from, and the gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import bootstrap_ci, paired_test
from mammostudy.runs.record import Record
from mammostudy.study import leak, shapes, tables, words

SUBSETS: Final = {
    "all masses": None,
    "patient also trained on": True,
    "patient new to the model": False,
}
TITLES: Final = {"patient": "by patient", "image": "by image (LEAKY)"}
ACCURACY: Final = "accuracy"
_TESTED: Final = ("difference", "low", "high", "p_permutation", "patients", "smallest_detectable")
Found = dict[str, list[Record]]


def records(cohort: str, preset: str) -> dict[str, Found]:
    """Return the records of the segmenter and of the ellipse, by row and unit of the folds.

    Raises:
        DataError: a run of a small preset is missing and its cohort is not at hand.
    """
    grids = {leak.MODEL: leak.segmenters(cohort, preset), leak.NULL: leak.nulls(cohort, preset)}
    return {row: tables.records_of(named, preset) for row, named in grids.items()}


def shape_records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records of the forest by unit of the folds; empty where the page has none."""
    return tables.records_of(cast(tables.Named, leak.classifiers(cohort, preset)), preset)


def absent(cohort: str, preset: str) -> list[str]:
    """Return the rows with a run that has no record."""
    grids: dict[str, Mapping[str, Sequence[Any]]] = {
        leak.MODEL: leak.segmenters(cohort, preset),
        leak.NULL: leak.nulls(cohort, preset),
        leak.SHAPES: leak.classifiers(cohort, preset),
    }
    missing = []
    for row, named in grids.items():
        found = tables.records_of(cast(tables.Named, named), preset)
        lacking = tables.not_run(cast(tables.Named, named), found)
        missing += [f"{row}, folds {TITLES[unit]}" for unit in lacking]
    return missing


def _patients(found: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Return the patient of each case that any of the records tested or validated."""
    patient_of: dict[str, str] = {}
    for record in (record for listed in found.values() for record in listed):
        patient_of |= dict(zip(record.cases["case"], record.cases["patient"], strict=True))
    return patient_of


def trained_on(found: Mapping[str, Sequence[Record]]) -> dict[str, bool]:
    """Say of each test case of the folds by image whether its patient was trained on.

    Args:
        found: records by unit.

    Returns:
        By case; nothing where the folds by image have no record.
    """
    patient_of = _patients(found)
    exposed: dict[str, bool] = {}
    for record in found.get("image", ()):
        parts = record.content["split"]
        learnt = {patient_of.get(case) for case in parts["train"]}
        exposed |= {case: patient_of.get(case) in learnt for case in parts["test"]}
    return exposed


def folds_table(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return what the folds are made of, first seeds.

    Returns:
        A row a unit and fold: folds, fold, trained on (masses), tested (masses), tested patients,
        and of the tested masses and patients those ``also trained on``.
    """
    patient_of = _patients(found)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for unit, listed in found.items():
        for record in listed:
            parts = record.content["split"]
            learnt = {patient_of.get(case) for case in parts["train"]}
            tested = [patient_of.get(case) for case in parts["test"]]
            rows.setdefault(
                (unit, record.spec.split.fold),
                {
                    "folds": TITLES[unit],
                    "fold": record.spec.split.fold,
                    "masses trained on": len(parts["train"]),
                    "masses tested": len(tested),
                    "of patients also trained on": sum(name in learnt for name in tested),
                    "patients tested": len(set(tested)),
                    "also trained on": len(set(tested) & learnt),
                },
            )
    return pd.DataFrame(list(rows.values()))


def scores(found: Mapping[str, Sequence[Record]], metric: str) -> pd.DataFrame:
    """Return the score of every test case under both kinds of fold, seeds averaged.

    Args:
        found: records by unit.
        metric: a column of the records' rows; oracle boxes, no post-processing.

    Returns:
        case, patient, ``patient folds``, ``image folds``, ``exposed``; cases tested under both.
    """
    stacked = tables.chosen(tables.rows_of(found))
    wide = stacked.pivot_table(index=["case", "patient"], columns="row", values=metric)
    return _both(wide, trained_on(found))


def _both(wide: pd.DataFrame, exposed: Mapping[str, bool]) -> pd.DataFrame:
    names = {unit: f"{unit} folds" for unit in leak.UNITS}
    both = wide.reindex(columns=list(names)).dropna().rename(columns=names).reset_index()
    return both.assign(exposed=[exposed.get(case, False) for case in both["case"]])


def shape_scores(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return right (1) or wrong (0) of every test mask under both kinds of fold.

    Returns:
        The columns of :func:`scores`.
    """
    stacked = [shapes.pooled(listed).assign(row=unit) for unit, listed in found.items()]
    stacked = [rows for rows in stacked if len(rows)]
    if not stacked:
        return _both(pd.DataFrame(columns=list(leak.UNITS)).rename_axis("case"), {})
    rows = pd.concat(stacked, ignore_index=True)
    rows["right"] = rows["right"].astype(float)
    wide = rows.pivot_table(index=["case", "patient"], columns="row", values="right")
    return _both(wide, trained_on(found))


def gains(cases: pd.DataFrame, row: str, metric: str) -> pd.DataFrame:
    """Test folds by image against folds by patient on the same cases, patient by patient.

    Args:
        cases: of :func:`scores` or :func:`shape_scores`.
        row: what was tested.
        metric: its score.

    Returns:
        A row a subset (:data:`SUBSETS`) that holds a case: row, metric, subset, masses,
        ``patient folds`` and ``image folds`` (means over patients), difference, low, high,
        p_permutation, patients, smallest_detectable.
    """
    out = []
    for subset, asked in SUBSETS.items():
        part = cases if asked is None else cases[cases["exposed"] == asked]
        if part.empty or (asked is not None and len(part) == len(cases)):
            continue
        columns = [f"{unit} folds" for unit in leak.UNITS]
        means = part.groupby("patient")[columns].mean().mean()
        test = paired_test(part["image folds"], part["patient folds"], part["patient"])
        named = {"row": row, "metric": metric, "subset": subset, "masses": len(part)}
        out.append(named | means.to_dict() | {name: getattr(test, name) for name in _TESTED})
    return pd.DataFrame(out)


def gains_by_training(found: Mapping[str, Sequence[Record]], metric: str) -> pd.DataFrame:
    """Test folds by image against folds by patient for each pair of trainings by itself.

    Returns:
        A row a pair: training (1, 2, ...), difference, low, high, p_permutation, patients,
        smallest_detectable; pairs of which both sides have been run.
    """
    stacked = tables.chosen(tables.rows_of(found))
    out = []
    for replicate, rows in stacked.groupby("replicate"):
        wide = rows.pivot_table(index=["case", "patient"], columns="row", values=metric)
        both = wide.reindex(columns=list(leak.UNITS)).dropna()
        if len(both):
            patients = both.index.get_level_values("patient").to_numpy()
            test = paired_test(both["image"], both["patient"], patients)
            named = {"training": int(str(replicate)) + 1}
            out.append(named | {name: getattr(test, name) for name in _TESTED})
    return pd.DataFrame(out)


def chance_of_training(found: Mapping[str, Sequence[Record]], metric: str) -> pd.DataFrame:
    """Test a second training against the first under the same folds: what no leak explains.

    Returns:
        A row a unit of folds that was trained twice: folds, difference, low, high, p_permutation,
        patients, smallest_detectable.
    """
    stacked = tables.chosen(tables.rows_of(found))
    out = []
    for unit, rows in stacked.groupby("row", sort=False):
        wide = rows.pivot_table(index=["case", "patient"], columns="replicate", values=metric)
        if {0, 1} <= set(wide.columns) and len(both := wide[[0, 1]].dropna()):
            test = paired_test(both[1], both[0], both.index.get_level_values("patient").to_numpy())
            named = {"folds": TITLES[str(unit)]}
            out.append(named | {name: getattr(test, name) for name in _TESTED})
    return pd.DataFrame(out)


def interval_table(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the honest mean with its interval over patients, and as if masses were independent.

    Args:
        cases: of :func:`scores`.

    Returns:
        drawn again (patients, masses), units, mean, low, high, width.
    """
    values = cases["patient folds"].to_numpy(dtype=np.float64)
    out = []
    for name, units in (
        ("patients", cases["patient"]),
        ("masses, as if independent", cases["case"]),
    ):
        low, high = bootstrap_ci(values, units)
        out.append(
            {
                "drawn again": name,
                "how many": words.count(
                    units.nunique(), name[:-1] if name == "patients" else "mass"
                ),
                "mean": values.mean(),
                "low": low,
                "high": high,
                "width": high - low,
            }
        )
    return pd.DataFrame(out)


def patient_differences(cases: pd.DataFrame) -> pd.DataFrame:
    """Return each patient's mean difference, image minus patient folds: patient, exposed, value."""
    named = cases.assign(difference=cases["image folds"] - cases["patient folds"])
    return named.groupby(["patient", "exposed"])["difference"].mean().reset_index()


def stacked(tables_of_rows: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Stack the comparisons of several rows; empty ones are left out."""
    full = [table for table in tables_of_rows if len(table)]
    return pd.concat(full, ignore_index=True) if full else pd.DataFrame()
