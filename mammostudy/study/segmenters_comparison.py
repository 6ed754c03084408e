"""The proposed cGAN against each alternative, paired over patients on the same cases."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation import effect_size, equivalence, holm, paired_test
from mammostudy.runs.spec import BASELINES
from mammostudy.study import printed, tables, words
from mammostudy.study import segmenter_recipes as models

MARGIN: Final = 0.01
"""The smallest difference in Dice that matters: one point, as in the claims."""
LEVEL: Final = 0.05
BETTER, WORSE, ALIKE, OPEN = "cGAN better", "cGAN worse", "within a point", "undecided"
NOT_RANKED: Final = "not converged"
COLUMNS: Final = (
    "framing", "b", "metric", "difference", "low", "high", "p_wilcoxon", "p_permutation",
    "patients", "smallest_detectable", "cases", "p_holm", "p_wilcoxon_holm", "effect", "better",
    "alike_low", "alike_high", "equivalent", "trainings", "lowest", "highest", "unsettled",
    "verdict",
)  # fmt: skip


def pairs(
    rows: pd.DataFrame, a: str, b: str, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Return the scores of two rows on the cases that both predicted, first seed of each fold.

    Args:
        rows: of one framing.
        a: a row.
        b: another.
        metric: a column.

    Returns:
        float64 ``(n,)`` each, and the patients ``(n,)``.
    """
    first = rows[rows["replicate"] == 0]
    wide = first.pivot_table(index=["case", "patient"], columns="row", values=metric)
    both = wide[[a, b]].dropna()
    patients = both.index.get_level_values("patient").to_numpy(dtype=str)
    return both[a].to_numpy(), both[b].to_numpy(), patients


def against(stacked: pd.DataFrame, framing: str = "loose", metric: str = "dice") -> pd.DataFrame:
    """Test the proposed cGAN against every other row of a framing.

    Wilcoxon's and the permutation test are each corrected by Holm over the comparisons of this
    table; the effect is the rank-biserial correlation; equivalence asks whether the 90 % interval
    lies within one point of 0.

    Args:
        stacked: :func:`mammostudy.study.segmenters.rows`.
        framing: ``loose``, ``full`` or ``tight``.
        metric: a column of it.

    Returns:
        A row an alternative, columns :data:`COLUMNS`; ``unsettled`` names which of the two had
        not converged, ``verdict`` is then ``not converged``.
    """
    part = stacked[stacked["framing"] == framing]
    have = set(part["row"])
    if models.PROPOSED not in have:
        return pd.DataFrame(columns=list(COLUMNS))
    others = [row for row in (*models.ROWS, *BASELINES) if row in have - {models.PROPOSED}]
    out = [{"framing": framing, **_test(part, other, metric)} for other in others]
    table = pd.DataFrame(out)
    if table.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    table["p_holm"] = holm(table["p_permutation"])
    table["p_wilcoxon_holm"] = holm(table["p_wilcoxon"])
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table[list(COLUMNS)]


def _test(part: pd.DataFrame, other: str, metric: str) -> dict[str, object]:
    one, two, patients = pairs(part, models.PROPOSED, other, metric)
    same = equivalence(one, two, patients, MARGIN)
    effect = effect_size(one, two, patients)
    trainings = tables.seed_differences(part, models.PROPOSED, other, metric)
    flags = part[part["row"].isin([models.PROPOSED, other])].groupby("row")["converged"]
    loose = [str(row) for row, each in flags if each.eq(False).any()]
    return {
        "b": other,
        "metric": metric,
        **vars(paired_test(one, two, patients)),
        "cases": len(one),
        "effect": effect.rank_biserial,
        "better": effect.better,
        "alike_low": same.low,
        "alike_high": same.high,
        "equivalent": same.equivalent,
        "trainings": len(trainings),
        "lowest": float(trainings.min()),
        "highest": float(trainings.max()),
        "unsettled": words.listed(loose) if loose else "",
    }


def _verdict(row: pd.Series) -> str:
    """Say who is ahead: the corrected p value and the interval must agree."""
    if row["unsettled"]:
        return NOT_RANKED
    if row["equivalent"]:
        return ALIKE
    if row["p_holm"] < LEVEL and row["low"] > 0:
        return BETTER
    if row["p_holm"] < LEVEL and row["high"] < 0:
        return WORSE
    return OPEN


def printed_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`against`, a row an alternative."""
    lines = [
        {
            "cGAN minus": row["b"],
            "difference [95 %]": words.interval(row["difference"], row["low"], row["high"]),
            "p permutation (Holm)": printed.p_value(row["p_holm"]),
            "p Wilcoxon (Holm)": printed.p_value(row["p_wilcoxon_holm"]),
            "effect (rank-biserial)": f"{row['effect']:+.2f}",
            "patients better, %": f"{100 * row['better']:.0f}",
            "90 % interval, for alikeness": _interval(row["alike_low"], row["alike_high"]),
            "patients": row["patients"],
            "masses": row["cases"],
            "smallest detectable": f"{row['smallest_detectable']:.3f}",
            "verdict": _said(row),
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(lines, columns=list(_HEADINGS))


_HEADINGS: Final = (
    "cGAN minus", "difference [95 %]", "p permutation (Holm)", "p Wilcoxon (Holm)",
    "effect (rank-biserial)", "patients better, %", "90 % interval, for alikeness", "patients",
    "masses", "smallest detectable", "verdict",
)  # fmt: skip


def _interval(low: float, high: float) -> str:
    return f"[{low:+.3f}, {high:+.3f}]"


def _said(row: pd.Series) -> str:
    return f"not ranked: {row['unsettled']} not converged" if row["unsettled"] else row["verdict"]


def framing_tests(stacked: pd.DataFrame) -> pd.DataFrame:
    """Test loose frames against full and tight ones, model by model, in the image's grid.

    The cases are those that both framings predicted; Holm's correction is over this table.

    Returns:
        A row a model and framing: row, other, difference, low, high, p_holm, patients,
        ``unsettled``.
    """
    out = []
    trained = stacked[stacked["row"].isin(models.ROWS)]
    for row, part in trained.groupby("row", sort=False):
        for other in ("full", "tight"):
            if not {"loose", other} <= set(part["framing"]):
                continue
            by_framing = part.assign(row=part["framing"])
            one, two, patients = pairs(by_framing, "loose", other, "dice_image")
            flags = part[part["framing"].isin(["loose", other])].groupby("framing")["converged"]
            loose = [str(name) for name, each in flags if each.eq(False).any()]
            test = vars(paired_test(one, two, patients))
            out.append({"row": row, "other": other, **test, "unsettled": ", ".join(loose)})
    table = pd.DataFrame(out, columns=list(_FRAMED))
    return table.assign(p_holm=holm(table["p_permutation"].astype(float)))


_FRAMED: Final = (
    "row", "other", "difference", "low", "high", "p_permutation", "patients",
    "smallest_detectable", "unsettled",
)  # fmt: skip


def printed_framings(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`framing_tests`."""
    lines = [
        {
            "model": row["row"],
            "comparison": f"loose - {row['other']}",
            "difference [95 %]": words.interval(row["difference"], row["low"], row["high"]),
            "p (Holm)": printed.p_value(row["p_holm"]),
            "patients": row["patients"],
            "not converged": row["unsettled"],
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(lines, columns=list(_SAID))


_SAID: Final = (
    "model", "comparison", "difference [95 %]", "p (Holm)", "patients", "not converged",
)  # fmt: skip
