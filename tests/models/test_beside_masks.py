"""What tells a shape beside its mask: sides of boxes, and features of a network as it comes."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from timm import create_model

from mammostudy.models import beside_masks


def test_boxes_are_measured_alike_upright_and_lying():
    edges = {"x_min": [0, 5], "y_min": [0, 5], "x_max": [10, 45], "y_max": [40, 15]}
    cohort = SimpleNamespace(masses=pd.DataFrame(edges, ["a", "b"]), manifest_hash="")
    found = beside_masks.beside_features(cohort, "box", "square")
    assert found.loc["a"].tolist() == pytest.approx(np.log([4, 400]))
    assert found.loc["a"].tolist() == found.loc["b"].tolist()


def test_features_are_those_of_the_packaged_weights_in_order(monkeypatch):
    torch.manual_seed(0)
    network = create_model("tf_efficientnet_lite0", num_classes=0).eval()
    stored = {f"theirs.{name}": each for name, each in network.state_dict().items()}
    stored |= {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}
    monkeypatch.setattr(beside_masks, "packaged_weights", lambda: stored)
    images = np.random.default_rng(0).random((2, 64, 64), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(2 * images - 1)[:, None].repeat(1, 3, 1, 1))
    found = beside_masks.imagenet_features(images)
    assert found.shape == (2, 1280)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-5)
    assert not np.allclose(found[0], found[1])  # control
