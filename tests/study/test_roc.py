import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mammostudy.errors import DataError
from mammostudy.evaluation.classification import apply_temperature, auc_ci, delong_test
from mammostudy.runs.record import read_record, write_record
from mammostudy.study import (
    published,
    roc,
    roc_calibration,
    roc_comparison,
    roc_notes,
    roc_printed,
    roc_reading,
)

COHORT, PRESET = "cdd-cesm", "reference"
CLASSES = ("irregular", "oval", "round")


def table(labels, scores, *, folds=None, patients=None, missed=False):
    """Pooled rows by hand, calibrated as they come."""
    n, values = len(labels), np.asarray(scores, dtype=float)
    rows = pd.DataFrame(
        {
            "case": [f"c{i}" for i in range(n)],
            "patient": patients if patients is not None else [f"p{i}" for i in range(n)],
            "label": labels,
            "missed": missed,
            "tool": "",
            "fold": folds if folds is not None else 0,
        }
    )
    for k, name in enumerate(CLASSES):
        rows[f"raw_{name}"] = rows[f"p_{name}"] = values[:, k]
    return rows


def noisy(n=90, strength=1.5, seed=0):
    """Class numbers that go round and probabilities that know something of them."""
    numbers = np.arange(n) % 3
    noise = np.random.default_rng(seed).standard_normal((n, 3))
    return numbers, apply_temperature(noise + strength * np.eye(3)[numbers])


