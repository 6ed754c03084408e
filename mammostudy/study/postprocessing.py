"""Post-processing: the published order, every subset and order of it, decided on validation."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.runs.spec import RunSpec
from mammostudy.study import cropping, failures, published, recipes, tables, words

DECIDED: Final = "decided on validation"
_TEST: Final = ("difference", "low", "high", "p_wilcoxon", "patients")
Picture = failures.Picture


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter: the paper's model on loose frames."""
    return {"cGAN": recipes.headline(cohort, preset)}


def framings(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the paper's model in each framing, with the published post-processing measured."""
    return cropping.framings(cohort, preset)


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    both = [*named(cohort, preset).values(), *framings(cohort, preset).values()]
    return list(dict.fromkeys(spec for specs in both for spec in specs))


def absent(cohort: str, preset: str) -> list[str]:
    """Return the framings that have a run without a record."""
    listed = framings(cohort, preset)
    return tables.not_run(listed, tables.records_of(listed, preset))


def rows(cohort: str, preset: str, part: str) -> pd.DataFrame:
    """Return the rows of every order on oracle boxes; ``part`` is validation or test.

    ``row`` is the order's name.
    """
    found = tables.records_of(named(cohort, preset), preset)
    stacked = tables.rows_of(found, part=part)
    oracle = stacked[stacked["box"] == "oracle"]
    return oracle.assign(row=oracle["postprocessing"])


def decide(validation: pd.DataFrame, metric: str = "dice") -> str:
    """Return the order with the highest mean on validation; a tie goes to fewer steps.

    Args:
        validation: rows of the validation part alone.
        metric: what decides.

    Raises:
        ValueError: a row of another part is among them, or there are none.
    """
    if set(validation["part"]) != {"validation"}:
        msg = "post-processing is decided on validation rows alone"
        raise ValueError(msg)
    means = validation.groupby("row")[metric].mean().round(6)
    best = means[means == means.max()].index
    return str(min(best, key=lambda name: (_steps(name), name)))


def decisions(validation: pd.DataFrame, metric: str = "dice") -> dict[int, str]:
    """Decide by fold: the validation patients of one fold are test patients of another."""
    first = validation[validation["replicate"] == 0]
    folds = [int(fold) for fold in sorted(first["fold"].unique())]
    return {fold: decide(first[first["fold"] == fold], metric) for fold in folds}


def decided_rows(test: pd.DataFrame, orders: dict[int, str]) -> pd.DataFrame:
    """Return the test rows of each fold after the order that its own validation chose."""
    wanted = test["fold"].map(orders)
    return test[test["row"] == wanted].assign(row=DECIDED)


def _steps(order: str) -> int:
    return 0 if order == "none" else order.count("+") + 1


def table(validation: pd.DataFrame, test: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return every order with its validation mean and its paired gain on test.

    The first seed of every fold counts. The first row is what validation decided, fold by fold.

    Returns:
        order, steps, validation and test (means), gain over no post-processing with its 95 %
        interval (low, high); the decided row has no validation mean of its own.
    """
    if validation.empty or test.empty:
        return pd.DataFrame()
    validation = validation[validation["replicate"] == 0]
    test = test[test["replicate"] == 0]
    chosen = decided_rows(test, decisions(validation, metric))
    out = [_gain_row(name, test, validation, metric) for name in validation["row"].unique()]
    ordered = pd.DataFrame(out).sort_values(["validation", "steps"], ascending=[False, True])
    both = pd.concat([test[test["row"] == "none"], chosen])
    first = _gain_row(DECIDED, both, validation, metric)
    return pd.concat([pd.DataFrame([first]), ordered], ignore_index=True)


def _gain_row(
    name: str, test: pd.DataFrame, validation: pd.DataFrame, metric: str
) -> dict[str, Any]:
    gain = None if name == "none" else tables.paired(test, name, "none", metric)
    return {
        "order": name,
        "steps": float("nan") if name == DECIDED else _steps(name),
        "validation": validation.loc[validation["row"] == name, metric].mean(),
        "test": test.loc[test["row"] == name, metric].mean(),
        "gain": 0.0 if gain is None else gain.difference,
        "low": 0.0 if gain is None else gain.low,
        "high": 0.0 if gain is None else gain.high,
    }


def published_gain(cohort: str, preset: str) -> pd.DataFrame:
    """Return what the published order gains in each framing, in Dice and IoU, on test.

    Columns: framing, metric, difference, low, high, p_wilcoxon, patients.
    """
    found = tables.records_of(framings(cohort, preset), preset)
    stacked = tables.rows_of(found)
    stacked = stacked[stacked["box"] == "oracle"]
    out = []
    for framing in stacked["row"].unique():
        inside = stacked[stacked["row"] == framing]
        inside = inside.assign(row=inside["postprocessing"])
        for metric in ("dice", "iou"):
            test = tables.paired(inside, tables.PUBLISHED, "none", metric)
            shown = {name: getattr(test, name) for name in _TEST}
            out.append({"framing": framing, "metric": metric, **shown})
    return pd.DataFrame(out)


def gains_page(gains: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of :func:`published_gain` for a reader, gains in points."""
    rows = gains.to_dict("records")
    return pd.DataFrame(
        {
            "framing": gains["framing"],
            "metric": gains["metric"].map({"dice": "Dice", "iou": "IoU"}),
            "gain on test, points": [
                words.interval(r["difference"], r["low"], r["high"], scale=100, digits=2)
                for r in rows
            ],
            "p (Wilcoxon)": [words.p_value(r["p_wilcoxon"]) for r in rows],
            "patients": gains["patients"],
        }
    )


def published_points() -> float:
    """Return the published worth of post-processing as a difference of Dice or IoU."""
    return published.FACTS["post-processing gain"].value / 100


def page_rows(ranked: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of :func:`table` for a reader, gains in points."""
    if ranked.empty:
        return ranked
    shown = ranked.assign(
        order=ranked["order"].map(tables.published_name),
        steps=["by fold" if pd.isna(n) else str(int(n)) for n in ranked["steps"]],
        validation=["by fold" if pd.isna(v) else f"{v:.4f}" for v in ranked["validation"]],
        test=ranked["test"].map("{:.4f}".format),
        gain=[
            words.interval(row["gain"], row["low"], row["high"], scale=100, digits=2)
            for row in ranked.to_dict("records")
        ],
    )
    names = {"validation": "validation Dice", "test": "test Dice", "gain": "gain on test, points"}
    return shown[["order", "steps", *names]].rename(columns=names)


def cases(stacked: pd.DataFrame) -> pd.DataFrame:
    """Pick cases by rule: where the published order gains most, loses most, and changes least.

    Args:
        stacked: test rows of :func:`rows`.

    Returns:
        rule, case, before, after, gain (Dice).
    """
    first = stacked[stacked["replicate"] == 0]
    if first.empty:
        return pd.DataFrame(columns=["rule", "case", "before", "after", "gain"])
    wide = first.pivot_table(index="case", columns="row", values="dice")
    if not {"none", tables.PUBLISHED} <= set(wide.columns):
        return pd.DataFrame(columns=["rule", "case", "before", "after", "gain"])
    gain = (wide[tables.PUBLISHED] - wide["none"]).sort_values()
    picks = {"largest gain": gain.index[-1], "largest loss": gain.index[0]}
    picks["median change"] = gain.index[len(gain) // 2]
    return pd.DataFrame(
        {
            "rule": rule,
            "case": case,
            "before": wide.loc[case, "none"],
            "after": wide.loc[case, tables.PUBLISHED],
            "gain": gain[case],
        }
        for rule, case in picks.items()
    )


def before_and_after(cohort: str, preset: str, picked: pd.DataFrame) -> dict[str, Picture]:
    """Return the overlays of picked cases before and after the published order, by title.

    Returns:
        uint8 ``(s, s, 3)`` in the colours of the paper; empty without the data.
    """
    folds = len(recipes.preset(preset).folds)
    found = tables.records_of(named(cohort, preset), preset)["cGAN"][:folds]
    before: dict[str, Picture] = {}
    after: dict[str, Picture] = {}
    shown = failures.pictures(cohort, found, picked["case"].tolist())
    for row, each in zip(picked.to_dict("records"), shown, strict=False):
        for place, mask, score in (
            (before, each["prediction"], row["before"]),
            (after, postprocess(each["prediction"], PUBLISHED), row["after"]),
        ):
            when = "before" if place is before else "after"
            title = f"{row['rule']}\n{when}: Dice {score:.3f}"
            place[title] = agreement_overlay(each["image"], each["truth"], mask)
    return before | after


def meaning(ranked: pd.DataFrame, gains: pd.DataFrame, orders: dict[int, str]) -> str:
    """Say what the tables mean.

    Args:
        ranked: from :func:`table`.
        gains: from :func:`published_gain`.
        orders: from :func:`decisions`.
    """
    if ranked.empty or gains.empty:
        return "No run of this page has a record yet, so nothing can be said."
    first = ranked.iloc[0]
    chosen = words.listed(
        f"{tables.published_name(order)} (fold {fold})" for fold, order in orders.items()
    )
    change = words.interval(first["gain"], first["low"], first["high"], scale=100, digits=2)
    sentences = [
        f"Validation chose {chosen}.",
        f"On the test part that choice is worth {change} points of Dice.",
    ]
    sentences += [_against_paper(row) for row in gains.to_dict("records")]
    return words.paragraph(sentences)


def _against_paper(row: dict[Any, Any]) -> str:
    """Say whether a gain's interval holds the published one, lies below or above it."""
    goal = published_points()
    change = words.interval(row["difference"], row["low"], row["high"], scale=100, digits=2)
    name = {"dice": "Dice", "iou": "IoU"}[row["metric"]]
    if row["low"] > goal:
        verdict = "more than the published gain"
    elif row["high"] < goal:
        verdict = "less than the published gain"
        if row["low"] > 0:
            verdict += ", yet above nothing"
        elif row["high"] < 0:
            verdict = "a loss"
    else:
        verdict = "compatible with the published gain"
        if row["low"] <= 0:
            verdict += " and with none"
    place = f"In {row['framing']} frames"
    return f"{place} the published order changes {name} by {change} points: {verdict}."
