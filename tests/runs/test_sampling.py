"""One draw, the mean of several, and the mean over mirror images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import FramedSet, frame_cohort
from mammostudy.runs.execute import ensure
from mammostudy.runs.sampling import flip_averaged, one_draw, predict, sampled_probabilities
from mammostudy.runs.segmenters import build_model
from mammostudy.runs.spec import RunSpec


@pytest.fixture
def framed(tiny: Cohort, tiny_spec: RunSpec) -> FramedSet:
    every = frame_cohort(tiny, tiny_spec.frame, tiny_spec.preprocessing)
    return every.take(every.cases[:3])


class LeftHalf(nn.Module):
    """Marks what is bright in the left half: not symmetric, so that flips show."""

    def forward(self, images: Tensor) -> Tensor:
        half = torch.zeros_like(images)
        half[..., : images.shape[-1] // 2] = 1
        return 2 * images * half - 1


def test_mirror_images_are_turned_back_before_their_mean(
    framed: FramedSet, tiny_spec: RunSpec
) -> None:
    model = LeftHalf()
    assert not one_draw(model, framed, tiny_spec)[..., -1].any()  # the control
    found = flip_averaged(model, framed, tiny_spec)
    np.testing.assert_allclose(found, framed.images / 2, atol=1e-6)


def test_the_spec_says_whether_mirror_images_are_averaged(
    framed: FramedSet, tiny_spec: RunSpec
) -> None:
    model = LeftHalf()
    flipped = predict(model, framed, tiny_spec.changed(evaluation__flips=True))
    assert np.array_equal(flipped.masks, framed.images / 2 >= 0.5)
    plain = predict(model, framed, tiny_spec)
    assert np.array_equal(plain.masks, one_draw(model, framed, tiny_spec) >= 0.5)
    assert plain.scores.columns.empty


def test_draws_differ_and_repeat_and_the_first_is_the_runs_own(
    framed: FramedSet, tiny_spec: RunSpec
) -> None:
    spec = tiny_spec.changed(evaluation__samples=3, model__dropout_at_prediction=True)
    torch.manual_seed(0)
    model = build_model(spec)
    samples = sampled_probabilities(model, framed, spec)
    assert samples.shape == (3, *framed.images.shape)
    assert np.array_equal(samples, sampled_probabilities(model, framed, spec))
    assert np.array_equal(samples[0], one_draw(model, framed, spec))
    assert not np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[1], samples[2])
    found = predict(model, framed, spec)
    assert np.array_equal(found.masks, samples.mean(axis=0) >= 0.5)
    spread = samples.std(axis=0, dtype=np.float64)
    marked = (samples >= 0.5).any(axis=0)
    expected = [s[m].mean() if m.any() else s.mean() for s, m in zip(spread, marked, strict=True)]
    assert found.scores["spread"].to_numpy() == pytest.approx(expected)
    assert list(found.scores.index) == list(framed.cases)


def test_the_scores_stand_in_the_record(tiny: Cohort, tiny_spec: RunSpec) -> None:
    spec = tiny_spec.changed(evaluation__samples=2, model__dropout_at_prediction=True)
    (record,) = ensure([spec], workers=1, progress=False)
    raw = record.cases[record.cases["postprocessing"] == "none"]
    scores = ["spread", "information", "disagreement"]
    assert raw[scores].notna().all().all()
    assert (raw[scores] >= 0).all().all()
    others = record.cases[record.cases["postprocessing"] != "none"]
    assert others[scores].isna().all().all()
