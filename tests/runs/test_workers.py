"""Work side by side: what is killed costs itself alone; what is told to end ends, its runs kept."""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing

import psutil
import pytest

from mammostudy.paths import store_root
from mammostudy.runs.workers import side_by_side
from mammostudy.training.loop import load_checkpoint

WITHIN = 5  # seconds
BARS = """
from mammostudy.runs.workers import side_by_side

if __name__ == "__main__":
    items = [("import tqdm; LOCKlist(tqdm.tqdm([1], disable=True))",)] * 2
    print(*list(side_by_side(exec, items, 2)))
"""
RUN = """
import sys
from mammostudy import cli
from mammostudy.runs.spec import RunSpec

specs = [RunSpec.model_validate_json(text) for text in sys.argv[1:]]
cli._specs = lambda *_: specs
sys.argv = ["mammostudy", "run", "--cohort", "tiny", "--workers", "WORKERS"]
cli.main()
"""


def test_a_killed_process_costs_its_item_alone():
    items = [("1",), ("import os; os._exit(9)",), ("1 / 0",), ("2",), ("3",)]
    found = dict(side_by_side(exec, items, 2))
    assert sorted(found) == sorted(items)
    assert isinstance(found.pop(items[1]), BrokenProcessPool)
    assert isinstance(found.pop(items[2]), ZeroDivisionError)
    assert set(found.values()) == {None}


def test_what_is_closed_begins_nothing_more(tmp_path):
    wait = "import time; open({!r}, 'w'); time.sleep(60)"
    items = [("1",), *((wait.format(str(tmp_path / name)),) for name in "abc")]
    began = time.monotonic()
    with closing(side_by_side(exec, items, 2)) as done:
        next(done)
        while not list(tmp_path.iterdir()):
            time.sleep(0.05)
    assert time.monotonic() - began < 30
    named = [" ".join(each.cmdline()) for each in psutil.Process().children()]
    assert not [words for words in named if "spawn_main" in words]
    assert "c" not in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("lock", ["", "del tqdm.tqdm._lock; "])  # the control: its own
def test_bars_leave_no_semaphore_behind(lock, tmp_path):
    path = tmp_path / "bars.py"  # workers read it again
    path.write_text(BARS.replace("LOCK", lock), encoding="utf-8")
    ended = subprocess.run([sys.executable, path], env=os.environ, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.count("None)")) == (0, 2)
    assert ("leaked semaphore" in ended.stderr) == bool(lock)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 1])
@pytest.mark.parametrize(("number", "group"), [
    (signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, False),
])  # fmt: skip
def test_runs_end_with_their_parent_and_keep_what_they_have(
    number, group, workers, tiny, tiny_spec, ended, record_property
):
    long = {"optimiser__iterations": 10**6, "optimiser__validations": 10**4}
    specs = [tiny_spec.changed(seed=seed, **long) for seed in range(3)]
    command = [sys.executable, "-c", RUN.replace("WORKERS", str(workers))]
    command += [spec.model_dump_json() for spec in specs]
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    while len(list(store_root().glob("locks/????????????????.lock"))) < workers:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    while len(list(store_root().glob("checkpoints/*.pt"))) < workers:  # all are at work
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    random.seed(int(number) + workers)
    time.sleep(3 * random.random())
    told_at = time.time()
    spent = ended(process, number, group)
    record_property("seconds", round(spent, 2))
    assert spent < WITHIN
    told = [line for line in process.stderr.read().splitlines() if line.startswith("mammostudy:")]
    assert process.wait() == (-9 if number == signal.SIGKILL else 128 + number)
    assert len(told) == (number != signal.SIGKILL)
    kept = list(store_root().glob("checkpoints/*"))
    assert len(kept) == workers  # the third was not begun
    assert all(load_checkpoint(path)["iteration"] > 0 for path in kept)
    if number != signal.SIGKILL or workers > 1:
        assert all(path.stat().st_mtime > told_at for path in kept)
    assert not list(store_root().rglob(".partial-*"))
    assert not list(store_root().rglob("record.json"))
