"""Whole mammograms: the boxes of the record, each mass once, none found said so, nobody named."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

import mammostudy
from mammostudy import cli, detect_inference, inference
from mammostudy.data.load import load_cohort
from mammostudy.data.views import views_of
from mammostudy.detect_inference import (
    SAME_MASS,
    FoundBox,
    OperatingPoint,
    boxes_in,
    detection_record_for,
    detection_records,
    found_boxes,
    operating_point,
)
from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.boxes import pairwise_iou
from mammostudy.inference import newest_study_record, predict, save_prediction
from mammostudy.predict_command import predict_image
from mammostudy.prediction_files import OUTPUTS
from mammostudy.predictions import Findings, mask_value
from mammostudy.runs.execute import execute
from mammostudy.runs.record import Record, weights_path
from mammostudy.runs.trained import trained_model
from mammostudy.shape_inference import NO_MODEL
from mammostudy.study.recipes import detect_recipe

if TYPE_CHECKING:
    from tests.conftest import Trained

SHAPE = (48, 64)
VIEW = "P1_MLO_1"


@dataclass(frozen=True)
class Search:
    """A store with a detector of a few steps and a segmenter, and the detector's record."""

    store: Path
    record: Record


@pytest.fixture(scope="module")
def _detector(
    tmp_path_factory: pytest.TempPathFactory, write_cohort: Callable[..., Path]
) -> Search:
    data, store = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("detector")
    write_cohort(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(store))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        return Search(store, execute(detect_recipe("tiny", "smoke"), progress=False))


@pytest.fixture
def search(
    _detector: Search, trained: Trained, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Search:
    for store in (_detector.store, trained.store):
        for room in ("records", "weights"):
            shutil.copytree(store / room, own_store / room, dirs_exist_ok=True)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    folder = own_store / "records" / "tiny" / _detector.record.key
    return Search(own_store, replace(_detector.record, folder=folder))


@pytest.fixture
def image() -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(5).standard_normal(SHAPE), (0, 0), 3)
    pixels = 0.35 + 1.2 * noise
    cv2.ellipse(pixels, (22, 19), (6, 5), 0, 0, 360, 0.8, -1)
    return np.clip(pixels, 0, 1).astype(np.float32)


def works_at(monkeypatch: pytest.MonkeyPatch, threshold: float) -> None:
    """Let the detector work at a threshold: one of a few steps has none of its own to speak of."""
    point = OperatingPoint(threshold, 1.0, 0.5)
    monkeypatch.setattr(inference, "operating_point", lambda _: point)


@pytest.fixture
def several(search: Search, monkeypatch: pytest.MonkeyPatch) -> Search:
    works_at(monkeypatch, 0.0)
    return search


def copied(search: Search, key: str, **changes: object) -> None:
    folder = search.store / "records" / "tiny" / key
    shutil.copytree(search.record.folder, folder)
    content = json.loads((folder / "record.json").read_text())
    content["provenance"]["finished"] = changes.pop("finished", "2030-01-01T00:00:00Z")
    for name, value in dict(changes.pop("spec", {})).items():  # type: ignore[call-overload]
        part = content["spec"].get(name)
        content["spec"][name] = part | value if isinstance(part, dict) else value
    (folder / "record.json").write_text(json.dumps(content | changes | {"key": key}))


