"""What the tables on the adversary say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study.adversary import MODEL, margin, specs
from mammostudy.study.adversary_curves import PREDICTED, SATURATED, SURE, TRUE
from mammostudy.study.adversary_ladder import noise, rungs
from mammostudy.study.adversary_recipes import PAPER_WEIGHT, PLAIN, weights

LEVEL: Final = 0.05
NO_ROOM: Final = "Not run in this preset"


def preliminaries(cohort: str, preset: str) -> str:
    """Say which parts of the page the preset has no room for; nothing where it has all."""
    said = []
    if not specs(cohort, preset):
        return (
            f"{NO_ROOM}: `{preset}` has no room for other values of lambda or for the ladder, so "
            "every table and figure below is empty."
        )
    if not rungs(cohort, preset):
        said.append(f"{NO_ROOM}: `{preset}` has no room for the ladder; its table is empty.")
    seeds = max(len(runs) for runs in weights(cohort, preset).values())
    if seeds == 1:
        said.append(
            f"`{preset}` trains every row once: what another training would have given is not "
            "measured here, and no row can be told from its seed."
        )
    return words.paragraph(said)


def reading(
    summary: pd.DataFrame, tests: pd.DataFrame, parts: pd.DataFrame, ends: pd.DataFrame
) -> str:
    """Say what the tables on the values of lambda mean.

    Args:
        summary: :func:`mammostudy.study.adversary.table`.
        tests: :func:`mammostudy.study.adversary.comparisons`.
        parts: :func:`mammostudy.study.adversary.variances`.
        ends: :func:`mammostudy.study.adversary_curves.ends`.

    Returns:
        Markdown, a sentence a line.
    """
    if summary.empty:
        return "No run of this page is on record yet, so it has nothing to say."
    said = [
        _scores(summary),
        *(_test({str(k): v for k, v in row.items()}) for row in tests.to_dict("records")),
        _verdict(tests),
    ]
    return words.paragraph([*said, _chance(parts), _judge(ends), _unsettled(summary)])


def _scores(summary: pd.DataFrame) -> str:
    known = summary[summary["row"].isin([MODEL, PLAIN])]
    said = [
        f"{printed.cell_of(row)} for {row['row']} ({words.count(row['trainings'], 'training')})"
        for _, row in known.iterrows()
    ]
    return f"Mean Dice on held-out patients is {words.listed(said)}." if said else ""


def _test(test: dict[str, object]) -> str:
    row = pd.Series(test)
    number = words.interval(row["difference"], row["low"], row["high"])
    pairs = words.count(int(row["trainings"]), "pair")
    close = "shows" if row["within"] else "does not show"
    return (
        f"Dice of {row['b']} minus Dice without an adversary: {number} over "
        f"{words.count(int(row['patients']), 'patient')} (p {words.p_value(row['adjusted'])} after "
        f"Holm's correction; the adversary's mean is higher in {row['higher']} of {pairs} of "
        f"trainings); a difference of {row['smallest_detectable']:.3f} could have been seen, and "
        f"the test of equivalence {close} that it lies within {margin():g} either way."
    )


def _verdict(tests: pd.DataFrame) -> str:
    """Say which values of lambda differ from no adversary, in which direction."""
    if tests.empty:
        return f"No value of lambda has a training beside one with {PLAIN}: nothing is compared."
    clear = tests[tests["adjusted"] < LEVEL]
    better = clear[clear["low"] > 0]["b"].tolist()
    worse = clear[clear["high"] < 0]["b"].tolist()
    said = []
    if better:
        said.append(f"better than no adversary beyond the chance of patients: {_and(better)}")
    if worse:
        said.append(f"worse: {_and(worse)}")
    compared = words.count(len(tests), "value")
    if not said:
        return (
            f"Of {compared} of lambda compared, none differs from no adversary beyond the chance "
            "of patients."
        )
    said += _one_sided(clear)
    return f"Of {compared} of lambda compared, {'; '.join(said)}."


def _one_sided(clear: pd.DataFrame) -> list[str]:
    """Say where trainings disagree on a sign that the patients seem to settle."""
    split = clear[(clear["higher"] > 0) & (clear["higher"] < clear["trainings"])]["b"].tolist()
    return [f"but the trainings of {_and(split)} disagree on the sign"] if split else []


def _and(names: list[str]) -> str:
    return words.listed(map(str, names))


def _chance(parts: pd.DataFrame) -> str:
    """Set the scatter of trainings beside that of patients, for the paper's lambda's gain."""
    if parts.empty:
        return "With one training a row, the scatter of trainings is not measured here."
    rows = parts[parts["row"] == f"{MODEL} minus {PLAIN}"]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return (
        f"Of the gain with lambda {PAPER_WEIGHT:g}, the standard deviation between trainings is "
        f"{row['seed_sd']:.3f}, between patients {row['patient_sd']:.3f}, and {row['rest_sd']:.3f} "
        f"within a patient and training; the test that all trainings gain alike gives p "
        f"{words.p_value(row['p_seed'])}. With {words.count(int(row['patients']), 'patient')} and "
        f"{words.count(int(row['trainings']), 'pair')} of trainings the gain has a standard error "
        f"of {row['error']:.3f}, both kinds of chance counted."
    )


def _judge(ends: pd.DataFrame) -> str:
    if ends.empty:
        return ""
    said = [
        f"{row[TRUE]:.2f} against {row[PREDICTED]:.2f} for {row['row']}"
        for _, row in ends.iterrows()
    ]
    full = [str(row["row"]) for _, row in ends.iterrows() if row[SATURATED] == row["trainings"]]
    state = (
        f"it is saturated (above {SURE:g} and below {1 - SURE:.1f}) in every training of "
        f"{_and(full)}"
        if full
        else "it is saturated throughout for no value of lambda"
    )
    often = [f"{100 * row['sure']:.0f} % for {row['row']}" for _, row in ends.iterrows()]
    shares = [f"{100 * row['share']:.0f} % for {row['row']}" for _, row in ends.iterrows()]
    return (
        f"In the last fifth of training the discriminator gives true masks and predictions "
        f"{words.listed(said)}; {state}.\n"
        f"Over all iterations it is saturated in {words.listed(often)}.\n"
        f"The adversarial term ends as {words.listed(shares)} of the generator's loss."
    )


def _unsettled(summary: pd.DataFrame) -> str:
    loose = summary[summary["settled"] < summary["trainings"]]["row"].tolist()
    if not loose:
        return ""
    return (
        f"Some trainings had not converged for {_and(loose)}: the scores are shown, and stand in "
        "no ranking."
    )


def ladder(summary: pd.DataFrame, tests: pd.DataFrame, parts: pd.DataFrame) -> str:
    """Say what the ladder shows.

    Args:
        summary: :func:`mammostudy.study.adversary_ladder.table`.
        tests: :func:`mammostudy.study.adversary_ladder.steps`.
        parts: :func:`mammostudy.study.adversary.variances`.

    Returns:
        Markdown, a sentence a line.
    """
    if summary.empty:
        return ""
    said = [
        f"From {printed.cell_of(first)} on the rung “{first['row']}” to {printed.cell_of(last)} on "
        f"“{last['row']}”."
        for first, last in [(summary.iloc[0], summary.iloc[-1])]
        if len(summary) > 1
    ]
    if tests.empty:
        return words.paragraph([*said, "No step has both of its rungs on record yet."])
    top = tests.iloc[int(tests["difference"].abs().to_numpy().argmax())]
    number = words.interval(top["difference"], top["low"], top["high"])
    said.append(f"The largest step is “{top['row']}”: {number}.")
    clear = tests[tests["adjusted"] < LEVEL]["row"].tolist()
    quoted = words.listed(f"“{name}”" for name in clear)
    said.append(
        f"Steps that differ from 0 over patients after Holm's correction: {quoted or 'none'}, of "
        f"{len(tests)} tested."
    )
    return words.paragraph([*said, _luck(tests, noise(parts))])


def _luck(tests: pd.DataFrame, sd: float) -> str:
    """Say which steps are larger than two trainings' luck."""
    one = "Every rung is one training, one seed"
    if sd != sd:
        return f"{one}: how much of a step is that training's luck is not measured here."
    large = tests[tests["difference"].abs() > 2 * sd]["row"].tolist()
    quoted = words.listed(f"“{name}”" for name in large)
    return (
        f"{one}: by the scatter of trainings measured above, two trainings of the same recipe "
        f"differ with a standard deviation of {sd:.3f}; larger than twice that: {quoted or 'none'}."
    )


def elsewhere(table: pd.DataFrame) -> str:
    """Say how the gain here compares with those published.

    Args:
        table: :func:`mammostudy.study.adversary.elsewhere`.
    """
    said = [f"{row['difference']:+.3f} ({row['where']})" for _, row in table.iterrows()]
    return f"Dice with an adversary minus Dice without: {words.listed(said)}."
