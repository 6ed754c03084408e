"""Fingerprints of several cohorts side by side, for the pages that compare cohorts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.study import fingerprint as prints
from mammostudy.study import recipes

STUDIED: Final = ("phantom", "cdd-cesm", "cdd-cesm-cm")
"""Cohorts of the study with a committed fingerprint."""
UNKNOWN: Final = "not known"
Content = Mapping[str, Any]


def committed(cohort: str) -> dict[str, Any]:
    """Read the committed fingerprint of a cohort of the study; no data are needed.

    Raises:
        DataError: it is missing, damaged, or of another recipe version.
    """
    path = prints.committed(cohort)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except (OSError, ValueError, KeyError, TypeError):
        msg = f"{path}: missing or damaged; write it with study.fingerprint.write_fingerprint"
        raise DataError(msg) from None
    if version != prints.VERSION:
        msg = (
            f"{path}: of recipe version {version}, this code writes {prints.VERSION}; write it anew"
        )
        raise DataError(msg)
    return content


def side_by_side(contents: Sequence[Content]) -> pd.DataFrame:
    """Lay fingerprints out, a column a cohort.

    Args:
        contents: of :func:`mammostudy.study.fingerprint.measure`.

    Returns:
        Column ``what``, and one for each cohort by its title; text throughout.
    """
    columns = {
        recipes.cohort_title(str(content["cohort"])): [say(content) for say in _ROWS.values()]
        for content in contents
    }
    return pd.DataFrame({"what": list(_ROWS)} | columns)


def _number(name: str) -> Callable[[Content], str]:
    return lambda content: f"{content[name]:,}"


def _spread(name: str, scale: float, digits: int) -> Callable[[Content], str]:
    def said(content: Content) -> str:
        values = content[name]
        if values is None:
            return UNKNOWN
        q1, median, q3 = (f"{scale * values[key]:.{digits}f}" for key in ("q1", "median", "q3"))
        return f"{median} ({q1} to {q3})"

    return said


def _counts(column: str) -> Callable[[Content], str]:
    def said(content: Content) -> str:
        values = content["counts"][column]
        named = sorted(values.items(), key=lambda item: -item[1]["masses"])
        return ", ".join(f"{value} {n['masses']} ({n['patients']})" for value, n in named)

    return said


def _density(content: Content) -> str:
    values = content["density"]
    if values is None:
        return UNKNOWN
    return ", ".join(f"{letter} {n['images']} ({n['patients']})" for letter, n in values.items())


def _grey(content: Content) -> str:
    shown = content["intensity"]["percentiles"]
    return ", ".join(f"{shown[p]:.2f}" for p in ("5", "50", "95"))


def _ratio(content: Content) -> str:
    return f"{content['masses'] / max(content['patients_with_mass'], 1):.1f}"


def _alone(content: Content) -> str:
    images = content["masses_an_image"]
    return f"{100 * images.get('1', 0) / max(sum(images.values()), 1):.0f} %"


_ROWS: Final[dict[str, Callable[[Content], str]]] = {
    "mammograms": _number("images"),
    "of them without a mass": _number("images_without_mass"),
    "masses": _number("masses"),
    "patients": _number("patients"),
    "of them with a mass": _number("patients_with_mass"),
    "masses a patient": _ratio,
    "images that show a single mass": _alone,
    "site: masses (patients)": _counts("site"),
    "view: masses (patients)": _counts("view"),
    "shape: masses (patients)": _counts("shape"),
    "pathology: masses (patients)": _counts("pathology"),
    "subtype: masses (patients)": _counts("subtype"),
    "breast density: images (patients)": _density,
    "diameter, pixels: median (quartiles)": _spread("diameter_px", 1, 0),
    "diameter, mm": _spread("diameter_mm", 1, 1),
    "diameter, % of the longer side": _spread("diameter_share", 100, 1),
    "area, % of the image": _spread("area_share", 100, 2),
    "share of its box that a mass fills, %": _spread("fill_of_box", 100, 0),
    "grey values of the breast: 5th, 50th, 95th percentile": _grey,
    "air, % of the image": lambda content: f"{100 * content['intensity']['air']:.0f}",
}


def sizes(contents: Sequence[Content]) -> pd.DataFrame:
    """Return the histograms of diameters: cohort, low, high (% of the longer side), share (%)."""
    tables = []
    for content in contents:
        edges = 100 * np.array(content["diameter_share"]["edges"], dtype=float)
        masses = np.array(content["diameter_share"]["masses"], dtype=float)
        tables.append(
            pd.DataFrame(
                {
                    "cohort": recipes.cohort_title(str(content["cohort"])),
                    "low": edges[:-1],
                    "high": edges[1:],
                    "share": 100 * masses / max(masses.sum(), 1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def greys(contents: Sequence[Content]) -> pd.DataFrame:
    """Return the percentiles of grey values: cohort, percentile, value."""
    rows = [
        (recipes.cohort_title(str(content["cohort"])), int(name), float(value))
        for content in contents
        for name, value in content["intensity"]["percentiles"].items()
    ]
    table = pd.DataFrame(rows, columns=["cohort", "percentile", "value"])
    return table.sort_values(["cohort", "percentile"], ignore_index=True)
