"""Detectors on toy records whose numbers can be checked in the head, and published numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.detection_rows import judged_rows
from mammostudy.study import detection
from mammostudy.study.comparing import Runs
from mammostudy.study.detection import ABLATED, AT_ONE, FOUND, FREE, HEAD, MEAN, UNCHANGED
from mammostudy.study.recipes import (
    DETECTOR_ABLATIONS,
    EQUAL,
    FCOS,
    LIGHT,
    LITE,
    LONG,
    LONGER,
    PRIOR_ROW,
    RETINA,
)

PATIENTS = {"test": 4, "validation": 2}
NO_NEGATIVES = next(iter(DETECTOR_ABLATIONS))


def judged(part, fold, found, false):
    """Two views a patient, the first with a mass: the first ``found`` masses get a box each.

    Every view has ``false`` false boxes.
    """
    rows, masses, cases, boxes, scores = [], [], [], [], []
    for patient in range(PATIENTS[part]):
        for held in (True, False):
            name = f"{part[0]}{fold}-{patient}-{'mass' if held else 'free'}"
            place = {"patient": f"{part[0]}{fold}-{patient}", "site": "s", "side": "L"}
            rows.append({"name": name, **place, "height": 200, "width": 200, "image": name})
            mass = [(40.0, 60.0, 80.0 + 10 * patient, 100.0 + 10 * patient)] if held else []
            hits = mass if patient < found else []
            wrong = [(150.0, 5.0 + at, 190.0, 45.0 + at) for at in range(false)]
            masses.append(np.reshape(mass, (-1, 4)).astype(np.float32))
            cases.append((f"{name}-case",) if held else ())
            boxes.append(np.reshape([*hits, *wrong], (-1, 4)))
            good = [0.9 - 0.1 * patient for _ in hits]
            scores.append(np.array([*good, *(0.5 - 0.05 * at for at in range(false))]))
    views = pd.DataFrame(rows).set_index("name").assign(boxes=masses, cases=cases)
    views["shapes"] = [(None,) * len(each) for each in cases]
    return judged_rows(part, views, boxes, scores)


def record(spec, *, found=3, seen=2, false=1, converged=True, status="completed"):
    """A run of four test and two validation patients, of whom it finds ``found`` and ``seen``."""
    known = {"test": found, "validation": seen}
    parts = [
        judged(part, spec.split.fold, 0 if spec.is_baseline else n, false)
        for part, n in known.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    return SimpleNamespace(
        spec=spec, key=spec.recipe_key(), status=status, cases=rows,
        converged=None if spec.is_baseline else converged,
        provenance={"training_seconds": 120.0, "machine": {"threads": 1}},
        part=lambda name: rows[rows["part"] == name],
    )  # fmt: skip


def runs_of(made, preset="reference"):
    """Runs of the reference page: (group, row) -> the fields of its records."""
    asked = detection.grid("cdd-cesm", preset)
    found = {
        key: [record(spec, **made[key]) for spec in specs] if key in made else []
        for key, specs in asked.items()
    }
    return Runs(asked, ("budget", "row"), preset, found)


BOTH = {(HEAD, PRIOR_ROW): {}, (EQUAL, PRIOR_ROW): {}, (LONG, PRIOR_ROW): {}}


def test_scores_by_hand():
    found = detection.detectors(runs_of({(HEAD, LIGHT): {}, **BOTH}))
    table = detection.summary(found[HEAD]).set_index(["row", "metric"])
    light, prior = table.loc[LIGHT], table.loc[PRIOR_ROW]
    assert light.loc[[AT_ONE, MEAN, FOUND], "mean"].tolist() == pytest.approx([0.75] * 3)
    assert light.loc[["AP50", "mAP"], "mean"].tolist() == pytest.approx([76 / 101] * 2)
    assert light.loc[[detection.FALSE, FREE], "mean"].tolist() == pytest.approx([1, 1])
    assert light.loc[AT_ONE, "low"] < 0.75 < light.loc[AT_ONE, "high"]
    assert light.loc[AT_ONE, ["masses", "patients", "trainings"]].tolist() == [12, 12, 3]
    assert prior.loc[AT_ONE, ["mean", "trainings", "converged"]].tolist() == [0, 0, "no training"]


def test_the_threshold_knows_validation_only():
    runs = runs_of({(HEAD, LIGHT): {}})
    rows = runs.first(HEAD, LIGHT).cases
    boxes = (rows["part"] == "test") & (rows["row"] == "box")
    rows.loc[boxes, "score"] /= 2  # the test's own curve stays, what stands above 0.5 does not
    scores = detection.measured(detection.detectors(runs)[HEAD][LIGHT])
    assert scores[FOUND][0] == pytest.approx((0 + 3 + 3) / 12)
    assert scores["at 8"][0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("equal", "long", "longer", "settled"),
    [
        (1, 2, 2, {EQUAL: "no", LONG: "yes", LONGER: "yes"}),
        (1, 1, 2, {EQUAL: "no", LONG: "no", LONGER: "no"}),
        (2, 2, 0, {EQUAL: "yes", LONG: "yes", LONGER: "no"}),  # finds nothing: has not begun
    ],
)
def test_convergence_is_one_rule_for_every_table(equal, long, longer, settled):
    """The same training has the same answer among budgets, folds, ablations and lengths."""
    seen = {EQUAL: equal, LONG: long, LONGER: longer}
    made = {(budget, LIGHT): {"seen": n} for budget, n in seen.items()}
    made |= {(HEAD, LIGHT): {"seen": long}, (ABLATED, UNCHANGED): {"seen": equal}}
    found = detection.detectors(runs_of(made | {(ABLATED, NO_NEGATIVES): {}}))
    assert {budget: found[budget][LIGHT].converged for budget in seen} == settled
    assert found[ABLATED][UNCHANGED].converged == settled[EQUAL]
    assert found[HEAD][LIGHT].converged == {"yes": "yes", "no": "2 of 3"}[settled[LONG]]
    lengths = detection.trainings(found).set_index("budget")["converged"]
    assert lengths.to_dict() == settled


def test_differences_name_their_masses_and_patients():
    made = {(LONG, LIGHT): {"found": 3}, (LONG, RETINA): {"found": 4}, (LONG, FCOS): {"found": 0}}
    found = detection.detectors(runs_of({(HEAD, LIGHT): {}, **made, **BOTH}))
    tests = detection.differences(found[LONG], LIGHT)
    at_one = tests[tests["metric"] == AT_ONE].set_index("a")
    assert at_one["difference"].to_dict() == pytest.approx({RETINA: 0.25, FCOS: -0.75})
    assert (tests["p_holm"] >= tests["p"]).all()
    assert set(zip(tests["masses"], tests["patients"], strict=True)) == {(4, 4)}
    priors = detection.against_prior(found).query("metric == @AT_ONE").set_index("a")
    assert priors.loc[f"{LIGHT}, {HEAD}", ["masses", "difference"]].tolist() == [12, 0.75]
    assert priors.loc[f"{FCOS}, {LONG}", "difference"] == 0


def test_the_claim_takes_the_best_of_each_kind_on_validation(monkeypatch):
    made = {LITE: {"seen": 1, "found": 4}, LIGHT: {"found": 3}, FCOS: {"found": 1}}
    runs = runs_of({(LONG, row): fields for row, fields in made.items()})
    monkeypatch.setattr(Runs, "load", lambda *_: runs)
    line = detection.claim_line("cdd-cesm", "reference")
    assert (line["a"], line["b"], line["difference"]) == (LIGHT, FCOS, pytest.approx(0.5))
    assert (line["masses"], line["patients"], line["trainings"]) == (4, 4, 1)
    runs.found[LONG, FCOS].clear()
    assert detection.claim_line("cdd-cesm", "reference") is None


def test_published_numbers():
    """Of the committed records: the light SSD over all folds, FCOS beside it, the claim."""
    runs = Runs.load(detection.grid("cdd-cesm", "reference"), "reference", "budget row")
    assert runs.missing == []
    found = detection.detectors(runs)
    table = detection.summary({LIGHT: found[HEAD][LIGHT]}).set_index("metric")
    assert table.loc[AT_ONE, ["mean", "low", "high"]].tolist() == pytest.approx(
        [0.361404, 0.304629, 0.439161], abs=1e-6
    )
    assert table.loc[FOUND, "mean"] == pytest.approx(0.378947, abs=1e-6)
    assert found[HEAD][LIGHT].converged == "2 of 3"