def noisy_tables(n=90, per_patient=2):
    """Rows of the three classifiers on the same masks, the study's the best."""
    numbers, _ = noisy(n)
    patients = [f"p{i // (3 * per_patient) * 3 + i % 3}" for i in range(n)]
    folds = [i // 18 for i in range(n)]
    out = {}
    for seed, (model, strength) in enumerate(((roc.PAPER, 1.0), (roc.STUDY, 3), (roc.FOREST, 1.0))):
        labels = [CLASSES[k] for k in numbers]
        out[model] = table(labels, noisy(n, strength, seed)[1], folds=folds, patients=patients)
    return out


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the records of the page's runs: 30 test and 6 validation masks a fold."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))
    monkeypatch.setattr("mammostudy.runs.record.manifest_hash", lambda cohort: None)
    monkeypatch.setattr("mammostudy.runs.record.results_root", lambda: tmp_path / "committed")

    def writer(spec, *, strength=1.5, temperature=1.0, trained=(6, 3, 1), converged=True):
        fold = spec.split.fold
        numbers, probabilities = noisy(36, strength, fold + 10 * spec.seed)
        rows = pd.DataFrame(
            {
                "part": ["test"] * 30 + ["validation"] * 6,
                "case": [f"f{fold}c{i}" for i in range(36)],
                "patient": [f"f{fold}p{i // 2}" for i in range(36)],
                "site": "s",
                "source": "truth",
                "tool": "polygon",
                "missed": False,
                "label": [CLASSES[k] for k in numbers],
                "predicted": [CLASSES[k] for k in probabilities.argmax(axis=1)],
            }
        )
        for k, name in enumerate(CLASSES):
            rows[f"logit_{name}"] = np.log(probabilities[:, k])
        content = {
            "spec": spec.model_dump(mode="json"),
            "key": spec.key("0" * 16),
            "recipe_key": spec.recipe_key(),
            "manifest_hash": "0" * 16,
            "status": "completed",
            "converged": converged,
            "curves": [],
            "temperature": temperature,
            "classes_trained": dict(zip(CLASSES, trained, strict=True)),
            "provenance": {"commit": "abc", "training_seconds": 1.0},
        }
        return read_record(write_record(content, rows).folder)

    return writer


def write_all(write, **options):
    for specs in roc.named(COHORT, PRESET).values():
        for spec in specs:
            write(spec, **options)


# --- what is run ---------------------------------------------------------------------------------


def test_grid():
    named = roc.named(COHORT, PRESET)
    assert list(named) == [roc.PAPER, roc.STUDY, roc.FOREST]
    assert {spec.classifier for spec in named[roc.FOREST]} == {"random-forest"}
    assert [len(specs) for specs in named.values()] == [5, 5, 5]
    assert len(roc.specs(COHORT, PRESET)) == 15
    assert roc.specs(COHORT, PRESET) == list(dict.fromkeys(roc.specs(COHORT, PRESET)))


def test_published_facts_are_computed_from_the_papers():
    facts = roc.published_facts().set_index("what")["value"]
    assert facts["area under the mean ROC curve of the folds"] == "0.80"
    assert facts["class, or average of classes, of that curve"] == "not reported"
    assert facts["test masses of the curve"] == "292"
    assert facts["their share of all 1,168 masses"] == "25 %"
    assert facts["masses that a fold would hold"] == "234"


def test_published_points_by_hand():
    points = roc.published_points().set_index("curve")
    assert points.loc["irregular", "true_positive"] == pytest.approx(96 / 126)
    assert points.loc["irregular", "false_positive"] == pytest.approx(33 / (292 - 126))
    assert points.loc["round", "false_positive"] == pytest.approx(4 / (292 - 18))
    areas = points.loc[list(published.SHAPES), "area"]
    assert points.loc[roc.MACRO, "area"] == pytest.approx(areas.mean())
    said = roc_notes.published_matrix(roc.published_points())
    assert f"{areas.mean():.3f}, {areas.mean() - 0.80:.3f} more than the published 0.80" in said
    lower = roc.published_points().assign(area=0.7)
    assert "does not fall short of" in roc_notes.published_matrix(lower)


# --- curves --------------------------------------------------------------------------------------


def test_curves_and_areas_are_scikit_learns():
    numbers, scores = noisy()
    rows = table([CLASSES[k] for k in numbers], scores)
    found = roc.rocs(rows, CLASSES)
    assert list(found) == [*CLASSES, roc.MACRO, roc.MICRO]
    for k, name in enumerate(CLASSES):
        assert found[name].auc == pytest.approx(roc_auc_score(numbers == k, scores[:, k]))
    for average in (roc.MACRO, roc.MICRO):
        oracle = roc_auc_score(np.eye(3)[numbers], scores, average=average)
        assert found[average].auc == pytest.approx(oracle)
    points = roc.pooled_curves({roc.PAPER: rows}, CLASSES)
    for name, line in points.groupby("curve"):
        area = np.trapezoid(line["true_positive"], line["false_positive"])
        assert area == pytest.approx(found[name].auc)
    assert roc.macro_areas({roc.PAPER: rows}, CLASSES)[roc.PAPER] == found[roc.MACRO].auc


def test_both_intervals_stand_in_the_table():
    tables = noisy_tables(per_patient=5)
    areas = roc.auc_table(tables, CLASSES)
    row = areas[(areas["model"] == roc.PAPER) & (areas["curve"] == "oval")].iloc[0]
    rows = tables[roc.PAPER]
    assert (row["cases"], row["patients"]) == (30, 6)
    labels = (rows["label"] == "oval").to_numpy()
    assert (row["delong_low"], row["delong_high"]) == auc_ci(labels, rows["raw_oval"])
    assert row["low"] < row["auc"] < row["high"]
    averages = areas[areas["curve"].isin([roc.MACRO, roc.MICRO])]
    assert averages["delong_low"].isna().all()
    assert averages["low"].notna().all()
    printed = roc_printed.auc_table(areas)
    assert printed.loc[1, "cases of patients"] == "30 of 6"
    assert set(printed.loc[printed["curve"] == roc.MACRO, "DeLong 95 %"]) == {"none"}


def test_a_class_of_one_patient_has_no_interval_over_patients():
    numbers, scores = noisy(30)
    patients = ["one" if k == 2 else f"p{i}" for i, k in enumerate(numbers)]
    rows = table([CLASSES[k] for k in numbers], scores, patients=patients)
    areas = roc.auc_table({roc.PAPER: rows}, CLASSES).set_index("curve")
    assert np.isnan(areas.loc["round", "low"])
    assert np.isfinite(areas.loc["round", "delong_low"])
    assert np.isfinite(areas.loc["oval", "low"])
    assert "(no interval over patients)" in roc_reading._averages(areas.reset_index(), roc.MACRO)


def test_a_single_case_of_a_class_has_an_area_and_no_interval():
    scores = [[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]]
    rows = table(["irregular", "irregular", "oval", "oval", "round"], scores)
    areas = roc.auc_table({roc.PAPER: rows}, CLASSES).set_index("curve")
    assert areas.loc["round", "auc"] == 1
    assert areas.loc["round", ["delong_low", "low"]].isna().all()


# --- folds ---------------------------------------------------------------------------------------


def folds_without_round():
    """Two folds; the second tests no round mass."""
    labels = ["irregular", "oval", "round"] * 2 + ["irregular", "oval"] * 2
    numbers = np.array([CLASSES.index(name) for name in labels])
    scores = noisy(len(labels), seed=3)[1]
    scores[:6] = 0.1 + 0.7 * np.eye(3)[numbers[:6]]  # the first fold is perfect
    return table(labels, scores, folds=[0] * 6 + [1] * 4)


def test_a_fold_without_a_class_is_named_and_left_out_of_its_mean():
    tables = {roc.PAPER: folds_without_round()}
    areas = roc.fold_areas(tables, CLASSES).set_index(["curve", "fold"])["auc"]
    assert np.isnan(areas["round", 1])
    assert np.isnan(areas[roc.MACRO, 1])
    assert np.isfinite(areas["oval", 1])
    summary = roc.fold_summary(roc.fold_areas(tables, CLASSES)).set_index("curve")
    assert summary.loc["round", ["mean", "folds"]].tolist() == [1, 1]
    assert summary.loc[roc.MACRO, ["mean", "folds"]].tolist() == [1, 1]
    assert summary.loc["oval", "folds"] == 2
    means = roc.mean_curves(tables, CLASSES).groupby("curve")[["auc", "folds"]].first()
    assert means.loc["round"].tolist() == [1, 1]
    assert means.loc["oval", "folds"] == 2
    each = roc.fold_curves(tables, CLASSES)
    assert set(each.loc[each["curve"] == "round", "fold"]) == {0}
    said = roc_notes.left_out(roc.fold_areas(tables, CLASSES))
    assert said.startswith("No curve: fold 2 of the paper's CNN for round, since")
    printed = roc_printed.folds_table(roc.fold_areas(tables, CLASSES), summary.reset_index())
    assert printed.set_index("curve").loc["round", "fold 2"] == "no curve"
    assert printed.set_index("curve").loc["round", "mean (SD)"] == "1.000"


def test_control_whole_folds_are_all_counted():
    tables = noisy_tables()
    areas = roc.fold_areas(tables, CLASSES)
    assert roc_notes.left_out(areas) == ""
    summary = roc.fold_summary(areas)
    assert set(summary["folds"]) == {5}
    of = (areas["model"] == roc.PAPER) & (areas["curve"] == roc.MACRO)
    row = summary[(summary["model"] == roc.PAPER) & (summary["curve"] == roc.MACRO)].iloc[0]
    assert row["mean"] == pytest.approx(areas.loc[of, "auc"].mean())
    assert row["sd"] == pytest.approx(areas.loc[of, "auc"].std(ddof=1))
    means = roc.mean_curves(tables, CLASSES)
    line = means[(means["model"] == roc.PAPER) & (means["curve"] == roc.MACRO)]
    assert line["auc"].iloc[0] == pytest.approx(row["mean"])
    assert (line["low"] <= line["true_positive"]).all()


def test_control_a_curve_without_the_class_would_be_refused():
    rows = folds_without_round()
    labels, scores = roc.arrays(rows[rows["fold"] == 1], CLASSES)
    with pytest.raises(DataError, match="positive and negative"):
        roc.binary_roc(labels == 2, scores[:, 2])


# --- comparison ----------------------------------------------------------------------------------


def test_comparisons_are_delongs_with_holm_over_all():
    tables = noisy_tables()
    tests = roc_comparison.comparisons(tables, CLASSES)
    assert list(tests["b"].unique()) == [roc.STUDY, roc.FOREST]
    assert list(tests["curve"].unique()) == [*CLASSES, roc.MACRO]
    row = tests[(tests["b"] == roc.STUDY) & (tests["curve"] == "oval")].iloc[0]
    labels = (tables[roc.PAPER]["label"] == "oval").to_numpy()
    ours, theirs = (tables[model]["raw_oval"] for model in (roc.PAPER, roc.STUDY))
    assert row["p"] == pytest.approx(delong_test(labels, ours, theirs))
    gap = roc_auc_score(labels, ours) - roc_auc_score(labels, theirs)
    assert row["difference"] == pytest.approx(gap)
    assert tests["p"].notna().sum() == 6
    smallest = tests["p"].idxmin()
    assert tests.loc[smallest, "p_holm"] == pytest.approx(6 * tests["p"].min())
    macro = tests[(tests["b"] == roc.STUDY) & (tests["curve"] == roc.MACRO)].iloc[0]
    assert macro["low"] <= macro["difference"] <= macro["high"] < 0
    assert np.isnan(macro["p"])
    printed = roc_printed.comparisons(tests)
    assert printed.loc[printed["curve"] == roc.MACRO, "p, DeLong"].tolist() == ["–", "–"]


def test_only_shared_cases_are_compared_whatever_their_order():
    tables = noisy_tables()
    whole = roc_comparison.comparisons(tables, CLASSES)
    shuffled = {**tables, roc.STUDY: tables[roc.STUDY].sample(frac=1, random_state=1)}
    pd.testing.assert_frame_equal(roc_comparison.comparisons(shuffled, CLASSES), whole)
    part = {**tables, roc.FOREST: tables[roc.FOREST].iloc[:36]}
    fewer = roc_comparison.comparisons(part, CLASSES).set_index(["b", "curve"])
    assert fewer.loc[(roc.FOREST, roc.MACRO), "cases"] == 36
    assert fewer.loc[(roc.STUDY, roc.MACRO), "cases"] == 90
    cut = {model: rows.iloc[:36] for model, rows in tables.items()}
    same = roc_comparison.comparisons(cut, CLASSES).set_index(["b", "curve"])
    at = (roc.FOREST, roc.MACRO)
    assert fewer.loc[at, "difference"] == same.loc[at, "difference"]
    assert "random forest on features (2 folds)" in roc_notes._folds(part)


# --- calibration ---------------------------------------------------------------------------------


def test_calibration_by_hand(write):
    write_all(write, temperature=2.0)
    found = roc.records(COHORT, PRESET)
    tables = roc.rows(found)
    scores = roc_calibration.calibration_table(tables, found, CLASSES)
    assert scores["model"].tolist()[-1] == roc_calibration.SHARES
    shares = scores.iloc[-1]
    expected = [np.sum((np.array([0.6, 0.3, 0.1]) - np.eye(3)[k]) ** 2) for k in range(3)]
    assert shares["brier"] == pytest.approx(np.mean(expected))  # ten of each class a fold
    _, raw = roc.arrays(tables[roc.PAPER], CLASSES)
    labels, calibrated = roc.arrays(tables[roc.PAPER], CLASSES, "p")
    assert calibrated.max() < raw.max()  # a temperature of 2 makes less sure
    after = scores[(scores["model"] == roc.PAPER) & (scores["scaling"] == "after")].iloc[0]
    error = ((calibrated - np.eye(3)[labels]) ** 2).sum(axis=1).mean()
    assert after["brier"] == pytest.approx(error)
    assert after["low"] < after["brier"] < after["high"]
    degrees = roc_calibration.temperatures(found)
    assert set(degrees["temperature"]) == {2.0}
    assert set(degrees["masks"]) == {6}
    assert roc_printed.temperatures(degrees).loc[0, "fold 5"] == "2.00"
    bins = roc_calibration.errors_by_bins(tables, CLASSES)
    same = scores[scores["model"] != roc_calibration.SHARES]["ece"]
    assert bins[f"{roc_calibration.BINS} bins"].tolist() == pytest.approx(same.tolist())


def test_errors_by_chance_hold_a_calibrated_forecast_and_not_an_overconfident_one():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3), 400)
    labels = np.array([rng.choice(3, p=row) for row in honest])
    chance = roc_calibration.errors_by_chance(honest)
    found = roc_calibration.expected_calibration_error(honest, labels, roc_calibration.BINS)
    assert found < np.percentile(chance, 99)
    sure = apply_temperature(np.log(honest), 0.3)
    found = roc_calibration.expected_calibration_error(sure, labels, roc_calibration.BINS)
    assert found > np.percentile(roc_calibration.errors_by_chance(sure), 99)
    certain = np.eye(3)[labels]
    assert roc_calibration.errors_by_chance(certain).max() == 0


