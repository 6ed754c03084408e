"""Records on disk: whole or absent, found by key, committed before local."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.paths import results_root
from mammostudy.runs import store
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import (
    Record,
    ShapeRecord,
    find_record,
    has_converged,
    local_records,
    read_record,
    records,
    write_record,
    write_shape_record,
)

MANIFEST = "0123456789abcdef"
SPEC = RunSpec(cohort="c")
pytestmark = pytest.mark.usefixtures("own_folders")


def content(spec: RunSpec = SPEC, manifest: str = MANIFEST) -> dict[str, Any]:
    return {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(manifest),
        "recipe_key": spec.recipe_key(),
        "manifest_hash": manifest,
        "status": "completed",
        "converged": True,
        "curves": [{"iteration": 1.0, "overlap": 0.5}, {"iteration": 2.0, "validation_dice": 0.7}],
        "provenance": {"commit": "abc"},
    }


def masks(side: int = 5) -> dict[str, NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    return {name: rng.random((side, side)) > 0.5 for name in ("001", "b", "NA")}


CASES = pd.DataFrame(
    {
        "part": "test", "case": ["001", "b", "NA"], "patient": ["7", "08", "null"], "site": "one",
        "postprocessing": "none", "dice": [0.25, 1 / 3, 1.0], "hd95": [1.5, np.nan, 0.0],
        "truth_pixels": [3, 4, 12345],
    }
)  # fmt: skip


def written(root: Path | None = None, **changes: Any) -> Record:
    return write_record({**content(), **changes}, CASES, masks(), root)


def test_round_trip() -> None:
    record = written()
    assert record.folder == local_records() / "c" / SPEC.key(MANIFEST)
    assert (record.spec, record.key, record.manifest_hash) == (SPEC, SPEC.key(MANIFEST), MANIFEST)
    assert (record.status, record.converged) == ("completed", True)
    assert record.provenance == {"commit": "abc"}
    assert record.curves["validation_dice"].isna().tolist() == [True, False]
    pd.testing.assert_frame_equal(record.cases, CASES, rtol=1e-4)  # five digits are kept
    assert record.cases["patient"].tolist() == ["7", "08", "null"]


@pytest.mark.parametrize("side", [5, 8, 33])
def test_predictions_are_kept_to_the_bit(side: int) -> None:
    stored = write_record(content(), CASES, masks(side)).predictions()
    assert list(stored) == ["001", "b", "NA"]
    for case, mask in masks(side).items():
        assert stored[case].dtype == bool
        assert np.array_equal(stored[case], mask)


def test_a_half_written_folder_is_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*args: object, **fields: object) -> None:
        assert not list(records("c"))
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        written()
    assert not list((local_records() / "c").iterdir())
    assert find_record(SPEC, MANIFEST) is None


def test_what_a_killed_write_leaves_is_not_a_record() -> None:
    partial = local_records() / "c" / ".partial-x"
    partial.mkdir(parents=True)
    (partial / "record.json").write_text("{")
    assert not list(records("c"))
    written()
    assert len(list(records("c"))) == 1


def test_writing_again_replaces() -> None:
    written()
    assert written(status="diverged").status == "diverged"
    assert len(list(records("c"))) == 1


def _damage(record: Record, text: str | None) -> None:
    path = record.folder / "record.json"
    path.unlink() if text is None else path.write_text(text)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", "\x00\xff", '{"format": 1}'])
def test_a_damaged_record_is_one_clear_error(text: str | None) -> None:
    record = written()
    _damage(record, text)
    with pytest.raises(DataError, match=r"record\.json: not a readable record.*delete the folder"):
        read_record(record.folder)
    if text is not None:
        with pytest.raises(DataError):
            find_record(SPEC, MANIFEST)


def test_a_record_of_another_format_is_refused() -> None:
    record = written()
    _damage(record, json.dumps({**record.content, "format": 99}))
    with pytest.raises(DataError, match="format 99, this code reads 1"):
        read_record(record.folder)


@pytest.mark.parametrize(
    ("name", "read"),
    [("cases.csv", lambda r: r.cases), ("predictions.npz", lambda r: r.predictions())],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
def test_damaged_tables_are_one_clear_error(
    name: str, read: Callable[[Record], object], damage: str
) -> None:
    record = written()
    path = record.folder / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    if (name, damage) == ("cases.csv", "truncated"):
        return  # a table cut at a cell is still a table
    with pytest.raises(DataError, match=f"{name}: not a readable record"):
        read(read_record(record.folder))


def test_committed_comes_before_local() -> None:
    written()
    written(results_root(), provenance={"commit": "committed"})
    found = find_record(SPEC, MANIFEST)
    assert found is not None
    assert found.provenance["commit"] == "committed"
    assert [r.provenance["commit"] for r in records("c")] == ["committed", "abc"]
    shutil.rmtree(results_root())
    found = find_record(SPEC, MANIFEST)
    assert found is not None
    assert found.provenance["commit"] == "abc"


def test_without_data_a_record_of_the_recipe_is_taken() -> None:
    assert find_record(SPEC, None) is None
    written(results_root())
    assert find_record(SPEC, "other-data") is None
    found = find_record(SPEC, None)
    assert found is not None
    assert found.manifest_hash == MANIFEST
    assert find_record(SPEC.changed(seed=1), None) is None
    assert find_record(SPEC.changed(cohort="d"), None) is None


def curve(*dice: float) -> list[dict[str, float]]:
    rows = [{"iteration": float(i), "overlap": 1.0} for i in range(1, 2 * len(dice), 2)]
    return [
        *rows,
        *({"iteration": 2.0 * (i + 1), "validation_dice": d} for i, d in enumerate(dice)),
    ]


@pytest.mark.parametrize(
    ("dice", "converged"),
    [
        ((), False),
        ((0.8, 0.8, 0.8, 0.8), False),  # too few to tell
        ((0.1, 0.5, 0.8, 0.8, 0.8), True),
        ((0.1, 0.5, 0.8, 0.8, 0.807), True),  # 0.9 %
        ((0.1, 0.5, 0.8, 0.8, 0.809), False),  # 1.1 %
        ((0.1, 0.9, 0.8, 0.7, 0.6), True),  # falls
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.79, 0.82), True),  # mean of two: 0.805
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.81, 0.82), False),  # 0.815
        ((0.0, 0.0, 0.0, 0.0, 0.1), False),
    ],
)
def test_has_converged(dice: tuple[float, ...], converged: bool) -> None:
    rows = sorted(curve(*dice), key=lambda row: row["iteration"])
    assert has_converged(rows) is converged


def test_weights_lie_in_the_local_store_only() -> None:
    path = store.weights_path("k")
    assert path.name == "k.safetensors"
    assert not path.is_relative_to(results_root())


SHAPE = ShapeSpec(cohort="c", classes=("irregular", "round"))
SHAPE_CASES = pd.DataFrame(
    {
        "part": ["validation", "test", "test"], "case": ["001", "b", "NA"],
        "patient": ["7", "08", "null"], "site": "one", "source": "truth",
        "tool": ["circle", "polygon", "ellipse"], "missed": [False, False, True],
        "label": ["round", "irregular", "round"], "predicted": ["round", "round", "none"],
        "logit_irregular": [0.25, 1 / 3, -0.5], "logit_round": [1.5, 2.0, -1.25],
    }
)  # fmt: skip
ARRAYS = {"embedding": np.arange(6, dtype=np.float16).reshape(3, 2), "names": np.array(["a", "ü"])}


def shape_content(**changes: Any) -> dict[str, Any]:
    kept = {
        "spec": SHAPE.model_dump(mode="json"),
        "key": SHAPE.key(MANIFEST),
        "recipe_key": SHAPE.recipe_key(),
        "temperature": 1.25,
        "classes_trained": {"irregular": 3, "round": 4},
    }
    return {**content(), **kept, **changes}


def test_shape_records_come_back_as_they_were() -> None:
    record = write_shape_record(shape_content(), SHAPE_CASES, ARRAYS)
    assert isinstance(read_record(record.folder), ShapeRecord)
    assert record.folder == local_records() / "c" / SHAPE.key(MANIFEST)
    assert (record.spec, record.key, record.temperature) == (SHAPE, SHAPE.key(MANIFEST), 1.25)
    pd.testing.assert_frame_equal(record.cases, SHAPE_CASES, rtol=1e-4)
    assert record.cases["missed"].dtype == bool
    logits = SHAPE_CASES[["logit_irregular", "logit_round"]].to_numpy()
    np.testing.assert_allclose(record.logits(), logits, rtol=1e-4)
    np.testing.assert_allclose(record.logits(record.cases.iloc[1:]), logits[1:], rtol=1e-4)
    stored = record.arrays()
    assert set(stored) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert stored[name].dtype == array.dtype
        assert np.array_equal(stored[name], array)


def test_logits_follow_the_classes_of_the_spec() -> None:
    turned = SHAPE.changed(classes=("round", "irregular"))
    record = write_shape_record(shape_content(spec=turned.model_dump(mode="json")), SHAPE_CASES)
    assert record.logits()[0].tolist() == [1.5, 0.25]


def test_a_shape_run_without_explanation_has_no_arrays() -> None:
    record = write_shape_record(shape_content(), SHAPE_CASES)
    assert sorted(path.name for path in record.folder.iterdir()) == ["cases.csv", "record.json"]
    with pytest.raises(DataError, match=r"arrays\.npz: not a readable record"):
        record.arrays()


@pytest.mark.parametrize("damage", [b"", b"PK", None])
def test_damaged_arrays_are_one_clear_error(damage: bytes | None) -> None:
    record = write_shape_record(shape_content(), SHAPE_CASES, ARRAYS)
    path = record.folder / "arrays.npz"
    path.write_bytes(path.read_bytes()[:60] if damage is None else damage)
    with pytest.raises(DataError, match=r"arrays\.npz: not a readable record"):
        record.arrays()


def test_both_kinds_stand_side_by_side_and_are_found() -> None:
    written()
    write_shape_record(shape_content(), SHAPE_CASES)
    assert {type(record) for record in records("c")} == {Record, ShapeRecord}
    for manifest in (MANIFEST, None):
        shape, mask = find_record(SHAPE, manifest), find_record(SPEC, manifest)
        assert isinstance(shape, ShapeRecord)
        assert isinstance(mask, Record)
    assert find_record(SHAPE.changed(seed=1), MANIFEST) is None


@pytest.mark.parametrize("kind", ["subtype", "", None, 1, [], {}])
def test_an_unknown_kind_of_run_is_refused(kind: object) -> None:
    record = write_shape_record(shape_content(), SHAPE_CASES)
    told = {**record.content, "spec": {**record.content["spec"], "kind": kind}}
    (record.folder / "record.json").write_text(json.dumps(told))
    with pytest.raises(
        DataError, match=r"record\.json: not a readable record \(a run of kind .*unk"
    ):
        read_record(record.folder)


def test_a_record_of_before_there_were_kinds_is_a_segmentation() -> None:
    record = written()
    assert "kind" not in record.content["spec"]
    assert isinstance(read_record(record.folder), Record)


@pytest.mark.parametrize("temperature", [None, "warm", ...])
def test_a_shape_record_without_a_temperature_is_refused(temperature: object) -> None:
    record = write_shape_record(shape_content(), SHAPE_CASES)
    told = {**record.content, "temperature": temperature}
    if temperature is ...:
        told.pop("temperature")
    (record.folder / "record.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"record\.json: not a readable record \(without temper"):
        read_record(record.folder)


def test_shape_runs_converge_by_their_own_metric() -> None:
    rows = [
        {"iteration": float(i), "validation_macro_recall": r, "validation_dice": i / 9}
        for i, r in enumerate((0.2, 0.5, 0.8, 0.8, 0.8, 0.8), start=1)
    ]
    assert has_converged(rows, "validation_macro_recall")
    assert not has_converged(rows)  # control: the other column still rises


def test_a_metric_that_never_left_zero_has_not_converged() -> None:
    flat = [{"iteration": float(at), "validation_dice": 0.0} for at in range(1, 11)]
    assert not has_converged(flat)
    assert has_converged([row | {"validation_dice": 0.5} for row in flat])  # control