def test_the_boxes_are_those_of_the_records_rows(search: Search) -> None:
    """A test view searched again gives the boxes that its rows of the record hold."""
    cohort, record = load_cohort("tiny"), search.record
    rows = record.part("test").query("row == 'box'")
    model = trained_model(record)
    names = [name for name in views_of(cohort).names if name in set(rows["view"])]
    assert len(names) > 1
    for name in names:
        of = rows[rows["view"] == name]
        pixels = cohort.image(cohort.manifest.set_index("case", drop=False).loc[name])
        boxes, scores = boxes_in(pixels, model, record.spec)
        np.testing.assert_allclose(scores, of["score"], rtol=2e-4)
        edges = of[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
        np.testing.assert_allclose(boxes, edges, atol=0.11)


def test_the_operating_point_is_the_validation_views(search: Search) -> None:
    point = operating_point(search.record)
    rows = search.record.part("validation")
    views = (rows["row"] == "view").sum()
    counted = rows[(rows["row"] == "box") & (rows["score"] >= point.threshold)]
    assert (counted["iou25"] == -1).sum() <= views
    masses = (rows["row"] == "mass").sum()
    assert point.sensitivity == pytest.approx((counted["iou25"] >= 0).sum() / masses)
    assert (point.false_positives, point.rule) == (1.0, "iou25")
    loose = operating_point(search.record, 8.0)
    assert loose.threshold <= point.threshold
    assert loose.sensitivity >= point.sensitivity


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "expected"),
    [
        ([], [], 0.0, []),
        ([(10, 10, 20, 20)], [0.4], 0.5, []),
        ([(10, 10, 20, 20)], [0.5], 0.5, [((10, 10, 20, 20), 0.5)]),
        ([(10, 10, 20, 20)], [0.5], np.inf, []),
        # IoU 1/3 of the best: the same mass, whatever the order in which they come
        ([(15, 10, 25, 20), (10, 10, 20, 20)], [0.6, 0.9], 0.5, [((10, 10, 20, 20), 0.9)]),
        # IoU 1/4 exactly is another mass
        ([(10, 10, 20, 20), (16, 10, 26, 20)], [0.9, 0.6], 0.5,
         [((10, 10, 20, 20), 0.9), ((16, 10, 26, 20), 0.6)]),
        # the third overlaps only the second, which is dropped itself: it stays
        ([(10, 10, 20, 20), (14, 10, 24, 20), (18, 10, 28, 20)], [0.9, 0.8, 0.7], 0.5,
         [((10, 10, 20, 20), 0.9), ((18, 10, 28, 20), 0.7)]),
        # edges are rounded, and stay inside
        ([(9.6, 10.4, 63.9, 48.0)], [0.9], 0.5, [((10, 10, 64, 48), 0.9)]),
        ([(62.8, 47.6, 64.0, 48.0)], [0.9], 0.5, [((63, 47, 64, 48), 0.9)]),
    ],
)  # fmt: skip
def test_each_mass_once(
    boxes: list[tuple[float, ...]], scores: list[float], threshold: float,
    expected: list[tuple[tuple[int, ...], float]],
) -> None:  # fmt: skip
    array = np.array(boxes, float).reshape(-1, 4)
    found = found_boxes(array, np.array(scores), threshold, SHAPE)
    assert found == [FoundBox(box, score) for box, score in expected]  # type: ignore[arg-type]


def test_an_iou_of_a_quarter_is_the_limit() -> None:
    assert pairwise_iou([(10, 10, 20, 20)], [(16, 10, 26, 20)]) == pytest.approx(SAME_MASS)


def test_every_mass_is_outlined_as_in_a_box_given_by_hand(
    several: Search, image: np.ndarray
) -> None:
    found = mammostudy.predict(image)
    assert isinstance(found, Findings)
    assert len(found) == len(found.masses) >= 2
    assert found.detector.key == several.record.key
    scores = [one.score for one in found.masses]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert found.best_score == scores[0]
    for one in found.masses:
        by_hand = predict(image, one.box)
        np.testing.assert_array_equal(one.mask, by_hand.mask)
        assert one.shape_note == by_hand.shape_note
        assert by_hand.score is None
        assert by_hand.summary() == one.summary() | {"box_from": "user"}
    boxes = np.array([one.box for one in found.masses])
    overlap = pairwise_iou(boxes, boxes) - np.eye(len(boxes))
    assert overlap.max() <= SAME_MASS + 0.1  # of the rounded boxes of 48 x 64 pixels


def test_none_found_is_no_error(
    search: Search, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works_at(monkeypatch, 0.999999)
    found = predict(image)
    assert found.masses == ()
    assert not found.mask.any()
    assert found.none_found().startswith("no mass found: no box reached the score 1")
    assert f"best box {found.best_score:.3g}" in found.none_found()
    paths = save_prediction(found, tmp_path / "out")
    content = json.loads(paths[2].read_text())
    assert (content["masses"], content["threshold"]) == ([], 0.999999)
    assert 0 < content["best_score"] < 0.999999
    assert not cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED).any()


