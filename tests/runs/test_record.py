"""Records on disk: whole or absent, found by key, committed before local; nothing about who."""

import getpass
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import DataError
from mammostudy.paths import results_root, store_root
from mammostudy.runs import provenance
from mammostudy.runs import record as store
from mammostudy.runs.execute import ensure, execute
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.runs.record import find_record, write_record
from mammostudy.runs.spec import RunSpec

MANIFEST = "0123456789abcdef"
SPEC = RunSpec(cohort="c")
SHAPE = ShapeSpec(cohort="c", classes=("irregular", "round"))
CASES = pd.DataFrame(
    {
        "part": "test", "case": ["001", "b", "NA"], "patient": ["7", "08", "null"], "site": "one",
        "missed": [False, False, True], "dice": [0.25, 1 / 3, 1.0], "hd95": [1.5, np.nan, 0.0],
        "truth_pixels": [3, 4, 12345], "logit_irregular": [0.25, 1 / 3, -0.5],
        "logit_round": [1.5, 2.0, -1.25],
    }
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("own_folders")
ARRAYS = {"embedding": np.arange(6, dtype=np.float16).reshape(3, 2), "names": np.array(["a", "ü"])}


def content(spec=SPEC, manifest=MANIFEST, **changes):
    keys = {"key": spec.key(manifest), "recipe_key": spec.recipe_key(), "manifest_hash": manifest}
    said = {"status": "completed", "converged": True, "provenance": {"commit": "abc"}}
    said["curves"] = [{"iteration": 1.0}, {"iteration": 2.0, "validation_dice": 0.7}]
    return {"spec": spec.model_dump(mode="json"), **keys, **said, **changes}


def masks(side=5):
    rng = np.random.default_rng(0)
    return {name: rng.random((side, side)) > 0.5 for name in ("001", "b", "NA")}


def written(root=None, **changes):
    return write_record(content(**changes), CASES, masks(), root=root)


def test_round_trip():
    record = written()
    assert record.folder == store.local_records() / "c" / SPEC.key(MANIFEST)
    assert (record.spec, record.key) == (SPEC, SPEC.key(MANIFEST))
    assert (record.kind, record.status, record.converged) == ("segmentation", "completed", True)
    assert record.provenance == {"commit": "abc"}
    assert record.curves["validation_dice"].isna().tolist() == [True, False]
    pd.testing.assert_frame_equal(record.cases, CASES, rtol=1e-4)  # five digits are kept
    assert record.part("validation").empty
    assert not store.weights_path("k").is_relative_to(results_root())


@pytest.mark.parametrize("side", [5, 8, 33])
def test_predictions_are_kept_to_the_bit(side):
    frame = np.array([1, 2, 30, 40])
    framed = {case: (mask, frame) for case, mask in masks(side).items()}
    plain = write_record(content(), CASES, masks(side)).predictions()
    found = write_record(content(), CASES, framed).predictions()
    assert list(plain) == list(found) == ["001", "b", "NA"]
    for case, mask in masks(side).items():
        assert (plain[case].dtype, found[case][1].tolist()) == (bool, frame.tolist())
        assert np.array_equal(plain[case], mask)
        assert np.array_equal(found[case][0], mask)
    assert write_record(content(), CASES, {}).predictions() == {}


def test_shape_records_come_back_as_they_were():
    record = write_record(content(SHAPE, temperature=1.25), CASES, arrays=ARRAYS)
    assert (record.kind, record.spec, record.temperature) == ("shape", SHAPE, 1.25)
    assert record.cases["missed"].dtype == bool
    wanted = CASES[["logit_irregular", "logit_round"]].to_numpy()
    np.testing.assert_allclose(record.logits(), wanted, rtol=1e-4)
    np.testing.assert_allclose(record.logits(record.cases.iloc[1:]), wanted[1:], rtol=1e-4)
    for name, array in record.arrays().items():
        assert array.dtype == ARRAYS[name].dtype
        assert np.array_equal(array, ARRAYS[name])
    turned = SHAPE.changed(classes=("round", "irregular"))
    assert write_record(content(turned), CASES).logits()[0].tolist() == [1.5, 0.25]


def test_a_half_written_folder_is_never_seen(monkeypatch):
    def full_disk(*_, **__):
        assert not list(store.records("c"))
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        written()
    assert not list((store.local_records() / "c").iterdir())
    assert find_record(SPEC, MANIFEST) is None


def test_what_a_killed_write_leaves_is_not_a_record_and_writing_again_replaces():
    partial = written().folder.rename(store.local_records() / "c" / ".partial-x")
    (partial / "record.json").write_text("{", encoding="utf-8")
    assert not list(store.records("c"))
    written()
    assert written(status="diverged").status == "diverged"
    assert len(list(store.records("c"))) == 1


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "null", '{"format": 1}', *(json.dumps(
        content() | {"format": 1, "spec": SPEC.model_dump(mode="json") | {"kind": kind}}
    ) for kind in ("subtype", None, []))],
)  # fmt: skip
def test_a_damaged_record_is_one_clear_error(text):
    record = written()
    path = record.folder / "record.json"
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"record\.json: not a readable record.*delete the folder"):
        store.read_record(record.folder)
    assert find_record(SPEC, None if text else MANIFEST) is None
    assert quarantined() == ([record.key] if text is not None else [])


def quarantined():
    return [path.name.rpartition("-")[0] for path in store_root().glob("quarantine/*")]


