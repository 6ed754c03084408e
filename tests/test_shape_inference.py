"""The shape of a mask: probabilities that sum to one, and one clear word where there are none."""

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
import torch
from numpy.typing import NDArray

from mammostudy import cli, inference, shape_inference
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.inference import Prediction, predict, save_prediction
from mammostudy.runs.execute import execute
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.runs.record import Record, weights_path
from mammostudy.shape_inference import NO_MASK, NO_MODEL, shape_of, shape_record_for, shape_records

if TYPE_CHECKING:
    from tests.conftest import Trained

BOX = (16, 14, 29, 25)
CLASSES = ("irregular", "round")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Model:
    """A data folder, and a store with one trained ``study`` shape model."""

    data: Path
    store: Path
    record: Record


@pytest.fixture(scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory, write_cohort: Callable[..., Path]) -> Model:
    data, store = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("shapes")
    write_cohort(data, patients=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(store))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        spec = ShapeSpec.parse(
            {
                "cohort": "tiny", "variant": "study", "classes": CLASSES,
                "split": {"folds": 3, "validation_folds": 3}, "input": {"placement": "square"},
                "training": {"epochs": 2, "batch": 8},
            }
        )  # fmt: skip
        return Model(data, store, execute(spec, progress=False))


@pytest.fixture
def model(_model: Model, own_store: Path) -> Model:
    """The model in a store of this test alone."""
    shutil.copytree(_model.store / "records", own_store / "records")
    shutil.copytree(_model.store / "weights", own_store / "weights")
    folder = own_store / "records" / "tiny" / _model.record.key
    return Model(_model.data, own_store, replace(_model.record, folder=folder))


@pytest.fixture
def both(model: Model, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A store with a segmenter and the shape model."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(model.store))
    for room in ("records", "weights"):
        shutil.copytree(trained.store / room, model.store / room, dirs_exist_ok=True)
    return model


@pytest.fixture
def image() -> NDArray[np.float32]:
    noise = cv2.GaussianBlur(np.random.default_rng(5).standard_normal((48, 64)), (0, 0), 3)
    pixels = 0.35 + 1.2 * noise
    cv2.ellipse(pixels, (22, 19), (6, 5), 0, 0, 360, 0.8, -1)
    return np.clip(pixels, 0, 1).astype(np.float32)


def disc(side: int = 80, diameter: float = 40) -> Mask:
    at = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(*np.meshgrid(at, at)) <= diameter / 2, dtype=bool)


def test_probabilities_of_a_disc_sum_to_one(model: Model) -> None:
    found = shape_of(disc(), model.record)
    assert tuple(found.probabilities) == CLASSES
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in found.probabilities.values())
    assert found.record is model.record


def test_place_size_and_crumbs_do_not_matter(model: Model) -> None:
    first = shape_of(disc(80, 40), model.record).probabilities
    moved = np.pad(disc(80, 40), ((30, 0), (0, 50)))
    moved[:2, :2] = True
    assert shape_of(moved, model.record).probabilities == pytest.approx(first)
    large = shape_of(disc(320, 160), model.record).probabilities
    assert large == pytest.approx(first, abs=0.05)


