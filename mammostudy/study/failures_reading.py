"""What the failures page prints: its tables laid out for the eye, and its sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammostudy.study import printed, published, words
from mammostudy.study.failures import GOOD, LARGE, SMALL, THIRDS


def kinds_note() -> str:
    """State the rule behind the kinds of failure."""
    return (
        f"A failure is a Dice below {GOOD}. Too small: less than {SMALL} of the true area is "
        f"painted; too large: more than {LARGE} times; misplaced: in between."
    )


def published_outliers() -> pd.DataFrame:
    """Return the outliers drawn for the paper's headline run: model, test set, framing, Dice."""
    plots = published.box_plots()
    shown = plots[(plots["metric"] == "dice") & (plots["outliers"].map(len) > 0)]
    return pd.DataFrame(
        {
            "model": shown["model"],
            "test set": shown["dataset"],
            "framing": shown["framing"],
            "images": shown["images"],
            "median Dice": shown["median"],
            "outliers": [", ".join(f"{v:g}" for v in values) for values in shown["outliers"]],
        }
    )


def cases_page(picked: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of picked cases for a reader."""
    names = {"case": "case", "fold": "fold", "dice": "Dice", "recall": "recall"}
    names |= {"precision": "precision", "kind": "kind"}
    shown = picked[list(names)].rename(columns=names)
    return shown.assign(**{"second mass": np.where(picked["company"], "yes", "no")})


def sizes_page(sizes: pd.DataFrame, column: str) -> pd.DataFrame:
    """Lay :func:`size_table` out for the eye; sizes in %, of what ``column`` says."""
    if sizes.empty:
        return sizes
    scale = 100 if column == "mass_share" else 1
    unit = {"box_share": "box, % of the image", "mass_share": "mass, % of the frame"}[column]
    rows = sizes.to_dict("records")
    return pd.DataFrame(
        {
            "size": sizes["size"],
            unit: [f"{scale * r['from']:.1f} to {scale * r['to']:.1f}" for r in rows],
            "Dice": [printed.cell(r["mean"], r["low"], r["high"]) for r in rows],
            "cases": sizes["cases"],
            "patients": sizes["patients"],
        }
    )


def meaning(stacked: pd.DataFrame, company: pd.DataFrame, sizes: pd.DataFrame, truth: str) -> str:
    """Say what the tables mean.

    Args:
        stacked: from :func:`rows`.
        company: from :func:`company_table`.
        sizes: from :func:`size_table`.
        truth: ``all`` or ``target``, what the runs count as truth.
    """
    if stacked.empty or sizes.empty:
        return "No run of this page has a record yet, so nothing can be said."
    failed = stacked[stacked["kind"] != "no failure"]
    share = 100 * len(failed) / len(stacked)
    sentences = [
        f"{words.count(len(failed), 'mass')} of {len(stacked)} ({share:.0f} %) score below "
        f"a Dice of {GOOD}.",
    ]
    if len(failed):
        kind = failed["kind"].value_counts()
        sentences.append(
            f"The commonest failure is {kind.index[0]!r}, with {kind.iloc[0]} of them."
        )
    sentences += [_apart(sizes, "size", THIRDS[0], THIRDS[-1])]
    what = {"all": "every mass that a frame shows", "target": "the mass in the middle alone"}[truth]
    sentences.append(f"Truth is {what}.")
    dice = company[company["metric"] == "dice"]
    if set(dice["row"]) == {"alone", "second mass"}:
        sentences.append(_apart(dice, "row", "second mass", "alone"))
    else:
        sentences.append("No two kinds of frames, with and without a second mass, were tested.")
    return words.paragraph(sentences)


def _apart(table: pd.DataFrame, column: str, one: str, other: str) -> str:
    """Set two means with their intervals side by side, and say whether these overlap."""
    a, b = (table[table[column] == name].iloc[0] for name in (one, other))
    overlap = a["low"] <= b["high"] and b["low"] <= a["high"]
    how = "the intervals overlap" if overlap else "the intervals lie apart"
    means = [printed.cell(row["mean"], row["low"], row["high"]) for row in (a, b)]
    return f"Mean Dice is {means[0]} ({one}) against {means[1]} ({other}): {how}."
