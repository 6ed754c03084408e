"""What the paper printed for its claims."""

import pytest

from mammostudy.study import claims_printed


def test_published_differences_are_those_of_the_tables():
    table = claims_printed.published_differences().set_index(["name", "test set"])
    points = table["difference, points of Dice"]
    assert points["loose-beats-full", "INbreast"] == pytest.approx(94.07 - 68.69)
    assert points["loose-beats-tight", "private"] == pytest.approx(89.99 - 88.12)
    assert points["cgan-beats-unet", "INbreast"] == pytest.approx(94.07 - 77.92)
