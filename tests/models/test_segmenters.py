"""Every segmenter through the base tester, and the registry's own errors."""

from __future__ import annotations

import socket
import subprocess
import sys
from inspect import Parameter
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from segmenter_tester import SegmenterTester

from mammostudy.errors import SpecError
from mammostudy.models import build_segmenter, segmenter_names, segmenter_version
from mammostudy.models.segmenters import registry


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

    def test_nothing_is_downloaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            pytest.fail("the network was used")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        self.build()

    def test_unknown_encoder_and_a_batch_too_small_to_train(self) -> None:
        with pytest.raises(SpecError, match="encoder 'resnet1' is unknown"):
            self.build(encoder="resnet1")
        small = torch.zeros(1, 1, 32, 32)
        with pytest.raises(SpecError, match="cannot train the U-Net"):
            self.build().train()(small)
        self.build().eval()(small)  # control
        self.build().train()(small.expand(2, -1, -1, -1))


def test_every_registered_segmenter_has_a_tester() -> None:
    assert {tester.name for tester in SegmenterTester.__subclasses__()} == set(segmenter_names())


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    for use in (build_segmenter, segmenter_version):
        with pytest.raises(SpecError, match="'u-net' is unknown: use one of cgan, unet"):
            use("u-net")


def test_the_guard_is_what_lists_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: where the guard is made blind, the message with the known fields is gone."""
    blind = SimpleNamespace(parameters={"wdith": Parameter("wdith", Parameter.KEYWORD_ONLY)})
    monkeypatch.setattr(registry, "signature", lambda _: blind)
    with pytest.raises(SpecError) as caught:
        build_segmenter("cgan", wdith=3)
    assert "it has " not in str(caught.value)


def test_the_names_cost_no_heavy_import() -> None:
    code = (
        "import sys; from mammostudy.models.segmenters import segmenter_names;"
        "segmenter_names(); print({'torch', 'segmentation_models_pytorch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
