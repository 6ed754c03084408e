"""The registry: what its rows promise is what their builders take."""

from inspect import signature

import pytest

from mammostudy.errors import SpecError
from mammostudy.models import build_detector, build_segmenter
from mammostudy.models.registry import DETECTORS, SEGMENTERS, Row
from mammostudy.runs.versions import versions_of

ROWS = [*SEGMENTERS.items(), *DETECTORS.items()]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[name for name, _ in ROWS])
def test_a_row_names_fields_and_versions_that_there_are(name: str, row: Row) -> None:
    known = set(signature(row.make()).parameters)
    common = {"in_channels", "out_channels"} if name in SEGMENTERS else {"size", "aspect"}
    assert common | set(row.fields) | set(row.given) <= known
    assert not set(row.fields) & (set(row.given) | set(row.held))
    assert row.cost >= 1
    assert min(versions_of(row.versions).values()) >= 1


def test_unknown_names_and_fields_are_refused_with_the_known_ones() -> None:
    for build in (build_segmenter, build_detector):
        with pytest.raises(SpecError, match=r"'ssd' is unknown: use one of (cgan|faster-rcnn), "):
            build("ssd")
    with pytest.raises(SpecError, match="no field anchors, kind: it has size, "):
        build_detector("fcos", kind="retinanet", anchors="cohort")  # the name says both
    with pytest.raises(SpecError, match="no field weights"):
        build_segmenter("unet", weights="imagenet")
