"""The claims of the paper, fixed before their runs in ``study.yaml``, and how each is judged.

A claim says which row should beat which, in which metric, and by how much a difference matters; one
cohort decides it. Where a row stands for several candidates, the best of them on validation is
judged. The page of the claims says in words how (:func:`verdict`).

Nothing is judged on other cohorts than the one that decides, nor where
:func:`mammostudy.study.comparing.is_judged` says so.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammostudy.errors import SpecError
from mammostudy.evaluation.uncertainty import low_outliers
from mammostudy.paths import project_root
from mammostudy.runs.spec import RunSpec
from mammostudy.settings import read_yaml
from mammostudy.study import cropping, detection, losses, segmenters, shapes, subtypes
from mammostudy.study.comparing import Runs, compare, every_run, is_judged, judge
from mammostudy.study.recipes import baselines_of, headline

PUBLISHED_STEPS: Final = "close3+erode2+dilate3"
NOT_TESTABLE: Final = "not testable here"
VERDICTS: Final = ("supported", "contradicted", "undecided", NOT_TESTABLE, "not judged")
GEOMETRY: Final = ("scaled-ellipse", "mean-mask")
"""What is drawn from the box alone: the stronger of both on validation is the one to beat."""
TRAININGS: Final = 9
"""Three folds of three seeds: what a claim must rest on."""
Line = dict[str, Any]
Arm = Literal[
    "full", "loose", "tight", "dice", "l1", "no-adversary", "unet", "post-processed",
    "not post-processed", "geometry", "cgan", "alternative", "cgan-resnet101",
]  # fmt: skip


class Claim(BaseModel):
    """One claim of the paper: ``a`` scores higher than ``b`` in ``metric`` by ``margin``.

    The other metrics say themselves what is compared and take neither; ``target`` is the published
    score. ``decided_on`` is the cohort that decides, ``fixed`` the day on which the claim was last
    changed, and ``after_runs`` says that results of its runs had been seen by then. ``unknown``
    says why a claim cannot be tested, ``trainings`` how many must stand behind it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    source: str
    fixed: datetime.date
    after_runs: bool = False
    decided_on: str = "cdd-cesm"
    a: Arm | None = None
    b: Arm | None = None
    metric: Literal[
        "dice", "iou", "dice_image", "iou_image", "outliers", "accuracy", "macro recall",
        "luminal-share", "found",
    ] = "dice"  # fmt: skip
    box: Literal["oracle", "jittered"] = "oracle"
    margin: float = Field(0.01, gt=0)
    target: float | None = Field(None, gt=0, le=1)
    unknown: str | None = None
    trainings: int = Field(TRAININGS, ge=3)

    @model_validator(mode="after")
    def _is_one_comparison(self) -> Self:
        rows, alone = {self.a, self.b} - {None}, ("accuracy", "macro recall", "luminal-share")
        ways = (len(rows) == 2, self.metric in (*alone, "found"), self.unknown is not None)
        if sum(ways) != 1 or len(rows) == 1:
            msg = "give two rows a and b, a metric that takes none, or the reason in `unknown`"
            raise ValueError(msg)
        if (self.metric in alone[:2]) != (self.target is not None):
            msg = "metrics accuracy and macro recall need a target, and no other takes one"
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


def arms(cohort: str, preset: str) -> dict[str, tuple[dict[str, list[RunSpec]], str]]:
    """Return what claims compare: candidates by row, and the post-processing of their masks."""
    framed = cropping.framings(cohort, preset)
    by_loss, loose = losses.grid(cohort, preset), headline(cohort, preset)
    models, plain = segmenters.named(cohort, preset), baselines_of(loose)
    ranked = [row for _, row in segmenters.pairs(models) if row in segmenters.ALTERNATIVES]
    strongest = models.get(("loose", segmenters.STRONGEST_DICE))
    single = framed | {
        "dice": by_loss[losses.DICE],
        "l1": by_loss[losses.L1],
        "no-adversary": by_loss[losses.PLAIN],
        "unet": by_loss[losses.UNET],
        "post-processed": loose,
        "not post-processed": loose,
    }
    arms = {name: {name: runs} for name, runs in single.items()} | {
        "geometry": {name: plain[name] for name in GEOMETRY},
        "cgan": {"cGAN": loose, segmenters.PROPOSED: models["loose", segmenters.PROPOSED]},
        "alternative": {row: models["loose", row] for row in ranked},
        "cgan-resnet101": {segmenters.STRONGEST_DICE: strongest} if strongest else {},
    }
    steps = {"post-processed": PUBLISHED_STEPS}
    return {name: (rows, steps.get(name, "none")) for name, rows in arms.items()}


