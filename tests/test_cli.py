"""The command line: exit codes, one line on stderr, no traceback, quick to import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammostudy import cli
from mammostudy.errors import StudyError

if TYPE_CHECKING:
    from tests.conftest import Trained


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def mammostudy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    for name in ("OMP_WAIT_POLICY", "OPENCV_LOG_LEVEL"):  # main sets them where they are not
        monkeypatch.setenv(name, os.environ.get(name, ""))

    def call(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mammostudy", *words])
        if "MAMMOSTUDY_DATA" in os.environ:  # --root sets it; put back what was there afterwards
            monkeypatch.setenv("MAMMOSTUDY_DATA", os.environ["MAMMOSTUDY_DATA"])
        else:
            monkeypatch.setenv("MAMMOSTUDY_DATA", "")
            monkeypatch.delenv("MAMMOSTUDY_DATA")
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), printed.out, printed.err)

    return call


def picture(path: Path) -> Path:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 255, (48, 64), np.uint8))
    return path


@pytest.mark.parametrize("words", [(), ("data",), ("run",), ("predict",), ("book",), ("doctor",)])
def test_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_commands_are_those_that_others_call() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    for name in ("data", "run", "predict", "book", "doctor"):
        assert name in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data", "check", "nowhere", "--root", "{tmp}"), ("nowhere", "--root", "known cohorts")),
        (("data", "build", "cdd-cesm", "--root", "{tmp}/away"), ("away/cdd-cesm", "no such")),
        (("data", "describe", "nowhere", "--root", "{tmp}"), ("nowhere",)),
        (("data", "check", "../x", "--root", "{tmp}"), ("'../x'", "not a name")),
        (("run", "losses", "--preset", "huge"), ("preset 'huge'", "smoke, quick")),
        (("run", "detectors"), ("chapter 'detectors'", "losses", "shapes")),
        (("run", "losses", "--cohort", "nowhere", "--root", "{tmp}"), ("nowhere",)),
        (("predict", "{tmp}/none.png", "--box", "1,1,9,9"), ("none.png", "no such image")),
        (("predict", "{tmp}/text.png", "--box", "1,1,9,9"), ("text.png", "DICOM, PNG")),
        (("predict", "{tmp}/a.png", "--box", "1,1,90,9"), ("not inside the image", "64 x 48")),
        (("predict", "{tmp}/a.png", "--box", "1,1,9"), ("--box '1,1,9'", "four whole numbers")),
        (("predict", "{tmp}/a.png"), ("no box given", "--box", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", "--detector", "abc"), ("'abc'", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", "--box", ""), ("--box ''", "four whole numbers")),
        (("predict", "{tmp}/a.png", "--box", "1,1,9,9"), ("mammostudy run losses",)),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_code_2(
    words: tuple[str, ...],
    told: tuple[str, ...],
    tmp_path: Path,
    own_store: Path,
    mammostudy: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = mammostudy(*(word.format(tmp=tmp_path) for word in words))
    assert outcome.code == 2
    assert outcome.err.startswith("mammostudy: ")
    assert len(outcome.err.splitlines()) == 1
    assert "Traceback" not in outcome.err + outcome.out
    for word in told:
        assert word in outcome.err
    assert sorted(tmp_path.rglob("*")) == before  # nothing written, not even an empty folder


def test_control_without_main_the_error_is_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mammostudy", "data", "check", "nowhere", "--root", "/none"])
    monkeypatch.setenv("MAMMOSTUDY_DATA", "")
    with pytest.raises(StudyError):
        cli.app()


@pytest.mark.parametrize("words", [("fly",), ("run", "--workers", "0"), ("run", "--wings")])
def test_misspelt_commands_and_options(
    words: tuple[str, ...], mammostudy: Callable[..., Outcome]
) -> None:
    outcome = mammostudy(*words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_predict_writes_its_three_files(
    trained: Trained, tmp_path: Path, mammostudy: Callable[..., Outcome]
) -> None:
    image, out = picture(tmp_path / "a.png"), tmp_path / "out"
    outcome = mammostudy("predict", str(image), "--box", "16,14,29,25", "--out", str(out))
    assert outcome.code == 0
    assert outcome.err.startswith("shape not told: no shape model")
    assert len(outcome.err.splitlines()) == 1
    names = ["mask.png", "overlay.png", "prediction.json"]
    assert [Path(line).name for line in outcome.out.split()] == names
    assert sorted(path.name for path in out.iterdir()) == names


def test_data_commands(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    mammostudy: Callable[..., Outcome],
) -> None:
    write_cohort(tmp_path)
    outcome = mammostudy("data", "check", "tiny", "--root", str(tmp_path))
    assert outcome.code == 0
    assert "14 rows read, 13 masses; no fault" in outcome.out
    outcome = mammostudy("data", "build", "tiny", "--root", str(tmp_path))
    assert outcome.code == 0
    assert "13 masses, 6 patients" in outcome.out


def test_every_fault_of_a_manifest_is_told_at_once(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    mammostudy: Callable[..., Outcome],
) -> None:
    path = write_cohort(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace("round", "blob", 1).replace("MLO", "XYZ", 1))
    outcome = mammostudy("data", "check", "tiny", "--root", str(tmp_path))
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert "shape: 'blob'" in outcome.err


def test_doctor_runs(
    own_store: Path, mammostudy: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    outcome = mammostudy("doctor")
    assert outcome.code == 0
    assert "model for predict" in outcome.out


def shell(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environ, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_in_a_shell(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cut.{kind.lower()}"
    picture(path)
    path.write_bytes(path.read_bytes()[:-500])
    call = shell(
        "-m", "mammostudy.cli", "predict", str(path), "--box", "1,1,9,9", "--out", "out",
        cwd=tmp_path, MAMMOSTUDY_STORE=str(tmp_path / "store"),
    )  # fmt: skip
    assert call.returncode == 2
    assert call.stderr.splitlines() == [
        f"mammostudy: {path}: the {kind} data do not decode; the file is truncated or damaged, "
        "copy it anew"
    ]
    assert call.stdout == ""
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


HEAVY = ["torch", "pandas", "matplotlib", "sklearn", "skimage", "cv2", "scipy", "numpy"]
IMPORT = """
import sys, time
start = time.perf_counter()
import mammostudy
mammostudy.__version__, dir(mammostudy)
print(time.perf_counter() - start)
print([name for name in {heavy!r} if name in sys.modules])
"""


def test_the_package_imports_quickly_and_lazily(tmp_path: Path) -> None:
    call = shell("-c", IMPORT.format(heavy=HEAVY), cwd=tmp_path)
    assert call.returncode == 0, call.stderr
    seconds, loaded = call.stdout.splitlines()
    assert loaded == "[]"
    assert float(seconds) < 1.0


def test_control_the_lazy_names_do_load_them(tmp_path: Path) -> None:
    script = IMPORT.format(heavy=["pandas"]).replace("dir(mammostudy)", "mammostudy.load_cohort")
    call = shell("-c", script, cwd=tmp_path)
    assert call.stdout.splitlines()[1] == "['pandas']"
