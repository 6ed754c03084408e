"""Every segmenter through the base tester, and the registry's own errors."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from segmenter_tester import SegmenterTester

from mammostudy.errors import SpecError
from mammostudy.models import build_segmenter, segmenter_names


class TestCgan(SegmenterTester):
    name = "cgan"
    fields: ClassVar = {"width": 8, "levels": 6}
    parameters = 13_607_937

    def test_dropout_at_prediction_is_a_field(self) -> None:
        module = self.build(dropout_at_prediction=True).eval()
        with torch.no_grad():
            assert not torch.equal(module(self.images()), module(self.images()))


class TestUnet(SegmenterTester):
    name = "unet"
    parameters = 14_321_937
    rate = 1e-3
    steps = 60

    def test_unknown_encoder_and_a_batch_too_small_to_train(self) -> None:
        with pytest.raises(SpecError, match="encoder 'resnet1' is unknown"):
            self.build(encoder="resnet1")
        small = torch.zeros(1, 1, 32, 32)
        with pytest.raises(SpecError, match="cannot train the U-Net"):
            self.build().train()(small)
        self.build().eval()(small)  # control
        self.build().train()(small.expand(2, -1, -1, -1))


class TestPlainUnet(SegmenterTester):
    name = "unet-plain"
    fields: ClassVar = {"width": 8}
    parameters = 31_036_481
    bad_size = 76
    rate = 5e-3
    steps = 60

    def test_a_width_of_nothing_is_refused(self) -> None:
        with pytest.raises(SpecError, match="width: "):
            self.build(width=0)


class TestUnetVgg16(SegmenterTester):
    name = "unet-vgg16"
    parameters = 23_755_537
    crop = 32
    steps = 40


class TestUnetLite0(SegmenterTester):
    name = "unet-lite0"
    fields: ClassVar = {"weights": "none"}
    parameters = 5_197_585
    rate = 3e-3
    steps = 120

    def test_parameter_count(self) -> None:
        with torch.device("meta"):
            whole = build_segmenter(self.name, weights="none")
        assert sum(weights.numel() for weights in whole.parameters()) == self.parameters


class TestSegNet(SegmenterTester):
    name = "segnet"
    parameters = 29_442_433
    crop = 32
    rate = 3e-3
    steps = 40


class TestFcn(SegmenterTester):
    name = "fcn"
    fields: ClassVar = {"dense": 64}
    parameters = 134_264_259
    crop = 32
    rate = 3e-4  # without batch norm it learns slowly
    steps = 150

    def test_dense_layers_of_nothing_are_refused(self) -> None:
        with pytest.raises(SpecError, match="dense: "):
            self.build(dense=0)


class TestCrfCnn(SegmenterTester):
    name = "crfcnn"
    fields: ClassVar = {"dense": 64, "rounds": 2, "window": 5}
    parameters = 134_264_262
    crop = 32
    rate = 2e-4
    steps = 150

    def test_its_field_knows_mass_and_background_alone(self) -> None:
        out = self.build(in_channels=3)(self.images(channels=3))
        assert out.shape == (2, 1, self.size, self.size)
        with pytest.raises(SpecError, match="out_channels: "):
            self.build(out_channels=2)
        with pytest.raises(SpecError, match="window = 4"):
            self.build(window=4)


class TestResidualFcn(SegmenterTester):
    name = "fcn-resnet101"
    parameters = 51_932_609
    bad_size = 68
    closeness = 1e-2  # a hundred layers of batch norm that has not run yet
    crop = 48
    rate = 1e-3
    steps = 50


class TestSlsDeep(SegmenterTester):
    name = "slsdeep"
    parameters = 37_320_321
    bad_size = 68
    crop = 32
    rate = 4e-3
    steps = 60


class TestCganResnet101(SegmenterTester):
    name = "cgan-resnet101"
    parameters = 51_506_961
    closeness = 1e-2  # as of the other hundred layers, which are drawn anew
    crop = 32
    steps = 60


def test_every_registered_segmenter_has_a_tester() -> None:
    assert {tester.name for tester in SegmenterTester.__subclasses__()} == set(segmenter_names())


@pytest.mark.parametrize("name", ["cgan", "unet", "unet-plain"])
def test_channels_and_fields(name: str) -> None:
    module = build_segmenter(name, in_channels=3, out_channels=2)
    side = 256 if name == "cgan" else 64
    assert module(torch.rand(2, 3, side, side)).shape == (2, 2, side, side)
    with pytest.raises(SpecError, match=f"'{name}' has no field wdith: it has "):
        build_segmenter(name, wdith=3)
    with pytest.raises(SpecError, match="in_channels: Input should be a valid integer"):
        build_segmenter(name, in_channels="one")