def test_probabilities_are_those_of_the_records_rows(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test mask asked for again gets the probability that its row of the record says."""
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(model.data))
    cohort = load_cohort("tiny")
    test = model.record.cases.query("part == 'test'")
    expected = apply_temperature(model.record.logits(test), model.record.temperature)
    for case, shares in zip(test["case"], expected, strict=True):
        found = shape_of(cohort.mask(case), model.record)
        np.testing.assert_allclose(list(found.probabilities.values()), shares, atol=2e-3)


def test_the_temperature_flattens(model: Model) -> None:
    def surest(temperature: float) -> float:
        told = replace(model.record, content={**model.record.content, "temperature": temperature})
        return max(shape_of(disc(), told).probabilities.values())

    assert surest(0.5) > surest(1.0) > surest(5.0) > 0.5


def test_the_random_state_is_left_alone(model: Model) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = shape_of(disc(), model.record)
    assert torch.equal(torch.rand(3), expected)
    assert shape_of(disc(), model.record).probabilities == first.probabilities


def test_an_empty_mask_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match="is empty: it has no shape"):
        shape_of(np.zeros((40, 40), bool), model.record)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "another"])
def test_damaged_weights_are_one_clear_error(damage: str, model: Model) -> None:
    record = model.record
    path = weights_path(str(record.content["training_key"]))
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "another":  # of a network of more classes
        wide = record.spec.changed(classes=("irregular", "oval", "round")).model_dump(mode="json")
        record = replace(record, content={**record.content, "spec": wide})
    else:
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"safetensors: the weights of shape run") as e:
        shape_of(disc(), record)
    assert "\n" not in str(e.value)


def copied(model: Model, key: str, **changes: object) -> None:
    """Copy the record under another key; ``spec`` fields and others changed."""
    folder = model.store / "records" / "tiny" / key
    shutil.copytree(model.record.folder, folder)
    content = json.loads((folder / "record.json").read_text())
    content["provenance"]["finished"] = changes.pop("finished", "2030-01-01T00:00:00Z")
    content["spec"] |= changes.pop("spec", {})
    (folder / "record.json").write_text(json.dumps(content | changes | {"key": key}))


def test_the_newest_completed_study_model_is_used(model: Model) -> None:
    copied(model, "old", finished="2020-01-01T00:00:00Z")
    copied(model, "new", finished="2028-01-01T00:00:00Z")
    copied(model, "diverged", status="diverged")
    copied(model, "paper", spec={"variant": "paper"})
    copied(model, "forest", spec={"classifier": "random-forest"})
    copied(model, "tool", spec={"target": "tool", "classes": ["circle", "polygon"]})
    copied(model, "untrained", training_key="nothing")
    copied(model, "odd", spec={"kind": "odd"})
    copied(model, "broken")
    (model.store / "records" / "tiny" / "broken" / "record.json").write_text("{")
    assert [record.key for record in shape_records()] == ["new", model.record.key, "old"]
    found = shape_record_for()
    assert found is not None
    assert found.key == "new"


def test_a_model_of_the_same_cohort_comes_first(model: Model) -> None:
    copied(model, "newer", spec={"cohort": "other"})
    keys = [
        found.key if (found := shape_record_for(cohorts)) else None
        for cohorts in ((), ("tiny",), ("other",), ("nowhere",), ("nowhere", "tiny"))
    ]
    assert keys == ["newer", model.record.key, "newer", "newer", model.record.key]


def test_no_model_is_none(own_store: Path) -> None:
    assert list(shape_records()) == []
    assert shape_record_for(("tiny",)) is None


def test_prediction_tells_the_shape(both: Model, image: NDArray[np.float32]) -> None:
    found = predict(image, BOX)
    if not found.mask.any():
        pytest.fail("the segmenter of the fixture finds nothing: give the test another mask")
    assert found.shape is not None
    assert found.shape_probabilities == shape_of(found.mask, both.record).probabilities
    assert found.shape_note == ""
    assert predict(image, BOX, shape_record=both.record).shape_probabilities == (
        found.shape_probabilities
    )


def test_prediction_says_which_model_told_the_shape(
    both: Model, image: NDArray[np.float32], tmp_path: Path
) -> None:
    paths = save_prediction(predict(image, BOX), tmp_path / "out")
    content = json.loads(paths[2].read_text())
    told = content["shape"]
    assert content["shape_note"] == ""
    assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert told["model"] == both.record.key
    assert (told["trained_on"], told["trained_on_masks"]) == ("tiny", "truth")
    assert told["trained_epochs"] == 2
    assert told["temperature"] == both.record.temperature


def test_without_a_shape_model_the_prediction_says_so(
    trained: Trained, image: NDArray[np.float32], tmp_path: Path
) -> None:
    found = predict(image, BOX)
    assert found.shape is None
    assert found.shape_probabilities is None
    assert found.shape_note == NO_MODEL
    assert "mammostudy run shapes --preset quick" in NO_MODEL
    content = json.loads(save_prediction(found, tmp_path / "out")[2].read_text())
    assert content["shape"] is None
    assert content["shape_note"] == NO_MODEL


def command(
    image: NDArray[np.float32], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    path = folder / "a.png"
    cv2.imwrite(str(path), np.round(255 * image).astype(np.uint8))
    words = ["mammostudy", "predict", str(path), "--box", "16,14,29,25", "--out",
             str(folder / "out")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", words)
    for name in ("OMP_WAIT_POLICY", "OPENCV_LOG_LEVEL"):  # main sets them where they are not
        monkeypatch.setenv(name, os.environ.get(name, ""))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), sorted(p.name for p in (folder / "out").iterdir())


def test_the_command_prints_the_shapes_surest_first(
    both: Model, image: NDArray[np.float32], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert command(image, tmp_path, monkeypatch) == (0, sorted(inference.OUTPUTS))
    printed = capsys.readouterr()
    assert printed.err == ""
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())["shape"]
    (first, one), (second, other) = sorted(
        found["probabilities"].items(), key=lambda pair: -pair[1]
    )
    assert printed.out.splitlines()[-1] == f"shape: {first} {one:.2f}, {second} {other:.2f}"


def test_the_command_says_why_no_shape_is_told(
    trained: Trained, image: NDArray[np.float32], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert command(image, tmp_path, monkeypatch) == (0, sorted(inference.OUTPUTS))
    printed = capsys.readouterr()
    assert printed.err == f"shape not told: {NO_MODEL}\n"
    assert "shape" not in printed.out.replace(str(tmp_path), "")


def test_an_empty_prediction_has_no_shape(
    both: Model, image: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_segment", lambda *_: np.zeros((48, 64), bool))
    found = predict(image, BOX)
    assert isinstance(found, Prediction)
    assert (found.shape_probabilities, found.shape_note) == (None, NO_MASK)


def test_damaged_shape_weights_stop_the_prediction_with_one_line(
    both: Model, image: NDArray[np.float32]
) -> None:
    path = weights_path(str(both.record.content["training_key"]))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"the weights of shape run .* missing or damaged"):
        predict(image, BOX)


def test_the_model_of_the_segmenters_cohort_is_asked_for(
    both: Model, image: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spied(cohorts: tuple[str, ...] = ()) -> None:
        asked.append(cohorts)

    monkeypatch.setattr(inference, "shape_record_for", spied)
    predict(image, BOX)
    assert asked == [("tiny", "tiny")]
    assert shape_inference.NO_MODEL == NO_MODEL
