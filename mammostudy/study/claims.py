"""The claims of the paper, listed before their runs in ``study.yaml``, and how each is judged.

A claim says which row should beat which, in which metric, and by how much a difference matters.
The verdict rests on the 95 % bootstrap interval over patients of the paired mean difference, on
Holm's correction over the claims judged together, and on the sign of every pair of trainings:

- supported: the interval lies above 0, the corrected p value is below 0.05, and no pair of
  trainings says the opposite;
- contradicted: the interval lies wholly below the margin;
- undecided: anything else, with the patients used and the smallest difference that could have
  been seen (by a two-sided test at 5 %, with 80 % power); so is a claim whose runs have not
  converged, whatever their interval says;
- not testable here: with the reason.

A claim about accuracy names the published one as its target. It is supported where the interval of
the difference lies above minus the margin, contradicted where it lies wholly below that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mammostudy.errors import SpecError
from mammostudy.evaluation.statistics import PairedTest, holm
from mammostudy.paths import project_root
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record, Spec
from mammostudy.study import (
    cropping,
    detect_claims,
    losses,
    recipes,
    segmenter_claims,
    shape_claims,
    tables,
    words,
)
from mammostudy.study.verdict_rules import verdict_of, verdict_of_target
from mammostudy.study.verdicts import meaning, untested_table, verdict_table

__all__ = ["meaning", "untested_table", "verdict_of", "verdict_table"]

Arms = dict[str, tuple[list[RunSpec], str]]
Found = dict[str, list[Record]]
NUMBERS = ("margin", "difference", "low", "high", "p", "patients", "smallest", "trainings")


class Claim(BaseModel):
    """One claim of the paper.

    Attributes:
        text: the claim in a sentence.
        source: where the paper makes it.
        a: the row that should score higher (a name of :func:`arms`).
        b: the row it is compared with.
        metric: a column of the records' rows; ``accuracy`` of the shape classifier, compared with
            ``target``; ``luminal-share``, the share of luminal patients whose mass is irregular
            or lobular less that of the others; ``found``, whether a mass is found by the best
            SSD less whether it is by the best other detector; or one of the models, see
            :mod:`mammostudy.study.segmenter_claims`.
        margin: the smallest difference that matters, in the metric's unit.
        target: the published accuracy that ``accuracy`` is compared with.
        unknown: why it cannot be tested here; then no rows are given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    source: str
    a: str | None = None
    b: str | None = None
    metric: Literal[
        "dice", "iou", "dice_image", "iou_image", "accuracy", "luminal-share", "found",
        "outliers", "dice-over-every-alternative",
    ] = "dice"  # fmt: skip
    margin: float = Field(0.01, gt=0)
    target: float | None = Field(None, gt=0, le=1)
    unknown: str | None = None

    @property
    def about_others(self) -> bool:
        """Whether the metric says which runs are judged, instead of two rows of them."""
        others = {shape_claims.ACCURACY, shape_claims.LUMINAL, detect_claims.FOUND}
        return self.metric in others | set(segmenter_claims.COMPARED)

    @property
    def compared(self) -> str:
        """What is compared, in words."""
        others = {
            shape_claims.ACCURACY: f"shape CNN - published {self.target}",
            shape_claims.LUMINAL: "luminal - other subtypes",
            detect_claims.FOUND: "best SSD - best other detector",
            **segmenter_claims.COMPARED,
        }
        return "none" if self.unknown else others.get(self.metric, f"{self.a} - {self.b}")


def read_claims(path: Path | None = None) -> dict[str, Claim]:
    """Read the claims of ``study.yaml``.

    Raises:
        SpecError: a claim has an unknown or ill-typed field, an unknown row, or neither rows nor
            a reason why it cannot be tested.
    """
    path = path or project_root() / "study.yaml"
    content = yaml.safe_load(path.read_text()) or {}
    claims = {}
    for name, fields in (content.get("claims") or {}).items():
        try:
            claim = Claim.model_validate(fields)
        except ValidationError as error:
            fault = error.errors()[0]
            msg = f"{path}: claim {name}, {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            raise SpecError(msg) from None
        known = set(arms("phantom", "smoke"))
        rows = {claim.a, claim.b} - {None}
        if unknown := sorted(str(row) for row in rows - known):
            msg = f"{path}: claim {name}: no row {unknown[0]!r}; known rows: {sorted(known)}"
            raise SpecError(msg)
        ways = (len(rows) == 2, claim.about_others, claim.unknown is not None)
        if sum(ways) != 1 or (rows and not ways[0]):
            msg = (
                f"{path}: claim {name}: give rows a and b, or the reason in `unknown`, not both; "
                "a metric that says itself what it compares takes neither"
            )
            raise SpecError(msg)
        if (claim.metric == shape_claims.ACCURACY) != (claim.target is not None):
            msg = f"{path}: claim {name}: metric accuracy needs a target, and no other takes one"
            raise SpecError(msg)
        claims[str(name)] = claim
    return claims


def arms(cohort: str, preset: str) -> Arms:
    """Return the rows that claims compare: their runs, and the post-processing of their masks."""
    framed = cropping.framings(cohort, preset)
    by_loss = losses.named(cohort, preset)
    return {
        "full": (framed["full"], "none"),
        "loose": (framed["loose"], "none"),
        "tight": (framed["tight"], "none"),
        "dice": (by_loss[losses.DICE], "none"),
        "l1": (by_loss[losses.L1], "none"),
        "no-adversary": (by_loss[losses.PLAIN], "none"),
        "unet": (by_loss[losses.UNET], "none"),
        "post-processed": (framed["loose"], tables.PUBLISHED),
        "not post-processed": (framed["loose"], "none"),
        "ellipse": (losses.grid(cohort, preset)["ellipse"], "none"),
    }


