"""Which detection runs a page asks for: budgets, folds, and one field an ablation."""

from __future__ import annotations

import pytest

from mammostudy.errors import SpecError
from mammostudy.runs.detect_spec import PRIOR, PYRAMIDS, DetectSpec
from mammostudy.study import detect_recipes as module
from mammostudy.study.detect_recipes import (
    ABLATIONS,
    DETECTORS,
    EQUAL,
    EQUAL_SECONDS,
    LIGHT,
    LONG,
    NARROW_STEP,
    NO_FREE,
    PRIOR_ROW,
    SSD300,
    SSD300_NORM,
    STEP_SECONDS,
    STRETCH,
    ablations,
    comparison,
    detect_cohort,
    detect_folds,
    detect_recipe,
    equal_steps,
    every,
    has_equal_sides,
    headline,
    longer,
    priors,
)
from mammostudy.study.recipes import PRESETS, recipe


@pytest.mark.parametrize(
    ("page", "cohort", "equal_sides"),
    [
        ("cdd-cesm", "cdd-cesm-views", True),
        ("cdd-cesm-cm", "cdd-cesm-cm", True),
        ("cdd-cesm-archive", "cdd-cesm-archive", False),  # images as the archive has them
        ("phantom", "phantom", False),
        ("mine", "mine", False),
    ],
)
def test_a_page_searches_the_views_of(page: str, cohort: str, equal_sides: bool) -> None:
    assert detect_cohort(page) == cohort
    assert has_equal_sides(page) == equal_sides
    assert (STRETCH in ablations(page, "reference")) != equal_sides
    assert {spec.cohort for spec in every(page, "quick")} == {cohort}


@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm", "mine"])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_run_once_and_those_of_each_question(cohort: str, preset: str) -> None:
    runs = every(cohort, preset)
    assert len(runs) == len(set(runs))
    asked = [*headline(cohort, preset), *priors(cohort, preset)]
    named = [*comparison(cohort, preset).values(), longer(cohort, preset)]
    named.append(ablations(cohort, preset))
    asked += [spec for each in named for specs in each.values() for spec in specs]
    assert set(asked) == set(runs)
    assert {spec.split for spec in asked} == {
        recipe(cohort, preset).split.model_copy(update={"fold": spec.split.fold}) for spec in asked
    }
    for spec in runs:
        assert DetectSpec.parse(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("cohort", "preset", "folds"),
    [("phantom", "reference", [0]), ("cdd-cesm", "reference", [0, 1, 2]),
     ("cdd-cesm", "quick", [0]), ("mine", "paper", [0, 1, 2])],
)  # fmt: skip
def test_the_headline_and_the_prior_over_the_folds(
    cohort: str, preset: str, folds: list[int]
) -> None:
    for specs in (headline(cohort, preset), priors(cohort, preset)):
        assert [spec.split.fold for spec in specs] == folds
        assert [spec.seed for spec in specs] == folds
        assert len({spec.split.seed for spec in specs}) == 1
    assert {spec.variant for spec in headline(cohort, preset)} == {"study"}
    assert all(spec.detector.name == "ssd-light" for spec in headline(cohort, preset))
    assert all(spec.detector.name == PRIOR for spec in priors(cohort, preset))
    assert {spec.variant for spec in priors(cohort, preset)} == {"baseline"}


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_headline_is_the_light_row_of_the_long_budget(preset: str) -> None:
    long = comparison("cdd-cesm", preset)[LONG]
    assert long[LIGHT] == headline("cdd-cesm", preset)[:1]


def test_detectors_of_a_budget_cost_the_same() -> None:
    for preset in EQUAL_SECONDS:
        rows = comparison("cdd-cesm", preset)[EQUAL]
        for row, (spec,) in rows.items():
            narrow = spec.detector.width < 32
            step = NARROW_STEP if row == LIGHT and narrow else STEP_SECONDS[row]
            spent = spec.training.iterations * step
            assert spent == pytest.approx(EQUAL_SECONDS[preset], rel=0.03), row
            assert spec.training.batch == 4  # what a step was measured with
    assert set(comparison("cdd-cesm", "reference")[EQUAL]) == set(DETECTORS) == set(STEP_SECONDS)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_long_budget_is_no_shorter(preset: str) -> None:
    budgets = comparison("cdd-cesm", preset)
    for row, (spec,) in budgets[EQUAL].items():
        if row in budgets[LONG]:
            assert budgets[LONG][row][0].training.iterations > spec.training.iterations


def test_detectors_differ_in_what_their_budget_and_kind_ask_for_alone() -> None:
    for row, name in DETECTORS.items():
        spec = detect_recipe("cdd-cesm", "reference", row)
        assert spec.detector.name == name
        small = name in PYRAMIDS
        assert spec.detector.trunk == ("resnet18" if small else "resnet50")
        assert spec.detector.weights == "none"
        if row == SSD300:
            shown = (300, "stretch", "default", False)
        else:
            shown = (256, "letterbox", "cohort", True)
        detector = spec.detector
        assert (
            detector.size, detector.aspect, detector.anchors, detector.negatives_on_empty
        ) == shown  # fmt: skip
        assert spec.training.mass_free
        assert spec.training.augment
        variant = {SSD300: "paper", LIGHT: "study"}.get(row, "alternative")
        assert spec.variant == variant
    assert detect_recipe("mine", "paper", "RetinaNet").detector.trunk == "resnet50"


