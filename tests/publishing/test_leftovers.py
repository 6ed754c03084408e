"""What killed writers left: removed where it is old and no one writes it."""

import os
import subprocess
import sys
import time

import pytest

from mammostudy.paths import store_root, write_atomically
from mammostudy.publishing.leftovers import remove_leftovers


@pytest.mark.parametrize("age", [0, 3600])
def test_only_what_is_old_and_of_no_living_process_goes(age, own_store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {f".partial-{gone.pid}-ab.pt", f".partial-{os.getpid()}-ab.pt", ".partial-0123ab.csv"}
    for name in names:
        (store_root() / "deep" / name).mkdir(parents=True)
        (store_root() / "deep" / name / "inside").touch()
        os.utime(store_root() / "deep" / name, (time.time() - age,) * 2)
    remove_leftovers()
    left = {path.name for path in (store_root() / "deep").iterdir()}
    assert left == ({f".partial-{os.getpid()}-ab.pt"} if age else names)


def test_a_file_under_way_is_named_by_its_writer(own_store):
    def write(path):
        os.utime(path.parent, None)
        path.touch()
        os.utime(path, (0, 0))
        remove_leftovers()
        assert path.is_file()

    write_atomically(own_store / "a.pt", write)
    assert [path.name for path in own_store.iterdir()] == ["a.pt"]
