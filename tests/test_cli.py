"""The command line: exit codes, one line on stderr, no traceback; what is run, kept and dropped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammostudy import cli
from mammostudy.data.load import load_cohort
from mammostudy.errors import SpecError
from mammostudy.predictions import OUTPUTS
from mammostudy.study import recipes

if TYPE_CHECKING:
    from tests.conftest import Trained

Call = Callable[..., SimpleNamespace]


@pytest.fixture
def mammostudy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*words: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["mammostudy", *words])
        monkeypatch.setenv("MAMMOSTUDY_DATA", os.environ.get("MAMMOSTUDY_DATA", ""))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(code=caught.value.code or 0, out=printed.out, err=printed.err)

    return call


def picture(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8))
    return path


def test_help() -> None:
    for words in ((), ("data",), ("run",), ("predict",), ("book",), ("doctor",)):
        assert "Usage" in CliRunner().invoke(cli.app, [*words, "--help"]).output


BOX = ("--box", "1,1,9,9")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data", "check", "nowhere", "--root", "{tmp}"), ("nowhere", "--root", "known: phantom")),
        (("data", "build", "cdd-cesm", "--root", "{tmp}/away"), ("away/cdd-cesm", "no such")),
        (("data", "describe", "[red]", "--root", "{tmp}"), ("[red]",)),
        (("data", "check", "../x", "--root", "{tmp}"), ("'../x'", "not a name")),
        (("run", "losses", "--preset", "huge"), ("preset 'huge'", "smoke, quick")),
        (("run", "[moon]"), ("chapter '[moon]'", "losses", "shapes")),
        (("run", "losses", "--cohort", "phantm", "--root", "{tmp}"), ("did you mean phantom",)),
        (("run", "--cohort", "cdd-cesmm"), ("did you mean cdd-cesm",)),
        (("predict", "{tmp}/[b]none.png", *BOX), ("[b]none.png", "no such image")),
        (("predict", "{tmp}", *BOX), ("no such image file",)),
        (("predict", "{tmp}/text.png", *BOX), ("text.png", "DICOM, PNG")),
        (("predict", "{tmp}/a.png", "--box", "1,1,90,9"), ("not inside the image", "64 x 48")),
        (("predict", "{tmp}/a.png", "--box", "1,1,9"), ("four whole numbers",)),
        (("predict", "{tmp}/a.png", "--box", ""), ("four whole numbers",)),
        (("predict", "{tmp}/a.png"), ("no box given", "--box", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", "--detector", "abc"), ("'abc'", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", *BOX), ("mammostudy run losses",)),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_code_2(
    words: tuple[str, ...], told: tuple[str, ...], tmp_path: Path, own_store: Path,
    mammostudy: Call, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = mammostudy(*(word.format(tmp=tmp_path) for word in words))
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith("mammostudy: ")
    assert all(word in line for word in told)
    assert sorted(tmp_path.rglob("*")) == before  # nothing written, not even an empty folder


@pytest.mark.parametrize("words", [("[fly]",), ("run", "--workers", "0"), ("run", "--wings")])
def test_misspelt_commands_and_options(words: tuple[str, ...], mammostudy: Call) -> None:
    outcome = mammostudy(*words)
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)
    assert words[-1] in outcome.err or "--workers" in outcome.err


def test_predict_writes_its_files_and_says_its_doubts(
    trained: Trained, tmp_path: Path, mammostudy: Call
) -> None:
    film = np.full((48, 64), 255, np.uint8)  # a negative
    cv2.circle(film, (0, 24), 20, 90, -1)
    image, out = tmp_path / "[red].png", tmp_path / "out"
    cv2.imwrite(str(image), film)
    outcome = mammostudy("predict", str(image), "--box", "1,14,29,25", "--out", str(out))
    assert outcome.code == 0
    assert [Path(line).name for line in outcome.out.split()] == list(OUTPUTS)
    said, untold, *doubts = outcome.err.splitlines()
    assert said.startswith("research only; not a medical device; segmenter ")
    assert said.endswith("was trained on tiny")
    assert untold.startswith("shape not told: ")
    assert any(line.startswith("note: the background is bright") for line in doubts)
    assert doubts[-1].startswith("doubtful: ")
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    content = json.loads((out / "prediction.json").read_text())
    assert (content["trained_on"], content["doubtful"]) == ("tiny", True)


@pytest.fixture
def tiny(
    tmp_path: Path, own_store: Path, write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> list[object]:  # fmt: skip
    """The cohort ``tiny``; the list that comes back is what the chapter ``losses`` runs."""
    write_cohort(tmp_path)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    specs = [recipes.baselines(recipes.recipe("tiny", "smoke", frame__size=64))[1]]  # the cheapest
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: specs)
    return specs


def test_run_reports_keeps_and_drops(
    tiny: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tiny *= 2  # listed twice, run once
    for module in ("mammostudy.cli", "mammostudy.runs.record"):
        monkeypatch.setattr(f"{module}.results_root", lambda: tmp_path / "results")
    for options, to_do, kept in (({}, 1, 0), ({}, 0, 0), ({"fresh": True, "keep": True}, 1, 1)):
        cli.run(["losses"], "tiny", "smoke", workers=1, **options)
        out = capsys.readouterr().out
        assert f"1 runs, {to_do} of them to do" in out
        assert ("1 new records under results/" in out) == bool(kept)
    (committed,) = (tmp_path / "results" / "tiny").iterdir()
    (committed / "old").touch()
    with pytest.raises(SpecError, match=r"1 of these runs.*--keep"):
        cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert (committed / "old").is_file()
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True, keep=True)
    assert (committed / "record.json").is_file()
    assert not (committed / "old").exists()


def test_fresh_drops_one_run_only(
    trained: Trained, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.store, own_store)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    other = own_store / "weights" / "other.safetensors"
    other.touch()
    cli._drop([trained.record.spec], kept=False)
    assert not (own_store / "records" / "tiny" / trained.record.key).exists()
    assert list((own_store / "weights").iterdir()) == [other]


def test_a_run_without_its_library_is_told_and_keeps_its_record(
    tiny: list[object], own_store: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking = recipes.recipe("tiny", "smoke", frame__size=64).changed(model=lite)
    tiny.append(lacking)
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: None)
    cli.run(["losses"], "tiny", "smoke", workers=1)
    out = capsys.readouterr().out
    assert "tiny, smoke: 2 runs, 2 of them to do" in out
    assert "not run (1): unet-lite0 needs the package" in out
    record = own_store / "records" / "tiny" / lacking.key(load_cohort("tiny").manifest_hash)
    record.mkdir(parents=True)
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert record.is_dir()
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: package)
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda *_, **__: [])
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)  # the control
    assert not record.exists()


def shell(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environ |= {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environ, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_in_a_shell_a_library_says_nothing_beside_the_one_line(tmp_path: Path, kind: str) -> None:
    path = picture(tmp_path / f"cut.{kind}")
    path.write_bytes(path.read_bytes()[:-500])
    words = ("-m", "mammostudy.cli", "predict", str(path), *BOX)
    call = shell(*words, cwd=tmp_path, MAMMOSTUDY_STORE=str(tmp_path / "store"))
    assert (call.returncode, call.stdout) == (2, "")
    (line,) = call.stderr.splitlines()
    assert line.startswith(f"mammostudy: {path}: ")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("code", "loads"),
    [
        ("import mammostudy; dir(mammostudy)", False),
        ("from mammostudy import cli", False),
        ("import mammostudy; mammostudy.load_cohort", True),  # control
    ],
)
def test_imports_are_light(code: str, loads: bool, tmp_path: Path) -> None:
    heavy = "{'torch', 'pandas', 'matplotlib', 'sklearn', 'cv2', 'scipy', 'numpy'}"
    told = shell("-c", f"import sys; {code}; print({heavy} & set(sys.modules))", cwd=tmp_path)
    assert (told.stdout != "set()\n") == loads, told.stderr
