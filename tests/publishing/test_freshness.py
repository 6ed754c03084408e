"""What makes a page stale, and what it says about its runs."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from mammostudy.data.load import load_cohort
from mammostudy.errors import BookError, DataError
from mammostudy.publishing import banners, freshness
from mammostudy.publishing.freshness import code_digest

CELLS = ["from room.study import chapter", "%matplotlib inline\nchapter.table()"]


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A package whose chapter imports a figure inside a function, which imports a helper."""
    files = {
        "study/chapter.py": "def table():\n    from room.figures import draw\n    return draw\n",
        "figures/draw.py": "from room.evaluation.helper import level\n",
        "evaluation/helper.py": "level = 0.95\n",
        "runs/below.py": "x = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "room" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        for folder in (path.parent, tmp_path / "room"):
            (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(freshness, "ROOMS", ("room.study", "room.figures", "room.evaluation"))
    yield tmp_path / "room"
    for name in [name for name in sys.modules if name.split(".")[0] == "room"]:
        del sys.modules[name]


def digest():
    freshness._module.cache_clear()
    freshness._is_module.cache_clear()
    return code_digest(CELLS)


@pytest.mark.parametrize(
    ("name", "old", "new", "moves"),
    [
        ("figures/draw.py", "import level", "import level as l", True),
        ("evaluation/helper.py", "0.95", "0.90", True),  # two imports away
        ("evaluation/helper.py", "level", '"""What a level is."""\nlevel', False),
        ("study/chapter.py", "def table", "# why\ndef table", False),
        ("runs/below.py", "1", "2", False),  # stands in the keys of the runs
    ],
)
def test_code_moves_the_key_comments_and_lower_rooms_do_not(room, name, old, new, moves):
    before, path = digest(), room / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert (digest() != before) == moves


def test_a_table_beside_the_reader_of_published_tables_moves_the_key(room, monkeypatch):
    monkeypatch.setattr(freshness, "TABLES", "room.study.chapter")
    table = room / "study" / "tables" / "dice.csv"
    table.parent.mkdir()
    table.write_text("UNet,0.90", encoding="utf-8")
    before = digest()
    table.write_text("UNet,0.91", encoding="utf-8")
    assert digest() != before


def spec(cohort, *patients, leaky=False):
    cases, provenance = pd.DataFrame({"patient": patients}), {"commit": "abc123"}
    split = SimpleNamespace(leaky=leaky)
    made = SimpleNamespace(cases=cases, spec=SimpleNamespace(split=split), provenance=provenance)
    record = made if patients else None
    return SimpleNamespace(cohort=cohort, recipe_versions=lambda: {"x.y": 1}, record=record)


@pytest.mark.parametrize("cohort", [2024, None, 1.5, True])
def test_a_cohort_that_is_no_name_is_one_message(cohort):
    with pytest.raises(DataError, match=f"cohort {cohort}: .*papermill"):
        banners.banner(cohort, "quick", "losses")
    with pytest.raises(DataError, match=f"cohort {cohort}: "):
        load_cohort(cohort)


@pytest.mark.parametrize("leaky", [False, True])
def test_a_phantom_is_named_first_and_every_cohort_with_its_patients(monkeypatch, leaky):
    specs = [spec("phantom", "a", "b", "a", leaky=leaky), spec("phantom"), spec("shapes", "c")]
    needs = freshness.Needs({"phantom": "m", "shapes": "n"}, specs, {})
    monkeypatch.setattr(freshness.Needs, "record_of", lambda self, spec: spec.record)
    monkeypatch.setattr(banners, "needs_of", lambda page: needs)
    monkeypatch.setattr(banners, "unfit", lambda *_: {})
    shown = banners.banner("phantom", "quick", "losses")
    assert shown._repr_markdown_().startswith("> **PHANTOM")
    assert shown.facts["Runs"] == "2 of 3 on record"
    assert shown.facts["Patients"] == "phantom 2 (2 runs); shapes 1 (1 runs)"
    assert ("LEAKY" in shown.facts) == leaky


DECLARED = "cohort: str = 'phantom'  # whose\npreset: str = 'quick'  # how much"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("cohort = 'x'\npreset = 'smoke'", None),
        ("cohrt = 'x'", "cohrt"),
        ("cohort = 'x'\nprest = 'smoke'", "prest"),
    ],
)
def test_what_papermill_gives_is_checked_in_the_notebook(monkeypatch, given, fault):
    space = {"In": ["", DECLARED, f"# Parameters\n{given}\n", "banner(cohort, preset, 'losses')"]}
    exec(given, space)
    monkeypatch.setattr(banners, "get_ipython", lambda: SimpleNamespace(user_ns=space))
    if fault is None:
        banners.check_given()
        return
    with pytest.raises(BookError, match=fault):
        banners.banner(space.get("cohort", "phantom"), "quick", "losses")


def test_a_cohort_that_is_not_there_or_cannot_serve_is_refused(monkeypatch, own_store, tmp_path):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    with pytest.raises(DataError, match="phantm"):
        banners.banner("phantm", "quick", "losses")
    assert "not on this machine" in banners.banner("cdd-cesm", "reference", "data").facts["Images"]
    monkeypatch.setattr(banners, "unfit", lambda *_: {"data": "cmmd: no mass has a box"})
    with pytest.raises(DataError, match="cmmd: no mass"):
        banners.banner("cmmd", "quick", "data")
