"""What a record says of its run: its machine, nothing about who or where."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

from mammostudy.runs import provenance as module
from mammostudy.runs.provenance import provenance


def test_no_name_of_host_user_or_folder_is_kept(monkeypatch):
    monkeypatch.setattr(module, "_PACKAGES", ("torch", "no-such-package-here"))
    said = provenance()
    assert {"commit", "python", "versions", "machine"} == set(said)
    assert said["versions"]["no-such-package-here"] == "not installed"
    text = json.dumps(said)
    words = [socket.gethostname(), str(Path.home()), str(Path(__file__).parents[2])]
    assert not any(word in text for word in words if len(word) > 2)
    assert f'"{getpass.getuser()}"' not in text
