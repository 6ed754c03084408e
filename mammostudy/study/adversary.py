"""What the adversary is worth: its weight, and the way from the released code to our recipe.

All runs are on loose frames of the first fold, so that every row is tested on the same masses.
A mass's score under a row is its mean over the row's trainings; intervals and tests go over
patients, and what another training would change stands apart from what other patients would.
The ladder is :mod:`mammostudy.study.adversary_ladder`, the discriminator's scores are
:mod:`mammostudy.study.adversary_curves`, the sentences :mod:`mammostudy.study.adversary_reading`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.effects import effect_size, equivalence, variance_parts
from mammostudy.evaluation.statistics import bootstrap_ci, holm, paired_test
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import adversary_recipes, printed, published, tables, words
from mammostudy.study.adversary_recipes import PAPER_WEIGHT, PLAIN, WEIGHTS, weight_name, weights
from mammostudy.study.claims import read_claims

MODEL: Final = weight_name(PAPER_WEIGHT)
ROWS: Final = (*map(weight_name, WEIGHTS), PLAIN)
_CLAIM: Final = "adversary-helps"


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows; none where the preset has no room."""
    return adversary_recipes.every(cohort, preset)


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records by value of lambda, and without adversary."""
    return tables.records_of(weights(cohort, preset), preset)


def absent(found: dict[str, list[Record]], cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record."""
    return tables.not_run(weights(cohort, preset), found)


def margin() -> float:
    """Return the smallest difference in Dice that matters, as the claim on the adversary says."""
    return read_claims()[_CLAIM].margin


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows on oracle boxes, before post-processing."""
    return tables.chosen(tables.rows_of(found))


def averaged(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return the mean of every mass over the trainings of its row: row, case, patient, score."""
    by = stacked.groupby(["row", "case", "patient"], sort=False)[metric]
    return by.mean().rename("score").reset_index()