def test_a_detector_without_an_operating_point_finds_nothing(
    search: Search, image: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works_at(monkeypatch, np.inf)
    found = predict(image)
    assert found.masses == ()
    assert "train it longer" in found.none_found()
    content = json.loads(save_prediction(found, tmp_path / "out")[2].read_text())
    assert content["threshold"] is None


def test_outputs_of_several_masses(several: Search, image: np.ndarray, tmp_path: Path) -> None:
    found = predict(image)
    paths = save_prediction(found, tmp_path / "out")
    assert [path.name for path in paths] == list(OUTPUTS)
    mask = cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask > 0, np.any([one.mask for one in found.masses], axis=0))
    assert cv2.imread(str(paths[1])).shape == (*SHAPE, 3)
    content = json.loads(paths[2].read_text())
    assert [one["mask_value"] for one in content["masses"]][:3] == [255, 243, 231]
    seen = np.zeros(SHAPE, bool)
    for one, said in zip(found.masses, content["masses"], strict=True):
        np.testing.assert_array_equal(mask == said["mask_value"], one.mask & ~seen)
        seen |= one.mask
        assert said["box"] == list(one.box)
        assert (said["score"], said["area_px"]) == (one.score, int(one.mask.sum()))
        assert said["shape"] is None
        assert said["shape_note"]
    detector = content["detector"]
    assert (detector["model"], detector["trained_on"]) == (several.record.key, "tiny")
    assert (detector["trained_iterations"], detector["name"]) == (4, "ssd-light")
    assert content["segmenter"]["model"] == found.segmenter.key
    assert (content["threshold"], content["rule"], content["box_from"]) == (
        0.0,
        "iou25",
        "detector",
    )
    assert "not a medical device" in content["note"]


def test_grey_values_of_masses_differ() -> None:
    values = [mask_value(at) for at in range(20)]
    assert values[0] == 255
    assert values == sorted(set(values), reverse=True)
    assert values[-1] > 0


def test_outputs_name_no_person_and_no_file(
    several: Search, image: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "doe_jane_19500101.png"
    cv2.imwrite(str(path), np.round(255 * image).astype(np.uint8))
    for output in save_prediction(predict(path), tmp_path / "out", path):
        for word in ("doe", "jane", "19500101", str(tmp_path)):
            assert word.encode() not in output.read_bytes()
            assert word not in output.name


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (300, 7), (48, 64)])
@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_images_without_anything_in_them(
    several: Search, shape: tuple[int, int], grey: float, tmp_path: Path
) -> None:
    found = predict(np.full(shape, grey, np.float32))
    for one in found.masses:
        x_min, y_min, x_max, y_max = one.box
        assert 0 <= x_min < x_max <= shape[1]
        assert 0 <= y_min < y_max <= shape[0]
    save_prediction(found, tmp_path / "out")


def test_the_random_state_is_left_alone(several: Search, image: np.ndarray) -> None:
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = predict(image)
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(predict(image).values, first.values)


def test_the_newest_of_a_full_budget_comes_first(search: Search) -> None:
    copied(search, "old", finished="2020-01-01T00:00:00Z")
    copied(search, "new", finished="2028-01-01T00:00:00Z")
    copied(search, "fold", finished="2027-01-01T00:00:00Z", spec={"split": {"fold": 1}, "seed": 1})
    copied(search, "ablation", spec={"training": {"augment": False}})
    copied(search, "short", finished="2029-01-01T00:00:00Z", spec={"training": {"iterations": 3}})
    copied(search, "other", spec={"variant": "alternative"})
    copied(search, "diverged", status="diverged")
    copied(search, "untrained", training_key="nothing")
    copied(search, "broken")
    (search.store / "records" / "tiny" / "broken" / "record.json").write_text("{")
    keys = [record.key for record in detection_records()]
    assert keys == ["new", "fold", search.record.key, "old", "ablation", "short"]
    assert detection_record_for().key == "new"


