"""The registry: what its rows promise is what their builders take."""

from inspect import signature

import pytest
import torch

from mammostudy.errors import SpecError
from mammostudy.models import build_detector, build_segmenter
from mammostudy.models.registry import DETECTORS, SEGMENTERS
from mammostudy.runs.versions import versions_of

ROWS = SEGMENTERS | DETECTORS
PARAMETERS = {  # of the networks as published: without fields
    "cgan": 13_607_937,
    "cgan-resnet101": 51_506_961,
    "crfcnn": 134_264_262,
    "fcn": 134_264_259,
    "fcn-resnet101": 51_932_609,
    "segnet": 29_442_433,
    "slsdeep": 37_320_321,
    "unet": 14_321_937,
    "unet-lite0": 5_197_585,
    "unet-plain": 31_036_481,
    "unet-vgg16": 23_755_537,
    "faster-rcnn": 41_352_281,
    "fcos": 32_115_270,
    "retinanet": 32_201_069,
    "ssd-light": 2_775_944,
    "ssd300-vgg16": 23_745_908,
    "ssdlite-mobilenetv3": 2_206_520,
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_names_fields_and_versions_that_there_are(name):
    row = ROWS[name]
    known = set(signature(row.make()).parameters)
    common = {"in_channels", "out_channels"} if name in SEGMENTERS else {"size", "aspect"}
    fields = set(row.fields) - {"standardised"}  # which is the builder's
    assert common | fields | set(row.given) <= known
    assert not set(row.fields) & (set(row.given) | set(row.held))
    assert row.cost >= 1
    assert min(versions_of(row.versions).values()) >= 1


@pytest.mark.parametrize("name", ROWS)
def test_parameter_count(name):
    with torch.device("meta"):  # shapes without numbers
        build = build_segmenter if name in SEGMENTERS else build_detector
        network = build(name, **({"weights": "none"} if name == "unet-lite0" else {}))
    assert sum(weights.numel() for weights in network.parameters()) == PARAMETERS[name]


def test_unknown_names_and_fields_are_refused_with_the_known_ones():
    for build in (build_segmenter, build_detector):
        with pytest.raises(SpecError, match=r"'ssd' is unknown: use one of (cgan|faster-rcnn), "):
            build("ssd")
    with pytest.raises(SpecError, match="no field anchors, kind: it has size, "):
        build_detector("fcos", kind="retinanet", anchors="cohort")  # the name says both
    with pytest.raises(SpecError, match="no field weights"):
        build_segmenter("unet", weights="imagenet")
