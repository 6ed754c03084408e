"""What a record says of its run: whether it settled, its machine, nothing about who or where."""

from __future__ import annotations

import getpass
import json
import socket
from pathlib import Path

import pytest

from mammostudy.runs import provenance as module
from mammostudy.runs.provenance import has_converged, provenance

RISING = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@pytest.mark.parametrize(
    ("dice", "converged"),
    [
        ((), False),
        ((0.8, 0.8, 0.8, 0.8), False),  # too few to tell
        ((0.1, 0.5, 0.8, 0.8, 0.807), True),  # 0.9 %
        ((0.1, 0.5, 0.8, 0.8, 0.809), False),  # 1.1 %
        ((*RISING, 0.79, 0.82), True),  # mean of two: 0.805
        ((*RISING, 0.81, 0.82), False),  # 0.815
        ((0.1, 0.9, 0.8, 0.8, 0.82), True),  # falls a little
        ((0.1, 0.9, 0.8, 0.8, 0.8), False),  # 0.89 of the best
        ((0.1, 0.8, 0.8, 0.8, 0.008), False),  # collapses
        ((0.0, 0.0, 0.0, 0.0, 0.1), False),
    ],
)
def test_has_converged(dice: tuple[float, ...], converged: bool) -> None:
    rows = [{"iteration": 2.0 * at + 1, "validation_dice": d} for at, d in enumerate(dice)]
    assert has_converged([*rows, {"iteration": 99.0, "overlap": 1.0}]) is converged
    rows = [{"iteration": row["iteration"], "other": row["validation_dice"]} for row in rows]
    assert has_converged(rows, "other") is converged
    assert not has_converged(rows)


def test_no_name_of_host_user_or_folder_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("torch", "no-such-package-here"))
    said = provenance()
    assert {"commit", "python", "versions", "machine"} == set(said)
    assert said["versions"]["no-such-package-here"] == "not installed"  # type: ignore[index]
    text = json.dumps(said)
    words = [socket.gethostname(), str(Path.home()), str(Path(__file__).parents[2])]
    assert not any(word in text for word in words if len(word) > 2)
    assert f'"{getpass.getuser()}"' not in text
