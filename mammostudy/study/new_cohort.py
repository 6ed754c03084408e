"""A new cohort beside the study's: its fingerprint, and what its number of patients can tell."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd

from mammostudy.errors import DataError
from mammostudy.paths import results_root
from mammostudy.study import claims, fingerprint_tables, power, recipes, words
from mammostudy.study import fingerprint as prints


def page_inputs() -> dict[str, str]:
    """Return a hash of what the page stands on beside its code: claims, fingerprints, records."""
    paths = [prints.committed(cohort) for cohort in fingerprint_tables.STUDIED]
    paths += sorted((results_root() / power.SOURCE[0]).glob("*/cases.csv"))
    total = hashlib.sha256(repr(claims.read_claims()).encode())
    for path in paths:
        if path.is_file():
            total.update(path.read_bytes())
    return {"claims, fingerprints and records": total.hexdigest()}


def contents(cohort: str) -> list[dict[str, Any]]:
    """Return the fingerprint of a cohort, then those of the study's others.

    Raises:
        DataError: the cohort is not at hand and has no committed fingerprint.
    """
    others = [name for name in fingerprint_tables.STUDIED if name != cohort]
    return [prints.fingerprint(cohort), *(fingerprint_tables.committed(name) for name in others)]


def patients_of(content: dict[str, Any]) -> int:
    """Return how many patients of a fingerprint have a mass."""
    return int(content["patients_with_mass"])


def tested_table(content: dict[str, Any]) -> pd.DataFrame:
    """Return what each fold of the study's split would test: fold, patients, masses.

    A claim is judged on the test parts of the folds that a preset runs, not on the whole cohort.
    """
    rows = [row for row in content["splits"] if row["part"] == "test"]
    table = pd.DataFrame(rows)[["fold", "patients", "masses"]]
    return table.rename(columns={"patients": "patients tested", "masses": "masses tested"})


def remarks(content: dict[str, Any], others: list[dict[str, Any]]) -> str:
    """Say where a cohort differs from the study's in ways that bear on its results.

    Args:
        content: its fingerprint.
        others: those of the study.
    """
    title = recipes.cohort_title(str(content["cohort"]))
    said = []
    median = 100 * content["diameter_share"]["median"]
    rest = sorted(100 * other["diameter_share"]["median"] for other in others)
    if rest and not rest[0] <= median <= rest[-1]:
        side = "smaller" if median < rest[0] else "larger"
        said.append(
            f"Its masses are {side} against their images ({median:.1f} % of the longer side at the "
            f"median) than those of the study ({rest[0]:.1f} to {rest[-1]:.1f} %)."
        )
    shapes = set(content["counts"]["shape"]) - {"unknown"}
    if missing := [
        shape for shape in ("irregular", "lobular", "oval", "round") if shape not in shapes
    ]:
        said.append(
            f"No mass is said to be {words.listed(missing)}: pages on shapes leave that out."
        )
    if set(content["counts"]["subtype"]) == {"unknown"}:
        said.append("No subtype is known, so the page on subtypes has nothing to say of it.")
    if content["spacing_known"] < content["masses"]:
        known = content["spacing_known"]
        said.append(f"The pixel spacing is known for {known:,} of {content['masses']:,} masses.")
    kinds = set(content["counts"]["pathology"]) - {"unknown"}
    if len(kinds) == 1:
        said.append(f"All masses whose pathology is known are {kinds.pop()}.")
    return (
        words.paragraph([f"What to bear in mind of {title}:", "", *(f"- {line}" for line in said)])
        if said
        else ""
    )


__all__ = ["DataError", "contents", "page_inputs", "patients_of", "remarks", "tested_table"]