def trainings(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return the mean of every training over its test masses: row, seed, converged, mean."""
    by = stacked.groupby(["row", "seed"], sort=False)
    flags = by["converged"].first().rename("converged")
    return pd.concat([by[metric].mean().rename("mean"), flags], axis=1).reset_index()


def table(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Summarise a metric by row, the trainings averaged.

    Returns:
        Columns row, mean, low, high (95 % bootstrap interval over patients), seed_sd (of the
        trainings' means; NaN for one), trainings, settled (trainings that had converged), cases,
        patients.
    """
    out: list[dict[str, Any]] = []
    scores, each = averaged(stacked, metric), trainings(stacked, metric)
    for name, part in scores.groupby("row", sort=False):
        low, high = bootstrap_ci(part["score"].to_numpy(), part["patient"].to_numpy())
        mine = each[each["row"] == name]
        out.append(
            {
                "row": name,
                "mean": part["score"].mean(),
                "low": low,
                "high": high,
                "seed_sd": mine["mean"].std() if len(mine) > 1 else np.nan,
                "trainings": len(mine),
                "settled": int(mine["converged"].eq(True).sum()),
                "cases": len(part),
                "patients": part["patient"].nunique(),
            }
        )
    return pd.DataFrame(out, columns=_SUMMARY)


_SUMMARY: Final = [
    "row", "mean", "low", "high", "seed_sd", "trainings", "settled", "cases", "patients",
]  # fmt: skip


def printed_table(summary: pd.DataFrame, each: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`table` with the mean of every training, a row a lambda, run or not."""
    out = [
        {
            "row": row["row"],
            "Dice": printed.cell_of(row),
            "each training": ", ".join(f"{m:.3f}" for m in each[each["row"] == row["row"]]["mean"]),
            "SD over trainings": printed.MISSING
            if pd.isna(row["seed_sd"])
            else f"{row['seed_sd']:.3f}",
            "converged": f"{row['settled']} of {row['trainings']}",
            "masses": row["cases"],
            "patients": row["patients"],
        }
        for _, row in summary.iterrows()
    ]
    columns = [
        "row", "Dice", "each training", "SD over trainings", "converged", "masses", "patients",
    ]  # fmt: skip
    wide = pd.DataFrame(out, columns=columns)
    return printed.with_absent(wide, [(name,) for name in ROWS], ["row"])


def _both(stacked: pd.DataFrame, name: str, metric: str) -> pd.DataFrame:
    """A row a seed and mass that a lambda and no adversary both have: patient and two scores."""
    pair = stacked[stacked["row"].isin([name, PLAIN])]
    wide = pair.pivot_table(index=["seed", "case", "patient"], columns="row", values=metric)
    return wide.reindex(columns=[name, PLAIN]).dropna().reset_index()


def comparisons(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Test each lambda against no adversary, over patients, trainings of one seed paired.

    Two trainings of one seed start from the same generator and draw the same batches.

    Returns:
        A row a lambda on record: b, the fields of
        :class:`mammostudy.evaluation.statistics.PairedTest`, adjusted (p of the permutation test
        after Holm's correction over the lambdas), within (whether the difference is shown to lie
        within the margin either way, by two one-sided tests), rank_biserial, trainings (pairs),
        higher (pairs in which the adversary's mean is higher), lowest, highest, unsettled.
    """
    out: list[dict[str, Any]] = []
    for name in ROWS[:-1]:
        both = _both(stacked, name, metric)
        if both.empty:
            continue
        means = both.groupby(["case", "patient"])[[name, PLAIN]].mean().reset_index()
        pair = means[name].to_numpy(), means[PLAIN].to_numpy(), means["patient"].to_numpy()
        by_seed = both.groupby("seed")[[name, PLAIN]].mean()
        differences = by_seed[name] - by_seed[PLAIN]
        out.append(
            {
                "b": name,
                **vars(paired_test(*pair)),
                "within": equivalence(*pair, margin=margin()).equivalent,
                "rank_biserial": effect_size(*pair).rank_biserial,
                "trainings": len(differences),
                "higher": int((differences > 0).sum()),
                "lowest": differences.min(),
                "highest": differences.max(),
                "unsettled": _unsettled(stacked, (name, PLAIN)),
            }
        )
    found = pd.DataFrame(out)
    return found.assign(adjusted=holm(found["p_permutation"])) if len(found) else found


def _unsettled(stacked: pd.DataFrame, names: tuple[str, ...]) -> str:
    flags = stacked[stacked["row"].isin(names)].groupby("row", sort=False)["converged"]
    return ", ".join(str(row) for row, each in flags if each.eq(False).any())


def differences(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return the mean difference of every pair of trainings of one seed: b, seed, mean."""
    out = []
    for name in ROWS[:-1]:
        by_seed = _both(stacked, name, metric).groupby("seed")[[name, PLAIN]].mean()
        gains = (by_seed[name] - by_seed[PLAIN]).items()
        out += [{"b": name, "seed": seed, "mean": float(gain)} for seed, gain in gains]
    return pd.DataFrame(out, columns=["b", "seed", "mean"])


def printed_tests(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`comparisons`, a row a lambda."""
    wide = printed.tests_table(tests, {"b": "row minus no adversary"})
    if tests.empty:
        return wide
    wide["p, Holm"] = tests["adjusted"].map(printed.p_value)
    wide[f"within {margin():g}"] = tests["within"].map({True: "shown", False: "not shown"})
    signs = zip(tests["higher"], tests["trainings"], strict=True)
    wide["adversary higher"] = [
        f"{up} of {words.count(n, 'pair')} of trainings" if n > 1 else ("yes" if up else "no")
        for up, n in signs
    ]
    ends = zip(tests["lowest"], tests["highest"], strict=True)
    wide["their differences"] = [f"{low:+.3f} to {high:+.3f}" for low, high in ends]
    wide["not converged"] = tests["unsettled"]
    return wide


def variances(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Take seeds and patients apart, of every row with two trainings or more and of every gain.

    Returns:
        Columns row, mean, seed_sd, patient_sd, rest_sd, p_seed (F test that trainings do not
        differ), error (standard error of the mean as run), patients, trainings.
    """
    out: list[dict[str, Any]] = []
    for name in ROWS:
        part = stacked[stacked["row"] == name]
        out += _parts(name, part[metric], part["patient"], part["seed"])
    for name in ROWS[:-1]:
        both = _both(stacked, name, metric)
        gain = both[name] - both[PLAIN]
        out += _parts(f"{name} minus {PLAIN}", gain, both["patient"], both["seed"])
    return pd.DataFrame(out, columns=_VARIANCES)


def _parts(
    name: str, values: pd.Series, patients: pd.Series, seeds: pd.Series
) -> list[dict[str, Any]]:
    if seeds.nunique() < 2 or patients.nunique() < 2:
        return []
    parts = variance_parts(values.to_numpy(), patients.to_numpy(), seeds.to_numpy())
    row = {
        "row": name,
        "mean": parts.mean,
        "seed_sd": parts.seed_sd,
        "patient_sd": parts.patient_sd,
        "rest_sd": parts.rest_sd,
        "p_seed": parts.p_seed,
        "error": parts.error_of_mean(),
        "patients": parts.patients,
        "trainings": parts.seeds,
    }
    return [row]


_VARIANCES: Final = [
    "row", "mean", "seed_sd", "patient_sd", "rest_sd", "p_seed", "error", "patients", "trainings",
]  # fmt: skip


def printed_variances(parts: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`variances`."""
    headings = {
        "mean": "mean over patients",
        "seed_sd": "SD between trainings",
        "patient_sd": "SD between patients",
        "rest_sd": "SD of the rest",
        "p_seed": "p, trainings alike",
        "error": "standard error as run",
    }
    table = parts.assign(p_seed=parts["p_seed"].map(printed.p_value))
    return table.rename(columns=headings)


def elsewhere(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the adversary's gain here beside the paper's table and an independent reproduction's.

    Returns:
        Columns where, masses, with an adversary, without, difference (Dice), source. The paper's
        and the reproduction's row without an adversary is a U-Net, another network.
    """
    scores = published.segmentation_table()
    loose = scores[scores["framing"] == "loose"].pivot(
        index=["dataset", "images"], columns="model", values="dice"
    )
    out = [
        (f"the paper, {data}", f"{images}", row["proposed cGAN"] / 100, row["UNet"] / 100, "P")
        for data, images, row in (
            (row["dataset"], row["images"], row) for _, row in loose.reset_index().iterrows()
        )
    ]
    facts = {name: published.FACTS[f"reproduced {name} dice"].value for name in ("cGAN", "UNet")}
    out.append(("a reproduction, INbreast", printed.MISSING, facts["cGAN"], facts["UNet"], "R"))
    found = summary.set_index("row")
    if {MODEL, PLAIN} <= set(found.index):
        here, plain = (found.loc[[name]].iloc[0] for name in (MODEL, PLAIN))
        ours = ("this page", f"{int(here['cases'])}", here["mean"], plain["mean"], "this study")
        out.append(ours)
    table = pd.DataFrame(out, columns=["where", "masses", "with an adversary", "without", "source"])
    table.insert(4, "difference", table["with an adversary"] - table["without"])
    return table
