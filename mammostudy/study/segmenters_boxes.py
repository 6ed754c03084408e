"""Box plots of the models, and how many outliers each leaves, beside the published ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import pandas as pd

from mammostudy.evaluation.uncertainty import fewer_outliers, low_outliers
from mammostudy.runs.spec import BASELINES
from mammostudy.study import printed, published, words
from mammostudy.study import segmenter_recipes as models
from mammostudy.study.segmenters_comparison import pairs


def cases(stacked: pd.DataFrame, framing: str = "loose") -> pd.DataFrame:
    """Return the cases of a framing, first seed of each fold: row, case, dice, iou, converged.

    Rows stand in the order of the paper's table, then ours, then the baselines.
    """
    part = stacked[(stacked["framing"] == framing) & (stacked["replicate"] == 0)]
    names = [row for row in (*models.ROWS, *BASELINES) if row in set(part["row"])]
    ordered = part.assign(row=pd.Categorical(part["row"], names, ordered=True))
    kept = ordered.sort_values(["row", "case"], kind="stable")
    return kept[["row", "case", "dice", "iou", "converged"]].reset_index(drop=True)


def quartiles(table: pd.DataFrame) -> pd.DataFrame:
    """Return the quartiles and low outliers of every row, in Dice and IoU.

    Args:
        table: :func:`cases`.

    Returns:
        Columns row, metric, q1, median, q3, masses, outliers (how many), share, lowest,
        converged.
    """
    out = []
    for row, part in table.groupby("row", sort=False, observed=True):
        settled = "no" if part["converged"].eq(False).any() else "yes"
        said = settled if part["converged"].notna().any() else "no training"
        for metric in ("dice", "iou"):
            values = part[metric].to_numpy()
            q1, median, q3 = part[metric].quantile([0.25, 0.5, 0.75])
            found = int(low_outliers(values).sum())
            shares = (len(values), found, found / len(values), float(values.min()))
            out.append((str(row), metric, q1, median, q3, *shares, said))
    return pd.DataFrame(out, columns=list(_QUARTILES))


_QUARTILES: Final = (
    "row", "metric", "q1", "median", "q3", "masses", "outliers", "share", "lowest", "converged",
)  # fmt: skip


def printed_quartiles(table: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Lay out :func:`quartiles` beside the published ones (INbreast, loose frames).

    Returns:
        model, quartiles and outliers here, and those of the paper; ``–`` where it draws no box.
    """
    plots = published.box_plots()
    paper = {row["model"]: row for row in plots[plots["metric"] == metric].to_dict("records")}
    lines = []
    for row in table[table["metric"] == metric].to_dict("records"):
        shown = paper.get(row["row"])
        count = f"{row['outliers']} of {row['masses']} ({100 * row['share']:.1f} %)"
        lines.append(
            {
                "model": row["row"],
                "Q1 / median / Q3": _triple(row),
                "outliers": count,
                "lowest": f"{row['lowest']:.3f}",
                "converged": row["converged"],
                "paper: Q1 / median / Q3": _triple(shown) if shown else printed.MISSING,
                "paper: outliers": _drawn(shown) if shown else printed.MISSING,
            }
        )
    return pd.DataFrame(lines)


def _triple(row: Mapping[Hashable, Any]) -> str:
    return " / ".join(f"{row[name]:.3f}" for name in ("q1", "median", "q3"))


def _drawn(row: Mapping[Hashable, Any]) -> str:
    """Say how many outliers the paper draws; they were read from its figure for one model."""
    return f"{len(row['outliers'])} of {row['images']}" if row["outliers"] else "not reported"


def outlier_tests(stacked: pd.DataFrame, framing: str = "loose") -> pd.DataFrame:
    """Compare the shares of low outliers in Dice: every other model less the proposed cGAN.

    Returns:
        A row a model: b, difference (above 0: the cGAN leaves fewer), low, high, p_permutation
        (not corrected), patients, smallest_detectable, ``unsettled``.
    """
    part = stacked[stacked["framing"] == framing]
    have = set(part["row"])
    out = []
    for other in models.ROWS:
        if other == models.PROPOSED or not {models.PROPOSED, other} <= have:
            continue
        test = fewer_outliers(*pairs(part, models.PROPOSED, other, "dice"))
        flags = part[part["row"].isin([models.PROPOSED, other])].groupby("row")["converged"]
        loose = [str(row) for row, each in flags if each.eq(False).any()]
        out.append({"b": other, **vars(test), "unsettled": ", ".join(loose)})
    return pd.DataFrame(out, columns=list(_TESTED))


_TESTED: Final = (
    "b", "difference", "low", "high", "p_permutation", "patients", "smallest_detectable",
    "unsettled",
)  # fmt: skip


def printed_outliers(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`outlier_tests`, in points of the share of masses."""
    lines = [
        {
            "outliers of": row["b"],
            "less the cGAN's, points [95 %]": words.interval(
                row["difference"], row["low"], row["high"], scale=100, digits=1
            ),
            "p, not corrected": printed.p_value(row["p_permutation"]),
            "patients": row["patients"],
            "smallest detectable, points": f"{100 * row['smallest_detectable']:.1f}",
            "not converged": row["unsettled"],
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(lines, columns=list(_OUTLIERS))


_OUTLIERS: Final = (
    "outliers of", "less the cGAN's, points [95 %]", "p, not corrected", "patients",
    "smallest detectable, points", "not converged",
)  # fmt: skip
