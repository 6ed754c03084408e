"""Post-processing: the published order, every subset and order of it, decided on validation."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.figures import pictures
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.study import cropping
from mammostudy.study.comparing import Runs, compare, every_run, judge

STEPS: Final = "+".join(PUBLISHED)
DECIDED: Final = "decided on validation"
MARGIN: Final = 0.005
"""The smallest gain that matters, as the claim on post-processing says."""


specs = every_run(cropping.framings)


def gains(runs: Runs) -> pd.DataFrame:
    """Return what the published order gains in each framing, in Dice and IoU, on test."""
    rows, lines = runs.test(postprocessing=None), []
    for framing in rows["row"].unique():
        for metric in ("dice", "iou"):
            pair = [(f"{framing}, {STEPS}", f"{framing}, none")]
            tests = compare(rows, pair, metric, ("row", "postprocessing"), MARGIN)
            lines += tests.to_dict("records")
    return judge(lines, MARGIN, judged=bool(rows["judged"].all()))  # Holm over the table


def orders(runs: Runs, part: str) -> pd.DataFrame:
    """Return the rows of every order on loose frames and known boxes; ``row`` is the order."""
    rows = runs.test(part=part, postprocessing=None, row="loose")
    return rows.assign(row=rows["postprocessing"])


def decide(validation: pd.DataFrame) -> str:
    """Return the order with the highest mean Dice on validation; a tie goes to fewer steps."""
    if set(validation["part"]) != {"validation"}:
        msg = "post-processing is decided on validation rows alone"
        raise ValueError(msg)
    means = validation.groupby("row")["dice"].mean().round(6)
    best = means[means == means.max()].index
    return str(min(best, key=lambda name: (_length(name), name)))


def decisions(validation: pd.DataFrame) -> dict[int, str]:
    """Decide by fold: the validation patients of one fold are test patients of another."""
    first = validation[validation["replicate"] == 0]
    return {int(part["fold"].iloc[0]): decide(part) for _, part in first.groupby("fold")}


def _length(order: str) -> int:
    return 0 if order == "none" else order.count("+") + 1


def ranked(validation: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Compare every order with none on test; ``validation`` is its mean Dice there.

    What validation decided fold by fold comes first, the others follow by their validation.
    """
    if validation.empty or test.empty:
        return pd.DataFrame()
    first = validation[validation["replicate"] == 0]
    chosen = test[test["row"] == test["fold"].map(decisions(validation))].assign(row=DECIDED)
    means = first.groupby("row")["dice"].mean()
    ordered = sorted(means.index, key=lambda name: (-means[name], _length(name)))
    pairs = [(name, "none") for name in (DECIDED, *ordered) if name != "none"]
    table = compare(pd.concat([chosen, test], ignore_index=True), pairs, margin=MARGIN)
    return table.assign(validation=table["a"].map(means))


def cases(test: pd.DataFrame) -> pd.DataFrame:
    """Pick cases by rule: where the published order gains most, loses most, and changes least."""
    first = test[(test["replicate"] == 0) & test["row"].isin(["none", STEPS])]
    wide = first.pivot_table(index="case", columns="row", values="dice")
    wide = wide.reindex(columns=["none", STEPS]).set_axis(["before", "after"], axis=1).dropna()
    table = wide.assign(gain=wide["after"] - wide["before"]).sort_values("gain").reset_index()
    if table.empty:
        return table
    rules = {"largest gain": len(table) - 1, "largest loss": 0, "median change": len(table) // 2}
    picks = table.iloc[list(rules.values())]
    picks.insert(0, "rule", list(rules))
    return picks


def before_and_after(
    cohort: str, runs: Runs, picked: pd.DataFrame
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return overlays of picked cases before, then after the published order, titled."""
    loaded = pictures.at_hand(cohort)
    out: dict[str, list[Any]] = {"before": [], "after": []}
    for row in picked.to_dict("records"):
        if found := pictures.seen(loaded, runs.of("loose"), row["case"]):
            _, image, truth, mask = found
            for when, painted in (("before", mask), ("after", postprocess(mask, PUBLISHED))):
                title = f"{row['rule']}\n{when}: Dice {row[when]:.3f}"
                out[when].append((title, agreement_overlay(image, truth, painted)))
    return [*out["before"], *out["after"]]
