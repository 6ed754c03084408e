"""What the page on subtype tables says, in sentences whose numbers come from its tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mammostudy.evaluation.association import Misclassified
from mammostudy.study import cmmd_shapes, printed, published, words
from mammostudy.study.subtype_pages import percent
from mammostudy.study.subtype_statistics import LEVEL, Association, ShareDifference
from mammostudy.study.subtype_tables import CMMD_3, PUBLISHED, PUBLISHED_3


def origin(content: dict[str, Any]) -> str:
    """Say what the CMMD table is, and whether the committed counts are those of the file here."""
    said = {
        "same": "The CSV is on this machine, and gives the committed counts again.",
        "differs": (
            "**The CSV on this machine gives other counts, or is another file**; what stands here "
            "are the committed ones."
        ),
        "not at hand": "The CSV is not on this machine, so the counts are the committed ones.",
    }[cmmd_shapes.check()]
    return (
        f"{content['counted']} breasts of {content['patients_counted']} patients have a subtype "
        f"and a shape, of {content['lesions']} lesions on {content['breasts']} breasts of "
        f"{content['patients']} patients in `{content['file']}` "
        f"(SHA-256 `{content['sha256'][:12]}…`). {said}"
    )


def dropped_page(content: dict[str, Any]) -> pd.DataFrame:
    """Return what the CMMD table leaves out, by reason: left out, number."""
    return pd.DataFrame({"left out": content["dropped"].keys(), "n": content["dropped"].values()})


def fractions_page(fractions: pd.DataFrame) -> pd.DataFrame:
    """Lay out the paper's fractions beside what its table gives."""
    rows = fractions.to_dict("records")
    return pd.DataFrame(
        {
            "subtype": fractions["subtype"],
            "shapes": [" or ".join(row["shapes"]) for row in rows],
            "printed": [f"{row['masses']}/{row['of']}" for row in rows],
            "from the table": [f"{row['count']}/{row['total']}" for row in rows],
            "%": [percent(row["share"], row["low"], row["high"]) for row in rows],
            "agrees": ["yes" if row["agree"] else "no" for row in rows],
        }
    )


def fractions_note(fractions: pd.DataFrame) -> str:
    """Say whether the printed fractions come out of the table, and which pass a half for sure."""
    wrong = fractions[~fractions["agree"]]
    unsure = fractions[(fractions["low"] < 0.5) & fractions["agree"]]
    text = (
        "All printed fractions come out of the printed table."
        if wrong.empty
        else f"Not out of the printed table: {words.listed(wrong['subtype'])}."
    )
    if unsure.empty:
        return f"{text} All of their intervals lie above one half."
    numbers = [f"{row['count']} of {row['total']}" for row in unsure.to_dict("records")]
    return (
        f"{text} The interval of {words.listed(unsure['subtype'])} "
        f"({words.listed(numbers)}) "
        f"reaches below one half: with so few masses, “mostly” is not settled there."
    )


def generator_note(same: bool) -> str:
    """Say how the phantom of this book is related to the published table."""
    if same:
        return (
            "The generator of this book's phantoms holds exactly these counts: shapes of the "
            "phantom's malignant masses are drawn given the subtype in these proportions. What a "
            "phantom page finds is therefore this table again, and no evidence for it."
        )
    return "The generator of this book's phantoms holds other counts than this table."


def power_note(marks: pd.DataFrame, for_published: float) -> str:
    """Say what each table could have shown.

    Args:
        marks: :func:`mammostudy.study.subtype_tables.power_marks`.
        for_published: :func:`mammostudy.study.subtype_tables.power_for_published`.
    """
    said = [f"{row['detectable']:.2f} ({row['table']})" for row in marks.to_dict("records")]
    return (
        f"The smallest V that is found with 80 % power is {words.listed(said)}. "
        f"An association as strong as the published one (corrected V, in the three classes that "
        f"both tables have) would be found in the CMMD table with {100 * for_published:.0f} % "
        f"power. Power at a table's own V says no more than its p value does; the dots are there "
        f"to find the table on its curve."
    )


def blurred_note(found: dict[str, Misclassified]) -> str:
    """Say what the published errors leave, and why the published row is a second pass."""
    each = found.get(PUBLISHED)
    if each is None:
        return ""
    counts = published.confusion_matrix().to_numpy()
    wrong = int(counts.sum() - np.trace(counts))
    near = int(counts[0, 1] + counts[1, 0])
    return (
        f"The published V of {each.before:.3f} falls to {each.after:.3f} when the shapes pass "
        f"once more through the published confusion matrix. The published table already holds "
        f"*predicted* shapes, so this is a second pass, not a correction: the association with "
        f"true shapes is not known, and if the model erred on those masses as it did on the test "
        f"masses, it would have been stronger than what was printed. {near} of the {wrong} "
        f"published errors are between irregular and lobular, which cost little where both shapes "
        f"go with the same subtypes."
    )


def reading(
    found: dict[str, Association],
    differences: dict[str, ShareDifference],
    fractions: pd.DataFrame,
) -> str:
    """Say what the page's tables mean.

    Args:
        found: :func:`mammostudy.study.subtype_tables.associations`.
        differences: :func:`mammostudy.study.subtype_tables.luminal`.
        fractions: :func:`mammostudy.study.subtype_tables.fractions`.

    Returns:
        Markdown, a sentence a line.
    """
    said = [_association(name, each) for name, each in found.items()]
    said += [_difference(name, each) for name, each in differences.items()]
    said += [fractions_note(fractions), _together(found)]
    return words.bullets(said)


def _association(name: str, each: Association) -> str:
    verdict = (
        "shape and subtype are associated"
        if max(each.p, each.p_fisher) < LEVEL
        else "no association is shown"
    )
    return (
        f"{name[0].upper()}{name[1:]}: {verdict} (p {_p(each.p)}, Fisher {_p(each.p_fisher)}; V "
        f"{printed.cell(each.v, each.v_low, each.v_high, 2)}, corrected {each.corrected:.2f}; "
        f"{each.cases} cases)."
    )


def _p(p: float) -> str:
    return words.p_value(p)


def _difference(name: str, each: ShareDifference) -> str:
    number = words.interval(each.difference, each.low, each.high, scale=100, digits=0)
    sign = "holds 0" if each.low <= 0 <= each.high else "does not hold 0"
    return (
        f"{name[0].upper()}{name[1:]}: the share irregular or lobular among luminal cases minus "
        f"that among the others is {number} points (the interval {sign})."
    )


def _together(found: dict[str, Association]) -> str:
    if not {PUBLISHED_3, CMMD_3} <= set(found):
        return ""
    ours, theirs = found[PUBLISHED_3], found[CMMD_3]
    if theirs.p_fisher < LEVEL:
        return "Both tables show an association; their classes and labels differ all the same."
    overlap = "overlap" if theirs.corrected_high >= ours.corrected_low else "do not overlap"
    low, high = theirs.corrected_low, theirs.corrected_high
    return (
        f"In the three classes that both have, the second-hand table thus does not repeat the "
        f"published association: the intervals of the corrected V, [{low:.2f}, {high:.2f}] here "
        f"and [{ours.corrected_low:.2f}, {ours.corrected_high:.2f}] there, {overlap}. That is a "
        f"lead, not a refutation: other labels, other classes, a subset of another hospital's "
        f"patients."
    )
