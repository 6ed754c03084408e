"""The claims of the paper, listed before their runs in ``study.yaml``, and how each is judged.

A claim says which row should beat which, in which metric, and by how much a difference matters.
Verdicts exclude each other; the first that holds counts:

- not testable here: with the reason;
- undecided where a training behind it had not converged;
- contradicted: the interval's upper end lies below the margin (a difference that is there but too
  small to matter is contradicted too); of a claim with a target, below minus the margin;
- supported: its lower end lies above 0 (of a claim with a target: above minus the margin), Holm's
  p over the claims of the page is below 0.05, and no pair of trainings says the opposite;
- undecided: anything else, with the smallest difference that could have been seen.

Nothing is judged where :func:`mammostudy.study.comparing.is_judged` says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammostudy.errors import SpecError
from mammostudy.evaluation.statistics import bootstrap_ci, patient_differences
from mammostudy.paths import project_root
from mammostudy.runs.spec import RunSpec
from mammostudy.settings import read_yaml
from mammostudy.study import cropping, detection, losses, segmenters, shapes, subtypes
from mammostudy.study.comparing import Runs, compare, is_judged, judge, paired
from mammostudy.study.recipes import headline
from mammostudy.study.shape_recipes import PAPER, rows_of

PUBLISHED_STEPS: Final = "close3+erode2+dilate3"
NOT_TESTABLE: Final = "not testable here"
VERDICTS: Final = ("supported", "contradicted", "undecided", NOT_TESTABLE, "not judged")
ALL_LEVEL: Final = 1 - 0.05 / len(segmenters.ALTERNATIVES)
"""Of the interval of each comparison where all ten must hold together."""
Line = dict[str, Any]


NO_ROWS: Final = ("accuracy", "luminal-share", "found", "outliers", "dice-over-every-alternative")
"""Metrics that say themselves what is compared."""
Arm = Literal[
    "full", "loose", "tight", "dice", "l1", "no-adversary", "unet", "post-processed",
    "not post-processed", "ellipse",
]  # fmt: skip


class Claim(BaseModel):
    """One claim of the paper: ``a`` scores higher than ``b`` in ``metric`` by ``margin``.

    A metric of :data:`NO_ROWS` takes neither ``a`` nor ``b``; ``target`` is the published
    accuracy. ``unknown`` says why a claim cannot be tested here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    source: str
    a: Arm | None = None
    b: Arm | None = None
    metric: Literal[
        "dice", "iou", "dice_image", "iou_image", "accuracy", "luminal-share", "found",
        "outliers", "dice-over-every-alternative",
    ] = "dice"  # fmt: skip
    margin: float = Field(0.01, gt=0)
    target: float | None = Field(None, gt=0, le=1)
    unknown: str | None = None

    @model_validator(mode="after")
    def _is_one_comparison(self) -> Self:
        rows = {self.a, self.b} - {None}
        ways = (len(rows) == 2, self.metric in NO_ROWS, self.unknown is not None)
        if sum(ways) != 1 or len(rows) == 1:
            msg = "give two rows a and b, a metric that takes none, or the reason in `unknown`"
            raise ValueError(msg)
        if (self.metric == "accuracy") != (self.target is not None):
            msg = "metric accuracy needs a target, and no other takes one"
            raise ValueError(msg)
        return self


def read_claims(path: Path | None = None) -> dict[str, Claim]:
    """Read the claims of ``study.yaml``; a faulty one is a SpecError that names it."""
    path = path or project_root() / "study.yaml"
    content = read_yaml(path) or {}
    claims = {}
    for name, fields in (content.get("claims") or {}).items():
        try:
            claims[str(name)] = Claim.model_validate(fields)
        except ValidationError as error:
            fault = error.errors()[0]
            msg = f"{path}: claim {name}, {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            raise SpecError(msg) from None
    return claims


def arms(cohort: str, preset: str) -> dict[str, tuple[list[RunSpec], str]]:
    """Return the rows that claims compare: their runs, and the post-processing of their masks."""
    framed = cropping.framings(cohort, preset)
    by_loss = losses.grid(cohort, preset)
    loose = headline(cohort, preset)
    return {
        "full": (framed["full"], "none"),
        "loose": (loose, "none"),
        "tight": (framed["tight"], "none"),
        "dice": (by_loss[losses.DICE], "none"),
        "l1": (by_loss[losses.L1], "none"),
        "no-adversary": (by_loss[losses.PLAIN], "none"),
        "unet": (by_loss[losses.UNET], "none"),
        "post-processed": (loose, PUBLISHED_STEPS),
        "not post-processed": (loose, "none"),
        "ellipse": (by_loss["ellipse"], "none"),
    }


def judgements(cohort: str, preset: str, claims: dict[str, Claim] | None = None) -> pd.DataFrame:
    """Measure and judge the claims on a cohort, a row a claim.

    name, claim, source, target, reason (why not testable, or of note), and the columns of
    :data:`mammostudy.study.comparing.COMPARISON`.
    """
    claims = read_claims() if claims is None else claims
    found = {
        name: claim.unknown or _measured(claim, cohort, preset) for name, claim in claims.items()
    }
    lines = {name: line for name, line in found.items() if not isinstance(line, str)}
    table = judge(list(lines.values())).set_axis(list(lines)).reindex(list(claims))
    table = table.assign(
        reason=[x if isinstance(x, str) else x.get("reason", "") for x in found.values()],
        margin=[claim.margin for claim in claims.values()],
        target=np.array([claim.target for claim in claims.values()], dtype=float),
        claim=[claim.text for claim in claims.values()],
        source=[claim.source for claim in claims.values()],
    )
    give = is_judged(cohort, preset)
    table["verdict"] = [
        verdict(row) if give or pd.isna(row["difference"]) else "not judged"
        for _, row in table.iterrows()
    ]
    return table.rename_axis("name").reset_index()


