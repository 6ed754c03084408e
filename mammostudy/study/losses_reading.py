"""What the tables on losses say, in sentences whose numbers come from the tables."""

from __future__ import annotations

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study.losses import DICE, L1, PLAIN, RELEASED, STUDY, UNET

_NOTHING = "No run of this page is on record yet, so it has nothing to say."


def reading(summary: pd.DataFrame, tests: pd.DataFrame, shares: pd.DataFrame) -> str:
    """Say what the page's tables mean.

    Args:
        summary: :func:`mammostudy.study.losses.table`.
        tests: :func:`mammostudy.study.losses.fair_test`.
        shares: :func:`mammostudy.study.losses.painted`.

    Returns:
        Markdown, a sentence a line.
    """
    if summary.empty:
        return _NOTHING
    said = [
        _scores(summary, (DICE, L1)),
        _against(tests, L1, "of the same model trained with L1"),
        _released(summary, shares),
        _against(tests, PLAIN, "of the same generator without an adversary"),
        _against(tests, UNET, "of the U-Net with a ResNet-18 encoder"),
        _against(tests, STUDY, "of this study's recipe"),
        _against(tests, "ellipse", "of the ellipse inscribed in the known box"),
        _spread(summary),
        _unsettled(summary),
    ]
    return words.paragraph(said)


def _of(summary: pd.DataFrame, name: str) -> pd.Series | None:
    rows = summary[(summary["row"] == name) & (summary["metric"] == "dice")]
    return None if rows.empty else rows.iloc[0]


def _scores(summary: pd.DataFrame, names: tuple[str, ...]) -> str:
    rows = {name: _of(summary, name) for name in names}
    said = [
        f"{printed.cell_of(row)} for {name} ({words.count(int(row['seeds']), 'training')})"
        for name, row in rows.items()
        if row is not None
    ]
    return f"Mean Dice on held-out patients is {words.listed(said)}." if said else ""


def _against(tests: pd.DataFrame, other: str, phrase: str) -> str:
    """Say what the paper's model gains over another row."""
    rows = tests[tests["b"] == other] if len(tests) else tests
    if rows.empty:
        return ""
    test = rows.iloc[0]
    if test["low"] > 0:
        side = "the interval lies above 0"
    else:
        side = "the interval lies below 0" if test["high"] < 0 else "the interval holds 0"
    number = words.interval(test["difference"], test["low"], test["high"])
    doubt = f"; not converged: {test['unsettled']}" if test["unsettled"] else ""
    return (
        f"Dice of the paper's model minus Dice {phrase}: {number} over "
        f"{words.count(int(test['patients']), 'patient')} ({side}, {_signs(test)}{doubt}); "
        f"a difference of {test['smallest_detectable']:.3f} could have been seen."
    )


def _signs(test: pd.Series) -> str:
    """Say whether the single trainings agree on who scores higher."""
    n = int(test["trainings"])
    if n == 1:
        return "from one training each"
    opposed = test["lowest training"] < 0 < test["highest training"]
    return f"in {n} trainings, which {'disagree' if opposed else 'agree'} on the sign"


def _released(summary: pd.DataFrame, shares: pd.DataFrame) -> str:
    row, mine = _of(summary, RELEASED), shares[shares["row"] == RELEASED]
    if row is None or mine.empty:
        return ""
    share = mine.iloc[0]
    text = (
        f"The released code's loss, as it comes, paints {100 * share['painted']:.0f} % of the "
        f"frame where {100 * share['mass']:.0f} % is mass, and scores {printed.cell_of(row)}"
    )
    everything = _of(summary, "all-mass")
    if everything is None:
        return f"{text}."
    return f"{text}; painting everything scores {everything['mean']:.3f}."


def _spread(summary: pd.DataFrame) -> str:
    row = _of(summary, DICE)
    if row is None:
        return ""
    half = (row["high"] - row["low"]) / 2
    if pd.isna(row["seed_sd"]):
        return (
            f"The interval over patients reaches {half:.3f} to either side; with one training "
            f"a row the spread over seeds is not measured here."
        )
    return (
        f"For {DICE} the interval over patients reaches {half:.3f} to either side, "
        f"and the standard deviation over seeds of one fold's mean is {row['seed_sd']:.3f}."
    )


def _unsettled(summary: pd.DataFrame) -> str:
    rows = summary[(summary["metric"] == "dice") & (summary["converged"] == "no")]
    names = [str(name) for name in rows["row"]]
    if not names:
        return ""
    return (
        f"Training had not converged for {words.listed(names)}: the scores are shown, "
        f"and stand in no ranking."
    )
