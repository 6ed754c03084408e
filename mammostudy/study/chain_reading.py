"""What the chain's tables say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mammostudy.runs.detection_rows import RULES
from mammostudy.study import printed, words
from mammostudy.study.chain import Found, box_quality, printed_score, rows, score
from mammostudy.study.chain_errors import BOX, CLASSIFIER, DICE, MISSED, SEGMENTATION, SHAPE
from mammostudy.study.chain_recipes import PAPER, STUDY
from mammostudy.study.chain_setting import unsettled_arms
from mammostudy.study.detect_recipes import detect_cohort

NOTHING: Final = (
    "Neither of the two whole chains is on record yet, so this part has nothing to say."
)
_PARTS: Final = {
    CLASSIFIER: "what the classifier gets wrong from the true mask",
    SEGMENTATION: "segmentation from the known box",
    BOX: "the imperfect box",
    MISSED: "masses that were missed",
}


def _by(table: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """Return the rows of a table by a column."""
    return {str(row[column]): row for _, row in table.iterrows()}


def setting(cohort: str, found: Found) -> str:
    """Name cohort, folds, rule and operating point of the page."""
    listed = [record for each in found.values() for record in each]
    if not listed:
        return NOTHING
    spec = listed[0].spec
    folds = sorted({record.spec.split.fold for record in listed})
    rule, threshold = RULES[spec.rule]
    fits = (
        f"a box finds a mass if their IoU is at least {threshold:g}"
        if rule == "iou"
        else "a box finds a mass if its centre lies in the mass's box"
    )
    said = [
        f"Test views of the cohort `{detect_cohort(cohort)}`, "
        f"{'fold' if len(folds) == 1 else 'folds'} {words.listed(map(str, folds))} of "
        f"{spec.split.folds}; {fits}, one box a mass, the best-scored first.",
        "A false positive is a box above the threshold that overlaps no mass that much; a second "
        "box on a mass found already is a repeat, and counted apart.",
        f"Boxes count from the score at which the detector gives at most {spec.operating:g} false "
        "positive a view on its validation part; the journal's own detector numbers are not "
        "reported.",
    ]
    return words.paragraph(said)


def convergence(found: Found) -> str:
    """Say which chains hold a stage that had not converged."""
    said = [f"{arm} ({stages})" for arm, stages in unsettled_arms(found).items()]
    if not said:
        return ""
    return (
        f"Not converged in {words.listed(said)}: what stands behind these rows would change with "
        "more training, so they are shown and put in no ranking."
    )


def ends(dice: pd.DataFrame, found_share: pd.DataFrame) -> str:
    """Say how much of the Dice from known boxes is left at the end of each of the two chains."""
    said = []
    for arm in (STUDY, PAPER):
        mine = _by(dice[dice["arm"] == arm], "source")
        share = found_share[found_share["arm"] == arm]
        if not mine or share.empty:
            continue
        one = share.iloc[0]
        end, known, shaken = (mine[name] for name in ("detected", "oracle", "jittered"))
        alone = mine["found"]
        only = "" if np.isnan(alone["mean"]) else f" (of the found alone {printed_score(alone)})"
        said.append(
            f"The {arm} finds {one['found']} of {words.count(int(one['masses']), 'mass')} of "
            f"{words.count(int(end['patients']), 'patient')}, {printed_score(one)}. From known "
            f"boxes its mean Dice is {printed_score(known)}, from shaken ones "
            f"{printed_score(shaken)}; from the mammogram it is **{printed_score(end)}**{only}."
        )
    return words.paragraph(said) or NOTHING


def budget(table: pd.DataFrame, measure: str = DICE) -> str:
    """Say which part of the error is largest."""
    said = []
    for arm in (STUDY, PAPER):
        mine = table[(table["arm"] == arm) & (table["measure"] == measure)]
        if mine.empty:
            continue
        means = pd.Series(mine["mean"].to_numpy(np.float64), index=mine["part"].astype(str))
        whole, parts = float(means["error"]), means.drop("error")
        shares = [
            f"{value:+.3f} by {_PARTS[str(part)]}"
            for part, value in parts.sort_values(ascending=False).items()
        ]
        name = "1 minus the mean Dice" if measure == DICE else "the share of wrong shapes"
        said.append(f"Of the {arm}, {name} is {whole:.3f}: {words.listed(shares)}.")
        if (negative := list(parts.index[parts < -0.0005])) and measure == SHAPE:
            said.append(
                f"A part below 0 ({words.listed(negative)}) means that more shapes came out right "
                "by it than wrong, which a classifier that guesses also brings about."
            )
    return words.paragraph(said) or NOTHING


def boxes(masses: pd.DataFrame) -> str:
    """Say what the boxes of found masses are like, and what they cost."""
    table = box_quality(masses)
    if len(table) < 2:
        some = len(masses) and (masses["arm"] == STUDY).any()
        return f"The {STUDY} finds fewer than two masses: nothing to compare." if some else ""
    loss, low, high = score(table, "loss")
    tied = ""
    if table["iou"].nunique() > 1 and table["loss"].nunique() > 1:
        correlation = float(table["iou"].corr(table["loss"], method="spearman"))
        tied = f" The rank correlation of IoU and loss is {correlation:+.2f}."
    return (
        f"The boxes that find the {words.count(len(table), 'mass')} of the {STUDY} have a median "
        f"IoU of {table['iou'].median():.2f} with the known box; against that box they cost "
        f"{words.interval(loss, low, high)} Dice.{tied}"
    )


def shapes(table: pd.DataFrame) -> str:
    """Say how many shapes come out right, from which mask, against always the commonest."""
    if table.empty or not table["masses"].max():
        return (
            "No mass of these views has a known shape that a classifier of this cohort may judge: "
            "this part has nothing to show."
        )
    said = []
    for arm in (STUDY, PAPER):
        mine = _by(table[table["arm"] == arm], "source")
        if not mine:
            continue
        end, given = mine["detected"], mine["found"]
        of_found = (
            f"; of the {int(given['masses'])} found ones {printed_score(given)}"
            if given["masses"]
            else "; none of them was found"
        )
        said.append(
            f"The classifier of the {arm} names {printed_score(mine['truth'])} of "
            f"{words.count(int(end['masses']), 'mass')} rightly from the true mask, "
            f"{printed_score(mine['oracle'])} from the mask segmented in the known box, and "
            f"**{printed_score(end)}** from the mammogram, missed ones wrong{of_found}."
        )
    share = float(table.loc[table["source"] == "detected", "commonest"].max())
    said.append(f"Always naming the commonest shape of these masses would be right in {share:.3f}.")
    return words.paragraph(said)


def wrong_way(masses: pd.DataFrame) -> str:
    """Say where a classifier is good on true masks and not on segmented ones."""
    said = []
    for arm in (STUDY, PAPER):
        told = masses[(masses["arm"] == arm) & masses["told"]]
        truth, oracle = (told[told["source"] == source] for source in ("truth", "oracle"))
        if oracle.empty:
            continue
        commonest = float(oracle["label"].value_counts(normalize=True).max())
        if oracle["right"].mean() < commonest < truth["right"].mean():
            called = oracle["predicted"].value_counts(normalize=True)
            said.append(
                f"From segmented masks the classifier of the {arm} says {called.index[0]} of "
                f"{100 * called.iloc[0]:.0f} % of the masses, and is right less often than one "
                "that always names the commonest shape, which it beats on true masks: what it "
                "has learnt does not hold on what this segmenter draws."
            )
    return words.paragraph(said)


def false_boxes(found: Found) -> str:
    """Say how many false boxes stand against the rate aimed at."""
    views = rows(found, "view")
    mine = views[views["arm"] == STUDY]
    if mine.empty:
        return ""
    mean, low, high = score(mine, "false_boxes")
    aimed = found[STUDY][0].spec.operating
    return (
        f"The {STUDY} lays {printed.cell(mean, low, high, 2)} false boxes on a test view, where "
        f"{aimed:g} was aimed at on validation. Each is segmented like any other: nothing behind "
        "the detector refuses a box."
    )


def comparisons(table: pd.DataFrame, found: Found) -> str:
    """Say how the study's chain stands against the others, on all masses.

    A pair in which a stage had not converged is told without a verdict.
    """
    open_ends = unsettled_arms(found)
    said = []
    for _, row in table.iterrows():
        number = words.interval(row["difference"], row["low"], row["high"])
        side = "more than chance explains" if row["p_holm"] < 0.05 else "within chance"
        verdict = f"{side} (p {words.p_value(row['p_holm'])} after Holm)"
        if {STUDY, row["b"]} & set(open_ends):
            verdict = "no verdict, as a stage had not converged"
        said.append(
            f"Dice of the {STUDY} minus {row['b']}: {number} over "
            f"{words.count(int(row['patients']), 'patient')}; {verdict}."
        )
    return words.bullets(said)


def reading(dice: pd.DataFrame, budget_table: pd.DataFrame, shape: pd.DataFrame) -> str:
    """Answer the page's question in a few sentences."""
    mine = budget_table[budget_table["arm"] == STUDY]
    mine = mine[mine["measure"] == DICE]
    if mine.empty:
        return NOTHING
    errors = pd.Series(mine["mean"].to_numpy(np.float64), index=mine["part"].astype(str))
    parts = errors.drop("error")
    first = str(parts.idxmax())
    share = float(parts.max()) / max(float(errors["error"]), 1e-9)
    end = _mean(dice, "detected")
    said = [
        f"The largest part of the error in Dice, {100 * share:.0f} % of it, comes from "
        f"{_PARTS[first]}: of a mean Dice of {_mean(dice, 'oracle'):.3f} with known boxes, "
        f"{end:.3f} is left when the boxes are detected.",
        _beside(parts),
    ]
    told = shape[(shape["arm"] == STUDY) & (shape["masses"] > 0)]
    if len(told):
        said.append(
            f"Of the shapes, {_mean(told, 'truth'):.3f} are right from the true mask and "
            f"{_mean(told, 'detected'):.3f} at the end of the chain."
        )
    said.append(
        "Segmentation scores from known boxes, the paper's among them, say what a radiologist "
        "gets who has drawn the box; they do not say what a machine gets that is handed a "
        "mammogram."
    )
    return words.bullets(said)


def _beside(parts: pd.Series) -> str:
    """Compare the imperfect box with what is missed altogether."""
    box, missed = float(parts[BOX]), float(parts[MISSED])
    if missed <= 0:
        return f"The imperfect box costs {box:+.3f}; no mass was missed."
    return (
        f"In the mean over all masses, the imperfect boxes of found masses cost {box:+.3f}, and "
        f"masses without a box {missed:+.3f}."
    )


def _mean(table: pd.DataFrame, source: str) -> float:
    mine = table[(table["arm"] == STUDY) & (table["source"] == source)]
    return float(mine["mean"].iloc[0])
