"""The perceptual hash, against its definition in plain loops, and what counts as the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mammostudy.data import likeness
from mammostudy.data.likeness import alike, look


def breast(seed: int, height: int = 96, width: int = 80) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 5)
    return (1000 + 300 * noise / noise.std()).clip(0, 4000).astype(np.uint16)


def test_the_hash_is_the_sign_of_horizontal_steps() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 17)).astype(np.uint8)  # no resizing
    bits = look(image).bits.reshape(16, 16)
    for row in range(16):
        for column in range(16):
            assert bits[row, column] == (image[row, column + 1] > image[row, column])


def test_thumbnails_have_unit_length_and_no_mean() -> None:
    thumbnail = look(breast(1)).thumbnail
    assert thumbnail.mean() == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(thumbnail) == pytest.approx(1, abs=1e-5)
    assert not look(np.zeros((20, 20))).thumbnail.any()


def test_copies_are_found_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breast(1)
    larger = cv2.resize(one, (240, 288), interpolation=cv2.INTER_CUBIC)
    noisy = (one + np.random.default_rng(9).normal(0, 5, one.shape)).clip(0, 4000).astype(np.uint16)
    images = [one, breast(2), larger, breast(3), noisy]
    looks = [look(image) for image in images]
    assert [pair[:2] for pair in alike(looks)] == [(0, 2), (0, 4), (2, 4)]
    assert all(correlation > likeness.CORRELATION for *_, correlation in alike(looks))
    monkeypatch.setattr(likeness, "_BLOCK", 2)  # block by block gives the same pairs
    assert [pair[:2] for pair in alike(looks)] == [(0, 2), (0, 4), (2, 4)]
    monkeypatch.setattr(likeness, "CORRELATION", 2.0)
    assert list(alike(looks)) == []  # control
    assert list(alike([])) == []
