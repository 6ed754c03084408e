"""Texture, breast outline, muscle and gland."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mammostudy.data.phantoms.tissue import draw_breast, draw_parenchyma, power_law_fields

SIZE = (384, 320)


def measured_exponent(field: np.ndarray) -> float:
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(
        np.fft.fftfreq(field.shape[0])[:, None], np.fft.fftfreq(field.shape[1])[None, :]
    )
    edges = np.geomspace(0.02, 0.4, 12)
    middle = np.sqrt(edges[1:] * edges[:-1])
    level = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(edges)]
    return float(-np.polyfit(np.log(middle), np.log(level), 1)[0])


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_power_law_exponent(beta: float) -> None:
    for field in power_law_fields((256, 256), np.random.default_rng(0), beta):
        assert field.dtype == np.float32
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
        assert measured_exponent(field) == pytest.approx(beta, abs=0.2)


def test_the_two_fields_are_independent() -> None:
    first, second = power_law_fields((256, 256), np.random.default_rng(0), 0.0)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("seed", range(5))
def test_breast(view: str, seed: int) -> None:
    breast = draw_breast(view, SIZE, np.random.default_rng(seed))
    inside = breast.depth > 0
    assert 0.25 < inside.mean() < 0.75
    assert inside[:, 0].mean() > 0.6  # lies on the chest wall
    assert not inside[:, -1].any()  # and ends before the other edge
    assert (breast.pectoral.max() > 0.5) == (view == "MLO")


def test_denser_breasts_have_more_gland() -> None:
    breast = draw_breast("CC", SIZE, np.random.default_rng(1))
    means = [
        draw_parenchyma(breast, density, np.random.default_rng(2))[0][breast.depth > 0].mean()
        for density in (0.1, 0.5, 0.9)
    ]
    assert means == sorted(means)
    assert means[2] > 2 * means[0]
