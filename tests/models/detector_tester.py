"""What every detector must do: inherit, name it, and state its parameters and what may idle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.ops import box_iou

from mammostudy.models import build_detector
from mammostudy.models.detectors.common import Detector

Target = dict[str, Tensor]


def target(*boxes: tuple[float, float, float, float]) -> Target:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


def pair(height: int = 60, width: int = 80) -> tuple[list[Tensor], list[Target]]:
    """Two noisy images of unlike size with a bright mass each, on the left and on the right."""
    generator = torch.Generator().manual_seed(0)
    boxes = ((8, 10, 32, 34), (44, 30, 72, 56))
    images = []
    for extra, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        image = 0.2 + 0.1 * torch.rand(1, height + 4 * extra, width, generator=generator)
        image[:, y_min:y_max, x_min:x_max] += 0.5
        images.append(image)
    return images, [target(box) for box in boxes]


@dataclass(frozen=True)
class Taught:
    model: Detector
    losses: dict[str, Tensor]


class DetectorTester:
    name: ClassVar[str]
    fields: ClassVar[dict[str, Any]] = {}  # small, for the quick tests
    parameters: ClassVar[int]  # of the detector as published: without fields
    losses: ClassVar[set[str]]
    golden: ClassVar[float]  # sum of the losses, with weights set by rule
    golden_fields: ClassVar[dict[str, Any]] = {}  # over the small ones, for that sum
    idle: ClassVar[tuple[str, ...]] = ()  # parts that two images may leave without a gradient
    rate: ClassVar[float] = 1e-3
    steps: ClassVar[int] = 40
    look: ClassVar[int] = 5  # steps between two looks at whether it has
    largest_gradient: ClassVar[float] = float("inf")  # longer ones are cut, where it over-fits

    def build(self, seed: int = 0, **fields: Any) -> Detector:
        torch.manual_seed(seed)
        return build_detector(self.name, **{**self.fields, **fields})

    def losses_of(self, model: Detector, *, empty: bool = False) -> dict[str, Tensor]:
        images, targets = pair()
        torch.manual_seed(7)  # some draw the boxes or noise they learn from
        losses: dict[str, Tensor] = model.train()(images, [target()] * 2 if empty else targets)
        return losses

    def teach(self, model: Detector, *, empty: bool = False) -> Taught:
        losses = self.losses_of(model, empty=empty)
        sum(losses.values(), torch.zeros(())).backward()
        return Taught(model, losses)

    @pytest.fixture(scope="class")
    def taught(self) -> Taught:
        """A detector after one pass over the pair, its gradients with it, and its losses.

        The tests that share it look and predict; none trains it on.
        """
        return self.teach(self.build(score_threshold=0.0))

    @pytest.fixture(scope="class")
    def taught_by_empty(self) -> Taught:
        """The same where no image has a mass."""
        return self.teach(self.build(), empty=True)

    @pytest.fixture(scope="class")
    def found(self, taught: Taught) -> list[Target]:
        """What the taught detector finds on the pair; it is in prediction from then on."""
        found: list[Target] = taught.model.eval()(pair()[0])
        return found

    def test_parameter_count(self) -> None:
        whole = build_detector(self.name)
        assert sum(weights.numel() for weights in whole.parameters()) == self.parameters

    def test_losses_are_finite_scalars_and_gradient_reaches_the_parameters(
        self, taught: Taught
    ) -> None:
        model, losses = taught.model, taught.losses
        assert set(losses) == self.losses
        assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
        assert all(loss > 0 for loss in losses.values())
        for name, weights in model.named_parameters():
            assert weights.grad is not None, name
            assert torch.isfinite(weights.grad).all(), name
            if weights.ndim > 1 and not any(part in name for part in self.idle):
                assert weights.grad.abs().max() > 0, name

    def test_images_without_a_mass_teach(self, taught_by_empty: Taught) -> None:
        model, losses = taught_by_empty.model, taught_by_empty.losses
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert sum(losses.values()) > 0
        grads = [weights.grad for weights in model.parameters() if weights.grad is not None]
        assert all(torch.isfinite(grad).all() for grad in grads)
        assert max(grad.abs().max() for grad in grads) > 0

    def test_boxes_lie_inside_their_image_best_first(self, found: list[Target]) -> None:
        images, _ = pair()
        assert len(found) == 2
        assert any(len(one["boxes"]) for one in found)
        for image, one in zip(images, found, strict=True):
            boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
            assert boxes.shape == (len(scores), 4)
            assert (boxes.dtype, scores.dtype, labels.dtype) == (
                torch.float32, torch.float32, torch.int64,
            )  # fmt: skip
            assert not boxes.requires_grad
            assert (labels == 1).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert boxes.min() >= 0
            assert (boxes[:, 2:] <= torch.tensor([image.shape[2], image.shape[1]])).all()
            assert (scores.diff() <= 0).all()
            assert scores.min() >= 0
            assert scores.max() <= 1
            assert len(boxes) <= 100

    def test_same_seed_same_losses_other_seed_others(self, taught: Taught) -> None:
        one, two, other = taught.losses, *(self.losses_of(self.build(seed)) for seed in (0, 4))
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert any(not torch.equal(one[name], other[name]) for name in one)

    def test_prediction_repeats_and_does_not_depend_on_the_batch(
        self, taught: Taught, found: list[Target]
    ) -> None:
        images, _ = pair()
        again, alone = taught.model(images), taught.model(images[1:])
        assert torch.equal(found[1]["boxes"], again[1]["boxes"])
        torch.testing.assert_close(
            found[1]["scores"][:5], alone[0]["scores"][:5], atol=1e-5, rtol=0
        )

    def test_save_and_load(self, taught: Taught, found: list[Target], tmp_path: Path) -> None:
        weights = taught.model.state_dict()  # its running statistics have moved
        save_file(weights, tmp_path / "weights.safetensors")
        again = self.build(6, score_threshold=0.0)
        again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        for one, two in zip(found, again.eval()(pair()[0]), strict=True):
            assert torch.equal(one["boxes"], two["boxes"])
            assert torch.equal(one["scores"], two["scores"])

    def test_golden_number(self) -> None:
        model = self.build(**self.golden_fields)
        with torch.no_grad():
            for weights in model.parameters():
                values = torch.sin(torch.arange(weights.numel(), dtype=torch.float32))
                scale = (2 / weights[0].numel()) ** 0.5 if weights.ndim > 1 else 0.3
                weights.copy_((scale * values + 0.5 * (weights.ndim == 1)).reshape(weights.shape))
        total = sum(float(loss.detach()) for loss in self.losses_of(model).values())
        assert total == pytest.approx(self.golden, rel=2e-3), "losses moved: raise VERSION"

    @pytest.mark.slow
    def test_it_overfits_two_images(self) -> None:
        self.overfit()

    def lighten(self, model: Detector) -> None:
        """Change what costs time and is not asked for where it over-fits."""

    def overfit(self) -> None:
        images, targets = pair()
        model = self.build().train()
        self.lighten(model)
        optimiser = torch.optim.Adam(model.parameters(), lr=self.rate)
        for step in range(self.steps):
            losses = model.train()(images, targets)
            optimiser.zero_grad()
            sum(losses.values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.largest_gradient)
            optimiser.step()
            if step % self.look == self.look - 1 and fitted(model, images, targets):
                return
        assert fitted(model, images, targets)


def fitted(model: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]) -> bool:
    """Whether the best box of every image lies on its mass with a score above 0.3."""
    with torch.no_grad():
        found = model.eval()(images)
    return all(
        len(one["boxes"]) > 0
        and box_iou(one["boxes"][:1], truth["boxes"]).item() > 0.5
        and float(one["scores"][0]) > 0.3
        for one, truth in zip(found, targets, strict=True)
    )