def verdict(row: pd.Series | Line) -> str:
    """Judge one claim by the rule that stands at the top of this module."""
    if pd.isna(row["difference"]):
        return NOT_TESTABLE
    if row["unsettled"]:
        return "undecided"
    with_target = row["target"] is not None and not pd.isna(row["target"])
    if row["high"] < (-row["margin"] if with_target else row["margin"]):
        return "contradicted"
    least = -row["margin"] if with_target else 0.0
    opposed = not with_target and row["lowest"] < 0
    if row["low"] > least and row["p_holm"] < 0.05 and not opposed:
        return "supported"
    return "undecided"


def _measured(claim: Claim, cohort: str, preset: str) -> Line | str:
    """Return the comparison behind a claim, or the reason why there is none."""
    if claim.metric in NO_ROWS:
        return _other(claim, cohort, preset)
    rows = arms(cohort, preset)
    asked = {arm: rows[arm][0] for arm in (claim.a, claim.b) if arm}
    runs = Runs.load(asked, preset)
    if absent := [str(arm) for arm in asked if not runs.of(arm)]:
        return f"not run on this cohort and preset: {', '.join(absent)}"
    steps = {arm: rows[arm][1] for arm in asked}
    parts = [runs.test(row=arm, postprocessing=how) for arm, how in steps.items()]
    tests = compare(pd.concat(parts, ignore_index=True), [(claim.a, claim.b)], claim.metric)
    if tests.empty:
        return "no test mass has been predicted by both rows"
    return dict(tests.iloc[0]) | {"reason": runs.note}


def _other(claim: Claim, cohort: str, preset: str) -> Line | str:
    """Return the comparison of a metric of :data:`NO_ROWS`, or the reason why there is none."""
    if claim.metric == "found":
        said = "no SSD or no other detector has been run here"
        return detection.claim_line(cohort, preset) or said
    if claim.metric in ("accuracy", "luminal-share"):
        chapter = subtypes if claim.target is None else shapes
        line = chapter.claim_line(cohort, preset, claim.target or 0.0, claim.margin)
        return line if "difference" in line else str(line["reason"])
    runs = Runs.load(_loose(cohort, preset), preset)
    if claim.metric == "dice-over-every-alternative":
        return _every_alternative(claim, runs)
    fewer = segmenters.fewer_outliers_than(runs.test(), segmenters.STRONGEST_DICE)
    return fewer | {"reason": runs.note} if fewer else "not run on this cohort and preset"


def _every_alternative(claim: Claim, runs: Runs) -> Line | str:
    """Judge by the alternative that is hardest to beat, each interval at :data:`ALL_LEVEL`.

    All ten must have been run and converged, unless one of those that were contradicts the claim.
    """
    rows, note = runs.test(), runs.note
    tests = compare(rows, [(segmenters.PROPOSED, other) for other in segmenters.ALTERNATIVES])
    tests = tests[tests["unsettled"] == ""] if len(tests) else tests
    if tests.empty:
        return "not run on this cohort and preset, or not converged"
    ends = {}
    for other in tests["b"]:
        both = paired(rows[rows["replicate"] == 0], segmenters.PROPOSED, other, "dice")
        means = patient_differences(*(both[name].to_numpy() for name in ("a", "b", "patient")))
        ends[other] = bootstrap_ci(means, np.arange(len(means)), level=ALL_LEVEL)
    hardest = min(ends, key=lambda other: ends[other][1])
    if ends[hardest][1] >= claim.margin:
        hardest = min(ends, key=lambda other: ends[other][0])
    low, high = ends[hardest]
    lacking = len(segmenters.ALTERNATIVES) - len(ends)
    if lacking and high >= claim.margin:
        return f"it takes all ten alternatives; {lacking} were not run or had not converged. {note}"
    line: Line = dict(tests[tests["b"] == hardest].iloc[0])
    reason = f"judged by {hardest}, the hardest to beat of {len(ends)}. {note}"
    return line | {"low": low, "high": high, "p": tests["p"].max(), "reason": reason.strip()}


def _loose(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the paper's models on loose frames."""
    asked = segmenters.named(cohort, preset)
    names = (*segmenters.ALTERNATIVES, segmenters.PROPOSED)
    return {row: asked["loose", row] for row in names if ("loose", row) in asked}


def specs(cohort: str, preset: str) -> list[Any]:
    """Return every run that the chapter shows, each once."""
    rows: list[Any] = [spec for runs, _ in arms(cohort, preset).values() for spec in runs]
    rows += [spec for runs in _loose(cohort, preset).values() for spec in runs]
    rows += rows_of(cohort, preset, "classifier").get(PAPER, [])
    return list(dict.fromkeys([*rows, *detection.specs(cohort, preset)]))


def counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Count the claims by verdict, in the order of :data:`VERDICTS`."""
    given = judged["verdict"].value_counts().reindex(list(VERDICTS)).dropna().astype(int)
    return given.rename_axis("verdict").reset_index(name="claims")
