"""Does the discriminator's score saturate? Read from the losses that the records keep.

The records hold mean cross-entropies over the patches of a batch. ``exp(-loss)`` on true masks is
the geometric mean of D's score there, so D's mean score is at least as high; ``1 - exp(-loss)`` on
predictions is at least as high as D's mean score there. Where these two lie far apart, so do D's
mean scores.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mammostudy.runs.store import Record
from mammostudy.study import printed
from mammostudy.study.adversary import ROWS

TRUE: Final = "true masks"
PREDICTED: Final = "predictions"
LAST: Final = 0.8
"""A training's end is what comes after this share of its iterations."""
SURE: Final = 0.9
"""D is saturated where its score is above this on true masks, and below 1 less this on others."""
UNSURE: Final = 0.1
"""D is undecided where both of its scores lie within this of one half."""
SATURATED, UNDECIDED, BETWEEN = "saturated", "undecided", "in between"
_CURVES: Final = ["row", "seed", "iteration", "shown", "score"]
_ENDS: Final = [
    "row", "trainings", TRUE, PREDICTED, "share", "sure", *(SATURATED, UNDECIDED, BETWEEN),
]  # fmt: skip


def curves(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return D's scores over iterations of every training with an adversary.

    Returns:
        Columns row, seed, iteration, shown (:data:`TRUE` or :data:`PREDICTED`), score in [0, 1].
    """
    out = []
    for name, listed in found.items():
        for record in listed:
            if "discriminator_real" not in record.curves:
                continue
            real, fake = record.curves["discriminator_real"], record.curves["discriminator_fake"]
            scores = {TRUE: np.exp(-real), PREDICTED: 1 - np.exp(-fake)}
            wide = pd.DataFrame({"iteration": record.curves["iteration"], **scores})
            long = wide.melt("iteration", var_name="shown", value_name="score").dropna()
            out.append(long.assign(row=name, seed=record.spec.seed))
    return pd.concat(out, ignore_index=True)[_CURVES] if out else pd.DataFrame(columns=_CURVES)


def ends(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return where D stood in the last fifth of the trainings, and how often it was saturated.

    Returns:
        A row a lambda on record: trainings, D's scores on true masks and on predictions, share
        (of the adversarial term in the generator's loss), sure (share of all iterations in which D
        was saturated), and how many trainings ended saturated, undecided or in between.
    """
    scores = curves(found)
    out = []
    for name in ROWS:
        part = scores[scores["row"] == name]
        if part.empty:
            continue
        late = part[part["iteration"] > LAST * part["iteration"].max()]
        wide = late.pivot_table(index="seed", columns="shown", values="score")
        states = [_state(row[TRUE], row[PREDICTED]) for _, row in wide.iterrows()]
        out.append(
            {
                "row": name,
                "trainings": len(wide),
                TRUE: wide[TRUE].mean(),
                PREDICTED: wide[PREDICTED].mean(),
                "sure": _sure(part),
                "share": np.mean([_share(record) for record in found[name]]),
                **{state: states.count(state) for state in (SATURATED, UNDECIDED, BETWEEN)},
            }
        )
    return pd.DataFrame(out, columns=_ENDS)


def _state(true: float, predicted: float) -> str:
    if true > SURE and predicted < 1 - SURE:
        return SATURATED
    if max(abs(true - 0.5), abs(predicted - 0.5)) <= UNSURE:
        return UNDECIDED
    return BETWEEN


def _sure(part: pd.DataFrame) -> float:
    """The share of iterations in which D was saturated, over all trainings of a row."""
    wide = part.pivot_table(index=["seed", "iteration"], columns="shown", values="score")
    return float(((wide[TRUE] > SURE) & (wide[PREDICTED] < 1 - SURE)).mean())


def _share(record: Record) -> float:
    """The adversarial term's share of the generator's loss in the last fifth of a training."""
    table, loss = record.curves, record.spec.loss
    late = table[table["iteration"] > LAST * table["iteration"].max()]
    adversarial = float(loss.adversarial_weight * late["adversarial"].mean())
    return adversarial / (adversarial + float(loss.overlap_weight * late["overlap"].mean()))


def printed_ends(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`ends`."""
    if table.empty:
        return pd.DataFrame(columns=["row", "trainings"])
    wide = table[["row", "trainings"]].copy()
    for name in (TRUE, PREDICTED):
        wide[f"D on {name}"] = table[name].map("{:.3f}".format)
    wide["adversarial share of G's loss"] = (100 * table["share"]).map("{:.1f} %".format)
    wide["ended saturated"] = _of(table, SATURATED)
    wide["ended undecided"] = _of(table, UNDECIDED)
    wide["iterations saturated"] = (100 * table["sure"]).map("{:.0f} %".format)
    return printed.with_absent(wide, [(name,) for name in ROWS[:-1]], ["row"])


def _of(table: pd.DataFrame, state: str) -> list[str]:
    return [f"{n} of {of}" for n, of in zip(table[state], table["trainings"], strict=True)]
