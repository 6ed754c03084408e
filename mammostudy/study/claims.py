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

On phantoms and in the preset ``smoke`` nothing is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mammostudy.errors import SpecError
from mammostudy.evaluation.statistics import bootstrap_ci, patient_differences
from mammostudy.paths import project_root
from mammostudy.runs.spec import RunSpec
from mammostudy.study import (
    cropping,
    detection,
    losses,
    published,
    segmenters,
    shape_recipes,
    shapes,
    subtypes,
)
from mammostudy.study.comparing import Runs, compare, judge, paired
from mammostudy.study.recipes import cohort_title, headline, is_phantom

PUBLISHED_STEPS: Final = "close3+erode2+dilate3"
NOT_TESTABLE: Final = "not testable here"
VERDICTS: Final = ("supported", "contradicted", "undecided", NOT_TESTABLE, "not judged")
ALL_LEVEL: Final = 1 - 0.05 / len(segmenters.ALTERNATIVES)
"""Of the interval of each comparison where all ten must hold together."""
Line = dict[str, Any]


class Claim(BaseModel):
    """One claim of the paper.

    Attributes:
        text: the claim in a sentence.
        source: where the paper makes it.
        a: the row that should score higher (a name of :func:`arms`).
        b: the row it is compared with.
        metric: a column of the records' rows, or one that says itself what is compared
            (:data:`OTHERS`).
        margin: the smallest difference that matters, in the metric's unit.
        target: the published score that a metric of :data:`OTHERS` is compared with.
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
    def compared(self) -> str:
        """What is compared, in words."""
        if self.unknown:
            return "none"
        return COMPARED.get(self.metric, f"{self.a} - {self.b}").format(target=self.target)


COMPARED: Final = {
    "accuracy": "shape CNN - published {target}",
    "luminal-share": "luminal - other subtypes",
    "found": "best SSD - best other detector",
    "outliers": f"{segmenters.STRONGEST_DICE} - {segmenters.PROPOSED}",
    "dice-over-every-alternative": f"{segmenters.PROPOSED} - its strongest alternative",
}


def read_claims(path: Path | None = None) -> dict[str, Claim]:
    """Read the claims of ``study.yaml``."""
    path = path or project_root() / "study.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known, claims = set(arms("phantom", "smoke")), {}
    for name, fields in (content.get("claims") or {}).items():
        try:
            claim = Claim.model_validate(fields)
        except ValidationError as error:
            fault = error.errors()[0]
            msg = f"{path}: claim {name}, {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            raise SpecError(msg) from None
        if fault_said := _fault(claim, known):
            msg = f"{path}: claim {name}: {fault_said}"
            raise SpecError(msg)
        claims[str(name)] = claim
    return claims


def _fault(claim: Claim, known: set[str]) -> str:
    """Return what is wrong with the fields of a claim together; empty where nothing is."""
    rows = {claim.a, claim.b} - {None}
    if unknown := sorted(str(row) for row in rows - known):
        return f"no row {unknown[0]!r}; known rows: {sorted(known)}"
    ways = (len(rows) == 2, claim.metric in COMPARED, claim.unknown is not None)
    if sum(ways) != 1 or (rows and not ways[0]):
        return (
            "give rows a and b, or the reason in `unknown`, not both; a metric that says itself "
            "what it compares takes neither"
        )
    if (claim.metric == "accuracy") != (claim.target is not None):
        return "metric accuracy needs a target, and no other takes one"
    return ""


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


def judged_cohort(cohort: str, preset: str) -> bool:
    """Whether claims get a verdict here: not on phantoms, nor from smoke runs."""
    return preset != "smoke" and not is_phantom(cohort)


def judgements(cohort: str, preset: str, claims: dict[str, Claim] | None = None) -> pd.DataFrame:
    """Measure and judge the claims on a cohort.

    A row a claim: name, claim, source, cohort, target, the columns of
    :data:`mammostudy.study.comparing.COMPARISON` (those of the comparison), verdict, reason.
    """
    claims = read_claims() if claims is None else claims
    lines: list[Line] = []
    reasons: dict[str, str] = {}
    for name, claim in claims.items():
        found = claim.unknown or _measured(claim, cohort, preset)
        if isinstance(found, str):
            reasons[name] = found
        else:
            lines.append(found | {"name": name})
    judged = judge(lines)
    judged["name"] = [line["name"] for line in lines]
    judged["reason"] = [line.get("reason", "") for line in lines]
    table = judged.set_index("name").reindex(list(claims))
    table["reason"] = table["reason"].fillna(pd.Series(reasons, dtype=object))
    for field in ("margin", "target"):
        table[field] = [getattr(claim, field) for claim in claims.values()]
    give = judged_cohort(cohort, preset)
    table["verdict"] = [
        verdict(row) if give or pd.isna(row["difference"]) else "not judged"
        for _, row in table.iterrows()
    ]
    table.insert(0, "claim", [claim.text for claim in claims.values()])
    table.insert(1, "source", [claim.source for claim in claims.values()])
    table.insert(2, "cohort", cohort_title(cohort))
    return table.reset_index()


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
    if claim.metric in COMPARED:
        return _OTHERS[claim.metric](claim, cohort, preset)
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


def _outliers(claim: Claim, cohort: str, preset: str) -> Line | str:
    rows, note = _models(cohort, preset)
    line = segmenters.fewer_outliers_than(rows, segmenters.STRONGEST_DICE) if len(rows) else None
    return "not run on this cohort and preset" if line is None else line | {"reason": note}


def _every_alternative(claim: Claim, cohort: str, preset: str) -> Line | str:
    """Judge by the alternative that is hardest to beat, each interval at :data:`ALL_LEVEL`.

    All ten must have been run and converged, unless one of those that were contradicts the claim.
    """
    rows, note = _models(cohort, preset)
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


def _models(cohort: str, preset: str) -> tuple[pd.DataFrame, str]:
    """Return the test rows of the paper's models on loose frames, and which were not run."""
    asked = segmenters.named(cohort, preset)
    names = (*segmenters.ALTERNATIVES, segmenters.PROPOSED)
    loose = {row: asked["loose", row] for row in names if ("loose", row) in asked}
    runs = Runs.load(loose, preset)
    return runs.test().assign(framing="loose"), runs.note


