"""The judged claims as a page shows them: tables and sentences."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd

from mammostudy.study import words

VERDICTS: Final = ("supported", "contradicted", "undecided", "not testable here")


def verdict_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Lay out the claims that were tested for a reader, differences in points.

    Metric and margin stand in the table of the claims.
    """
    tested = judged[judged["difference"].notna()]
    rows = tested.to_dict("records")
    return pd.DataFrame(
        {
            "claim": tested["claim"],
            "verdict": tested["verdict"],
            "reason": tested["reason"],
            "difference, points": [
                words.interval(r["difference"], r["low"], r["high"], scale=100, digits=2)
                for r in rows
            ],
            "p (Holm)": [words.p_value(r["p"]) for r in rows],
            "patients": [f"{r['patients']:.0f}" for r in rows],
            "could have been seen": [points(r["smallest"]) for r in rows],
            "pairs of trainings": [f"{r['trainings']:.0f}" for r in rows],
        }
    ).reset_index(drop=True)


def points(value: float) -> str:
    """Write a difference in points; what could not have been seen at all is said so."""
    return f"{100 * value:.1f}" if math.isfinite(value) else "nothing"


def untested_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the claims that cannot be judged here: claim, source, reason."""
    rows = judged[judged["verdict"] == "not testable here"]
    return rows[["claim", "source", "reason"]].reset_index(drop=True)


def meaning(judged: pd.DataFrame) -> str:
    """Say how many claims got which verdict, and which."""
    sentences = []
    for verdict in VERDICTS:
        rows = judged[judged["verdict"] == verdict]
        if len(rows):
            names = words.listed(text.rstrip(".") for text in rows["claim"])
            sentences.append(f"- **{verdict}** ({len(rows)} of {len(judged)}): {names}.")
    return "\n".join(sentences)
