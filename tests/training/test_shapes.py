"""The trainer of the shape networks: turns, curves, divergence, resuming, learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import sigmoid_focal_loss

from mammostudy.errors import DataError
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models import ShapeCNN, ShapeResNet
from mammostudy.training import shapes as ours
from mammostudy.training.loop import load_checkpoint

BUDGET = ours.ShapeBudget(epochs=4, batch=4, learning_rate=1e-3, momentum=0.9, smoothing=0.9)
LABELS = torch.tensor([3, 2, 1, 0, 3, 2, 1, 0, 3, 2])


def small():
    """A network with dropout that takes a millisecond a step."""
    hidden = nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 16), nn.ReLU()
    return nn.Sequential(*hidden, nn.Dropout(0.5), nn.Linear(16, 4))


@pytest.fixture(scope="module")
def inputs():
    """Ten masks: round, oval, lobular, irregular, and again, of sizes of their own."""
    planes = [shape_between(i % 4, diameter=0.3 + 0.02 * i, seed=i) for i in range(len(LABELS))]
    return torch.tensor(np.stack(planes)[:, None], dtype=torch.float32)


def run(model, inputs, path, **changes):
    def validate():  # leaves evaluation mode behind, as the real one does
        return {"validation_loss": float(np.abs(ours.predict_logits(model, inputs)).mean())}

    settings = {
        "labels": LABELS, "budget": BUDGET, "weights": torch.ones(4), "focal_gamma": 0.0,
        "rotate": True, "seed": 0, "validate": validate, "checkpoint": path, "progress": False,
        **changes,
    }  # fmt: skip
    return ours.fit_shapes(model, inputs, **settings)


@pytest.mark.parametrize(("network", "epochs"), [(small, 1), (small, 3), (ShapeResNet, 2)])
def test_a_killed_run_resumes_bit_for_bit(network, epochs, inputs, killed, flat, tmp_path):
    def trained(name, seed=0):
        torch.manual_seed(seed)
        model = network()
        return run(model, inputs, tmp_path / name).curves, flat(model)

    curves, weights = trained("whole.pt")
    killed(lambda: trained("killed.pt"), epochs)
    assert load_checkpoint(tmp_path / "killed.pt")["iteration"] == epochs
    again, resumed = trained("killed.pt", seed=1234)
    assert torch.equal(resumed, weights)
    assert again == curves


def test_a_loss_that_is_not_finite_stops_before_the_step(inputs, flat, tmp_path, monkeypatch):
    usual, model, seen = ours.focal_loss, small(), []

    def later_infinite(*given):
        seen.append(flat(model))
        return usual(*given) / (0.0 if len(seen) > 4 else 1.0)

    monkeypatch.setattr(ours, "focal_loss", later_infinite)
    fitted = run(model, inputs, tmp_path / "c.pt")
    assert fitted.diverged == {"loss": float("inf")}
    assert [row["epoch"] for row in fitted.curves] == [1]
    assert torch.equal(flat(model), seen[4])
    assert torch.isfinite(flat(model)).all()
    with pytest.raises(DataError, match="no training mask"):
        run(small(), inputs[:0], tmp_path / "c.pt", labels=LABELS[:0])


def test_the_shape_cnn_over_fits_a_handful_of_masks(inputs, tmp_path):
    model = ShapeCNN()
    budget = replace(BUDGET, epochs=30, batch=4, learning_rate=3e-4)
    run(model, inputs[:4], tmp_path / "c.pt", labels=LABELS[:4], budget=budget, rotate=False)
    assert (ours.predict_logits(model, inputs[:4]).argmax(axis=1) == LABELS[:4].numpy()).all()


def turned(plane, copies=50):
    many = plane.expand(copies, 1, 64, 64)
    return ours.rotate_batch(many, torch.arange(copies), 0, total=copies, seed=0)


def test_turned_masks_stay_masks_of_the_same_area_and_place(inputs):
    for plane in inputs[:4]:
        found = turned(plane[None])
        assert set(found.unique().tolist()) == {0.0, 1.0}
        area = found.sum(dim=(1, 2, 3)) / plane.sum()
        assert (area - 1).abs().max() < 0.06
    disc = inputs[0][None]
    assert ((turned(disc) - disc).abs().sum(dim=(1, 2, 3)) / disc.sum()).max() < 0.1


def test_turns_depend_on_seed_epoch_and_row_not_on_the_batch(inputs):
    rows = torch.tensor([7, 2, 5])
    all_at_once = ours.rotate_batch(inputs, torch.arange(10), 3, total=10, seed=1)
    some = ours.rotate_batch(inputs[rows], rows, 3, total=10, seed=1)
    assert torch.equal(some, all_at_once[rows])
    for other in ({"epoch": 4, "seed": 1}, {"epoch": 3, "seed": 2}):
        again = ours.rotate_batch(inputs, torch.arange(10), total=10, **other)
        assert not torch.equal(again, all_at_once)


def test_golden_numbers(inputs, flat, tmp_path):
    model = small()
    fitted = run(model, inputs, tmp_path / "c.pt")
    found = [*(row["loss"] for row in fitted.curves), float(flat(model).abs().sum())]
    golden = [1.421629, 1.413785, 1.437935, 1.406861, 74.569328]
    assert found == pytest.approx(golden, rel=1e-4)


DDSM = [504, 473, 115, 76]
LOGITS = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(32) % 4


def test_weights_by_hand():
    found = ours.shape_class_weights(DDSM).tolist()
    assert found == pytest.approx([0.568, 0.595, 0.902, 0.935], abs=6e-4)
    assert ours.shape_class_weights([30, 10], "inverse").tolist() == pytest.approx([2 / 3, 2])
    effective = [(1 - 0.999) / (1 - 0.999**n) for n in (1, 2)]  # 1 and 1 / 1.999
    found = ours.shape_class_weights([1, 2], "effective")
    assert found.tolist() == pytest.approx([2 * e / sum(effective) for e in effective])
    assert ours.shape_class_weights(DDSM, "none").tolist() == [1] * 4
    with pytest.raises(DataError, match=r"counts\[2\] = 0"):
        ours.shape_class_weights([5, 6, 0, 7])


@pytest.mark.parametrize("gamma", [0.0, 2.0, 3.5])
def test_focal_loss_of_two_classes_agrees_with_torchvision(gamma):
    x, y = LOGITS[:, 0], CLASSES % 2
    oracle = sigmoid_focal_loss(x, y.float(), alpha=-1, gamma=gamma, reduction="mean")
    found = ours.focal_loss(torch.stack([torch.zeros_like(x), x], dim=1), y, gamma=gamma)
    assert found.item() == pytest.approx(oracle.item(), rel=1e-5)
    sure = torch.tensor([[60.0, 0.0], [0.0, 60.0]], requires_grad=True)
    ours.focal_loss(sure, torch.tensor([0, 0]), gamma=gamma).backward()
    assert torch.isfinite(sure.grad).all()


def test_weighted_cross_entropy_divides_by_cases_and_its_gradient_is_right():
    weights = ours.shape_class_weights(DDSM)
    torchs = nn.functional.cross_entropy(LOGITS, CLASSES, weights)
    found = ours.focal_loss(LOGITS, CLASSES, weights, gamma=0.0)
    assert found.item() == pytest.approx((torchs * weights[CLASSES].mean()).item(), rel=1e-5)
    exact, heavy = LOGITS.double().requires_grad_(), weights.double()
    assert torch.autograd.gradcheck(lambda x: ours.focal_loss(x, CLASSES, heavy), (exact,))
