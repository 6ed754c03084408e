"""What ends a command: exit codes, one line, and a log in which nobody is named."""

import errno
import os
import re
import resource
import subprocess
import sys
from concurrent.futures.process import _RemoteTraceback
from pathlib import Path

import pytest

from mammostudy import cli, faults, settings
from mammostudy.errors import BookError, DataError, UnbuiltError, grouped
from mammostudy.publishing.pages import read_pages
from mammostudy.runs.record import read_record

ROOT = Path(faults.__file__).resolve().parents[1]
WORDS = ("kanarie", "johanna", "730611927405", "1967", "infirmary", "4711")
PERSON = "Kanarie^Johanna 1967-04-12"
FILE = "/data/Nowhere Infirmary/Kanarie_Johanna 730611927405.dcm"
REMOTE = f'"""\nTraceback:\n  File "/home/johanna/data/load.py", line 5, in build\n{PERSON}\n"""'


def from_worker():
    raise ValueError(PERSON) from _RemoteTraceback(REMOTE)


def odd():
    try:
        {}[PERSON]
    except KeyError:
        raise RuntimeError(f"the patient {PERSON} is odd, in {FILE}") from None


def raised(error):
    raise error


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch):
    monkeypatch.setattr(cli, "end_when_told", lambda **_: None)


@pytest.mark.parametrize(
    ("call", "code", "logged"),
    [
        (lambda: float(PERSON), 1, "ValueError"),
        (lambda: {}[PERSON], 1, "KeyError"),
        (lambda: Path(FILE).read_bytes(), 2, "No such file or directory"),
        (lambda: (FILE.encode() + b"\xff").decode(), 1, "UnicodeDecodeError"),
        (odd, 1, "the patient ·^· ·-·-· is odd, in /"),
        (from_worker, 1, "data/load.py, line 5, in build"),
        (lambda: raised(MemoryError(PERSON)), 2, "MemoryError"),
        (lambda: raised(OSError(errno.ENOSPC, "full", FILE)), 2, "OSError"),
        (lambda: raised(KeyboardInterrupt()), 130, None),
        (lambda: raised(DataError("a.png: bad")), 2, None),
        (lambda: raised(BookError("study.yaml: bad")), 2, None),
        (lambda: raised(UnbuiltError("a page failed")), 1, None),
    ],
)
@pytest.mark.parametrize("store", ["a folder", "a file"])
def test_what_is_foreign_is_one_line_and_a_log_without_names(
    call, code, logged, store, tmp_path, own_store, monkeypatch, capsys
):
    if store == "a file":
        own_store.touch()
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("mammostudy.inference.predict", lambda *_, **__: call())
    monkeypatch.setattr(sys, "argv", ["mammostudy", "predict", FILE, "--out", str(tmp_path / "o")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (code, "")
    (line,) = printed.err.splitlines()
    logs = list(tmp_path.rglob("*.log"))
    assert len(logs) == (logged is not None)
    for log in logs:
        text = log.read_text(encoding="utf-8")
        assert str(log) in line
        assert log.is_relative_to(own_store) == (store == "a folder")
        assert "in predict" in text
        assert logged in text
        assert [word for word in WORDS if word in f"{line} {text}".lower()] == []


def test_the_newest_logs_are_kept(own_store):
    (own_store / "logs").mkdir(parents=True)
    for hour in range(5):
        (path := own_store / "logs" / f"20200101-{hour:06}-1.log").write_bytes(bytes(5 << 20))
        os.utime(path, (hour, hour))
    assert "log: " in faults.told(ValueError())[0]
    kept = sorted(path.name[:15] for path in (own_store / "logs").iterdir())
    assert kept[:-1] == ["20200101-000002", "20200101-000003", "20200101-000004"]


def test_debug_shows_the_traceback_wherever_it_stands(own_store, monkeypatch, capsys):
    monkeypatch.setenv("MAMMOSTUDY_DEBUG", "")
    for words in (["--debug", "data", "check", "../x"], ["data", "check", "../x", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["mammostudy", *words])
        with pytest.raises(SystemExit):
            cli.main()
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "cpus", "alone", "expected"),
    [
        ("", 3, False, 3),
        ("", 40, False, 4),
        ("", 40, True, 1),
        ("7", 1, True, 7),
        ("1", 9, False, 1),
    ],
)
def test_workers_follow_the_affinity_or_the_variable(named, cpus, alone, expected, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_WORKERS", named)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cpus)))
    assert settings.workers(alone) == expected


def test_in_a_folder_that_is_gone(tmp_path):
    code = "import os; os.rmdir(os.getcwd()); from mammostudy import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "data", "build", "x"], cwd=tmp_path, capture_output=True,
        text=True, check=False, timeout=120, env={"PYTHONPATH": ROOT, "LC_ALL": "C"},
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith("mammostudy: ")) == (2, True)


def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.parametrize("fault", ["full", "a file", "below a file", "too long"])
def test_a_store_that_cannot_be_written_is_one_line(fault, tmp_path):
    """A disk is full for files above 20 kB: as large as a picture, larger than a log."""
    (tmp_path / "file").touch()
    places = {"a file": "file", "below a file": "file/s", "too long": "s" * 300, "full": "store"}
    store = tmp_path / places[fault]
    done = subprocess.run(
        [sys.executable, "-m", "mammostudy.cli", "data", "build", "phantom-null"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={"MAMMOSTUDY_STORE": store, "PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=limit if fault == "full" else None,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert places[fault][:100] in line
    assert list(tmp_path.rglob("manifest.csv")) == []
    assert list(tmp_path.rglob(".partial-*")) == []


@pytest.mark.parametrize("content", [b"pages: \xff\xfe", b"[" * 5000 + b"]" * 5000, b"pages: ["])
def test_settings_and_records_that_cannot_be_read_are_named(content, tmp_path):
    for name, read in (("study.yaml", read_pages), ("record.json", read_record)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((BookError, DataError), match=name):
            read(tmp_path)


def test_variables_and_exit_codes_stand_in_the_readme(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = "".join(line.split(" | ")[0] for line in readme.splitlines() if line.startswith("|"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "mammostudy").rglob("*.py"))
    read = set(re.findall(r"MAMMOSTUDY_[A-Z]+", code))
    assert {"MAMMOSTUDY_STORE", "MAMMOSTUDY_WORKERS", "MAMMOSTUDY_DEVICE"} <= read
    assert read == set(re.findall(r"MAMMOSTUDY_[A-Z]+", rows))
    with pytest.raises(SystemExit):
        cli.app(["--help"])
    assert " ".join(capsys.readouterr().out.split()).endswith(faults.CODES)
    assert faults.CODES in readme


def test_a_place_with_several_faults_of_a_kind_is_named_once():
    said = [("a.csv", "row 1 is odd"), ("a.csv", "row 2 is odd"), ("b.csv", "row 3 is odd")]
    assert grouped(said, then=": ") == ["a.csv, b.csv: row 1 is odd"]
