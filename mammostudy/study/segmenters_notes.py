"""Further sentences of the page on models: outliers, the best recipe, and what things cost."""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study import segmenter_recipes as models
from mammostudy.study import segmenters_best as best
from mammostudy.study.segmenters import short


def empty(stacked: pd.DataFrame) -> str:
    """Say which models drew nothing at all in most test frames; nothing where none did.

    Args:
        stacked: :func:`mammostudy.study.segmenters.rows`.
    """
    first = stacked[(stacked["replicate"] == 0) & stacked["row"].isin(models.ROWS)]
    blank = first.assign(blank=first["predicted_pixels"] == 0)
    shares = blank.groupby(["framing", "row"], sort=False)["blank"].mean().reset_index()
    said = [
        f"{short(each['row'])} drew nothing in {100 * each['blank']:.0f} % of its test frames "
        f"({each['framing']})"
        for _, each in shares.iterrows()
        if each["blank"] > MOST
    ]
    return f"{'; '.join(said)}: in this budget it has not begun to segment." if said else ""


MOST: Final = 0.5
"""A model that draws nothing in more than this share of test frames is said to."""


def outliers(table: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Say how many outliers the proposed cGAN leaves, and against whom it leaves fewer.

    Args:
        table: :func:`mammostudy.study.segmenters_boxes.quartiles`.
        tests: :func:`mammostudy.study.segmenters_boxes.outlier_tests`.
    """
    own = table[(table["row"] == models.PROPOSED) & (table["metric"] == "dice")]
    if own.empty:
        return ""
    row = own.iloc[0]
    said = [
        f"The {models.PROPOSED} leaves {words.count(int(row['outliers']), 'outlier')} in Dice "
        f"among {row['masses']} masses, the lowest at {row['lowest']:.3f}."
    ]
    for name in (models.RESNET_DICE, models.RESNET_L1):
        rows = tests[tests["b"] == name]
        if rows.empty:
            said.append(f"{name} was not run, so the claim about it is not tested here.")
            continue
        test = rows.iloc[0]
        gain = words.interval(test["difference"], test["low"], test["high"], scale=100, digits=1)
        doubt = f"; not converged: {test['unsettled']}" if test["unsettled"] else ""
        said.append(
            f"The share of outliers of {name} less its own is {gain} points over "
            f"{words.count(int(test['patients']), 'patient')}{doubt}."
        )
    return words.paragraph(said)


def recipe(compared: pd.DataFrame, absent: list[str]) -> str:
    """Say which fields of the best recipe earned their place on validation and which did not.

    Args:
        compared: :func:`mammostudy.study.segmenters_best.table`.
        absent: :func:`mammostudy.study.segmenters_best.absent`.
    """
    said = []
    phrases = {
        best.EARNED: "Earned their place on validation",
        best.COST: "Cost Dice on validation",
        best.UNSHOWN: "Not shown to matter on validation",
        "not converged": "Not judged, for want of convergence",
    }
    for verdict, phrase in phrases.items():
        rows = compared[compared["verdict"] == verdict]
        if len(rows):
            each = words.listed(
                f"{row['field']} ({words.interval(row['difference'], row['low'], row['high'])})"
                for _, row in rows.iterrows()
            )
            said.append(f"{phrase}: {each}.")
    if absent:
        said.append(
            f"Not run, so not judged: {words.listed(best.FIELDS[name] for name in absent)}."
        )
    if not said:
        return "No ablation of the best recipe belongs to this preset."
    return words.paragraph([*said, _least_p(compared)])


def _least_p(compared: pd.DataFrame) -> str:
    """Say where so few patients could not have shown anything, whatever they said."""
    if compared.empty:
        return ""
    patients = int(compared["patients"].max())
    least = min(1.0, len(compared) * 2.0 ** (1 - patients))
    if least < 0.05:
        return ""
    return (
        f"{words.count(patients, 'patient').capitalize()} of one mind give a p of {least:.3f} at "
        f"the least, after Holm's correction over {words.count(len(compared), 'field')}: no field "
        "could have been shown to matter here, and the intervals are all that can be read."
    )


def chosen(validated: pd.DataFrame) -> str:
    """Say who is ahead on validation, where recipes are chosen.

    Args:
        validated: :func:`mammostudy.study.segmenters_best.validation_table`.
    """
    settled = validated[validated["converged"] == "yes"]
    if settled.empty:
        return "No model converged, so validation patients choose none."
    first = settled.iloc[0]
    if len(settled) == 1:
        return f"Only {short(first['model'])} converged, so validation patients rank no model."
    return (
        f"Of the {words.count(len(settled), 'model')} that converged, {short(first['model'])} has "
        f"the highest Dice on validation ({first['Dice on validation']}, "
        f"{words.count(int(first['patients']), 'patient')})."
    )


def cost(table: pd.DataFrame) -> str:
    """Say what the models cost beside each other.

    Args:
        table: :func:`mammostudy.study.segmenters_cost.costs`.
    """
    known = table[table["seconds"] > 0]
    if len(known) < 2:
        return ""
    ordered = known.sort_values("seconds")
    cheap, dear = ordered.iloc[0], ordered.iloc[-1]
    said = [
        f"An epoch costs from {cheap['seconds']:.1f} s ({short(cheap['row'])}) to "
        f"{dear['seconds']:.1f} s ({short(dear['row'])}), "
        f"{dear['seconds'] / cheap['seconds']:.0f} times as much."
    ]
    settled = known[known["converged"] == "yes"]
    if len(settled):
        most = settled.sort_values("dice_per_minute").iloc[-1]
        top = settled.sort_values("dice").iloc[-1]
        both = f"{short(top['row'])} has" if top["row"] != most["row"] else "it also has"
        said.append(
            f"Among the converged, {short(most['row'])} gives most Dice for its time "
            f"({most['dice_per_minute']:.3f} per CPU-minute), and {both} "
            f"most Dice ({printed.cell_of(top.rename({'dice': 'mean'}))}, "
            f"{top['cpu_minutes']:.2g} CPU-minutes)."
        )
    return words.paragraph(said)