def test_ends_of_the_temperature_search_are_named():
    assert roc_calibration.at_an_end(100.0)
    assert roc_calibration.at_an_end(0.01)
    assert not roc_calibration.at_an_end(1.0)
    degrees = pd.DataFrame(
        {"model": [roc.PAPER] * 2, "fold": [0, 1], "masks": [6, 7], "temperature": [1.0, 100.0]}
    )
    printed = roc_printed.temperatures(degrees).iloc[0]
    assert printed["fold 2"] == "100.00 (end of the search)"
    assert printed["validation masks a fold"] == "6 to 7"


# --- words ---------------------------------------------------------------------------------------


def said(tables, scores=None, degrees=None):
    areas = roc.auc_table(tables, CLASSES)
    folds = roc.fold_summary(roc.fold_areas(tables, CLASSES))
    tests = roc_comparison.comparisons(tables, CLASSES)
    empty = roc_calibration.calibration_table({}, {}, CLASSES)
    none = roc_calibration.temperatures({})
    given = (empty if scores is None else scores, none if degrees is None else degrees)
    return roc_reading.reading(areas, folds, tests, *given)


def test_reading_speaks_from_the_tables(write):
    write_all(write, temperature=2.0)
    found = roc.records(COHORT, PRESET)
    tables = roc.rows(found)
    scores = roc_calibration.calibration_table(tables, found, CLASSES)
    text = said(tables, scores, roc_calibration.temperatures(found))
    area = roc.macro_areas(tables, CLASSES)[roc.PAPER]
    assert f"macro AUC is {area:.3f} [" in text
    assert "5 folds); the mean lies" in text
    assert "the published 0.80" in text
    assert "minus that of this study's CNN" in text
    assert "lie between 2.00 and 2.00" in text
    assert "look at no mask" in text
    gain = roc_notes.temperature_and_ranking({"paper": 0.8}, {"paper": 0.81})
    assert "0.800 to 0.810 for the paper's CNN" in gain


