"""The training of detectors: seeded steps, resuming, divergence, and what predictions may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from mammostudy.models import build_detector
from mammostudy.training import detection as module
from mammostudy.training import loop
from mammostudy.training.detection import (
    DetectorBudget,
    augment_detection,
    fit_detector,
    predict_boxes,
)
from mammostudy.training.loop import Fitted, batch_of, load_checkpoint

SIDE = 64
Target = dict[str, Tensor]
PYRAMID = {"trunk": "resnet18"}
SMALL: dict[str, dict[str, Any]] = {
    "faster-rcnn": PYRAMID, "fcos": PYRAMID, "retinanet": PYRAMID, "ssd-light": {"width": 8},
    "ssdlite-mobilenetv3": {},
}  # fmt: skip


def target(*boxes: tuple[float, float, float, float]) -> Target:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


@pytest.fixture
def views() -> tuple[Tensor, list[Target]]:
    """Five noisy squares, the last without a mass."""
    generator = torch.Generator().manual_seed(3)
    squares = 0.2 + 0.1 * torch.rand(5, 1, SIDE, SIDE, generator=generator)
    targets = [target() for _ in range(5)]
    for i in range(4):
        x, y = 8 + 8 * i, 30 - 4 * i
        squares[i, :, y : y + 14, x : x + 12] += 0.5
        targets[i] = target((x, y, x + 12, y + 14))
    return squares, targets


def light(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_detector("ssd-light", size=SIDE, width=8)


class Told(nn.Module):
    """A detector whose losses and boxes the test gives."""

    def __init__(self, loss=lambda weight: weight) -> None:
        super().__init__()
        self.weight, self.loss = nn.Parameter(torch.ones(())), loss
        self.boxes, self.scores = torch.zeros(0, 4), torch.zeros(0)
        self.seen = []

    def forward(self, images, targets=None):
        if self.training:
            self.seen.append((images, targets))
            return {"one": self.loss(self.weight), "two": 0 * self.weight}
        return [{"boxes": self.boxes, "scores": self.scores} for _ in images]


def drawing(seed: int = 0) -> Told:
    """A detector whose loss is chance, as where boxes to learn from are drawn."""
    model = Told(lambda weight: weight * torch.rand(()))
    nn.init.constant_(model.weight, 1 + seed)
    return model


def flat(model: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def run(model, views, checkpoint, *, iterations=6, seed=0, **budget) -> Fitted:
    fields = {"batch": 2, "validations": 3} | budget
    return fit_detector(
        model, *views, DetectorBudget(iterations, **fields), seed=seed, checkpoint=checkpoint,
        validate=lambda: {"metric": 0.5}, progress=False,
    )  # fmt: skip


class KilledError(BaseException):
    pass


@pytest.mark.parametrize(("made", "after"), [(light, 1), (drawing, 4)], ids=["light", "drawing"])
def test_a_killed_run_resumes_bit_for_bit(made, after, views, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole = made(0)
    uninterrupted = run(whole, views, tmp_path / "whole.pt")
    usual = module._batch

    def dying(squares: Tensor, targets: Any, done: int, *rest: Any) -> Any:
        if done == after:
            raise KilledError
        return usual(squares, targets, done, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_batch", dying)
        with pytest.raises(KilledError):
            run(made(0), views, tmp_path / "killed.pt")
    assert load_checkpoint(tmp_path / "killed.pt")["iteration"] == after
    resumed = made(9)  # its own weights are overwritten
    torch.manual_seed(99)
    fitted = run(resumed, views, tmp_path / "killed.pt")
    assert torch.equal(flat(resumed), flat(whole))
    for ours, theirs in zip(fitted.curves, uninterrupted.curves, strict=True):
        assert ours | {"seconds": 0} == theirs | {"seconds": 0}
    (tmp_path / "killed.pt").unlink()
    fresh = made(9)
    run(fresh, views, tmp_path / "killed.pt")
    assert not torch.equal(flat(fresh), flat(whole))  # control: without the checkpoint


@pytest.mark.parametrize("name", SMALL)
def test_divergence_ends_a_run_without_an_error(name, views, tmp_path) -> None:
    torch.manual_seed(0)
    model = build_detector(name, size=SIDE, **SMALL[name])
    fitted = run(model, views, tmp_path / "c.pt", iterations=8, learning_rate=1e20)
    assert not all(math.isfinite(value) for value in fitted.diverged.values())
    assert "loss" in fitted.diverged
    assert len(fitted.curves) < 8
    assert all(math.isfinite(row["loss"]) for row in fitted.curves)
    predict_boxes(model, views[0])  # says nothing, or something finite


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        (lambda w: w * float("nan"), "one"),
        (lambda w: w * float("inf"), "loss"),
        (lambda w: (w - 1).sqrt(), "gradient"),  # 0, but its slope is infinite
    ],
)
def test_weights_do_not_move_on_what_is_not_finite(loss, named, views, tmp_path) -> None:
    model = Told(loss)
    fitted = run(model, views, tmp_path / "c.pt")
    assert not math.isfinite(fitted.diverged[named])
    assert fitted.curves == []
    assert model.weight.item() == 1
    control = Told()
    assert run(control, views, tmp_path / "c.pt").diverged is None
    assert control.weight.item() < 1


def test_steps_see_the_seeded_batches(views, tmp_path) -> None:
    squares, targets = views
    model = Told()
    run(model, views, tmp_path / "c.pt", iterations=6, seed=4)
    for iteration in range(6):
        rows = batch_of(5, iteration, 2, seed=4).tolist()
        if iteration % 3 == 2:  # what is left of an epoch is filled up: batch norm needs two
            assert len(rows) == 1
            rows.append((rows[0] + 1) % 5)
        for row, image, learnt in zip(rows, *model.seen[iteration], strict=True):
            drawn = {"seed": 4, "epoch": iteration // 3, "index": row}
            wanted, boxes = augment_detection(squares[row], targets[row], **drawn)
            assert torch.equal(image, wanted)
            assert torch.equal(learnt["boxes"], boxes["boxes"])


@pytest.mark.filterwarnings("error")
def test_predictions_are_finite_and_have_an_area(views) -> None:
    nan, inf = float("nan"), float("inf")
    model = Told()
    model.boxes = torch.tensor(
        [[1, 1, 9, 9], [nan, 1, 9, 9], [1, 1, inf, 9], [-inf, 1, inf, 9], [4, 4, 4.5, 9],
         [4, 4, 9, 4], [2, 2, 8, 8], [2, 3, 8, 8]]
    )  # fmt: skip
    model.scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, nan, 0.2])
    model.train()
    boxes, scores = predict_boxes(model, views[0])
    assert len(boxes) == len(scores) == 5
    assert boxes[0].tolist() == [[1, 1, 9, 9], [2, 3, 8, 8]]
    assert scores[0] == pytest.approx([0.9, 0.2])
    assert boxes[0].dtype == scores[0].dtype == np.float64
    assert predict_boxes(Told(), views[0])[0][0].shape == (0, 4)


BOX = (30, 20, 52, 38)  # far enough inside that no shift reaches the edge


def picture() -> Tensor:
    image = torch.full((1, 60, 80), 0.2)
    image[:, 20:38, 30:52] = 0.8
    return image


@pytest.mark.parametrize("index", range(6))
def test_boxes_stay_on_their_masses(index: int) -> None:
    image, out = augment_detection(picture(), target(BOX), seed=1, epoch=2, index=index)
    ys, xs = torch.nonzero(image[0] > 0.5, as_tuple=True)
    bright = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert [float(edge) for edge in bright] == pytest.approx(out["boxes"][0].tolist(), abs=1.1)
    assert (type(image), type(out["boxes"])) == (Tensor, Tensor)
    assert (image.shape, image.dtype) == ((1, 60, 80), torch.float32)
    assert 0 <= image.min() <= image.max() <= 1
    assert out["labels"].tolist() == [1]


def test_degenerate_boxes_are_dropped(monkeypatch) -> None:
    boxes = target((40, 20, 40, 50), (50, 20, 70, 50), (200, 20, 220, 50))
    drawn = {"seed": 1, "epoch": 2, "index": 0}
    assert len(augment_detection(picture(), boxes, **drawn)[1]["boxes"]) == 1
    assert augment_detection(picture(), target(), **drawn)[1]["boxes"].shape == (0, 4)
    monkeypatch.setattr(v2, "SanitizeBoundingBoxes", lambda **_: v2.Identity())  # the control
    module._changes.cache_clear()
    assert len(augment_detection(picture(), boxes, **drawn)[1]["boxes"]) == 3
    module._changes.cache_clear()


def test_golden_numbers(views, tmp_path) -> None:
    fitted = run(light(), views, tmp_path / "c.pt", iterations=4, batch=4)
    assert fitted.curves[-1]["loss"] == pytest.approx(28.0675, rel=1e-3)
    image, out = augment_detection(picture(), target(BOX), seed=3, epoch=4, index=5)
    golden = [22.8249, 19.0207, 46.9793, 38.7834, 0.25963]
    assert [*out["boxes"][0].tolist(), float(image.mean())] == pytest.approx(golden, rel=1e-4)
