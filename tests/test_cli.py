"""The command line: exit codes, one line on stderr, no traceback; what is run, kept and dropped."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mammostudy import cli
from mammostudy.errors import SpecError
from mammostudy.figures.predictions import OUTPUTS
from mammostudy.study import recipes


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch):
    monkeypatch.setattr(cli, "end_when_told", lambda **_: None)


@pytest.fixture
def mammostudy(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["mammostudy", *words])
        monkeypatch.setenv("MAMMOSTUDY_DATA", os.environ.get("MAMMOSTUDY_DATA", ""))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(code=caught.value.code or 0, out=printed.out, err=printed.err)

    return call


def picture(path):
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8))
    return path


BOX = ("--box", "1,1,9,9")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data", "check", "nowhere", "--root", "{tmp}"), "nowhere"),
        (("data", "build", "cdd-cesm", "--root", "{tmp}/away"), "away/cdd-cesm"),
        (("data", "check", "../x", "--root", "{tmp}"), "'../x'"),
        (("run", "losses", "--preset", "huge"), "'huge'"),
        (("run", "[moon]"), "'[moon]'"),
        (("run", "losses", "--cohort", "phantm", "--root", "{tmp}"), "did you mean phantom"),
        (("predict", "{tmp}/[b]none.png", *BOX), "[b]none.png"),
        (("predict", "{tmp}/text.png", *BOX), "text.png"),
        (("predict", "{tmp}", *BOX), "a folder"),
        (("predict", "{tmp}/we[", *BOX), "we["),
        (("predict", "{tmp}/" + "a" * 5000, *BOX), "aaa…aaa"),
        (("predict", "{tmp}/a.png", *BOX, "--spacing", "7"), "spacing 7"),
        (("predict", "{tmp}/a.png", *BOX, "--out", "{tmp}/mine"), "mask.png"),
        (("predict", "{tmp}/mine/mask.png", "--out", "{tmp}/mine", "--overwrite"), "image itself"),
        (("run", "losses", "--cohort", "[/]"), "'[/]'"),
        (("predict", "{tmp}/a.png", "--box", "1,1,90,9"), "not inside the image"),
        (("predict", "{tmp}/a.png", "--box", ""), "four whole numbers"),
        (("predict", "{tmp}/a.png"), "no box given"),
        (("predict", "{tmp}/a.png", "--detector", "abc"), "'abc'"),
        (("predict", "{tmp}/a.png", *BOX), "mammostudy run losses"),
        (("book", "--data", "/no/such/folder"), "/no/such/folder"),
    ],
)
def test_what_a_user_can_mend(words, told, tmp_path, own_store, mammostudy, monkeypatch):
    picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mask.png").write_bytes(b"the owner's")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    outcome = mammostudy(*(word.format(tmp=tmp_path) for word in words))
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith("mammostudy: ")
    assert told in line
    assert sorted(tmp_path.rglob("*")) == before  # nothing written, not even an empty folder


def test_a_misspelt_option_ends_with_code_2(mammostudy):
    outcome = mammostudy("run", "--wings")
    assert (outcome.code, "Traceback" in outcome.err, "--wings" in outcome.err) == (2, False, True)


def test_predict_writes_its_files_and_says_its_doubts(trained, tmp_path, mammostudy):
    film = np.full((48, 64), 255, np.uint8)  # a negative
    cv2.circle(film, (0, 24), 20, 90, -1)
    image, out = tmp_path / "[red].png", tmp_path / "out"
    cv2.imwrite(str(image), film)
    outcome = mammostudy("predict", str(image), "--box", "1,14,29,25", "--out", str(out))
    assert outcome.code == 0
    assert [Path(line).name for line in outcome.out.split()] == list(OUTPUTS)
    assert "trained on tiny" in outcome.err
    assert "doubtful: " in outcome.err
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    content = json.loads((out / "prediction.json").read_text())
    assert (content["trained_on"], content["doubtful"]) == ("tiny", True)
    again = ("predict", str(image), "--box", "1,14,29,25", "--out", str(out), "--spacing", "0.5")
    assert mammostudy(*again).code == 2
    outcome = mammostudy(*again, "--overwrite", "--json")
    content = json.loads(outcome.out)
    assert content == json.loads((out / "prediction.json").read_text())
    assert content["area_mm2"] == content["area_px"] / 4


@pytest.fixture
def tiny(tmp_path, own_store, write_cohort, monkeypatch):
    """The cohort ``tiny``; the list that comes back is what the chapter ``losses`` runs."""
    write_cohort(tmp_path)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    specs = [recipes.baselines(recipes.recipe("tiny", "smoke", frame__size=64))[1]]  # the cheapest
    monkeypatch.setattr("mammostudy.study.losses.specs", lambda cohort, preset: specs)
    return specs


def test_run_reports_keeps_and_drops(tiny, tmp_path, capsys, monkeypatch):
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


def shell(*words, cwd, **environ):
    environ |= {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=os.environ | environ, capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip


def test_in_a_shell_a_library_says_nothing_beside_the_one_line(tmp_path):
    path = picture(tmp_path / "cut.tif")
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
        ("import mammostudy.models as m; m.detector_names(), m.segmenter_names()", False),
        ("import mammostudy; mammostudy.load_cohort", True),  # control
    ],
)
def test_imports_are_light(code, loads, tmp_path):
    heavy = "{'torch', 'pandas', 'matplotlib', 'sklearn', 'cv2', 'scipy', 'numpy'}"
    told = shell("-c", f"import sys; {code}; print({heavy} & set(sys.modules))", cwd=tmp_path)
    assert (told.stdout != "set()\n") == loads, told.stderr
