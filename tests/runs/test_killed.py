"""A run killed by the system in the middle of writing a checkpoint, and what its store is worth."""

import os
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mammostudy.paths import store_root
from mammostudy.runs.execute import execute
from mammostudy.runs.record import local_records, weights_path
from mammostudy.training import loop
from mammostudy.training.loop import load_checkpoint

CHILD = """
import os, signal, sys, torch
from mammostudy.runs.execute import execute
from mammostudy.runs.spec import RunSpec
from mammostudy.training import loop

torch.set_num_threads(1)
loop.CHECKPOINT_SECONDS = -1.0  # after every iteration
save, written = torch.save, []

def half(state, path):
    save(state, path)
    written.append(path)
    if len(written) == 3:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = half
if sys.argv[2] == "in place":
    loop.write_atomically = lambda path, write: write(path)
execute(RunSpec.model_validate_json(sys.argv[1]), progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("write", "resumes_after"), [("beside and moved", 2), ("in place", 0)])
def test_killed_in_the_middle_of_a_checkpoint(write, resumes_after, tiny, tiny_spec, monkeypatch):
    """The checkpoint before stays whole; the control writes in place and loses all of it."""
    spec = tiny_spec.changed(optimiser__iterations=5)
    weights = weights_path(spec.training_key(tiny.manifest_hash))
    whole, trained = execute(spec, progress=False).cases, load_file(weights)
    shutil.rmtree(store_root())
    arguments = [sys.executable, "-c", CHILD, spec.model_dump_json(), write]
    (store_root() / "checkpoints").mkdir(parents=True)
    died = subprocess.run(arguments, capture_output=True, text=True, env=os.environ)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not list(local_records().rglob("record.json"))
    path = store_root() / "checkpoints" / f"{weights.stem}.pt"
    unfinished = [p for p in path.parent.iterdir() if p != path]
    assert bool(unfinished) == (write == "beside and moved")  # it did die while writing
    assert (load_checkpoint(path) or {"iteration": 0})["iteration"] == resumes_after

    usual, taken = loop.batch_of, []

    def counted(n, iteration, batch, seed):
        taken.append(iteration)
        return usual(n, iteration, batch, seed)

    monkeypatch.setattr(loop, "batch_of", counted)
    record = execute(spec, progress=False)
    pd.testing.assert_frame_equal(record.cases, whole)
    resumed = record.provenance["training_cpu_seconds"] is None  # that of the first try is lost
    assert resumed == bool(resumes_after)
    assert taken == list(range(resumes_after, 5))
    again = load_file(weights)
    assert all(torch.equal(again[name], trained[name]) for name in trained)
