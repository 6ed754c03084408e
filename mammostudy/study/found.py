"""Which masses a trained detector finds, and at which threshold of the score.

A mass is found or not by each training at each threshold: of such rows are all tables and
comparisons of detectors made. Thresholds of the rates are read off the test curve, as the field
does; that of :data:`FOUND` is chosen on the validation views of the training.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mammostudy.evaluation import froc_curves
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.matched_rows import HEADLINE, matches_of

OPERATING: Final = 1.0  # false positives a view on validation, at which a detector is used
RATES: Final = ("at 1/8", "at 1/4", "at 1/2", "at 1", "at 2", "at 4", "at 8")
AT_ONE, MEAN, FOUND, FALSE = "at 1", "mean", "masses found", "false boxes a view"
FREE: Final = "false boxes, mass-free views"


def found_rows(rows: pd.DataFrame, part: str = "test", rule: str = HEADLINE) -> pd.DataFrame:
    """Return the masses and views of one part of a training's rows, with what was found.

    A mass is found (1) or not (0) at each rate and at the chosen threshold, and has the mean over
    the rates; a view has its false boxes at that threshold, one without a mass twice.
    """
    known, curve = (
        froc_of(matches_of(rows[rows["part"] == name], rule)) for name in ("validation", part)
    )
    matches, tested = curve.matches, rows[rows["part"] == part]
    scores = np.append(matches.scores, -np.inf)[matches.found_by]  # -1, a missed mass, is the last
    limits = dict(zip(RATES, map(curve.threshold_at, froc_curves.RATES), strict=True))
    limits[FOUND] = known.threshold_at(OPERATING)
    flags = {name: (scores >= limit).astype(float) for name, limit in limits.items()}
    flags[MEAN] = np.mean([flags[name] for name in RATES], axis=0)
    laid = matches.is_false_positive & (matches.scores >= limits[FOUND])
    false = np.bincount(matches.image[laid], minlength=matches.images)
    views = tested[tested["row"] == "view"].assign(case=lambda table: table["view"])
    views[FALSE] = false
    views[FREE] = views[FALSE].where(views["masses"] == 0)
    return pd.concat([tested[tested["row"] == "mass"].assign(**flags), views])
