"""What the data page prints: its ablations laid out for the eye, and its sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mammostudy.study import printed, tables, words
from mammostudy.study.data import ablations, split_table


def ablation_note(preset: str) -> str:
    """Say where the ablations are, for a preset that cannot afford them; else nothing."""
    if preset not in tables.TRAINED_BY_PAGES:
        return ""
    return (
        f"The preset `{preset}` does not train these rows: they stand on the same page of the "
        "book's second part, on real mammograms, with the preset `reference`."
    )


def ablation_page(
    summaries: dict[str, pd.DataFrame], cohort: str, preset: str
) -> dict[str, pd.DataFrame]:
    """Lay the ablations out for the eye, by name; rows without a record print ``not run``.

    Args:
        summaries: :func:`ablation_table` by ablation.
        cohort: of the page.
        preset: of the page.
    """
    metrics = {"dice": "Dice, frame", "dice_image": "Dice, image"}
    return {
        name: printed.with_absent(
            printed.wide_table(summaries.get(name, pd.DataFrame()), metrics, {"row": name}),
            [(row,) for row in rows],
            [name],
        )
        for name, rows in ablations(cohort, preset).items()
    }


def tests_page(tests: pd.DataFrame) -> pd.DataFrame:
    """Name the columns of :func:`ablation_tests` for a reader, differences in points of Dice."""
    rows = tests.to_dict("records")
    return pd.DataFrame(
        {
            "comparison": [row["comparison"] for row in rows],
            "difference, points": [
                words.interval(row["difference"], row["low"], row["high"], scale=100, digits=2)
                for row in rows
            ],
            "p (Wilcoxon)": [words.p_value(row["p_wilcoxon"]) for row in rows],
            "patients": [row["patients"] for row in rows],
            "could have been seen": [f"{100 * row['smallest_detectable']:.2f}" for row in rows],
        }
    )


def meaning(
    content: dict[str, Any], cohort: str, preset: str, tests: dict[str, pd.DataFrame]
) -> str:
    """Say what the counts and the ablations mean.

    Args:
        content: the fingerprint.
        cohort: of the page.
        preset: of the page.
        tests: :func:`ablation_tests` by ablation.
    """
    masses, patients = content["masses"], content["patients_with_mass"]
    alone = content["masses_an_image"].get("1", 0)
    images = sum(content["masses_an_image"].values())
    split = split_table(content, cohort, preset)
    smallest = split.loc[split["part"] == "test", "patients"].min()
    sentences = [
        f"{words.count(masses, 'mass')} come from {words.count(patients, 'patient')}, "
        f"{masses / patients:.1f} of each on average: the patient is the unit of every interval.",
        f"Of the images with a mass, {100 * alone / images:.0f} % show a single one; "
        "in the others a frame may show company.",
        f"The smallest test part holds {words.count(int(smallest), 'patient')}.",
    ]
    for name, table in tests.items():
        sentences += [_effect(name, row) for row in table.to_dict("records")]
    return words.paragraph(sentences)


def _effect(name: str, row: dict[Any, Any]) -> str:
    change = words.interval(row["difference"], row["low"], row["high"])
    effect = "no sure difference"
    if row["low"] > 0 or row["high"] < 0:
        effect = "better" if row["difference"] > 0 else "worse"
    return f"{name.capitalize()}, {row['comparison']}: {change} in Dice, {effect}."
