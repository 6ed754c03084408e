"""The training of detectors: seeded steps, resuming, divergence, and what predictions may be."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammostudy.models import build_detector
from mammostudy.training import detection as ours
from mammostudy.training.loop import load_checkpoint

SIDE = 64


def target(*boxes):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


@pytest.fixture
def views():
    """Five noisy squares, the last without a mass."""
    generator = torch.Generator().manual_seed(3)
    squares = 0.2 + 0.1 * torch.rand(5, 1, SIDE, SIDE, generator=generator)
    targets = [target() for _ in range(5)]
    for i in range(4):
        x, y = 8 + 8 * i, 30 - 4 * i
        squares[i, :, y : y + 14, x : x + 12] += 0.5
        targets[i] = target((x, y, x + 12, y + 14))
    return squares, targets


def light(seed=0):
    torch.manual_seed(seed)
    return build_detector("ssd-light", size=SIDE, width=8)


class Told(nn.Module):
    """A detector whose losses and boxes the test gives."""

    def __init__(self, loss=lambda weight: weight):
        super().__init__()
        self.weight, self.loss = nn.Parameter(torch.ones(())), loss
        self.boxes, self.scores = torch.zeros(0, 4), torch.zeros(0)

    def forward(self, images, targets=None):
        if self.training:
            return {"one": self.loss(self.weight), "two": 0 * self.weight}
        return [{"boxes": self.boxes, "scores": self.scores} for _ in images]


def drawing(seed=0):
    """A detector whose loss is chance, as where boxes to learn from are drawn."""
    model = Told(lambda weight: weight * torch.rand(()))
    nn.init.constant_(model.weight, 1 + seed)
    return model


def budget_of(**fields):
    usual = {"learning_rate": 1e-3, "weight_decay": 1e-4, "averaging": 0.0}
    return SimpleNamespace(**usual | fields)


def run(model, views, checkpoint, *, iterations=6, seed=0, **budget):
    fields = {"batch": 2, "validations": 3} | budget
    return ours.fit_detector(
        model, *views, budget_of(iterations=iterations, **fields), seed=seed, checkpoint=checkpoint,
        validate=lambda: {"metric": 0.5}, progress=False,
    )  # fmt: skip


@pytest.mark.parametrize(("made", "after"), [(light, 1), (drawing, 4)], ids=["light", "drawing"])
def test_a_killed_run_resumes_bit_for_bit(made, after, views, killed, flat, tmp_path):
    def trained(name, seed=0):
        model = made(seed)
        curves = run(model, views, tmp_path / name).curves
        return flat(model), [row | {"seconds": 0} for row in curves]

    weights, curves = trained("whole.pt")
    killed(lambda: trained("killed.pt"), after)
    assert load_checkpoint(tmp_path / "killed.pt")["iteration"] == after
    torch.manual_seed(99)
    resumed, again = trained("killed.pt", seed=9)  # its own weights are overwritten
    assert torch.equal(resumed, weights)
    assert again == curves
    assert not torch.equal(trained("new.pt", seed=9)[0], weights)  # control: without the checkpoint


def test_the_average_predicts_and_resumes_bit_for_bit(views, killed, flat, tmp_path):
    def trained(name, decay=0.9):
        model = light()
        run(model, views, tmp_path / name, averaging=decay)
        return flat(model)

    whole, last = trained("whole.pt"), trained("last.pt", 0.0)
    killed(lambda: trained("killed.pt"), 3)
    assert torch.equal(trained("killed.pt"), whole)
    assert not torch.equal(whole, last)  # control
    model, seen = Told(lambda weight: weight), []
    ours.fit_detector(
        model, *views, budget_of(iterations=3, batch=2, validations=3, averaging=0.5),
        seed=0, progress=False,
        checkpoint=tmp_path / "told.pt",
        validate=lambda: {"weight": seen.append(model.weight.item()) or 0.0},
    )  # fmt: skip
    assert seen[-1] == model.weight.item() < seen[0] < 1


@pytest.mark.parametrize(
    ("name", "fields"), [("faster-rcnn", {"trunk": "resnet18"}), ("ssdlite-mobilenetv3", {})]
)
def test_divergence_ends_a_run_without_an_error(name, fields, views, tmp_path):
    model = build_detector(name, size=SIDE, **fields)
    fitted = run(model, views, tmp_path / "c.pt", iterations=8, learning_rate=1e20)
    assert not all(math.isfinite(value) for value in fitted.diverged.values())
    assert "loss" in fitted.diverged
    assert len(fitted.curves) < 8
    assert all(math.isfinite(row["loss"]) for row in fitted.curves)
    ours.predict_boxes(model, views[0])  # says nothing, or something finite


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (lambda w: w * float("nan"), "one"),
        (lambda w: w * float("inf"), "loss"),
        (lambda w: (w - 1).sqrt(), "gradient"),  # 0, but its slope is infinite
    ],
)
def test_weights_do_not_move_on_what_is_not_finite(loss, named, views, tmp_path):
    model = Told(loss)
    fitted = run(model, views, tmp_path / "c.pt")
    assert not math.isfinite(fitted.diverged[named])
    assert fitted.curves == []
    assert model.weight.item() == 1
    control = Told()
    assert run(control, views, tmp_path / "c.pt").diverged is None
    assert control.weight.item() < 1


@pytest.mark.filterwarnings("error")
def test_predictions_are_finite_and_have_an_area(views):
    nan, inf = float("nan"), float("inf")
    model = Told()
    model.boxes = torch.tensor(
        [[1, 1, 9, 9], [nan, 1, 9, 9], [1, 1, inf, 9], [-inf, 1, inf, 9], [4, 4, 4.5, 9],
         [4, 4, 9, 4], [2, 2, 8, 8], [2, 3, 8, 8]]
    )  # fmt: skip
    model.scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, nan, 0.2])
    model.train()
    boxes, scores = ours.predict_boxes(model, views[0])
    assert len(boxes) == len(scores) == 5
    assert boxes[0].tolist() == [[1, 1, 9, 9], [2, 3, 8, 8]]
    assert scores[0] == pytest.approx([0.9, 0.2])
    assert boxes[0].dtype == scores[0].dtype == np.float64
    assert ours.predict_boxes(Told(), views[0])[0][0].shape == (0, 4)


BOX = (30, 20, 52, 38)  # far enough inside that no shift reaches the edge


def picture():
    image = torch.full((1, 60, 80), 0.2)
    image[:, 20:38, 30:52] = 0.8
    return image


@pytest.mark.parametrize("index", range(6))
def test_boxes_stay_on_their_masses(index):
    image, out = ours.augment_detection(picture(), target(BOX), seed=1, epoch=2, index=index)
    ys, xs = torch.nonzero(image[0] > 0.5, as_tuple=True)
    bright = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert [float(edge) for edge in bright] == pytest.approx(out["boxes"][0].tolist(), abs=1.1)
    assert (type(image), type(out["boxes"])) == (Tensor, Tensor)
    assert (image.shape, image.dtype) == ((1, 60, 80), torch.float32)
    assert 0 <= image.min() <= image.max() <= 1
    assert out["labels"].tolist() == [1]


def test_golden_numbers(views, tmp_path):
    fitted = run(light(), views, tmp_path / "c.pt", iterations=4, batch=4)
    assert fitted.curves[-1]["loss"] == pytest.approx(28.0675, rel=1e-3)
    image, out = ours.augment_detection(picture(), target(BOX), seed=3, epoch=4, index=5)
    golden = [22.8249, 19.0207, 46.9793, 38.7834, 0.25963]
    assert [*out["boxes"][0].tolist(), float(image.mean())] == pytest.approx(golden, rel=1e-4)
