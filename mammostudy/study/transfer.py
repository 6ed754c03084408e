"""What carries over: trained on one kind of image, tested on another.

Three trainings of the paper's model on loose frames (low-energy mammograms, DM; subtracted images
of the same examinations, CM; phantoms) are each tested on DM and on CM, on patients that they have
not met. DM and CM are never counted together; phantoms are learnt from only.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.figures.pictures import at_hand
from mammostudy.runs.spec import RunSpec
from mammostudy.study.comparing import TRAINED_BY_PAGES, compare, every_run, judge
from mammostudy.study.recipes import baselines, recipe

COHORTS: Final = ("cdd-cesm", "cdd-cesm-cm", "phantom")
TESTED: Final = ("cdd-cesm", "cdd-cesm-cm")
SECOND: Final = ("inbreast",)
"""Tested on as well where they are at hand, as by the paper without training anew."""
MODEL: Final = "model"
ELLIPSE: Final = "ellipse"
KEYS: Final = ("away", "home", "kind")
"""Tested on, trained on, model or ellipse."""


def named(cohort: str, preset: str) -> dict[tuple[str, str, str], list[RunSpec]]:
    """Return the runs of the first fold by :data:`KEYS`; none for cohorts that are only learnt."""
    out: dict[tuple[str, str, str], list[RunSpec]] = {}
    if cohort not in TESTED or preset in TRAINED_BY_PAGES:
        return out
    for away in (*TESTED, *(name for name in SECOND if at_hand(name) is not None)):
        for home in COHORTS:
            test = "" if home == away else away
            spec = recipe(home, preset, frame__truth="target", evaluation__test_cohort=test)
            names = (describe(away).short, describe(home).short)
            out[*names, MODEL] = [spec]
            out[*names, ELLIPSE] = [s for s in baselines(spec) if s.model.name == ELLIPSE]
    return out


specs = every_run(named)


def against(rows: pd.DataFrame, what: str, box: str = "oracle") -> pd.DataFrame:
    """Set trainings against the ``ellipse``, or foreign ones against their ``own`` kind of image.

    Masses in common. A page of real images is judged although one training is of phantoms.
    """
    pairs = []
    for away in rows["away"].unique():
        for home in (describe(name).short for name in COHORTS):
            other = f"{home}, {ELLIPSE}" if what == ELLIPSE else f"{away}, {MODEL}"
            if what == ELLIPSE or home != away:
                pairs.append((f"{away}, {home}, {MODEL}", f"{away}, {other}"))
    return judge(compare(rows[rows["box"] == box], pairs, by=KEYS).to_dict("records"))
