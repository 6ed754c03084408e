"""Exports of segmenters: equal to torch, checked, made again where damaged, and never silent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from mammostudy import cli, doctor, exported, inference
from mammostudy.exported import EAGER, EXPORTED, MEND, export_path, segmenter_of, why_eager
from mammostudy.runs.record import weights_path
from mammostudy.runs.trained import trained_model
from mammostudy.training.segmentation import predict_probabilities

if TYPE_CHECKING:
    from tests.conftest import Trained

needs_extra = pytest.mark.skipif(
    any(exported.find_spec(name) is None for name in exported.PACKAGES),
    reason="needs the extra `export`",
)


@needs_extra
def test_an_export_equals_torch_and_is_kept(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export_path(trained.record)
    path.unlink(missing_ok=True)
    found = segmenter_of(trained.record)
    assert (found.path, found.note) == (EXPORTED, "")
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = predict_probabilities(trained_model(trained.record), images)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(predict_probabilities(found.model, images), expected, atol=1e-5)

    monkeypatch.setattr(exported, "_export", lambda *_: pytest.fail("made again"))
    assert segmenter_of(trained.record).path == EXPORTED


@needs_extra
@pytest.mark.parametrize("damage", ["byte", "cut", "checksums", "other weights"])
def test_what_is_not_what_was_checked_is_made_again(trained: Trained, damage: str) -> None:
    segmenter_of(trained.record)
    path = export_path(trained.record)
    whole, sums = path.read_bytes(), path.with_suffix(".json")
    kept = sums.read_text()
    if damage == "byte":
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 64]) + whole[-8:])
    elif damage == "cut":
        path.write_bytes(whole[:100])
    elif damage == "checksums":
        sums.write_text("{")
    else:
        sums.write_text(json.dumps(json.loads(kept) | {"weights": "0" * 64}))
    weights = weights_path(str(trained.record.content["training_key"]))
    assert not exported._is_sound(path, weights)
    if damage == "cut":  # one is enough: making it takes a second
        assert segmenter_of(trained.record).path == EXPORTED
        assert exported._is_sound(path, weights)
    else:
        path.write_bytes(whole)
        sums.write_text(kept)
        assert exported._is_sound(path, weights)


@needs_extra
def test_an_export_that_differs_is_not_used(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = export_path(trained.record)
    path.unlink(missing_ok=True)
    session = exported._session

    class Off(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return session(path)(images) + 3e-5

    monkeypatch.setattr(exported, "_session", lambda _: Off())
    found = segmenter_of(trained.record)
    assert found.path == EAGER
    assert found.note == "the exported model differs by 1.5e-05 from torch"
    assert not path.exists()


@needs_extra
def test_a_model_that_cannot_be_exported(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export_path(trained.record)
    path.unlink(missing_ok=True)

    def fails(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(exported, "_write", fails)
    found = segmenter_of(trained.record)
    assert found.note == "the model cannot be exported (NotImplementedError)"
    assert not path.exists()


def test_without_the_extra_torch_predicts_and_says_so(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "onnx" else True)
    image = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    found = inference.predict(image, (8, 8, 30, 30), record=trained.record)
    assert found.segmented_by == found.summary()["segmented_by"] == EAGER
    assert found.segmented_note == f"the exported path needs onnx: {MEND}"
    assert f"segmented by torch: {found.segmented_note}" in cli._warnings(found, (found,))
    told = list(doctor._models())[-1]
    assert (told.well, told.mend) == (False, MEND)
    assert "onnx" in told.found


@needs_extra
def test_dropout_at_prediction_keeps_to_torch(trained: Trained) -> None:
    spec = trained.record.spec
    assert why_eager(spec) == ""
    assert "dropout" in why_eager(spec.changed(model__dropout_at_prediction=True))
    assert list(doctor._models())[-1].found.startswith(EXPORTED)
