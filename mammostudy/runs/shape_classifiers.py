"""The classifiers of shape runs behind one interface: networks, features, and those that guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.frames import Frame, Preprocessing, frame_cohort
from mammostudy.paths import store_root
from mammostudy.runs.mask_sets import SIDE, feature_table, pixels_of
from mammostudy.runs.shape_spec import ON_FEATURES, ShapeSpec
from mammostudy.runs.store import weights_path

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mammostudy.runs.shapes import Task
    from mammostudy.training.loop import Fitted

Values = NDArray[np.float64]
FLOOR = 1e-6


class Classifier(Protocol):
    """What a shape run needs of a classifier.

    Attributes:
        fitted: curves and time of a network's training; None of the others.
    """

    fitted: Fitted | None

    def logits(self, source: str, cases: Sequence[str]) -> Values:
        """Score cases by the masks of a source, none of them missed: ``(n, k)``."""
        ...

    def decide(self, logits: Values) -> list[str]:
        """Return the class that each row of logits stands for."""
        ...


def build_classifier(task: Task, progress: bool | None) -> Classifier:
    """Make and train the classifier of a task.

    Raises:
        DataError: a class has no training mask.
    """
    if task.spec.is_network:
        return Network(task, progress)
    if task.spec.classifier in ON_FEATURES:
        return OnFeatures(task)
    return Guess(task)


def _argmax(spec: ShapeSpec, logits: Values) -> list[str]:
    return [spec.classes[k] for k in logits.argmax(axis=1)]


class Guess:
    """Always the commonest class (``majority``), or a draw from the training shares."""

    fitted: Fitted | None = None

    def __init__(self, task: Task) -> None:
        self.spec = task.spec
        self.shares = task.shares()

    def logits(self, source: str, cases: Sequence[str]) -> Values:
        """Return the logarithm of the training shares for every case."""
        return np.tile(np.log(self.shares), (len(cases), 1))

    def decide(self, logits: Values) -> list[str]:
        """Name the commonest class, or draw."""
        if self.spec.classifier == "majority":
            return _argmax(self.spec, logits)
        rng = np.random.default_rng([self.spec.seed, self.spec.split.fold, len(logits)])
        drawn = rng.choice(len(self.shares), size=len(logits), p=self.shares)
        return [self.spec.classes[k] for k in drawn]


class OnFeatures:
    """A classifier of scikit-learn on the features of the masks (never on the grid of 64)."""

    fitted: Fitted | None = None

    def __init__(self, task: Task) -> None:
        from mammostudy.training.classical import fit_classical

        self.task, self.spec = task, task.spec
        cases = task.training()
        self.model = fit_classical(
            task.spec.classifier,
            self._features(task.spec.input.source, cases),
            task.numbers(cases),
            task.rows.loc[cases, "patient"].to_numpy(str),
            seed=task.spec.seed,
        )

    def _features(self, source: str, cases: Sequence[str]) -> Values:
        names, table = feature_table(self.spec, source, self.task.cohort)
        place = {case: i for i, case in enumerate(names)}
        return np.asarray(table[[place[case] for case in cases]], dtype=np.float64)

    def logits(self, source: str, cases: Sequence[str]) -> Values:
        """Return the logarithm of the probabilities, floor 1e-6."""
        from mammostudy.training.classical import classical_probabilities

        if not cases:
            return np.zeros((0, len(self.spec.classes)))
        features = self._features(source, cases)
        shares = classical_probabilities(self.model, features, len(self.spec.classes))
        return np.log(np.clip(shares, FLOOR, None))

    def decide(self, logits: Values) -> list[str]:
        """Name the likeliest class."""
        return _argmax(self.spec, logits)


class Network:
    """A network trained by RMSProp on masks, or on the grey pixels of their frames."""

    def __init__(self, task: Task, progress: bool | None) -> None:
        import torch

        self.task, self.spec = task, task.spec
        torch.manual_seed(self.spec.seed)
        self.model = build_network(self.spec)
        self.fitted: Fitted | None = self._train(progress)

    def inputs(self, source: str, cases: Sequence[str]) -> Tensor:
        """Return what the network is shown of cases, float32 ``(n, 1, 64, 64)``."""
        import torch

        from mammostudy.training.loop import device

        if self.spec.classifier == "grey-cnn":
            frame = Frame(aspect=self.spec.input.placement, size=SIDE, truth="target")
            framed = frame_cohort(pixels_of(self.task.cohort), frame, Preprocessing())
            shown = framed.take(cases).images
        else:
            masks = self.task.masks(source)
            shown = masks.masks[masks.at(cases)].astype(np.float32)
        tensor = torch.from_numpy(np.ascontiguousarray(shown, dtype=np.float32))
        return tensor.unsqueeze(1).to(device())

    def logits(self, source: str, cases: Sequence[str]) -> Values:
        """Return what leaves the network before the softmax."""
        from mammostudy.training.shapes import predict_logits

        if not cases:
            return np.zeros((0, len(self.spec.classes)))
        return predict_logits(self.model, self.inputs(source, cases))

    def decide(self, logits: Values) -> list[str]:
        """Name the likeliest class."""
        return _argmax(self.spec, logits)

    def _train(self, progress: bool | None) -> Fitted:
        import torch
        from safetensors.torch import save_model

        from mammostudy.data.cache import write_atomically
        from mammostudy.training.loop import device
        from mammostudy.training.shapes import ShapeBudget, fit_shapes, shape_class_weights

        spec, task = self.spec, self.task
        key = spec.training_key(task.cohort.manifest_hash)
        cases = task.training()
        numbers = task.numbers(cases)
        counts = np.bincount(numbers, minlength=len(spec.classes))
        settings = spec.training
        checkpoint = store_root() / "checkpoints" / f"{key}.pt"
        fitted = fit_shapes(
            self.model,
            self.inputs(spec.input.source, cases),
            torch.from_numpy(numbers).to(device()),
            ShapeBudget(
                settings.epochs,
                settings.batch,
                settings.learning_rate,
                settings.momentum,
                settings.smoothing,
            ),
            weights=shape_class_weights(counts, settings.weighting),
            focal_gamma=settings.focal_gamma,
            rotate=settings.rotate,
            binary=spec.classifier != "grey-cnn",
            seed=spec.seed,
            validate=self._validation(),
            checkpoint=checkpoint,
            label=f"{spec.cohort} {spec.variant} {spec.classifier} fold {spec.split.fold}",
            progress=progress,
        )
        write_atomically(weights_path(key), lambda partial: save_model(self.model, str(partial)))
        checkpoint.unlink(missing_ok=True)
        return fitted

    def _validation(self) -> Any:
        """Return a function that scores the present weights on the validation masks."""
        from scipy.special import log_softmax

        source = self.spec.input.source
        masks = self.task.masks(source)
        there = {masks.cases[i] for i in np.flatnonzero(~masks.missed)}
        cases = [case for case in self.task.split.validation if case in there]
        numbers = self.task.numbers(cases)

        def validate() -> dict[str, float]:
            logits = self.logits(source, cases)
            if not len(logits) or not np.isfinite(logits).all():
                return {}
            right = logits.argmax(axis=1) == numbers
            surprise = -log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers]
            recalls = [right[numbers == k].mean() for k in np.unique(numbers)]
            return {
                "validation_loss": float(surprise.mean()),
                "validation_accuracy": float(right.mean()),
                "validation_macro_recall": float(np.mean(recalls)),
            }

        return validate


def build_network(spec: ShapeSpec) -> nn.Module:
    """Build the network of a spec from torch's present random state, on the device of runs."""
    from mammostudy.models import ShapeCNN, ShapeResNet
    from mammostudy.training.loop import device

    made = ShapeResNet if spec.classifier == "resnet" else ShapeCNN
    return made(len(spec.classes)).to(device())
