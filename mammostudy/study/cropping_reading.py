"""What the tables on cropping say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study.cropping import MODEL, STRATEGIES

_GRIDS = {"dice": "the frame's own grid", "dice_image": "the image's grid"}
_NOTHING = "No run of this page is on record yet, so it has nothing to say."


def reading(
    summary: pd.DataFrame, tests: pd.DataFrame, jitter: pd.DataFrame, curve: pd.DataFrame
) -> str:
    """Say what the page's tables mean.

    Args:
        summary: :func:`mammostudy.study.cropping.table`.
        tests: :func:`mammostudy.study.cropping.framing_tests`.
        jitter: :func:`mammostudy.study.cropping.jitter_cost`.
        curve: :func:`mammostudy.study.cropping.scale_curve`.

    Returns:
        Markdown, a sentence a line.
    """
    if summary.empty:
        return _NOTHING
    said = [_order(summary, metric) for metric in _GRIDS]
    said += [_framings(tests), _geometry(summary, tests), _jitter(jitter), _scales(curve)]
    said.append(_unsettled(summary))
    return words.paragraph(said)


def _means(summary: pd.DataFrame, metric: str, box: str = "oracle") -> pd.DataFrame:
    """Return the model's rows of one metric by framing, in the paper's order."""
    rows = summary[
        (summary["row"] == MODEL) & (summary["box"] == box) & (summary["metric"] == metric)
    ].set_index("framing")
    return rows.loc[[name for name in STRATEGIES if name in rows.index]]


def _order(summary: pd.DataFrame, metric: str) -> str:
    rows = _means(summary, metric)
    if rows.empty:
        return ""
    scores = words.listed(
        f"{printed.cell_of(row)} on {name} frames" for name, row in rows.iterrows()
    )
    text = f"In {_GRIDS[metric]}, with known boxes, the {MODEL}'s mean Dice is {scores}"
    ranked = rows[rows["converged"] == "yes"].sort_values("mean", ascending=False).index
    if len(ranked) < 2:
        return f"{text}; fewer than two of these trainings converged, so they are not ranked."
    return f"{text}: the order is {', '.join(f'{name}' for name in ranked)}."


def _side(test: pd.Series) -> str:
    if test["low"] > 0:
        return "the interval lies above 0"
    return "the interval lies below 0" if test["high"] < 0 else "the interval holds 0"


def _interval(test: pd.Series) -> str:
    return words.interval(test["difference"], test["low"], test["high"])


def _test(test: pd.Series) -> str:
    return f"{_interval(test)} ({_side(test)})"


def _framings(tests: pd.DataFrame) -> str:
    said, patients = [], set()
    for _, test in tests.iterrows():
        if " - ellipse" in test["comparison"] or test["box"] != "oracle":
            continue
        patients.add(int(test["patients"]))
        other = str(test["comparison"]).removeprefix("loose - ")
        doubt = f"; not converged: {test['unsettled']}" if test["unsettled"] else ""
        said.append(f"{_interval(test)} against {other} frames ({_side(test)}{doubt})")
    if not said:
        return ""
    return (
        f"In the image's grid the difference in Dice that loose frames make is "
        f"{words.listed(said)}, over {words.count(min(patients), 'patient')}."
    )


def _geometry(summary: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Compare the model with the best baseline in the frame, and the ellipse with known boxes."""
    part = summary[(summary["box"] == "oracle") & (summary["metric"] == "dice")]
    tight = part[part["framing"] == "tight"].set_index("row")["mean"]
    said = []
    if {"all-mass", "ellipse"} <= set(tight.index):
        said.append(
            f"Painting all of a tight frame scores {tight['all-mass']:.3f} and the ellipse in it "
            f"{tight['ellipse']:.3f}, without a look at the image."
        )
    versus = [
        f"{_test(test)} on {str(test['comparison']).partition(':')[0]} frames"
        for _, test in tests.iterrows()
        if test["comparison"] in {f"{name}: {MODEL} - ellipse" for name in ("loose", "tight")}
        and test["box"] == "oracle"
    ]
    if versus:
        said.append(
            f"Against the ellipse in the known box, in the image's grid, the {MODEL} stands at "
            f"{words.listed(versus)}."
        )
    return "\n".join(said)


def _jitter(jitter: pd.DataFrame) -> str:
    if jitter.empty:
        return ""
    rows = jitter[(jitter["row"] == MODEL) & (jitter["metric"] == "dice_image")]
    costs = [
        f"{_interval(test)} on {test['framing']} frames"
        for _, test in rows.iterrows()
        if test["framing"] != "full"
    ]
    if not costs:
        return ""
    return (
        f"A box that is off by up to a tenth of its side and a fifth of its size changes the "
        f"{MODEL}'s Dice in the image's grid by {words.listed(costs)}; "
        f"full frames do not depend on the box."
    )


def _scales(curve: pd.DataFrame) -> str:
    if curve.empty:
        return ""
    rows = curve[
        (curve["row"] == MODEL) & (curve["box"] == "oracle") & (curve["metric"] == "dice_image")
    ]
    settled = rows[rows["converged"] == "yes"]
    if len(settled) < 2:
        return "Fewer than two of the trainings by scale converged, so no best scale is named."
    best = settled.sort_values("mean").iloc[-1]
    return (
        f"Of the {words.count(len(settled), 'scale')} whose training converged, on the first fold, "
        f"the Dice in the image's grid is highest at {best['scale']:g} times the box "
        f"({printed.cell_of(best)})."
    )


def _unsettled(summary: pd.DataFrame) -> str:
    rows = _means(summary, "dice")
    names = [str(name) for name, row in rows.iterrows() if row["converged"] == "no"]
    if not names:
        return ""
    return (
        f"Training had not converged on {words.listed(names)} frames: the scores are shown, "
        f"and stand in no ranking."
    )


def missing(names: Sequence[str], most: int = 6) -> str:
    """Say which rows of the page were not run; nothing where all were.

    Args:
        names: of rows with a run that has no record.
        most: more names than this are counted, not listed.
    """
    if len(names) > most:
        return (
            f"Not run: {len(names)} of this page's rows have runs without a record yet; "
            f"what stands here leaves those runs out."
        )
    return words.not_run([f"`{name}`" for name in names])