def test_reading_turns_with_the_numbers():
    tables = noisy_tables()
    text = said(tables)
    assert "this study's CNN: -0." in text
    assert "(the interval lies below 0)" in text
    assert "finds a difference for irregular (-0." in text
    areas, tests = (f(tables, CLASSES) for f in (roc.auc_table, roc_comparison.comparisons))
    held = tests.assign(high=tests["high"].where(tests["curve"] != "oval", 0.01))
    words = roc_reading.reading(
        areas,
        roc.fold_summary(roc.fold_areas(tables, CLASSES)),
        held,
        roc_calibration.calibration_table({}, {}, CLASSES),
        roc_calibration.temperatures({}),
    )
    assert "(the interval over patients holds 0 for oval)" in words
    swapped = {**tables, roc.PAPER: tables[roc.STUDY], roc.STUDY: tables[roc.PAPER]}
    assert "(the interval lies above 0)" in said(swapped)
    same = dict.fromkeys(tables, tables[roc.PAPER])
    assert "(the interval holds 0); class by class DeLong's test finds no difference" in said(same)


def test_what_is_missing_is_said(write):
    named = roc.named(COHORT, PRESET)
    for spec in named[roc.PAPER]:
        write(spec, converged=False)
    write(named[roc.STUDY][0])
    found = roc.records(COHORT, PRESET)
    tables = roc.rows(found)
    gone = roc.absent(found, COHORT, PRESET)
    assert gone == [roc.STUDY, roc.FOREST]
    text = roc_notes.preliminaries(found, tables, CLASSES, gone)
    assert "Not run: study's CNN and random forest on features have runs" in text
    assert "Not converged: 5 of 5 trainings of the paper's CNN." in text
    assert "this study's CNN (1 fold)" in text
    assert "no two shapes" in roc_notes.preliminaries({}, {}, (), [])
    tables[roc.PAPER].loc[:1, "missed"] = True
    assert "Without a mask: 2 cases of the paper's CNN" in roc_notes.missed(tables)