READ = {
    "cases.csv": lambda record: record.cases,
    "predictions.npz": lambda record: record.predictions(),
    "arrays.npz": lambda record: record.arrays(),
}


def test_many_rows_are_packed_and_come_back_the_same(monkeypatch):
    plain = written()
    rows, size = plain.cases, plain.rows_path.name
    monkeypatch.setattr(store, "PACKED_FROM", len(CASES))
    packed = written()
    assert (size, packed.rows_path.name) == ("cases.csv", "cases.csv.gz")
    assert packed.cases.equals(rows)
    content = packed.rows_path.read_bytes()
    packed.rows_path.write_bytes(content[:60])
    assert find_record(SPEC, MANIFEST) is None


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "a line less", "a bit"])
def test_damage_is_set_aside_or_refused(name, damage, caplog):
    """What is local is made anew; what is committed stays; what is older has no checksums."""

    def damaged(root=None):
        path = write_record(content(), CASES, masks(), ARRAYS, root).folder / name
        whole = path.read_bytes()
        lines, at = whole.splitlines(keepends=True), len(whole) // 2
        kept = {"empty": b"", "cut": whole[:60], "a line less": b"".join(lines[:-1])}
        kept["a bit"] = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.unlink() if damage == "missing" else path.write_bytes(kept[damage])
        return path

    path = damaged()
    assert find_record(SPEC, MANIFEST) is None
    assert quarantined() == [path.parent.name]
    assert f"{path.parent.name}/record.json" in caplog.text
    assert name in caplog.text
    written()
    path = damaged(results_root())
    with pytest.raises(DataError, match=name):
        find_record(SPEC, MANIFEST)
    assert path.parent.is_dir()
    about = path.with_name("record.json")
    old = {key: value for key, value in json.loads(about.read_text()).items() if key != "sha256"}
    about.write_text(json.dumps(old))
    found = find_record(SPEC, MANIFEST)
    if damage in ("a line less", "a bit") or (name, damage) == ("cases.csv", "cut"):
        return  # the control: it may be read nevertheless
    with pytest.raises(DataError, match=f"{name}: not a readable record"):
        READ[name](found)


@pytest.mark.parametrize("manifest", [MANIFEST, None])
def test_committed_comes_before_local(manifest):
    assert find_record(SPEC, manifest) is None
    written()
    written(results_root(), provenance={"commit": "committed"})
    assert find_record(SPEC, manifest).provenance["commit"] == "committed"
    assert [r.provenance["commit"] for r in store.records("c")] == ["committed", "abc"]
    shutil.rmtree(results_root())
    assert find_record(SPEC, manifest).provenance["commit"] == "abc"


def test_without_data_a_record_of_the_recipe_is_taken():
    written(results_root())
    write_record(content(SHAPE), CASES)
    assert find_record(SPEC, "other-data") is None
    for spec in (SPEC, SHAPE):
        found = find_record(spec, None)
        assert (found.spec, found.content["manifest_hash"]) == (spec, MANIFEST)
    assert find_record(SPEC.changed(seed=1), None) is None
    assert find_record(SPEC.changed(cohort="d"), None) is None
    write_record(content(SPEC.changed(seed=1)), CASES)
    assert find_record(SPEC.changed(seed=1), None) is not None  # one came since


def test_what_is_kept_serves_without_store_and_data(tiny, tiny_spec, monkeypatch):
    record = execute(tiny_spec, progress=False)
    assert list(store_root().rglob("*.safetensors"))
    assert store.keep([record]) == [results_root() / "tiny" / record.key]
    files = sorted(path.name for path in results_root().rglob("*") if path.is_file())
    assert files == ["cases.csv", "predictions.npz", "record.json"]
    assert store.keep([record]) == []
    rows = record.cases
    shutil.rmtree(store_root())
    monkeypatch.delenv("MAMMOSTUDY_DATA")
    (found,) = ensure([tiny_spec], workers=1, progress=False)
    assert found.cases.equals(rows)


def test_two_records_of_one_key_with_other_numbers_cannot_both_stand():
    local, known = written(), written(results_root())
    assert store.keep([local, known]) == []  # the control: they are alike
    table = CASES.assign(dice=0.5).drop(columns="site")
    known = write_record(content(), table, masks(), root=results_root())
    for one in (local, known):
        with pytest.raises(DataError, match="other rows") as told:
            store.keep([one])
        assert str(local.folder) in str(told.value)
        assert str(known.folder) in str(told.value)


def test_a_faulty_manifest_is_not_taken_for_missing_data(tiny):
    assert store.manifest_hash("elsewhere") is None
    assert store.manifest_hash("tiny") == tiny.manifest_hash
    path = tiny.root / "manifest.csv"
    text = path.read_text(encoding="utf-8").replace(",CC,", ",sideways,", 1)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="sideways"):
        store.manifest_hash("tiny")


def test_no_name_of_host_user_or_folder_is_kept(monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGES", ("torch", "no-such-package-here"))
    said = provenance.provenance()
    assert {"commit", "python", "versions", "machine"} == set(said)
    assert said["versions"]["no-such-package-here"] == "not installed"
    text = json.dumps(said)
    words = [socket.gethostname(), str(Path.home()), str(Path(__file__).parents[2])]
    assert not any(word in text for word in words if len(word) > 2)
    assert f'"{getpass.getuser()}"' not in text
