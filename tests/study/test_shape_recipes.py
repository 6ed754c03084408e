"""Which shape runs a page asks for: folds, presets, classes, and no patient on two sides."""

import pandas as pd
import pytest

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import SHAPES
from mammostudy.data.sources.phantom import write_phantom, write_shapes
from mammostudy.data.splits import split_cases
from mammostudy.errors import DataError, MissingDataError, SpecError
from mammostudy.runs.shape_spec import NETWORKS, SOURCES, TOOLS, ShapeSpec
from mammostudy.study import recipes, shape_recipes
from mammostudy.study.shape_recipes import PAPER, STUDY, classes_of, shape_folds, shape_recipe

QUESTIONS = (
    shape_recipes.headline, shape_recipes.alternatives, shape_recipes.ablations,
    shape_recipes.cross, shape_recipes.tools,
)  # fmt: skip


@pytest.fixture
def own(tmp_path, write_cohort, monkeypatch):
    """A writer of the cohort ``tiny``: odd patients round, even ones irregular."""

    def write(patients=12, **shapes):
        folder = write_cohort(tmp_path, patients=patients)
        path = folder / "manifest.csv"
        table = pd.read_csv(path, dtype=str)
        for patient, shape in shapes.items():
            table.loc[table["patient"] == patient, "shape"] = shape
        table.to_csv(path, index=False)
        monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
        return folder

    return write


@pytest.mark.parametrize(
    ("page", "cohort"),
    [
        ("phantom", "phantom-shapes"),
        ("phantom-null", "phantom-shapes"),
        ("phantom-shapes", "phantom-shapes"),
        ("cdd-cesm", "cdd-cesm-contours"),
        ("cdd-cesm-cm", "cdd-cesm-contours-cm"),
        ("mine", "mine"),
    ],
)
def test_a_page_classifies_the_masks_of(page, cohort):
    assert shape_recipes.shape_cohort(page) == cohort


def test_classes_of_known_cohorts_need_no_data(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    assert classes_of("phantom") == SHAPES
    for cohort in ("cdd-cesm", "cdd-cesm-cm"):
        assert classes_of(cohort) == ("irregular", "oval", "round")
    assert classes_of("not-at-hand") == SHAPES


@pytest.mark.parametrize(
    ("patients", "shapes", "classes"),
    [
        (12, {}, ("irregular", "round")),
        (10, {}, ("irregular", "round")),
        (9, {}, ()),  # four round patients: too few for five folds, and one class is none
        (12, {"P0": "lobular"}, ("irregular", "round")),
        (20, {f"P{k}": "oval" for k in (0, 2, 4, 6, 8)}, ("irregular", "oval", "round")),
        (20, {f"P{k}": "oval" for k in (0, 2, 4, 6)}, ("irregular", "round")),
        (12, {f"P{k}": None for k in range(12)}, ()),
    ],
)
def test_classes_of_an_own_cohort_have_a_patient_a_fold(own, patients, shapes, classes):
    own(patients, **shapes)
    assert classes_of("tiny") == classes


def test_without_shapes_a_page_asks_for_nothing(own):
    own(**{f"P{k}": None for k in range(12)})
    for question in QUESTIONS:
        assert not any(question("tiny", "quick").values())
    own()
    assert all(shape_recipes.headline("tiny", "quick").values())  # control


def test_a_faulty_manifest_is_not_taken_for_missing_data(own):
    path = own() / "manifest.csv"
    path.write_text(path.read_text().replace("round", "blob", 1))
    with pytest.raises(DataError, match="blob") as caught:
        classes_of("tiny")
    assert not isinstance(caught.value, MissingDataError)


@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm"])
@pytest.mark.parametrize("preset", list(recipes.PRESETS))
def test_presets_say_how_much_is_trained(cohort, preset):
    folds = 2 if preset == "smoke" else 5
    few = 1 if preset in ("smoke", "quick") else 5
    named = shape_recipes.headline(cohort, preset)
    assert list(named) == [PAPER, STUDY]
    for specs in named.values():
        assert [spec.split.fold for spec in specs] == list(range(folds))
        assert [spec.seed for spec in specs] == list(range(folds))
        assert {spec.split.folds for spec in specs} == {5}
        assert {spec.training.epochs for spec in specs} == {shape_recipes.EPOCHS[preset]}
    assert [spec.evaluation.explain for spec in named[STUDY]] == [True] + [False] * (folds - 1)
    assert not any(spec.evaluation.explain for spec in named[PAPER])
    for row, specs in shape_recipes.alternatives(cohort, preset).items():
        network = shape_recipes.ALTERNATIVES[row] in NETWORKS
        without = row == "CNN on the grey ROI" and cohort == "cdd-cesm"
        assert len(specs) == (0 if without else few if network else folds), row
        assert {spec.classifier for spec in specs} <= {shape_recipes.ALTERNATIVES[row]}
    ablated = shape_recipes.ablations(cohort, preset)
    assert len(ablated) == (1 if preset == "smoke" else len(shape_recipes.ABLATIONS))
    assert {len(specs) for specs in ablated.values()} == {few}


@pytest.mark.parametrize("preset", ["quick", "reference"])
def test_an_ablation_changes_one_field_of_the_papers_recipe(preset):
    paper = shape_recipe("cdd-cesm", preset).model_dump()
    changed = {}
    for row, specs in shape_recipes.ablations("cdd-cesm", preset).items():
        other = specs[0].model_dump()
        assert other.pop("variant") == "alternative"
        changed[row] = [
            f"{room}.{name}" if isinstance(value, dict) else room
            for room, value in other.items()
            for name in (value if isinstance(value, dict) else [room])
            if (value[name] if isinstance(value, dict) else value)
            != (paper[room][name] if isinstance(value, dict) else paper[room])
        ]
    assert all(len(fields) == 1 for fields in changed.values()), changed
    assert changed["aspect kept"] == ["input.placement"]


def test_the_two_variants():
    paper, study = (shape_recipe("phantom", "reference", name) for name in (PAPER, STUDY))
    assert (paper.variant, study.variant) == (PAPER, STUDY)
    assert (paper.input.placement, paper.training.weighting) == ("stretch", "published")
    assert (study.input.placement, study.training.weighting) == ("square", "inverse")
    assert (paper.training.rotate, study.training.rotate) == (False, True)
    assert paper.training.epochs == study.training.epochs == shape_recipes.PUBLISHED_EPOCHS


def test_phantoms_use_the_segmenter_of_other_patients():
    spec = shape_recipe("phantom", "quick")
    assert spec.cohort == "phantom-shapes"
    assert spec.input.source == "segmenter"
    assert spec.evaluation.sources == ("segmenter",)
    assert spec.segmenter == (recipes.recipe("phantom", "quick", "study"),)


def test_outlines_are_classified_as_drawn():
    spec = shape_recipe("cdd-cesm", "quick")
    assert (spec.cohort, spec.input.source, spec.segmenter) == ("cdd-cesm-contours", "truth", ())
    assert shape_recipes.cross("cdd-cesm", "reference") == {}
    tools = shape_recipes.tools("cdd-cesm", "reference")
    assert tools["all tools"] == shape_recipes.headline("cdd-cesm", "reference")[PAPER]
    assert {spec.input.tool for spec in tools["polygon only"]} == {"polygon"}
    assert {(s.target, s.classes) for s in tools[shape_recipes.TOOL]} == {("tool", TOOLS)}
    assert shape_recipes.tools("phantom", "reference") == {}


@pytest.mark.parametrize(("preset", "rows"), [("smoke", 3), ("quick", 6), ("reference", 6)])
def test_cross_trains_on_each_source_and_tests_on_all(preset, rows):
    named = shape_recipes.cross("phantom", preset)
    assert len(named) == rows
    for row, specs in named.items():
        source, kind = row.split(", ")
        assert {spec.input.source for spec in specs} == {source}
        assert {spec.evaluation.sources for spec in specs} == {SOURCES}
        assert {spec.classifier == "cnn" for spec in specs} == {kind == "CNN"}


def test_every_mass_of_an_own_cohort_is_marked_by_a_segmenter_that_has_not_seen_it(own):
    own(12)
    masses = load_cohort("tiny").masses
    runs = shape_recipe("tiny", "quick").segmenter
    assert {run.cohort for run in runs} == {"tiny"}
    tested: list[str] = []
    for run in runs:
        split = split_cases(masses, **run.split.model_dump())
        tested += split.test
        assert not set(split.test) & {*split.train, *split.validation}
    assert sorted(tested) == sorted(masses.index)


def test_the_folds_share_no_patient_and_test_each_once(own):
    own(20)
    masses = load_cohort("tiny").masses
    tested: list[str] = []
    for spec in shape_folds("tiny", "quick"):
        split = split_cases(masses, **spec.split.model_dump())
        patients = [set(masses.loc[list(part), "patient"]) for part in split.parts().values()]
        assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]
        assert set(masses.loc[list(split.train), "shape"]) == {"irregular", "round"}
        tested += split.test
    assert sorted(tested) == sorted(masses.index)


