"""What the tables on models say, in sentences whose numbers come from the tables."""

from __future__ import annotations

import json
from typing import Final

import pandas as pd

from mammostudy.study import printed, published, words
from mammostudy.study import segmenter_recipes as models
from mammostudy.study import segmenters_comparison as comparison
from mammostudy.study.fingerprint import at_hand, committed
from mammostudy.study.segmenters import (
    FRAMINGS,
    Found,
    Named,
    absent,
    lead_published,
    named,
    short,
)

NOTHING: Final = "No run of this page is on record yet, so it has nothing to say."
PAPER_SIZE: Final = 256


def sizes(cohort: str, preset: str) -> str:
    """Say into how many pixels each framing is resized, and what that keeps of a mass."""
    side = {framing: models.size_of(preset, framing) for framing in FRAMINGS}
    listed = words.listed(f"{pixels} ({framing})" for framing, pixels in side.items())
    said = [f"Side of the resized frame here, in pixels: {listed}; in the paper {PAPER_SIZE}."]
    median = _median_side(cohort)
    if median is not None:
        share, longer = median
        loose = 2 * share
        told = f", {loose * longer:.0f} of {longer} pixels" if longer else ""
        said.append(
            f"The box of the median mass is {100 * share:.0f} % of the image's longer side wide, "
            f"its loose frame {100 * loose:.0f} %{told}."
        )
        if longer:
            kept = min(side["loose"] / (loose * longer), 1)
            said.append(
                f"A loose frame of {side['loose']} pixels therefore keeps "
                f"{100 * kept:.0f} % of the resolution that half of the masses have to give, or "
                f"more; in the full mammogram of {side['full']} pixels the box of the median mass "
                f"is {share * side['full']:.0f} pixels wide."
            )
    if len(set(side.values())) > 1:
        said.append(
            "The framings have different sizes, so that their pixels differ; Dice in the image's "
            "grid makes them comparable."
        )
    return words.paragraph(said)


def _median_side(cohort: str) -> tuple[float, int] | None:
    """Return the median box side over the image's longer side, and that side's median in pixels.

    From the masses; without them from the committed fingerprint, which knows discs and shares only
    (then the pixels are 0); None where neither is at hand.
    """
    if (loaded := at_hand(cohort)) is not None:
        masses = loaded.masses
        width = masses["x_max"] - masses["x_min"]
        sides = (width * (masses["y_max"] - masses["y_min"])).astype(float) ** 0.5
        longer = masses[["height", "width"]].max(axis=1)
        return float((sides / longer).median()), int(longer.median())
    if (path := committed(cohort)).is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
        return float(content["diameter_share"]["median"]), 0
    return None


def leads() -> str:
    """Say by how much the proposed cGAN leads in the paper's own tables, and what helps others."""
    table = lead_published()
    weights = published.segmentation_table().drop_duplicates("model")["pretrained"]
    started = int((weights == "ImageNet").sum())
    said = [
        f"The {models.PROPOSED} has the highest Dice in {int((table['lead'] > 0).sum())} of the "
        f"{len(table)} columns, although {started} of the other {len(weights) - 1} models start "
        "from ImageNet weights.",
        "Its lead over the best of the others, by the printed numbers:",
        "",
    ]
    for framing in FRAMINGS:
        part = table[table["framing"] == framing]
        each = words.listed(
            f"{row['lead']:+.2f} points of Dice over {row['alternative']} ({row['dataset']})"
            for _, row in part.iterrows()
        )
        said.append(f"- {framing} frames: {each}")
    return "\n".join(said)


def missing(cohort: str, preset: str, found: Found) -> str:
    """Say which rows were not run, each kind with its reason; nothing where all were."""
    said = []
    lacking = absent(cohort, preset, found)
    for framing in FRAMINGS:
        if rows := [short(row) for where, row in lacking if where == framing]:
            said.append(
                f"- {framing.capitalize()} frames, asked for and not (wholly) on record: "
                f"{words.listed(rows)}. What stands here leaves those runs out."
            )
    asked = named(cohort, preset)
    for row, reason in models.SAME_FROM_SCRATCH.items():
        if ("loose", row) not in asked and ("loose", models.SEGNET) in asked:
            said.append(f"- {row}: {reason}.")
    for framing in FRAMINGS:
        if outside := _outside(asked, framing):
            said.append(
                f"- {framing.capitalize()} frames, for which the preset `{preset}` has no room: "
                f"{words.listed(map(short, outside))}."
            )
    return words.paragraph(said)


def _outside(asked: Named, framing: str) -> list[str]:
    """Return the rows that a preset does not ask for in a framing, for want of time."""
    alike = models.SAME_FROM_SCRATCH if ("loose", models.SEGNET) in asked else ()
    return [row for row in models.ROWS if (framing, row) not in asked and row not in alike]


