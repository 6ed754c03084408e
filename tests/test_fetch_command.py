"""The command ``mammostudy data fetch``: what it says, asks, and refuses."""

from __future__ import annotations

import io
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammostudy import cli, fetch_command
from mammostudy.data.fetching.fetch import Outcome
from mammostudy.data.fetching.index import Series
from mammostudy.data.fetching.plan import Plan
from mammostudy.data.fetching.recipe import read_recipe
from mammostudy.errors import DataError

Output = pytest.CaptureFixture[str]
Usage = namedtuple("Usage", "total used free")
SERIES = Series(
    "D1-0001", "D1-0001/1.2/MG_1.3", "open", "620b14e7-eeb0-4570-869a-3109f5b1b54e", 2, 9_000_000
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Plans that would have been fetched; the index has one series, the disk 10 GB."""
    plans: list[Plan] = []

    def run(plan: Plan, *, jobs: int, rehash: bool) -> Outcome:
        plans.append(plan)
        return Outcome(fetched=3, kept=4)

    monkeypatch.setattr(fetch_command, "run", run)
    monkeypatch.setattr(
        "mammostudy.data.fetching.plan.list_series", lambda images, patients, index: [SERIES]
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, 10**10))
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    return plans


def test_the_estimate_comes_before_the_question(
    ran: list[Plan], tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    fetch_command.fetch("cmmd", tmp_path)
    before, after = capsys.readouterr().out.split("Fetch it now? [y/N] ")
    for words in (
        f"CMMD -> {tmp_path / 'cmmd'}", "licence: CC BY 4.0", "cite: Cui et al.",
        "images: 2 files, 9 MB", "to come: 9 MB; free on the disk: 10 GB", "time: about 9 s",
    ):  # fmt: skip
        assert words in before
    assert "3 files fetched and verified, 4 were there already" in after
    assert f"next: mammostudy data build cmmd --root {tmp_path}" in after
    assert len(ran) == 1


@pytest.mark.parametrize("answer", ["n\n", "\n", "what\n", ""])
def test_nothing_is_fetched_without_a_yes(
    ran: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    with pytest.raises(DataError, match="nothing was fetched"):
        fetch_command.fetch("cmmd", tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # no terminal
    with pytest.raises(DataError, match="say --yes"):
        fetch_command.fetch("cmmd", tmp_path)
    assert not ran
    assert not list(tmp_path.iterdir())
    fetch_command.fetch("cmmd", tmp_path, yes=True)
    assert len(ran) == 1


def test_a_disk_that_is_too_small_is_refused_before_anything_is_asked(
    ran: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, 10**6))
    with pytest.raises(DataError, match="are needed and 1 MB are free"):
        fetch_command.fetch("cmmd", tmp_path, yes=True)
    assert not ran


def test_cdd_cesm_is_fetched_in_part_and_the_steps_for_the_rest_are_told(
    ran: list[Plan], tmp_path: Path, capsys: Output
) -> None:
    fetch_command.fetch("cdd-cesm", tmp_path, yes=True)
    out = capsys.readouterr().out
    folder = tmp_path / "cdd-cesm-archive"
    assert ran[0].folder == folder
    assert "images:" not in out
    assert "the rest is given in another way:\n  1. open the data set's page" in out
    assert f'put the folder "Low energy images of CDD-CESM" as it is into {folder}' in out
    assert f"4. run `mammostudy data build cdd-cesm-archive --root {tmp_path}`" in out


@pytest.mark.parametrize("name", ["inbreast", "ddsm"])
def test_sets_that_are_given_by_hand(
    ran: list[Plan], tmp_path: Path, capsys: Output, name: str
) -> None:
    fetch_command.fetch(name, tmp_path)
    out = capsys.readouterr().out
    recipe = read_recipe(name)
    assert recipe is not None
    numbers = [line.split(".")[0].strip() for line in out.splitlines() if ". " in line[:5]]
    assert numbers == [str(number + 1) for number in range(len(recipe.steps))]
    assert f"run `mammostudy data build {name} --root {tmp_path}`" in out
    assert f"licence: {recipe.licence}" in out
    assert "{" not in out
    assert not ran
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("phantom", "drawn on this machine"),
        ("my-hospital", "there is nothing to fetch (sets: inbreast, "),
        ("cdd-cesm-views", "`mammostudy data fetch cdd-cesm` gets the set"),
    ],
)
def test_there_is_nothing_to_fetch(
    ran: list[Plan], tmp_path: Path, capsys: Output, name: str, words: str
) -> None:
    fetch_command.fetch(name, tmp_path)
    assert words in capsys.readouterr().out
    assert not ran


def test_names_that_are_none(ran: list[Plan], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a name of a folder"):
        fetch_command.fetch("../x", tmp_path)


def test_the_command_line_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, object] = {}
    monkeypatch.setattr(
        fetch_command, "fetch", lambda name, root, **more: told.update(more, name=name, root=root)
    )
    words = "data fetch cmmd --root /d --patients 3 --jobs 2 --rehash --yes"
    assert CliRunner().invoke(cli.app, words.split()).exit_code == 0
    assert told == {
        "name": "cmmd", "root": Path("/d"), "patients": 3, "jobs": 2, "rehash": True, "yes": True
    }  # fmt: skip
    assert CliRunner().invoke(cli.app, ["data", "fetch", "cmmd", "--jobs", "99"]).exit_code == 2