def _found(claim: Claim, cohort: str, preset: str) -> Line | str:
    line = detection.claim_line(cohort, preset)
    return "no SSD or no other detector has been run here" if line is None else line


def _shapes(claim: Claim, cohort: str, preset: str) -> Line | str:
    chapter = subtypes if claim.target is None else shapes
    line = chapter.claim_line(cohort, preset, claim.target or 0.0, claim.margin)
    return line if "difference" in line else str(line["reason"])


_OTHERS: Final[dict[str, Callable[[Claim, str, str], Line | str]]] = {
    "accuracy": _shapes,
    "luminal-share": _shapes,
    "found": _found,
    "outliers": _outliers,
    "dice-over-every-alternative": _every_alternative,
}


def specs(cohort: str, preset: str) -> list[Any]:
    """Return every run that the chapter shows, each once."""
    models = segmenters.named(cohort, preset)
    names = (*segmenters.ALTERNATIVES, segmenters.PROPOSED)
    rows: list[Any] = [spec for runs, _ in arms(cohort, preset).values() for spec in runs]
    rows += [spec for name in names for spec in models.get(("loose", name), ())]
    rows += shape_recipes.rows_of(cohort, preset, "classifier").get(shape_recipes.PAPER, [])
    return list(dict.fromkeys([*rows, *detection.specs(cohort, preset)]))


def claims_table() -> pd.DataFrame:
    """Return the claims as listed: claim, source, rows, metric, margin in points."""
    return pd.DataFrame(
        {
            "claim": claim.text,
            "source": claim.source,
            "rows": claim.compared,
            "metric": "none" if claim.unknown else claim.metric,
            "margin, points": "none" if claim.unknown else f"{100 * claim.margin:g}",
        }
        for claim in read_claims().values()
    )


def counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Count the claims by verdict, in the order of :data:`VERDICTS`."""
    given = judged["verdict"].value_counts().reindex(list(VERDICTS)).dropna().astype(int)
    return given.rename_axis("verdict").reset_index(name="claims")


def published_differences() -> pd.DataFrame:
    """Return what the paper printed for the claims that a printed number bears on.

    Columns: claim, test set, difference in points of Dice; no interval was printed.
    """
    listed = read_claims()
    scores = published.segmentation_table()
    pairs = {
        "loose-beats-full": (("proposed cGAN", "loose"), ("proposed cGAN", "full")),
        "loose-beats-tight": (("proposed cGAN", "loose"), ("proposed cGAN", "tight")),
        "cgan-beats-unet": (("proposed cGAN", "loose"), ("UNet", "loose")),
    }
    rows = []
    for name, (one, other) in pairs.items():
        for data, part in scores.groupby("dataset", sort=False):
            dice = part.set_index(["model", "framing"])["dice"]
            rows.append((name, str(data), float(dice[one] - dice[other])))
    gain = published.FACTS["post-processing gain"].value
    rows.append(("post-processing-gains", "not reported", gain))
    table = pd.DataFrame(rows, columns=["claim", "test set", "difference, points of Dice"])
    table = table[table["claim"].isin(listed)]
    return table.assign(claim=[listed[name].text for name in table["claim"]])
