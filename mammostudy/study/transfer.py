"""What carries over: trained on one kind of image, tested on another.

Three trainings of the paper's model on loose frames (low-energy mammograms, DM; subtracted images
of the same examinations, CM; phantoms) are each tested on DM and on CM, on patients that they have
not met. DM and CM are two cohorts and are never counted together; phantoms are learnt from only.
What the tables say is put into words by :mod:`mammostudy.study.transfer_reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from mammostudy.evaluation.statistics import bootstrap_ci, holm, paired_test
from mammostudy.runs.record import Record
from mammostudy.runs.spec import RunSpec
from mammostudy.study import printed, tables, transfer_recipes
from mammostudy.study.transfer_recipes import COHORTS, TESTED, Pair, crossed, crossed_ellipses

TITLES: Final = {
    "cdd-cesm": "DM (CDD-CESM, low energy)",
    "cdd-cesm-cm": "CM (CDD-CESM, subtracted)",
    "phantom": "phantoms (computer-made)",
}
ELLIPSE: Final = "ellipse"
MODEL: Final = "model"
BOXES: Final = ("oracle", "jittered")
_KEYS: Final = ["case", "patient"]


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows; none for a cohort that nothing is tested on."""
    return transfer_recipes.every(preset) if cohort in TESTED else []