def judgements(cohort: str, preset: str, claims: dict[str, Claim] | None = None) -> pd.DataFrame:
    """Measure and judge the claims on a cohort, a row a claim.

    name, reason (why not testable or not judged, or of note), the columns of
    :data:`mammostudy.study.comparing.COMPARISON` and, of the claim itself, claim, source, target,
    fixed and after_runs.
    """
    claims = read_claims() if claims is None else claims
    found = {
        name: claim.unknown or _measured(claim, cohort, preset) for name, claim in claims.items()
    }
    lines = {name: line for name, line in found.items() if not isinstance(line, str)}
    table = judge(list(lines.values())).set_axis(list(lines)).reindex(list(claims))
    table = table.astype({"verdict": object})
    table = table.assign(
        reason=[x if isinstance(x, str) else x.get("reason", "") for x in found.values()],
        unjudged=[not isinstance(x, str) and x.get("unjudged", False) for x in found.values()],
        margin=[claim.margin for claim in claims.values()],
        least=[claim.trainings for claim in claims.values()],
        target=np.array([claim.target for claim in claims.values()], dtype=float),
        claim=[claim.text for claim in claims.values()],
        **{
            name: [getattr(claim, name) for claim in claims.values()]
            for name in ("source", "fixed", "after_runs")
        },
    )
    for (name, claim), (_, row) in zip(claims.items(), table.iterrows(), strict=True):
        if np.isnan(row["difference"]):
            table.loc[name, "verdict"] = NOT_TESTABLE
        elif claim.decided_on == cohort and is_judged(cohort, preset):
            table.loc[name, "verdict"] = verdict(row)
        else:
            table.loc[name, ["verdict", "reason"]] = "not judged", f"decided on {claim.decided_on}"
    return table.rename_axis("name").reset_index()


def verdict(row: pd.Series | Line) -> str:
    """Judge one claim that could be tested; the first verdict that holds counts."""
    if row["unsettled"] or row["trainings"] < row.get("least", TRAININGS):
        return "undecided"
    with_target = row["target"] is not None and not pd.isna(row["target"])
    if row["high"] < (-row["margin"] if with_target else row["margin"]):
        return "contradicted"
    least = -row["margin"] if with_target else 0.0
    higher = row["low"] > least and row["p_holm"] < 0.05
    return "supported" if higher and not row.get("unjudged", False) else "undecided"


def _measured(claim: Claim, cohort: str, preset: str) -> Line | str:
    """Return the comparison behind a claim, or the reason why there is none."""
    if claim.metric == "found":
        said = "no SSD or no other detector has been run here"
        return detection.claim_line(cohort, preset) or said
    if claim.target is not None:
        line = shapes.claim_line(cohort, preset, claim.metric, claim.target, claim.margin)
        return _or_reason(line)
    if claim.metric == "luminal-share":
        return _or_reason(subtypes.claim_line(cohort, preset))
    known = arms(cohort, preset)
    rows = {arm: known[arm] for arm in (claim.a, claim.b) if arm}
    asked = {name: runs for candidates, _ in rows.values() for name, runs in candidates.items()}
    runs = Runs.load(asked, preset)
    metric = "dice" if claim.metric == "outliers" else claim.metric
    parts, named = [], []
    for arm, (candidates, steps) in rows.items():
        name = _best(runs, list(candidates), metric, claim.box)
        if name is None:
            return f"not run on this cohort and preset: {arm}"
        parts.append(runs.test(row=name, box=claim.box, postprocessing=steps))
        named.append(name)
    tested = pd.concat(parts, ignore_index=True)
    if claim.metric == "outliers":  # a lower share is better
        by = [tested["row"], tested["replicate"]]
        few = 1.0 - tested.groupby(by)[metric].transform(lambda scores: low_outliers(scores))
        tested = tested.assign(outliers=few)
    tests = compare(tested, [(named[0], named[1])], claim.metric)
    if tests.empty:
        return "no test mass has been predicted by both rows"
    left = [n for n in segmenters.ALTERNATIVES if n not in known["alternative"][0]]
    if claim.b != "alternative" or not left:
        return dict(tests.iloc[0]) | {"reason": runs.note}
    said = f"trained less often, and so not judged: {', '.join(left)}"
    return dict(tests.iloc[0]) | {"reason": said, "unjudged": True}


def _best(runs: Runs, names: list[str], metric: str, box: str) -> str | None:
    """Return the row with the best mean on validation, of those that were run; or None."""
    if len(names) == 1:
        return names[0] if runs.of(names[0]) else None
    seen = runs.test(part="validation", box=box)
    means = seen[seen["row"].isin(names)].groupby("row")[metric].mean()
    return None if means.empty else str(means.idxmax())


def _or_reason(line: Line) -> Line | str:
    return line if "difference" in line else str(line["reason"])


def behind(cohort: str, preset: str) -> dict[tuple[str, str], list[Any]]:
    """Return the runs behind the claims, by arm and row; those of detectors are their chapter's."""
    known = arms(cohort, preset).items()
    found = {(arm, row): runs for arm, (rows, _) in known for row, runs in rows.items()}
    return found | {("", "shapes"): shapes.behind_claims(cohort, preset)}


specs = every_run(behind, detection.grid)


def counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Count the claims by verdict, in the order of :data:`VERDICTS`."""
    given = judged["verdict"].value_counts().reindex(list(VERDICTS)).dropna().astype(int)
    return given.rename_axis("verdict").reset_index(name="claims")