def test_ssd300_with_batch_norm_stands_beside_the_published_one() -> None:
    """The trunk's batch norm, the cohort's boxes, a letterbox, and views with a mass alone."""
    long = comparison("cdd-cesm", "reference")[LONG]
    ((published,), (normed,)) = long[SSD300], long[SSD300_NORM]
    assert (published.detector.batch_norm, normed.detector.batch_norm) == (False, True)
    assert (published.variant, normed.variant) == ("paper", "alternative")
    seen = {"anchors": "cohort", "aspect": "letterbox", "negatives_on_empty": True}
    detector = published.detector.model_dump() | seen | {"batch_norm": True}
    assert normed.detector.model_dump() == detector
    assert published.training.mass_free
    assert not normed.training.mass_free
    assert SSD300_NORM not in comparison("cdd-cesm", "reference")[EQUAL]
    (spent,) = comparison("cdd-cesm", "paper")[LONG][SSD300_NORM]
    assert (spent.training.batch, spent.training.mass_free) == (4, True)
    assert equal_steps(SSD300_NORM, "reference") == equal_steps(SSD300, "reference")


def test_a_longer_training_changes_the_steps_alone() -> None:
    rows = longer("cdd-cesm", "reference")
    assert LIGHT in rows
    for row, (spec,) in rows.items():
        (long,) = comparison("cdd-cesm", "reference")[LONG][row]
        steps = 2 * long.training.iterations
        assert spec == long.changed(training__iterations=steps)
    assert longer("phantom", "quick") == {}


@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm"])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_an_ablation_changes_one_field_of_the_light_ssd(cohort: str, preset: str) -> None:
    steps = None if preset == "paper" else equal_steps(LIGHT, preset)
    base = detect_recipe(cohort, preset, LIGHT, steps)
    rows = ablations(cohort, preset)
    assert rows
    assert all(len(specs) == 1 for specs in rows.values())
    for row, (spec,) in rows.items():
        ((field, value),) = ABLATIONS[row].items()
        room, name = field.split("__")
        assert spec == base.changed(**{field: value})
        assert getattr(getattr(base, room), name) != value
    if preset != "paper":
        assert base == comparison(cohort, preset)[EQUAL][LIGHT][0]  # what they are compared with


def test_changes_reach_every_fold() -> None:
    (specs,) = detect_folds(
        "cdd-cesm", "reference", split__seed=4, training__augment=False
    ).values()
    assert len(specs) == 3
    assert {spec.split.seed for spec in specs} == {4}
    assert not any(spec.training.augment for spec in specs)
    changed = detect_recipe("phantom", "smoke", PRIOR_ROW, split__fold=1)
    assert changed.split.fold == 1


def test_steps_that_are_told() -> None:
    assert detect_recipe("phantom", "quick", LIGHT, 7).training.iterations == 7
    without = detect_recipe("phantom", "quick", "RetinaNet")  # not in quick's long budget
    assert without.training.iterations == equal_steps("RetinaNet", "quick")
    with pytest.raises(SpecError, match=r"training\.iterations"):
        detect_recipe("phantom", "quick", LIGHT, 0)


@pytest.mark.parametrize("preset", ["smoke", "quick"])
def test_small_presets_stay_light(preset: str) -> None:
    runs = every("phantom", preset)
    assert {spec.detector.name for spec in runs} <= {"ssd-light", "ssdlite-mobilenetv3", PRIOR}
    assert all(spec.split.fold == 0 for spec in runs)
    spent = sum(spec.training.iterations for spec in runs)
    assert spent < (40 if preset == "smoke" else 8000)
    assert all(spec.detector.size <= 256 for spec in runs if not spec.is_baseline)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: detect_recipe("phantom", "huge"), "preset 'huge' is unknown; use one of smoke"),
        (lambda: every("phantom", "huge"), "preset 'huge'"),
        (lambda: longer("phantom", "huge"), "preset 'huge'"),
        (lambda: comparison("phantom", "huge"), "preset 'huge'"),
        (lambda: detect_recipe("phantom", "quick", "YOLO"), "'YOLO' is unknown: .*fixed prior box"),
        (lambda: equal_steps("YOLO", "quick"), "detector 'YOLO' is unknown"),
        (lambda: equal_steps(PRIOR_ROW, "quick"), "'fixed prior box' is unknown"),
        (lambda: equal_steps(LIGHT, "paper"), "preset 'paper' has no budget of equal time"),
        (lambda: detect_recipe("phantom", "quick", LIGHT, detector__zoom=2), "detector__zoom"),
        (lambda: detect_recipe("phantom", "quick", PRIOR_ROW, detector__anchors="default"),
         r"detector\.anchors"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_refused(ask, said) -> None:
    with pytest.raises(SpecError, match=said):
        ask()


def test_numbers_of_the_ablations_are_told_by_preset() -> None:
    assert set(ablations("mine", "reference")) == set(ABLATIONS)
    assert NO_FREE in ablations("cdd-cesm", "reference")
    assert module.VERSION >= 1
