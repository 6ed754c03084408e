"""Exports of segmenters: equal to torch, checked, made again where damaged, and never silent."""

import numpy as np
import pytest
import torch

from mammostudy import cli, exported, inference
from mammostudy.exported import EAGER, EXPORTED, export_path, segmenter_of, why_eager
from mammostudy.runs.record import weights_path
from mammostudy.runs.trained import trained_model
from mammostudy.training.segmentation import predict_probabilities

needs_extra = pytest.mark.skipif(
    any(exported.find_spec(name) is None for name in exported.PACKAGES),
    reason="needs the extra `export`",
)


@needs_extra
def test_an_export_equals_torch_and_is_kept_while_it_is_what_was_checked(trained, monkeypatch):
    found = segmenter_of(trained.record)
    assert (found.path, found.note) == (EXPORTED, "")
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = predict_probabilities(trained_model(trained.record), images)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(predict_probabilities(found.model, images), expected, atol=1e-5)

    path = export_path(trained.record)
    whole, weights = path.read_bytes(), weights_path(trained.record.content["training_key"])
    assert not exported._is_sound(path, path)  # of other weights
    for content in (whole[:-9] + bytes([whole[-9] ^ 64]) + whole[-8:], whole[:100]):
        path.write_bytes(content)
        assert not exported._is_sound(path, weights)
    assert segmenter_of(trained.record).path == EXPORTED  # made again
    assert exported._is_sound(path, weights)
    monkeypatch.setattr(exported, "_export", lambda *_: pytest.fail("made again"))
    assert segmenter_of(trained.record).path == EXPORTED


@needs_extra
def test_an_export_that_differs_is_not_used(trained, monkeypatch):
    export_path(trained.record).unlink(missing_ok=True)
    real = exported.onnx_session

    def off(path):
        session = real(path)
        session.register_forward_hook(lambda _, __, out: out + 3e-5)
        return session

    monkeypatch.setattr(exported, "onnx_session", off)
    found = segmenter_of(trained.record)
    assert found.path == EAGER
    assert "differs" in found.note
    assert not export_path(trained.record).exists()


def test_without_the_extra_torch_predicts_and_says_so(trained, monkeypatch):
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "onnx" else True)
    image = np.random.default_rng(0).random((40, 40), dtype=np.float32)
    found = inference.predict(image, (8, 8, 30, 30), record=trained.record)
    assert found.segmented_by == found.summary()["segmented_by"] == EAGER
    assert "onnx" in found.segmented_note
    assert f"segmented by torch: {found.segmented_note}" in cli._warnings(found)


@needs_extra
def test_dropout_at_prediction_keeps_to_torch(trained):
    spec = trained.record.spec
    assert why_eager(spec) == ""
    assert "dropout" in why_eager(spec.changed(model__dropout_at_prediction=True))
