"""The registry: what its rows promise is what their builders take; names cost no heavy import."""

from __future__ import annotations

import subprocess
import sys
from inspect import signature
from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.models import build_detector, build_segmenter
from mammostudy.models.registry import DETECTORS, SEGMENTERS, Row
from mammostudy.runs.versions import recipe_version

ROWS = [*SEGMENTERS.items(), *DETECTORS.items()]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_a_row_names_fields_and_versions_that_there_are(name: str, row: Row) -> None:
    known = set(signature(row.make()).parameters)
    common = {"in_channels", "out_channels"} if name in SEGMENTERS else {"size", "aspect"}
    assert common | set(row.fields) | set(row.given) <= known
    assert not set(row.fields) & (set(row.given) | set(row.held))
    assert row.cost >= 1
    assert all(recipe_version(label) >= 1 for label in row.versions)


@pytest.mark.parametrize("use", [build_segmenter, build_detector])
def test_unknown_names_are_refused_with_the_known_ones(use: Any) -> None:
    with pytest.raises(SpecError, match=r"'ssd' is unknown: use one of (cgan|faster-rcnn), "):
        use("ssd")


def test_what_a_name_says_is_no_field() -> None:
    with pytest.raises(SpecError, match="'fcos' has no field anchors, kind: it has size, "):
        build_detector("fcos", kind="retinanet", anchors="cohort")
    with pytest.raises(SpecError, match="'unet' has no field weights"):
        build_segmenter("unet", weights="imagenet")


def test_the_names_cost_no_heavy_import() -> None:
    code = (
        "import sys; from mammostudy.models import detector_names, segmenter_names;"
        "detector_names(), segmenter_names();"
        "print({'torch', 'torchvision', 'segmentation_models_pytorch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
