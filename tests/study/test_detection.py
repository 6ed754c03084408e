"""Detectors on toy records whose numbers can be checked in the head, and published numbers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.matched_rows import matches_of
from mammostudy.runs.detection_rows import judged_rows
from mammostudy.runs.execute import ensure
from mammostudy.study import comparing, detection, recipes
from mammostudy.study.comparing import Runs
from mammostudy.study.detection import ABLATED, HEAD
from mammostudy.study.found import AT_ONE, FALSE, FOUND, FREE, MEAN, RATES, found_rows
from mammostudy.study.recipes import (
    DETECTOR_ABLATIONS,
    EQUAL,
    FCOS,
    FCOS_LITE,
    LIGHT,
    LITE,
    LONG,
    LONGER,
    PRIOR_ROW,
    RETINA,
    RETINA_LITE,
)

PATIENTS = {"test": 4, "validation": 2}
NO_NEGATIVES = next(iter(DETECTOR_ABLATIONS))


@cache
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


def record(spec, *, found=3, seen=2, false=1, status="completed"):
    """A run of four test and two validation patients, of whom it finds ``found`` and ``seen``."""
    known = {"test": found, "validation": seen}
    parts = [
        judged(part, spec.split.fold, 0 if spec.is_baseline else n, false)
        for part, n in known.items()
    ]
    rows = pd.concat(parts, ignore_index=True)
    return SimpleNamespace(
        spec=spec, key=spec.recipe_key(), status=status, cases=rows, content={"manifest_hash": ""},
        converged=None if spec.is_baseline else True, curves=pd.DataFrame(),
        provenance={"training_cpu_seconds": 120.0},
        part=lambda name: rows[rows["part"] == name],
    )  # fmt: skip


def runs_of(made, cohort="cdd-cesm", preset="reference"):
    """Runs of the page: (group, detector) -> the fields of its records, or a list of those."""
    asked = detection.grid(cohort, preset)
    found = {}
    for key, specs in asked.items():
        fields = made.get(key, [])
        fields = fields if isinstance(fields, list) else [fields] * len(specs)
        found[key] = [record(spec, **each) for spec, each in zip(specs, fields, strict=False)]
    return Runs(asked, tuple(detection.KEYS.split()), preset, found)


BOTH = {(HEAD, PRIOR_ROW): {}, (EQUAL, PRIOR_ROW): {}, (LONG, PRIOR_ROW): {}}
BOXED = "cbis-ddsm-800"


def test_scores_by_hand():
    table = detection.summary(runs_of({(HEAD, LIGHT): {}, **BOTH}), HEAD)
    table = table.set_index(["detector", "metric"])
    light, prior = table.loc[LIGHT], table.loc[PRIOR_ROW]
    assert light.loc[[AT_ONE, MEAN, FOUND], "mean"].tolist() == pytest.approx([0.75] * 3)
    assert light.loc["AP50", "mean"] == pytest.approx(76 / 101)
    assert light.loc[[FALSE, FREE], "mean"].tolist() == pytest.approx([1, 1])
    assert light.loc[AT_ONE, "low"] < 0.75 < light.loc[AT_ONE, "high"]
    assert light.loc[AT_ONE, ["masses", "patients", "trainings"]].tolist() == [12, 12, 3]
    assert prior.loc[AT_ONE, ["mean", "trainings", "converged"]].tolist() == [0, 0, "no training"]
    nothing = detection.searched(runs_of({}), HEAD)
    tables = detection.summary(runs_of({}), HEAD), detection.differences(nothing, LIGHT)
    assert all(each.empty for each in (*tables, detection.by_breast(nothing)))
    assert detection.by_group(nothing).empty


def test_what_is_found_at_a_rate_is_the_curve_of_the_training():
    rows = record(detection.grid("cdd-cesm", "reference")[LONG, LIGHT][0], false=3).cases
    curve = froc_of(matches_of(rows[rows["part"] == "test"]))
    masses = found_rows(rows).query("row == 'mass'")
    wanted = curve.sensitivity_at([0.125, 0.25, 0.5, 1, 2, 4, 8])
    assert masses[list(RATES)].mean().tolist() == pytest.approx(wanted)
    assert masses[MEAN].mean() == pytest.approx(curve.mean_sensitivity())


def test_the_threshold_knows_validation_only():
    runs = runs_of({(HEAD, LIGHT): {}})
    rows = runs.first(HEAD, LIGHT).cases
    boxes = (rows["part"] == "test") & (rows["row"] == "box")
    rows.loc[boxes, "score"] /= 2  # the test's own curve stays, what stands above 0.5 does not
    scores = detection.summary(runs, HEAD).set_index("metric")["mean"]
    assert scores[FOUND] == pytest.approx((0 + 3 + 3) / 12)
    assert scores["at 8"] == pytest.approx(0.75)


def test_trainings_of_several_seeds_are_counted_and_set_against_each_other():
    three, five = ([{"found": n} for n in each] for each in ((0, 3, 0), (1, 4, 1, 4, 2)))
    made = {(LONG, LIGHT): five, (LONG, FCOS_LITE): three, (LONG, PRIOR_ROW): {}}
    runs = runs_of(made, BOXED)
    table = detection.summary(runs, LONG).set_index(["detector", "metric"])
    light = table.loc[LIGHT, AT_ONE]
    assert (light["mean"], light["trainings"], light["masses"]) == (pytest.approx(12 / 20), 5, 4)
    assert light["training_sd"] > 0
    tests = detection.differences(detection.searched(runs, LONG), LIGHT).set_index("a")
    assert tests.loc[FCOS_LITE, "difference"] == pytest.approx(-0.25)
    assert tests.loc[FCOS_LITE, "trainings"] == 3
    assert f"{LONG}, {LITE}" in runs.missing
    assert any(f"{FCOS_LITE} (3 of 5" in each for each in runs.missing)


@pytest.mark.parametrize(
    ("longer", "pairs", "settled"), [(1, 3, True), (2, 3, False), (1, 2, False)]
)
def test_converged_is_what_gains_little_by_twice_the_training(longer, pairs, settled, monkeypatch):
    runs = runs_of({(LONG, LIGHT): {"seen": 1}}, BOXED)

    def twice(spec, _):
        assert spec.training.iterations == 2 * runs.asked[LONG, LIGHT][0].training.iterations
        return record(spec, seen=longer) if spec.seed < pairs else None

    monkeypatch.setattr(comparing, "find_record", twice)
    assert set(detection.searched(runs, LONG)["converged"]) == {settled}
    line = runs.trainings("validation_sensitivity").set_index(["budget", "detector"])
    assert line.loc[(LONG, LIGHT), "converged"] == ("yes" if settled else "no")


def test_differences_name_their_masses_and_patients():
    made = {(LONG, LIGHT): {"found": 3}, (LONG, RETINA): {"found": 4}, (LONG, FCOS): {"found": 0}}
    rows = detection.searched(runs_of({**made, **BOTH}), LONG)
    at_one = detection.differences(rows, LIGHT).set_index("a")
    assert at_one["difference"].to_dict() == pytest.approx({RETINA: 0.25, FCOS: -0.75})
    assert (at_one["p_holm"] >= at_one["p"]).all()
    assert set(zip(at_one["masses"], at_one["patients"], strict=True)) == {(4, 4)}
    assert LIGHT in at_one.loc[RETINA, "unsettled"]
    priors = detection.differences(rows, PRIOR_ROW).set_index("a")
    assert priors["difference"].to_dict() == pytest.approx({LIGHT: 0.75, RETINA: 1, FCOS: 0})
    assert LIGHT not in priors.loc[LIGHT, "unsettled"]  # convergence does not count here


def test_the_claim_takes_the_best_of_each_kind_on_validation(monkeypatch):
    made = {LITE: {"seen": 1, "found": 4}, LIGHT: {"found": 3}, FCOS: {"found": 1}}
    runs = runs_of({(LONG, row): fields for row, fields in made.items()})
    monkeypatch.setattr(Runs, "load", lambda *_: runs)
    line = detection.claim_line("cdd-cesm", "reference")
    assert (line["a"], line["b"], line["difference"]) == (LIGHT, FCOS, pytest.approx(0.5))
    assert (line["masses"], line["patients"], line["trainings"]) == (4, 4, 1)
    runs.found[LONG, FCOS].clear()
    assert detection.claim_line("cdd-cesm", "reference") is None


def test_the_grid_of_a_split_of_the_owners():
    grid = detection.grid(BOXED, "reference")
    assert {len(grid[LONG, row]) for row in (LIGHT, LITE, FCOS_LITE, RETINA_LITE)} == {5}
    assert grid[HEAD, LIGHT] == grid[LONG, LIGHT]
    for row in (LIGHT, FCOS_LITE):
        first, longer = grid[LONG, row][0], grid[LONGER, row][0]
        assert longer == recipes.longer(first)
        assert (first.detector.size, first.training.averaging) == (384, 0.99)
    assert len(grid[EQUAL, recipes.FASTER]) == 1
    assert not [key for key in grid if key[0] == ABLATED]
    old = detection.grid("cdd-cesm", "reference")
    assert {(s.detector.size, s.training.averaging) for s in old[LONG, LIGHT]} == {(256, 0)}


def test_other_cohorts_are_tested_and_learnt_from():
    crossed = detection.across(BOXED, "reference")
    assert {len(runs) for runs in crossed.values()} == {3}
    said = {key: (runs[0].cohort, runs[0].beside, runs[0].test_cohort)
            for key, runs in crossed.items()}  # fmt: skip
    ours, theirs = dict.fromkeys(away for away, _ in said)
    views = "cdd-cesm-views"
    assert said == {
        (ours, ours): (BOXED, "", ""),
        (ours, "both"): (BOXED, views, ""),
        (ours, theirs): (views, "", BOXED),
        (theirs, ours): (BOXED, "", views),
        (theirs, "both"): (BOXED, views, views),
        (theirs, theirs): (views, "", ""),
    }
    assert crossed[ours, ours] == detection.grid(BOXED, "reference")[LONG, LIGHT][:3]
    assert detection.across("cdd-cesm", "reference") == {}


def test_groups_and_breasts_by_hand():
    """Four breasts of two views: found in both, in one, in none; and one with two masses in one."""
    found = {"A": (1, 1), "B": (0, 1), "C": (0, 0), "D": (1, 1)}
    table = [
        {"patient": name, "case": f"{name}{at}", FOUND: float(hit),
         "projection": "CC" if name == "D" else ("CC", "MLO")[at]}
        for name, hits in found.items() for at, hit in enumerate(hits)
    ]  # fmt: skip
    same = {"detector": LIGHT, "fold": 0, "replicate": 0, "converged": True, "side": "L"}
    rows = pd.DataFrame(table).assign(**same, density=[1.0] * 6 + [np.nan] * 2, shape=None)
    rows[AT_ONE], rows["share"] = rows[FOUND], np.arange(8) / 10
    breasts = detection.by_breast(rows).set_index("metric")
    assert breasts["mean"].to_dict() == pytest.approx(
        {detection.EITHER: 2 / 3, detection.BOTH: 1 / 3}
    )
    assert breasts["masses"].tolist() == [3, 3]
    groups = detection.by_group(rows)
    groups = groups[groups["metric"] == FOUND].set_index(["of", "group"])["mean"]
    assert groups["density"].to_dict() == pytest.approx({"1": 0.5, "unknown": 1})
    assert groups["view"].to_dict() == pytest.approx({"CC": 0.6, "MLO": 2 / 3})
    assert "shape" not in groups  # nothing is known of it
    assert len(groups["size"]) == 3
    assert detection.by_breast(rows.drop(columns="projection")).empty


@pytest.mark.slow  # six trainings, two of them on a real trunk
def test_boxes_alone_go_from_files_to_the_tables(tmp_path, write_views, monkeypatch):
    """The whole way of the page on a made cohort that its owners split: seconds of training."""
    sheet = Path(recipes.__file__).parents[2] / "data_manifests" / f"{BOXED}.yaml"
    told = yaml.safe_load(sheet.read_text(encoding="utf-8"))
    told["cohorts"] = {"boxed": told["cohorts"][BOXED] | {"side": 64, "held_out": []}}
    folder = tmp_path / "project" / "data_manifests"
    folder.mkdir(parents=True)
    (tmp_path / "project" / "study.yaml").touch()
    (folder / "boxed.yaml").write_text(json.dumps(told), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    path = write_views(tmp_path / "data", "boxed", free=0) / "manifest.csv"
    table = pd.read_csv(path, dtype=str).assign(mask=None, mask_label=None, outline=None)
    number = table["patient"].str[1:].astype(int)
    table.assign(part=np.where(number.isin([0, 2, 4]), "test", "train")).to_csv(path, index=False)
    steps = {LONG: {LIGHT: 2, FCOS_LITE: 1}, LONGER: {LIGHT: 4}}
    monkeypatch.setitem(recipes.DETECTOR_STEPS, "seeds", steps)
    monkeypatch.setattr(recipes, "DETECTOR_SEEDS", {LONG: 2, LONGER: 1})
    grid = detection.grid("boxed", "reference")
    ensure([spec for runs in grid.values() for spec in runs], workers=1, progress=False)
    runs = Runs.load(grid, "reference", detection.KEYS)
    assert runs.missing == []
    scores = detection.summary(runs, LONG).set_index(["detector", "metric"])
    assert scores.loc[(LIGHT, AT_ONE), ["masses", "trainings", "converged"]].tolist() == [
        7,
        2,
        "no",
    ]
    assert 0 <= scores.loc[(FCOS_LITE, "AP50"), "mean"] <= 1
    assert FREE not in scores.index.get_level_values("metric")  # every view shows a mass
    head = detection.searched(runs, HEAD)
    groups = detection.by_group(head[head["detector"] == LIGHT])
    assert set(groups["of"]) == {"view", "shape", "size"}
    assert set(detection.by_breast(head)["masses"]) == {2}  # P0 has three
    line = detection.claim_line("boxed", "reference")
    assert (line["a"], line["b"], line["trainings"]) == (LIGHT, FCOS_LITE, 2)


def test_published_numbers():
    """Of the committed records: the light SSD over all folds, FCOS beside it, the claim."""
    runs = Runs.load(detection.grid("cdd-cesm", "reference"), "reference", detection.KEYS)
    assert runs.missing == []
    table = detection.summary(runs, HEAD)
    table = table[table["detector"] == LIGHT].set_index("metric")
    assert table.loc[FOUND, "mean"] == pytest.approx(0.378947, abs=1e-6)
    assert table.loc[AT_ONE, "trainings"] == 3
