"""Keeping: what is committed is the record, and never a weight or an image."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.paths import results_root, store_root
from mammostudy.runs.execute import ensure, execute
from mammostudy.runs.keep import keep
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import find_record


def test_a_record_is_kept_once_and_without_weights(tiny: Cohort, tiny_spec: RunSpec) -> None:
    record = execute(tiny_spec, progress=False)
    assert list(store_root().rglob("*.safetensors"))
    written = keep([record])
    assert written == [results_root() / "tiny" / record.key]
    files = sorted(path.name for path in results_root().rglob("*") if path.is_file())
    assert files == ["cases.csv", "predictions.npz", "record.json"]
    assert keep([record]) == []
    found = find_record(tiny_spec, tiny.manifest_hash)
    assert found is not None
    assert found.folder == written[0]
    assert keep([found]) == []  # a kept record is not kept again


def test_what_is_kept_serves_without_store_and_data(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = execute(tiny_spec, progress=False).cases
    keep([r for r in [find_record(tiny_spec, tiny.manifest_hash)] if r])
    shutil.rmtree(store_root())
    monkeypatch.delenv("MAMMOSTUDY_DATA")
    (record,) = ensure([tiny_spec], workers=1, progress=False)
    assert record.cases.equals(rows)


def test_an_interrupted_copy_is_completed(
    tiny: Cohort, tiny_spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = execute(tiny_spec, progress=False)
    usual = shutil.copytree

    def cut(*args: object, **fields: object) -> None:
        usual(*args, **fields)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copytree", cut)
    with pytest.raises(KeyboardInterrupt):
        keep([record], tmp_path / "kept")
    assert not (tmp_path / "kept" / "tiny" / record.key).exists()
    monkeypatch.setattr(shutil, "copytree", usual)
    assert keep([record], tmp_path / "kept") == [tmp_path / "kept" / "tiny" / record.key]
    assert [p.name for p in (tmp_path / "kept" / "tiny").iterdir()] == [record.key]