def test_a_named_detector(search: Search, image: np.ndarray) -> None:
    copied(search, "other-run", spec={"variant": "alternative"})
    named = detection_record_for("other")
    assert named.key == "other-run"
    assert predict(image, detection_record=named).detector.key == "other-run"
    for wrong in ("nobody", ""):
        with pytest.raises(DataError, match=f"detector '{wrong}'.*other-run, {search.record.key}"):
            detection_record_for(wrong)


def test_without_a_detector_the_message_says_how_to_make_one(
    trained: Trained, image: np.ndarray
) -> None:
    with pytest.raises(DataError, match=r"mammostudy run detection --preset quick.*--box") as error:
        predict(image)
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"\(none: `mammostudy run detection --preset quick`"):
        detection_record_for("abc")


def test_without_a_segmenter_the_message_says_how_to_make_one(
    search: Search, image: np.ndarray
) -> None:
    shutil.rmtree(search.store / "records" / "tiny" / newest_study_record().key)
    with pytest.raises(DataError, match="mammostudy run losses --preset quick"):
        predict(image)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_weights_are_one_clear_error(damage: str, search: Search) -> None:
    path = weights_path(str(search.record.content["training_key"]))
    whole = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"safetensors: the weights of detection run"):
        trained_model(search.record)


def test_a_segmenter_of_the_detectors_cohort_comes_first(search: Search) -> None:
    ours = newest_study_record()
    elsewhere = search.store / "records" / "cdd-cesm" / "newer"
    shutil.copytree(ours.folder, elsewhere)
    content = json.loads((elsewhere / "record.json").read_text())
    content["spec"]["cohort"] = "cdd-cesm"
    content["provenance"]["finished"] = "2030-01-01T00:00:00Z"
    (elsewhere / "record.json").write_text(json.dumps(content | {"key": "newer"}))
    assert newest_study_record().key == "newer"
    assert newest_study_record(search.record).key == ours.key
    views = search.record.spec.changed(cohort="cdd-cesm-views").model_dump(mode="json")
    real = replace(search.record, content=search.record.content | {"spec": views})
    assert newest_study_record(real).key == "newer"


def test_a_box_and_a_detector_exclude_each_other(search: Search, image: np.ndarray) -> None:
    with pytest.raises(DataError, match="a box and a detector"):
        predict(image, (1, 1, 9, 9), detection_record=search.record)  # type: ignore[call-overload]
    with pytest.raises(SpecError, match="--box and --detector"):
        predict_image(Path("a.png"), "1,1,9,9", Path("out"), "abc")


def command(
    image: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, list[str]]:
    path = folder / "a.png"
    cv2.imwrite(str(path), np.round(255 * image).astype(np.uint8))
    out = str(folder / "out")
    monkeypatch.setattr(sys, "argv", ["mammostudy", "predict", str(path), "--out", out, *words])
    for name in ("OMP_WAIT_POLICY", "OPENCV_LOG_LEVEL"):  # main sets them where they are not
        monkeypatch.setenv(name, os.environ.get(name, ""))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), sorted(p.name for p in (folder / "out").iterdir())


def test_the_command_lists_the_masses(
    several: Search, image: np.ndarray, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert command(image, tmp_path, monkeypatch) == (0, sorted(OUTPUTS))
    printed = capsys.readouterr()
    masses = json.loads((tmp_path / "out" / "prediction.json").read_text())["masses"]
    lines = printed.out.splitlines()[3:]
    assert len(lines) == len(masses)
    edges = ",".join(map(str, masses[0]["box"]))
    assert lines[0] == f"mass 1: score {masses[0]['score']:.2f}, box {edges}"
    assert printed.err == f"shape not told: {NO_MODEL}\n"


def test_the_command_says_that_none_was_found(
    search: Search, image: np.ndarray, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    works_at(monkeypatch, 0.999999)
    words = ("--detector", search.record.key[:6])
    assert command(image, tmp_path, monkeypatch, *words) == (0, sorted(OUTPUTS))
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("no mass found: no box reached")
    assert printed.err == ""


def test_control_without_the_dropping_a_mass_is_found_twice(
    several: Search, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = len(predict(image))
    monkeypatch.setattr(detect_inference, "SAME_MASS", 1.0)
    assert len(predict(image)) > once