def test_the_crops_share_no_patient_with_the_mammograms_of_their_segmenter(tmp_path):
    write_shapes(tmp_path / "crops", patients=4)
    write_phantom(tmp_path / "views", patients=4)
    tables = [pd.read_csv(tmp_path / name / "manifest.csv") for name in ("crops", "views")]
    for column in ("patient", "image_sha256"):
        assert not set(tables[0][column]) & set(tables[1][column])


def test_changes_reach_every_fold():
    specs = shape_folds("cdd-cesm", "reference", folds=3, training__epochs=7)
    assert [spec.split.fold for spec in specs] == [0, 1, 2]
    assert {spec.training.epochs for spec in specs} == {7}
    assert shape_folds("cdd-cesm", "reference", folds=0) == []


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: shape_recipe("phantom", "huge"), "preset 'huge' is unknown; use one of smoke"),
        (lambda: shape_folds("phantom", "huge"), "preset 'huge' is unknown"),
        *((lambda q=q: q("cdd-cesm", "huge"), "preset 'huge' is unknown") for q in QUESTIONS[:3]),
        (lambda: shape_recipe("phantom", "quick", "released"), "'released' is unknown.*study"),
        (lambda: shape_recipe("phantom", "quick", input__zoom=2), "input__zoom"),
        (lambda: shape_recipe("phantom", "quick", training__epochs=0), r"training\.epochs"),
        (lambda: shape_recipe("phantom", "quick", segmenter=()), "no run of one is named"),
    ],
)
def test_what_is_unknown_is_refused(ask, said):
    with pytest.raises(SpecError, match=said):
        ask()


def test_what_is_kept_can_be_read_back():
    for question in QUESTIONS:
        for specs in question("phantom", "quick").values():
            for spec in specs:
                assert ShapeSpec.parse(spec.model_dump(mode="json")) == spec


def test_the_cut_of_epochs_is_named() -> None:
    quick = shape_recipes.budget("quick")
    assert f"for {shape_recipes.EPOCHS['quick']} epochs a fold, cut from the 50 published" in quick
    assert quick.endswith("on all 5 folds; other networks on 1 of them.")
    assert "50 epochs a fold, as published, on all 5 folds." in shape_recipes.budget("paper")
    with pytest.raises(SpecError, match="'huge'"):
        shape_recipes.budget("huge")
