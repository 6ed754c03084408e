"""Each task names the columns that it needs, and a cohort without them is refused by name."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import Geometry, OutlineCohort
from mammostudy.data.tasks import TASKS, lacking, needed, require, tasks_of
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def tiny(tmp_path: Path, write_cohort: Callable[..., Path]) -> Cohort:
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)


def without(cohort: Cohort, **cells: object) -> Cohort:
    return Cohort(cohort.name, cohort.root, cohort.manifest.assign(**cells))


def test_a_cohort_with_shapes_and_without_subtypes(tiny: Cohort) -> None:
    assert tasks_of(tiny) == ["detection", "segmentation", "shape"]
    for task in tasks_of(tiny):
        require(tiny, task)
    with pytest.raises(DataError, match=r"^tiny: cannot be used for subtype: no mass has subtype;"):
        require(tiny, "subtype")


@pytest.mark.parametrize(("cells", "task", "words"), [
    ({"shape": None}, "shape", "shape"),
    ({"shape": "round"}, "shape", "one value only"),
    ({"x_min": None}, "detection", "x_min"),
    ({"mask": None, "outline": None}, "segmentation", "mask or outline"),
])  # fmt: skip
def test_a_column_that_is_missing(
    cells: dict[str, object], task: str, words: str, tiny: Cohort
) -> None:
    with pytest.raises(DataError, match=f"tiny: cannot be used for {task}: .*{words}"):
        require(without(tiny, **cells), task)
    require(tiny, task)  # control


def test_columns_count_only_in_the_same_row(tiny: Cohort) -> None:
    shape = tiny.manifest["shape"].astype(object).where(tiny.manifest["patient"] == "P1", None)
    subtype = (tiny.manifest["patient"] == "P2").map({True: "HER-2", False: None})
    with pytest.raises(DataError, match="a row with shape, subtype"):
        require(without(tiny, shape=shape, subtype=subtype), "subtype")


def test_outlines_serve_shapes_alone(tmp_path: Path) -> None:
    shared = {"patient": "P", "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9, "subtype": None}
    shapes = {"a": "oval", "b": "round"}
    rows = pd.DataFrame([shared | {"case": case, "shape": word} for case, word in shapes.items()])
    drawn = dict.fromkeys(shapes, Geometry("circle", ((5, 5), (3, 3))))
    cohort = OutlineCohort("x", tmp_path, rows, {}, drawn)
    assert tasks_of(cohort) == ["shape"]
    with pytest.raises(DataError, match="outlines only"):
        require(cohort, "segmentation")


def test_a_source_may_need_other_columns(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    source = types.ModuleType("mammostudy.data.sources.cmmd")
    source.TASKS = {"subtype": ("image", "subtype")}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, source.__name__, source)
    assert needed("cmmd", "subtype") == ("image", "subtype")
    assert needed("cmmd", "shape") == TASKS["shape"]
    assert needed("tiny", "subtype") == TASKS["subtype"]
    free = {"x_min": None, "shape": None, "mask": None, "outline": None}
    types_of = (tiny.manifest["patient"] == "P2").map({True: "HER-2", False: "Luminal-A"})
    cmmd = Cohort("cmmd", tiny.root, tiny.manifest.assign(subtype=types_of, **free))
    assert tasks_of(cmmd) == ["subtype"]


def test_an_unknown_task(tiny: Cohort) -> None:
    with pytest.raises(DataError, match=r"task 'grading' is unknown; use detection"):
        lacking(tiny, "grading")
