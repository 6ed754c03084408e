"""The chain's tables, from toy records whose numbers can be checked in the head."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.study import chain
from mammostudy.study.chain import BOX, ELLIPSE, MISSED, PAPER, SEGMENTATION, STUDY
from mammostudy.study.comparing import Runs
from mammostudy.study.recipes import PRIOR_ROW

MASSES = {  # case: dice from the known box, the shaken one, the detected one (None: missed)
    "a1": (0.9, 0.8, 0.7),
    "a2": (0.8, 0.7, None),
    "b1": (1.0, 0.9, 0.9),
    "c1": (0.9, 0.8, None),
}
SHAPES = {  # case: shape, and what is told from truth, known, shaken and detected box
    "a1": ("oval", "oval", "oval", "round", "oval"),
    "a2": ("round", "round", "oval", "oval", "none"),
    "b1": ("oval", "round", "oval", "oval", "round"),
    "c1": (None, "oval", "oval", "oval", "none"),
}


def cases(gain: float = 0.0) -> pd.DataFrame:
    """Four masses of three patients on three views."""
    rows = []
    for case, (known, shaken, detected) in MASSES.items():
        label, *told = SHAPES[case]
        dice = (1.0, known + gain, shaken, 0.0 if detected is None else detected + gain)
        sources = ("truth", "oracle", "jittered", "detected")
        for source, value, shape in zip(sources, dice, told, strict=True):
            found = source != "detected" or detected is not None
            place = {"row": "mass", "view": f"v{case[0]}", "patient": case[0], "case": case}
            rows.append(place | {
                "source": source, "found": found, "score": 0.8 if found else None, "iou": 0.6,
                "dice": value, "truth_pixels": 100, "label": label, "predicted": shape,
            })  # fmt: skip
    return pd.DataFrame(rows).assign(part="test")


def record(spec, gain, open_end):
    stage = {"status": "completed", "converged": True}
    stages = {"detector": [stage], "segmenter": [stage | {"converged": not open_end}]}
    return SimpleNamespace(
        spec=spec, cases=cases(gain), threshold=0.25, status="completed",
        converged=None, content={"postprocessing": [], "stages": stages},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    """All arms but the paper's on the first fold; the study's segmenter not converged."""
    asked = {(arm,): specs[:1] for arm, specs in chain.grid("cdd-cesm", "reference").items()}
    found = {
        (arm,): [record(specs[0], 0.0 if arm == STUDY else -0.1, arm == STUDY)]
        for (arm,), specs in asked.items()
        if arm != PAPER
    }
    return Runs(asked, ("arm",), "reference", {(PAPER,): []} | found)


@pytest.fixture(scope="module")
def masses(runs):
    return chain.masses_of(runs)


def test_stages_of_a_chain_share_their_fold():
    for specs in chain.grid("cdd-cesm", "reference").values():
        assert [spec.detector.split.fold for spec in specs] == [0, 1, 2]
        assert all(spec.segmenter.split == spec.detector.split for spec in specs)


def test_missed_masses_count_as_zero(masses):
    table = chain.scores(masses).set_index(["arm", "metric"]).loc[STUDY]
    means = table["mean"].to_dict()
    assert means == pytest.approx({
        "known box": 0.9, "shaken box": 0.8, "detected box": 0.4, "found only": 0.8,
        "share found": 0.5,
    })  # fmt: skip
    assert table.loc["found only", ["masses", "patients"]].tolist() == [2, 2]
    assert table.loc["detected box", ["masses", "converged"]].tolist() == [4, "no"]


def test_shapes_count_where_they_are_known_and_missed_ones_are_wrong(masses):
    table = chain.scores(masses, "right").set_index(["arm", "metric"])
    means = table.loc[STUDY, "mean"]
    assert means[["true mask", "known box"]].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert means[["detected box", "found only"]].tolist() == pytest.approx([1 / 3, 1 / 2])
    assert table.loc[chain.COMMONEST, "mean"].tolist() == pytest.approx([2 / 3])
    assert table["masses"].max() == 3  # the shape of c1 is not known
    assert chain.scores(masses.assign(told=False), "right").empty


def test_parts_of_an_error_add_up_mass_by_mass(masses):
    table = chain.parts(masses).set_index(["arm", "case"]).loc[STUDY]
    np.testing.assert_allclose(table[[SEGMENTATION, BOX, MISSED]].sum(axis=1), table["sum"])
    np.testing.assert_allclose(table[SEGMENTATION], [0.1, 0.2, 0.0, 0.1])
    np.testing.assert_allclose(table[BOX], [0.2, 0.0, 0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(table[MISSED], [0.0, 0.8, 0.0, 0.9])
    budget = chain.budget(masses).set_index(["arm", "metric"])["mean"].loc[STUDY]
    assert budget[[MISSED, "sum"]].tolist() == pytest.approx([0.425, 0.6])


def test_a_chain_with_an_open_end_gets_no_verdict(masses):
    tests = chain.tests(masses)
    assert tests["b"].tolist() == [PRIOR_ROW, ELLIPSE]
    assert tests["difference"].tolist() == pytest.approx([0.05, 0.05])  # of patients' means
    assert set(tests["verdict"]) == {"undecided"}
    assert tests["unsettled"].str.startswith(STUDY).all()


def test_published_numbers():
    """Of the committed records: Dice from the mammogram, and the study's chain less the paper's."""
    runs = Runs.load(chain.grid("cdd-cesm", "reference"), "reference", "arm")
    assert runs.missing == []
    masses = chain.masses_of(runs)
    dice = chain.scores(masses).set_index(["arm", "metric"]).loc[(STUDY, "detected box")]
    assert dice[["mean", "low", "high"]].tolist() == pytest.approx(
        [0.276889, 0.227918, 0.325860], abs=1e-6
    )
    assert chain.tests(masses).loc[0, "difference"] == pytest.approx(0.00719334, abs=1e-8)
