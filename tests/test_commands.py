"""Commands as Python functions: what they print, refuse and leave behind."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mammostudy import commands
from mammostudy.commands import (
    CHAPTERS,
    build_cohort,
    check_cohort,
    describe_cohort,
    print_findings,
    run_chapters,
)
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import read_manifest
from mammostudy.doctor import Finding
from mammostudy.errors import DataError, SpecError
from mammostudy.study import recipes

if TYPE_CHECKING:
    from tests.conftest import Trained


@pytest.fixture
def tiny(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return write_cohort(tmp_path)


@pytest.mark.parametrize("command", [build_cohort, check_cohort, describe_cohort])
def test_unknown_cohort(command: Callable[[str], None], tiny: Path, own_store: Path) -> None:
    with pytest.raises(DataError, match=r"'nowhere'.*known cohorts: phantom"):
        command("nowhere")
    assert not own_store.exists()


def test_build_writes_the_manifest(
    tiny: Path, own_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_cohort("tiny")
    assert "13 masses, 6 patients" in capsys.readouterr().out
    written = read_manifest(own_store / "manifests" / "tiny.csv")
    assert written.equals(read_manifest(tiny / "manifest.csv"))


def test_check_reads_everything(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_cohort("tiny")
    assert "13 masses read" in capsys.readouterr().out


def test_check_lists_every_case_at_fault(tiny: Path) -> None:
    (tiny / "images" / "P1_CC.png").unlink()
    (tiny / "images" / "free.png").unlink()
    cv2.imwrite(str(tiny / "masks" / "P2_CC.png"), np.zeros((48, 64), np.uint8))
    with pytest.raises(DataError) as caught:
        check_cohort("tiny")
    assert "3 case(s)" in str(caught.value)
    for word in ("P1_CC.png", "free.png", "P2_CC_1"):
        assert word in str(caught.value)


def test_check_finds_a_patient_under_two_names(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (tiny / "images" / "P1_CC.png").read_bytes()
    path = tiny / "images" / "P2_CC.png"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(content)
    table = tiny / "manifest.csv"
    table.write_text(table.read_text().replace(old, hashlib.sha256(content).hexdigest()))
    with pytest.raises(DataError, match=r"P1_CC\.png .*P2_CC\.png .* near-duplicates"):
        check_cohort("tiny")
    monkeypatch.setattr(commands, "check_leakage", lambda *_: None)
    monkeypatch.setattr(commands, "check_images", lambda *_: None)
    check_cohort("tiny")  # control


def test_describe_is_json(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe_cohort("tiny")
    content = json.loads(capsys.readouterr().out)
    assert content


def outline(patient: int, shape: str = "round", **fields: object) -> str:
    drawn = {"name": "circle", "cx": 80, "cy": 90, "r": 12}
    row = {"image": f"P{patient}_L_DM_CC", "patient": patient, "type": "DM", "view": "CC",
           "region": 0, "mass_shape": shape, "pathology": "Benign", "only_mass_findings": True,
           "geometry": drawn}  # fmt: skip
    return json.dumps(row | fields) + "\n"


@pytest.fixture
def outlined(tiny: Path) -> Path:
    """The file of the cohort ``cdd-cesm-contours``: 17 patients, one of them dropped."""
    path = tiny.parent / "cdd-cesm" / "contours.jsonl"
    path.parent.mkdir()
    lines = [outline(k, ("round", "oval")[k % 2]) for k in range(16)]
    path.write_text("".join([*lines, outline(16, only_mass_findings=False)]))
    return path


def test_outlines_without_images_are_checked_and_described(
    outlined: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_cohort("cdd-cesm-contours")
    assert "16 outlines drawn, no images; no patient crosses" in capsys.readouterr().out
    describe_cohort("cdd-cesm-contours")
    content = json.loads(capsys.readouterr().out)
    assert content["shapes"]["oval"] == {"masses": 8, "patients": 8, "tools": {"circle": 8}}
    assert sum(content["dropped"].values()) == 1
    with pytest.raises(DataError, match="cdd-cesm-contours: has outlines only"):
        build_cohort("cdd-cesm-contours")


def test_a_bad_outline_stops_the_check(outlined: Path) -> None:
    outlined.write_text(outline(1) + outline(2, pathology="odd"))
    for command in (check_cohort, describe_cohort, build_cohort):
        with pytest.raises(DataError, match=r"contours\.jsonl: line 2, pathology: 'odd'"):
            command("cdd-cesm-contours")


def test_unknown_preset(tiny: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="'huge' is unknown; use one of smoke, quick, reference"):
        run_chapters(["losses"], "phantom", "huge")
    assert not own_store.exists()  # refused before a phantom is made
    monkeypatch.setitem(recipes.PRESETS, "huge", recipes.PRESETS["smoke"])
    assert recipes.preset("huge") == recipes.preset("smoke")  # control


def test_unknown_chapter(tiny: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="chapter 'moon' is unknown; use data, detection"):
        run_chapters(["losses", "moon"], "tiny", "smoke")
    assert not own_store.exists()
    monkeypatch.setattr(commands, "CHAPTERS", (*CHAPTERS, "moon"))
    with pytest.raises(ModuleNotFoundError):  # control
        run_chapters(["moon"], "tiny", "smoke")


def test_run_reports_and_keeps(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = recipes.baselines(recipes.recipe("tiny", "smoke", frame__size=64))[1]
    kept: list[str] = []

    def keep(records: list[object]) -> list[Path]:
        kept.extend(record.key for record in records)  # type: ignore[attr-defined]
        return [Path("a")]

    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: [spec, spec])
    monkeypatch.setattr("mammostudy.runs.record.keep", keep)
    run_chapters(["losses"], "tiny", "smoke", workers=1, kept=True)
    out = capsys.readouterr().out
    assert "tiny, smoke: 1 runs, 1 of them to do" in out
    assert "1 new records under results/tiny" in out
    run_chapters(["losses"], "tiny", "smoke", workers=1)
    assert "1 runs, 0 of them to do" in capsys.readouterr().out
    run_chapters(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert "1 runs, 1 of them to do" in capsys.readouterr().out
    assert len(kept) == 1


def test_a_run_without_its_library_is_told_and_keeps_its_record(
    tiny: Path,
    own_store: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking = recipes.recipe("tiny", "smoke", frame__size=64).changed(model=lite)
    spec = recipes.baselines(recipes.recipe("tiny", "smoke", frame__size=64))[1]
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: [lacking, spec])
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: None)
    run_chapters(["losses"], "tiny", "smoke", workers=1)
    out = capsys.readouterr().out
    assert "tiny, smoke: 2 runs, 2 of them to do" in out
    assert "not run (1): unet-lite0 starts from weights of the package" in out
    record = own_store / "records" / "tiny" / lacking.key(load_cohort("tiny").manifest_hash)
    record.mkdir(parents=True)
    run_chapters(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert record.is_dir()
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: package)
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda *_, **__: [])
    run_chapters(["losses"], "tiny", "smoke", workers=1, fresh=True)  # the control
    assert not record.exists()
    assert "not run (" not in capsys.readouterr().out.splitlines()[-1]


def test_fresh_leaves_committed_records_unless_they_are_kept(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = recipes.baselines(recipes.recipe("tiny", "smoke", frame__size=64))[1]
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: [spec])
    for module in ("mammostudy.commands", "mammostudy.runs.record", "mammostudy.runs.record"):
        monkeypatch.setattr(f"{module}.results_root", lambda: tmp_path / "results")
    run_chapters(["losses"], "tiny", "smoke", workers=1, kept=True)
    (committed,) = (tmp_path / "results" / "tiny").iterdir()
    with pytest.raises(SpecError, match=r"1 of these runs.*--keep"):
        run_chapters(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert (committed / "record.json").is_file()
    (committed / "old").touch()
    run_chapters(["losses"], "tiny", "smoke", workers=1, fresh=True, kept=True)
    assert (committed / "record.json").is_file()
    assert not (committed / "old").exists()


def test_forgetting_takes_one_run_only(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "copy"
    shutil.copytree(trained.store, store)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    other = store / "weights" / "other.safetensors"
    other.touch()
    training_key = str(trained.record.content["training_key"])
    commands._forget(trained.record.key, training_key, "tiny")
    assert not (store / "records" / "tiny" / trained.record.key).exists()
    assert [path.name for path in (store / "weights").iterdir()] == ["other.safetensors"]


def test_findings_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([Finding("a", True, "fine"), Finding("b", False, "gone", "do this")])
    out = capsys.readouterr().out
    assert all(word in out for word in ("ok", "fine", "gone", "do this", "1 finding(s) to mend"))
    print_findings([Finding("a", True, "fine")])
    assert "all is well" in capsys.readouterr().out