def test_the_drawing_tool_is_taken_apart():
    tables = noisy_tables()
    assert roc_notes.drawing_tool(tables, CLASSES) == ""
    for rows in tables.values():
        rows["tool"] = np.where(rows["label"] == "irregular", "polygon", "circle")
    text = roc_notes.drawing_tool(tables, CLASSES)
    assert "The tool goes with the shape: 100 % of the irregular, 0 % of the oval and 0 %" in text
    assert "no macro AUC exists" in text
    for rows in tables.values():
        rows.loc[:44, "tool"] = "polygon"
    text = roc_notes.drawing_tool(tables, CLASSES)
    only = tables[roc.PAPER][tables[roc.PAPER]["tool"] == "polygon"]
    area = roc.macro_areas({roc.PAPER: only}, CLASSES)[roc.PAPER]
    assert f"to {area:.3f} for the paper's CNN" in text
    assert f"({len(only)} masses of" in text
    assert roc_notes.drawing_tool({}, CLASSES) == ""


@pytest.mark.parametrize("classes", [CLASSES, ()])
def test_without_records_nothing_fails(classes):
    assert roc.pooled_curves({}, classes).empty
    assert roc.fold_curves({}, classes).empty
    assert roc.mean_curves({}, classes).empty
    areas, each = roc.auc_table({}, classes), roc.fold_areas({}, classes)
    summary, tests = roc.fold_summary(each), roc_comparison.comparisons({}, classes)
    scores = roc_calibration.calibration_table({}, {}, classes)
    degrees = roc_calibration.temperatures({})
    assert roc_calibration.reliability({}, classes).empty
    for printed in (
        roc_printed.auc_table(areas),
        roc_printed.folds_table(each, summary),
        roc_printed.comparisons(tests),
        roc_printed.calibration_table(scores),
        roc_printed.temperatures(degrees),
        roc_printed.errors_by_bins(roc_calibration.errors_by_bins({}, classes)),
    ):
        assert printed.empty
    assert roc_notes.left_out(each) == ""
    assert roc_notes.preliminaries({}, {}, CLASSES, []) == ""
    assert roc_notes.temperature_and_ranking({}, {}) == ""
    assert "No run" in roc_reading.reading(areas, summary, tests, scores, degrees)
