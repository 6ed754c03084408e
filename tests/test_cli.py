"""The command line: exit codes, one line on stderr, no traceback; what is run, kept and dropped."""

from __future__ import annotations

import json
import os
import shutil
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
from mammostudy.data.load import load_cohort
from mammostudy.errors import SpecError, StudyError
from mammostudy.predictions import OUTPUTS
from mammostudy.study import recipes

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
    def call(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mammostudy", *words])
        monkeypatch.setenv("MAMMOSTUDY_DATA", os.environ.get("MAMMOSTUDY_DATA", ""))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def tiny(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return write_cohort(tmp_path)


def picture(path: Path) -> Path:
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 255, (48, 64), np.uint8))
    return path


def test_help() -> None:
    for words in ((), ("data",), ("run",), ("predict",), ("book",), ("doctor",)):
        result = CliRunner().invoke(cli.app, [*words, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output
    listed = CliRunner().invoke(cli.app, ["data", "--help"]).output
    for name in ("list", "build", "fetch", "check", "describe", "template"):
        assert name in listed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data", "check", "nowhere", "--root", "{tmp}"), ("nowhere", "--root", "known cohorts")),
        (("data", "build", "cdd-cesm", "--root", "{tmp}/away"), ("away/cdd-cesm", "no such")),
        (("data", "describe", "[red]", "--root", "{tmp}"), ("[red]",)),
        (("data", "check", "../x", "--root", "{tmp}"), ("'../x'", "not a name")),
        (("run", "losses", "--preset", "huge"), ("preset 'huge'", "smoke, quick")),
        (("run", "[moon]"), ("chapter '[moon]'", "losses", "shapes")),
        (("run", "losses", "--cohort", "nowhere", "--root", "{tmp}"), ("nowhere",)),
        (("predict", "{tmp}/[b]none.png", "--box", "1,1,9,9"), ("[b]none.png", "no such image")),
        (("predict", "{tmp}", "--box", "1,1,9,9"), ("a folder",)),
        (("predict", "{tmp}/text.png", "--box", "1,1,9,9"), ("text.png", "DICOM, PNG")),
        (("predict", "{tmp}/a.png", "--box", "1,1,90,9"), ("not inside the image", "64 x 48")),
        (("predict", "{tmp}/a.png", "--box", "1,1,9"), ("--box '1,1,9'", "four whole numbers")),
        (("predict", "{tmp}/a.png"), ("no box given", "--box", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", "--detector", "abc"), ("'abc'", "mammostudy run detection")),
        (("predict", "{tmp}/a.png", "--box", "1,1,9,9", "--detector", "a"), ("one of them",)),
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


def test_control_without_main_the_error_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mammostudy", "data", "check", "nowhere", "--root", "/none"])
    monkeypatch.setenv("MAMMOSTUDY_DATA", "")
    with pytest.raises(StudyError):
        cli.app()


@pytest.mark.parametrize("words", [("[fly]",), ("run", "--workers", "0"), ("run", "--wings")])
def test_misspelt_commands_and_options(
    words: tuple[str, ...], mammostudy: Callable[..., Outcome]
) -> None:
    outcome = mammostudy(*words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert words[-1] in outcome.err or "--workers" in outcome.err


def test_predict_writes_its_three_files(
    trained: Trained, tmp_path: Path, mammostudy: Callable[..., Outcome]
) -> None:
    image, out = picture(tmp_path / "[red].png"), tmp_path / "out"
    outcome = mammostudy("predict", str(image), "--box", "16,14,29,25", "--out", str(out))
    assert outcome.code == 0
    said, untold, *_ = outcome.err.splitlines()
    assert said.startswith("research only; not a medical device; segmenter ")
    assert said.endswith("was trained on tiny")
    assert untold.startswith("shape not told: ")
    assert [Path(line).name for line in outcome.out.split()] == list(OUTPUTS)
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    assert json.loads((out / "prediction.json").read_text())["trained_on"] == "tiny"


def test_a_negative_is_said_to_be_doubtful(
    trained: Trained, tmp_path: Path, mammostudy: Callable[..., Outcome]
) -> None:
    film = np.full((48, 64), 255, np.uint8)
    cv2.circle(film, (0, 24), 20, 90, -1)
    cv2.imwrite(str(tmp_path / "a.png"), film)
    words = (str(tmp_path / "a.png"), "--box", "1,14,29,25", "--out", str(tmp_path / "out"))
    outcome = mammostudy("predict", *words)
    assert "note: the background is bright" in outcome.err
    assert "doubtful: " in outcome.err


def spec_of(cohort: str) -> object:
    """The cheapest run: a baseline."""
    return recipes.baselines(recipes.recipe(cohort, "smoke", frame__size=64))[1]


def test_run_reports_keeps_and_drops(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of("tiny")
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: [spec, spec])
    for module in ("mammostudy.cli", "mammostudy.runs.record"):
        monkeypatch.setattr(f"{module}.results_root", lambda: tmp_path / "results")
    cli.run(["losses"], "tiny", "smoke", workers=1)
    assert "1 runs, 1 of them to do" in capsys.readouterr().out
    cli.run(["losses"], "tiny", "smoke", workers=1)
    assert "1 runs, 0 of them to do" in capsys.readouterr().out
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True, keep=True)
    out = capsys.readouterr().out
    assert "1 runs, 1 of them to do" in out
    assert "1 new records under results/tiny" in out
    (committed,) = (tmp_path / "results" / "tiny").iterdir()
    (committed / "old").touch()
    with pytest.raises(SpecError, match=r"1 of these runs.*--keep"):
        cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert (committed / "old").is_file()
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True, keep=True)
    assert (committed / "record.json").is_file()
    assert not (committed / "old").exists()


def test_fresh_drops_one_run_only(trained: Trained, own_store: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    shutil.copytree(trained.store, own_store)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    other = own_store / "weights" / "other.safetensors"
    other.touch()
    cli._drop([trained.record.spec], kept=False)
    assert not (own_store / "records" / "tiny" / trained.record.key).exists()
    assert list((own_store / "weights").iterdir()) == [other]


def test_a_run_without_its_library_is_told_and_keeps_its_record(
    tiny: Path, own_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking = recipes.recipe("tiny", "smoke", frame__size=64).changed(model=lite)
    specs = [lacking, spec_of("tiny")]
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: specs)
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: None)
    cli.run(["losses"], "tiny", "smoke", workers=1)
    out = capsys.readouterr().out
    assert "tiny, smoke: 2 runs, 2 of them to do" in out
    assert "not run (1): unet-lite0 starts from weights of the package" in out
    record = own_store / "records" / "tiny" / lacking.key(load_cohort("tiny").manifest_hash)
    record.mkdir(parents=True)
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)
    assert record.is_dir()
    monkeypatch.setattr("mammostudy.runs.spec.find_spec", lambda package: package)
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda *_, **__: [])
    cli.run(["losses"], "tiny", "smoke", workers=1, fresh=True)  # the control
    assert not record.exists()


def shell(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environ, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_in_a_shell_a_library_says_nothing_beside_the_one_line(tmp_path: Path, kind: str) -> None:
    path = picture(tmp_path / f"cut.{kind}")
    path.write_bytes(path.read_bytes()[:-500])
    call = shell(
        "-m", "mammostudy.cli", "predict", str(path), "--box", "1,1,9,9", "--out", "out",
        cwd=tmp_path, MAMMOSTUDY_STORE=str(tmp_path / "store"),
    )  # fmt: skip
    assert call.returncode == 2
    (line,) = call.stderr.splitlines()
    assert line.startswith(f"mammostudy: {path}: ")
    assert "cut off" in line or "truncated" in line
    assert call.stdout == ""
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


IMPORT = """
import sys, time
start = time.perf_counter()
import mammostudy
{touched}
print(time.perf_counter() - start)
heavy = ["torch", "pandas", "matplotlib", "sklearn", "skimage", "cv2", "scipy", "numpy"]
print([name for name in heavy if name in sys.modules])
"""


def test_the_package_imports_quickly_and_lazily(tmp_path: Path) -> None:
    touched = "mammostudy.__version__, dir(mammostudy)"
    seconds, loaded = shell("-c", IMPORT.format(touched=touched), cwd=tmp_path).stdout.splitlines()
    assert loaded == "[]"
    assert float(seconds) < 1.0
    control = shell("-c", IMPORT.format(touched="mammostudy.load_cohort"), cwd=tmp_path)
    assert "pandas" in control.stdout
