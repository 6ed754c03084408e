"""What the ROC page says beside its tables: what is missing, and what the paper's matrix gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from mammostudy.runs.record import Record
from mammostudy.study import published, words
from mammostudy.study.roc import MACRO, PAPER, macro_areas
from mammostudy.study.roc_printed import title
from mammostudy.study.roc_reading import name


def preliminaries(
    found: Mapping[str, Sequence[Record]],
    tables: Mapping[str, pd.DataFrame],
    classes: Sequence[str],
    absent: Sequence[str],
) -> str:
    """Say what stands in the way of a full page; nothing where nothing does.

    Args:
        found: :func:`mammostudy.study.roc.records`.
        tables: :func:`mammostudy.study.roc.rows`.
        classes: the shapes that the page tells apart.
        absent: :func:`mammostudy.study.roc.absent`.
    """
    if not classes:
        return (
            "This cohort names no two shapes in enough patients: there is nothing to separate, "
            "and what follows is empty."
        )
    said = [
        words.not_run([title(model) for model in absent]),
        _folds(tables),
        missed(tables),
        unsettled(found),
    ]
    return words.paragraph(said)


def _folds(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say which rows have fewer folds than others."""
    counts = {model: int(table["fold"].nunique()) for model, table in tables.items()}
    fewer = {model: n for model, n in counts.items() if n < max(counts.values())}
    said = [f"{name(model)} ({words.count(n, 'fold')})" for model, n in fewer.items()]
    return f"Fewer folds than the other rows: {words.listed(said)}." if said else ""


def published_matrix(points: pd.DataFrame) -> str:
    """Say what the points of the published matrix have to do with the published area.

    Args:
        points: :func:`mammostudy.study.roc.published_points`.
    """
    area = float(points.loc[points["curve"] == MACRO, "area"].iloc[0])
    stated = published.FACTS["shape AUC"].value
    text = f"Two straight lines through each point have a mean area of {area:.3f}"
    if area <= stated:
        return f"{text}, which the published {stated:.2f} does not fall short of."
    return (
        f"{text}, {area - stated:.3f} more than the published {stated:.2f}. The points are "
        f"decisions for the largest output, which is no threshold on the output of one shape, so "
        f"this is no bound; but area and matrix do not look like two views of one test."
    )


def left_out(areas: pd.DataFrame) -> str:
    """Say which folds have no curve of a class; nothing where all have.

    Args:
        areas: :func:`mammostudy.study.roc.fold_areas`.
    """
    missing = areas[areas["auc"].isna() & (areas["curve"] != MACRO)]
    if missing.empty:
        return ""
    said = [
        f"fold {row['fold'] + 1} of {name(row['model'])} for {row['curve']}"
        for row in missing.to_dict("records")
    ]
    return (
        f"No curve: {words.listed(said)}, since the test part holds no case of that class, or no "
        f"other; such a fold is left out of that class's mean and of the macro mean."
    )


def unsettled(found: Mapping[str, Sequence[Record]]) -> str:
    """Say which networks' training had not settled, or broke down; nothing where all had."""
    flags: dict[str, Callable[[Record], bool]] = {
        "not converged": lambda record: record.converged is False,
        "diverged": lambda record: record.status == "diverged",
    }
    said = []
    for word, flag in flags.items():
        counts = {model: sum(map(flag, listed)) for model, listed in found.items()}
        rows = [f"{n} of {len(found[m])} trainings of {name(m)}" for m, n in counts.items() if n]
        if rows:
            said.append(f"{word.capitalize()}: {words.listed(rows)}.")
    return words.paragraph(said)


def missed(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say how many masks were missed and what they count as; nothing where none was."""
    counts = {model: int(table["missed"].sum()) for model, table in tables.items()}
    said = [f"{words.count(n, 'case')} of {name(model)}" for model, n in counts.items() if n]
    if not said:
        return ""
    return (
        f"Without a mask: {words.listed(said)}; they stay in, with the shapes' shares among the "
        f"training masks as their forecast."
    )


def drawing_tool(tables: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> str:
    """Say what is left of the macro AUC on outlines of one tool; nothing where there is one tool.

    Args:
        tables: :func:`mammostudy.study.roc.rows`.
        classes: names of the classes.
    """
    own = {model: table[table["tool"] == "polygon"] for model, table in tables.items()}
    if PAPER not in own or not 0 < len(own[PAPER]) < len(tables[PAPER]):
        return ""
    share = (tables[PAPER]["tool"] == "polygon").groupby(tables[PAPER]["label"]).mean()
    drawn = [f"{100 * share[shape]:.0f} % of the {shape}" for shape in classes if shape in share]
    goes = "goes" if share.max() - share.min() > 0.1 else "hardly goes"
    text = f"The tool {goes} with the shape: {words.listed(drawn)} masses are drawn as polygons"
    everything, areas = macro_areas(tables, classes), macro_areas(own, classes)
    said = [f"{everything[m]:.3f} to {areas[m]:.3f} for {name(m)}" for m in areas]
    counts = words.count(len(own[PAPER]), "mass"), own[PAPER]["patient"].nunique()
    if not said:
        return f"{text}; they do not hold every shape, so that no macro AUC exists on them alone."
    return (
        f"{text}. On polygons alone ({counts[0]} of {words.count(counts[1], 'patient')}) the "
        f"macro AUC goes from {words.listed(said)}: the difference may be the tool, or "
        f"the fewer masses."
    )


def temperature_and_ranking(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Say what temperature scaling does to the macro AUC.

    Args:
        before: macro AUC by row at temperature 1.
        after: macro AUC by row of the calibrated probabilities.
    """
    said = [
        f"{before[model]:.3f} to {after[model]:.3f} for {name(model)}"
        for model in before
        if model in after
    ]
    if not said:
        return ""
    return (
        f"With calibrated probabilities in their place the macro AUC goes from "
        f"{words.listed(said)}."
    )