def specs(cohort: str, preset: str) -> list[Spec]:
    """Return every run that the chapter shows."""
    rows: list[Spec] = [spec for listed, _ in arms(cohort, preset).values() for spec in listed]
    for others in (shape_claims, detect_claims, segmenter_claims):
        rows += others.specs(cohort, preset)
    return list(dict.fromkeys(rows))


def judge(cohort: str, preset: str, claims: dict[str, Claim] | None = None) -> pd.DataFrame:
    """Judge the claims on a cohort.

    Returns:
        A row a claim: name, claim, source, cohort, metric, margin, difference, low, high, p
        (Holm), patients, smallest (difference that could have been seen with 80 % power),
        trainings (pairs of them), verdict, reason.
    """
    claims = read_claims() if claims is None else claims
    needed = {arm for claim in claims.values() for arm in (claim.a, claim.b) if arm}
    compared = {arm: made for arm, made in arms(cohort, preset).items() if arm in needed}
    records = tables.records_of({arm: listed for arm, (listed, _) in compared.items()}, preset)
    rows = [
        {"name": name, **_measured_otherwise(claim, cohort, preset)}
        if claim.about_others
        else _measure(name, claim, compared, records)
        for name, claim in claims.items()
    ]
    tested = [row for row in rows if row["test"] is not None]
    corrected = holm([row["test"].p_permutation for row in tested])
    for row, p in zip(tested, corrected, strict=True):
        row["p"] = float(p)
    columns = ["name", "claim", "source", "cohort", "metric", *NUMBERS, "verdict", "reason"]
    judged = [_judged(row, claims[row["name"]], cohort) for row in rows]
    return pd.DataFrame(judged).reindex(columns=columns)


def _measured_otherwise(claim: Claim, cohort: str, preset: str) -> dict[str, Any]:
    if claim.metric == detect_claims.FOUND:
        return detect_claims.measured(cohort, preset)
    if claim.metric in segmenter_claims.COMPARED:
        return segmenter_claims.measured(claim.metric, cohort, preset, claim.margin)
    return shape_claims.measured(cohort, preset, claim.target, claim.margin)


def _measure(name: str, claim: Claim, compared: Arms, records: Found) -> dict[str, Any]:
    """Compare a claim's two rows; without a test, ``reason`` says why."""
    row: dict[str, Any] = {"name": name, "test": None, "reason": claim.unknown, "cautions": []}
    if claim.unknown is not None or claim.a is None or claim.b is None:
        return row
    found = {arm: records[arm] for arm in (claim.a, claim.b)}
    if absent := [arm for arm in found if not found[arm]]:
        return row | {"reason": f"not run on this cohort and preset: {words.listed(absent)}"}
    stacked = pd.concat(
        [
            tables.chosen(tables.rows_of({arm: found[arm]}), postprocessing=compared[arm][1])
            for arm in found
        ]
    )
    trainings = tables.seed_differences(stacked, claim.a, claim.b, claim.metric)
    if trainings.empty:
        return row | {"reason": "no test case has been predicted by both rows yet"}
    missing = {arm: len(compared[arm][0]) - len(found[arm]) for arm in found}
    row["cautions"] = [
        f"{n} of {len(compared[arm][0])} runs of {arm!r} not run" for arm, n in missing.items() if n
    ]
    test = tables.paired(stacked, claim.a, claim.b, claim.metric)
    return row | {"test": test, "trainings": trainings, "unsettled": _unsettled(found)}


def _unsettled(found: dict[str, list[Record]]) -> list[str]:
    return [arm for arm, records in found.items() if any(r.converged is False for r in records)]


def _judged(row: dict[str, Any], claim: Claim, cohort: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": row["name"],
        "claim": claim.text,
        "source": claim.source,
        "cohort": recipes.cohort_title(cohort),
    }
    if row["test"] is None:
        return said | {"verdict": "not testable here", "reason": row["reason"]}
    test: PairedTest = row["test"]
    trainings = row["trainings"]
    if claim.target is not None:
        verdict, reason = verdict_of_target(test, row["p"], claim.target, claim.margin)
    else:
        verdict, reason = verdict_of(test, row["p"], claim.margin, trainings)
    if row["unsettled"]:
        reason = (
            f"{words.listed(row['unsettled'])} not converged, so in no ranking; "
            f"the numbers alone would read {verdict!r}"
        )
        verdict = "undecided"
    return said | {
        "metric": claim.metric,
        "margin": claim.margin,
        "difference": test.difference,
        "low": test.low,
        "high": test.high,
        "p": row["p"],
        "patients": test.patients,
        "smallest": test.smallest_detectable,
        "trainings": len(trainings),
        "verdict": verdict,
        "reason": "; ".join([reason, *row["cautions"]]),
    }


def claims_table() -> pd.DataFrame:
    """Return the claims as listed: claim, source, comparison, metric, margin in points."""
    rows = []
    for claim in read_claims().values():
        judged = claim.unknown is None
        rows.append(
            {
                "claim": claim.text,
                "source": claim.source,
                "rows": claim.compared,
                "metric": claim.metric if judged else "none",
                "margin, points": f"{100 * claim.margin:g}" if judged else "none",
            }
        )
    return pd.DataFrame(rows)


def rules() -> str:
    """Return the rules of judging, as the top of this module states them."""
    return (__doc__ or "").partition("\n")[2].strip()