def reading(summary: pd.DataFrame, tests: pd.DataFrame, framed: pd.DataFrame, found: Found) -> str:
    """Say what the big table and the comparisons mean.

    Args:
        summary: :func:`mammostudy.study.segmenters.table`.
        tests: :func:`mammostudy.study.segmenters_comparison.against`, loose frames.
        framed: :func:`mammostudy.study.segmenters_comparison.framing_tests`.
        found: :func:`mammostudy.study.segmenters.records`.

    Returns:
        Markdown, a sentence a line.
    """
    if summary.empty:
        return NOTHING
    said = [
        _ranking(summary),
        _unsettled(summary),
        _verdicts(tests),
        _geometry(tests),
        _framings(framed),
        _trainings(found),
    ]
    return words.paragraph(said)


def _ranking(summary: pd.DataFrame) -> str:
    lines = _dice(summary)
    ranked = lines[lines["converged"] == "yes"].sort_values("mean", ascending=False)
    if len(ranked) < 2:
        return "Fewer than two models converged on loose frames, so they are not ranked."
    listed = words.listed(
        f"{short(row['row'])} {printed.cell_of(row)}" for _, row in ranked.iterrows()
    )
    return (
        f"On loose frames, the mean Dice of the {words.count(len(ranked), 'model')} that "
        f"converged, highest first: {listed}."
    )


def _dice(summary: pd.DataFrame, framing: str = "loose") -> pd.DataFrame:
    lines = summary[(summary["framing"] == framing) & (summary["metric"] == "dice")]
    return lines[lines["row"].isin(models.ROWS)]


def _unsettled(summary: pd.DataFrame) -> str:
    said = []
    for framing in FRAMINGS:
        lines = _dice(summary, framing)
        loose = lines[lines["converged"] == "no"]
        if len(loose):
            rows = words.listed(
                f"{short(row['row'])} ({row['mean']:.3f})" for _, row in loose.iterrows()
            )
            said.append(f"on {framing} frames {rows}")
    if not said:
        return ""
    return f"Not converged, shown and in no ranking: {'; '.join(said)}."


def _verdicts(tests: pd.DataFrame) -> str:
    """Say against how many of the paper's alternatives the cGAN is ahead, behind, or neither."""
    paper = tests[tests["b"].isin(models.PUBLISHED_ROWS)]
    if paper.empty:
        return (
            f"The {models.PROPOSED} cannot be compared: it or every alternative of the paper was "
            f"not run."
        )
    total = len(models.PUBLISHED_ROWS) - 1
    phrases = {
        comparison.BETTER: "ahead of",
        comparison.WORSE: "behind",
        comparison.ALIKE: "within a point of",
        comparison.OPEN: "not told apart from",
        comparison.NOT_RANKED: "not ranked against, for want of convergence,",
    }
    said = []
    for verdict, phrase in phrases.items():
        rows = paper[paper["verdict"] == verdict]
        if len(rows):
            each = words.listed(f"{row['b']} ({_interval(row)})" for _, row in rows.iterrows())
            said.append(f"{phrase} {each}")
    ours = tests[tests["b"].isin((models.UNET_RESNET, models.BEST))]
    own = words.listed(
        f"{short(row['b'])} {_interval(row)} ({row['verdict']})" for _, row in ours.iterrows()
    )
    text = (
        f"Of the paper's {total} alternatives {len(paper)} could be set against the "
        f"{models.PROPOSED}, paired over patients; it is {'; '.join(said)}."
    )
    return f"{text}\nAgainst what is not in the paper: {own}." if own else text


def _interval(row: pd.Series) -> str:
    return words.interval(row["difference"], row["low"], row["high"])


def _geometry(tests: pd.DataFrame) -> str:
    rows = tests[tests["b"] == "ellipse"]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return (
        f"Against the ellipse inscribed in the known box, which looks at no image, the "
        f"{models.PROPOSED} stands at {_interval(row)} ({row['verdict']})."
    )


def _framings(framed: pd.DataFrame) -> str:
    said = []
    for row, part in framed.groupby("row", sort=False):
        each = words.listed(
            f"{_interval(test)} against {test['other']} frames"
            + (f" (not converged: {test['unsettled']})" if test["unsettled"] else "")
            for _, test in part.iterrows()
        )
        said.append(f"{short(str(row))}: {each}")
    if not said:
        return ""
    return f"In the image's grid, what loose frames gain in Dice is, for {'; for '.join(said)}."


def _trainings(found: Found) -> str:
    """Say how many trainings stand behind the rows of loose frames."""
    loose = {row: listed for (framing, row), listed in found.items() if framing == "loose"}
    trained = {row: len(loose[row]) for row in models.ROWS if loose.get(row)}
    several = [f"{short(row)} {n}" for row, n in trained.items() if n > 1]
    single = [row for row, n in trained.items() if n == 1]
    if not several:
        return "Every row is one training, so what a seed is worth is not measured on this page."
    text = f"Trainings on loose frames, a fold and a seed each: {words.listed(several)}"
    return f"{text}; of each other model one, on the first fold." if single else f"{text}."
