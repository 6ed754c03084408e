"""What carries over: trained on one kind of image, tested on another.

Three trainings of the paper's model on loose frames (low-energy mammograms, DM; subtracted images
of the same examinations, CM; phantoms) are each tested on DM and on CM, on patients that they have
not met. DM and CM are never counted together; phantoms are learnt from only.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.runs.spec import RunSpec
from mammostudy.study.comparing import compare, judge
from mammostudy.study.recipes import baselines, recipe

COHORTS: Final = ("cdd-cesm", "cdd-cesm-cm", "phantom")
TESTED: Final = ("cdd-cesm", "cdd-cesm-cm")
MODEL: Final = "model"
ELLIPSE: Final = "ellipse"


def title(cohort: str) -> str:
    """Return the short name of a cohort: DM, CM, phantoms."""
    return describe(cohort).short


def named(cohort: str, preset: str) -> dict[tuple[str, str, str], list[RunSpec]]:
    """Return the runs by cohort tested on, cohort learnt from, and model or ellipse.

    First fold; truth is the target mass everywhere. Empty for cohorts that nothing is tested on,
    and for presets without room.
    """
    out: dict[tuple[str, str, str], list[RunSpec]] = {}
    if cohort not in TESTED or preset not in ("reference", "paper"):
        return out
    for away in TESTED:
        for home in COHORTS:
            test = "" if home == away else away
            spec = recipe(home, preset, frame__truth="target", evaluation__test_cohort=test)
            names = (title(away), title(home))
            out[*names, MODEL] = [spec]
            out[*names, ELLIPSE] = [s for s in baselines(spec) if s.model.name == ELLIPSE]
    return out


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows, each once."""
    return list(dict.fromkeys(spec for runs in named(cohort, preset).values() for spec in runs))


def against_ellipse(rows: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Set every training against the ellipse on the same masses: tested on, trained on, model."""
    return _compared(
        rows[rows["box"] == box],
        [
            (f"{title(away)}, {title(home)}, {MODEL}", f"{title(away)}, {title(home)}, {ELLIPSE}")
            for away in TESTED
            for home in COHORTS
        ],
    )


def against_own(rows: pd.DataFrame) -> pd.DataFrame:
    """Set every foreign training against one on the tested kind of image, masses in common."""
    return _compared(
        rows[rows["box"] == "oracle"],
        [
            (f"{title(away)}, {title(home)}, {MODEL}", f"{title(away)}, {title(away)}, {MODEL}")
            for away in TESTED
            for home in COHORTS
            if home != away
        ],
    )


def _compared(rows: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Compare cells; a page of real images is judged although one training is of phantoms."""
    cells = rows["away"].astype(str) + ", " + rows["home"] + ", " + rows["kind"]
    tests = compare(rows.assign(cell=cells), pairs, by="cell")
    return judge(tests.to_dict("records"))