def named(preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs by kind, cohort learnt from and cohort tested on, ``kind|home|away``."""
    kinds: dict[str, Mapping[Pair, RunSpec]] = {
        MODEL: crossed(preset),
        ELLIPSE: crossed_ellipses(preset),
    }
    return {
        f"{kind}|{home}|{away}": [spec]
        for kind, runs in kinds.items()
        for (home, away), spec in runs.items()
    }


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records by ``kind|home|away``; none for a cohort that nothing is tested on."""
    return tables.records_of(named(preset), preset) if cohort in TESTED else {}


def absent(found: dict[str, list[Record]], cohort: str, preset: str) -> list[str]:
    """Return the pairs with a run that has no record, in words."""
    if cohort not in TESTED:
        return []
    missing = tables.not_run(named(preset), found)
    return [_words(*name.split("|")) for name in missing]


def _words(kind: str, home: str, away: str) -> str:
    before = "the ellipse beside " if kind == ELLIPSE else ""
    return f"{before}{_SHORT[home]} tested on {_SHORT[away]}"


_SHORT: Final = {"cdd-cesm": "DM", "cdd-cesm-cm": "CM", "phantom": "phantoms"}


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows before post-processing, with kind, home (learnt from) and away."""
    stacked = tables.rows_of(found)
    stacked = stacked[stacked["postprocessing"] == "none"]
    parts = stacked["row"].astype(str).str.split("|", expand=True).reindex(columns=range(3))
    return stacked.assign(kind=parts[0], home=parts[1], away=parts[2])


def _of(stacked: pd.DataFrame, kind: str, home: str, away: str, box: str) -> pd.DataFrame:
    chosen = (stacked["kind"] == kind) & (stacked["home"] == home) & (stacked["away"] == away)
    return stacked[chosen & (stacked["box"] == box)]


def table(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Summarise every pair, and test the model against the ellipse on the same masses.

    Args:
        stacked: from :func:`rows`.
        metric: of the rows.

    Returns:
        A row a pair and box on record: home, away, box, mean, low, high (95 % bootstrap interval
        over patients), ellipse (its mean; missing without a record), gain, gain_low, gain_high,
        p_permutation (model minus ellipse), cases, patients, converged.
    """
    out: list[dict[str, Any]] = []
    for away in TESTED:
        for home in COHORTS:
            for box in BOXES:
                model = _of(stacked, MODEL, home, away, box)
                if len(model):
                    ellipse = _of(stacked, ELLIPSE, home, away, box)
                    row = {"home": home, "away": away, "box": box}
                    out.append(row | _summary(model, metric) | _gain(model, ellipse, metric))
    return pd.DataFrame(out, columns=_COLUMNS)


_COLUMNS: Final = [
    "home", "away", "box", "mean", "low", "high", "cases", "patients", "converged", "ellipse",
    "gain", "gain_low", "gain_high", "p_permutation",
]  # fmt: skip


def _summary(model: pd.DataFrame, metric: str) -> dict[str, Any]:
    low, high = bootstrap_ci(model[metric].to_numpy(), model["patient"].to_numpy())
    return {
        "mean": model[metric].mean(),
        "low": low,
        "high": high,
        "cases": len(model),
        "patients": model["patient"].nunique(),
        "converged": "no" if model["converged"].eq(False).any() else "yes",
    }


def _gain(model: pd.DataFrame, ellipse: pd.DataFrame, metric: str) -> dict[str, Any]:
    both = model.merge(ellipse, on=_KEYS, suffixes=("_a", "_b"))
    if both.empty:
        return {}
    test = paired_test(
        both[f"{metric}_a"].to_numpy(), both[f"{metric}_b"].to_numpy(), both["patient"].to_numpy()
    )
    return {
        "ellipse": both[f"{metric}_b"].mean(),
        "gain": test.difference,
        "gain_low": test.low,
        "gain_high": test.high,
        "p_permutation": test.p_permutation,
    }


def printed_table(summary: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Lay out :func:`table` for one kind of box, a row a pair, run or not."""
    part = summary[summary["box"] == box]
    columns = ["tested on", "trained on", "Dice", "ellipse, same masses", "model minus ellipse",
               "masses", "patients", "converged"]  # fmt: skip
    out = []
    for _, row in part.iterrows():
        alone = pd.isna(row["ellipse"])
        gain = printed.NOT_RUN if alone else _signed(row["gain"], row["gain_low"], row["gain_high"])
        cells = (
            TITLES[row["away"]],
            TITLES[row["home"]],
            printed.cell_of(row),
            printed.NOT_RUN if alone else f"{row['ellipse']:.3f}",
            gain,
            row["cases"],
            row["patients"],
            row["converged"],
        )
        out.append(dict(zip(columns, cells, strict=True)))
    expected = [(TITLES[away], TITLES[home]) for away in TESTED for home in COHORTS]
    return printed.with_absent(pd.DataFrame(out, columns=columns), expected, columns[:2])


def _signed(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def comparisons(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Test every foreign training against the one on the cohort's own images, on masses in common.

    Args:
        stacked: from :func:`rows`.
        metric: of the rows.

    Returns:
        A row a tested cohort and foreign training on record, oracle boxes: home, away, own and
        foreign (means over the masses in common), masses, the fields of
        :class:`mammostudy.evaluation.statistics.PairedTest` of foreign minus own, adjusted (p of
        the permutation test after Holm's correction), unsettled (trainings not converged).
    """
    out: list[dict[str, Any]] = []
    for away in TESTED:
        own = _of(stacked, MODEL, away, away, "oracle")
        for home in COHORTS:
            foreign = _of(stacked, MODEL, home, away, "oracle")
            both = foreign.merge(own, on=_KEYS, suffixes=("_a", "_b"))
            if home == away or both.empty:
                continue
            pair = both[f"{metric}_a"].to_numpy(), both[f"{metric}_b"].to_numpy()
            flags = {home: both["converged_a"], away: both["converged_b"]}
            out.append(
                {
                    "home": home,
                    "away": away,
                    "own": pair[1].mean(),
                    "foreign": pair[0].mean(),
                    "masses": len(both),
                    **vars(paired_test(*pair, both["patient"].to_numpy())),
                    "unsettled": ", ".join(
                        TITLES[name] for name, flag in flags.items() if flag.eq(False).any()
                    ),
                }
            )
    found = pd.DataFrame(out)
    return found.assign(adjusted=holm(found["p_permutation"])) if len(found) else found


def printed_comparisons(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`comparisons`."""
    heads = {
        "away": "tested on",
        "home": "trained on",
        "foreign": "Dice",
        "own": "trained on its own images",
        "masses": "masses in common",
    }
    shown = tests.copy()
    for name in ("away", "home") if len(tests) else ():
        shown[name] = tests[name].map(TITLES)
    for name in ("own", "foreign") if len(tests) else ():
        shown[name] = tests[name].map("{:.3f}".format)
    wide = printed.tests_table(shown, heads)
    if tests.empty:
        return wide
    wide["p, Holm"] = tests["adjusted"].map(printed.p_value)
    wide["not converged"] = tests["unsettled"]
    return wide
