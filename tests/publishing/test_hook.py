"""Which pages run again: the hook's pass over a tiny book, real kernels, fake runs."""

import json
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import nbformat
import pytest

from mammostudy.errors import DataError, MissingDataError
from mammostudy.publishing import freshness, hook
from mammostudy.publishing.pages import read_pages


@dataclass(frozen=True)
class FakeSpec:
    """A run spec with one recipe, whose version the test moves."""

    name: str
    cohort: str = "phantom"

    @property
    def cannot_run(self):
        return "r2 needs the package p" if self.name in LACKING else ""

    def recipe_key(self):
        return f"{self.name}-{RECIPE['version']}"

    def key(self, manifest_hash):
        return f"{self.recipe_key()}-{manifest_hash}"


COUNTING = "from pathlib import Path\nPath('runs.log').open('a').write(f'{name}\\n')"
RECIPE = {"version": 1}
LACKING = set()


@pytest.fixture
def world(monkeypatch, private_store, tmp_path):
    """Fake chapters, manifests and trainer; returns the dictionaries that the test changes."""
    chapters = {}
    state = SimpleNamespace(chapters=chapters, manifests={"phantom": "m1"}, trained=[], here=set())
    store = tmp_path / "store"
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    monkeypatch.setitem(RECIPE, "version", 1)

    def manifest_of(cohort):
        if cohort not in state.manifests:
            raise MissingDataError(f"cohort {cohort!r}: no data folder is set")
        return state.manifests[cohort]

    def train(specs):
        for spec in specs:
            state.trained.append(spec.name)
            key = spec.key(state.manifests[spec.cohort])
            write_record(store / "records" / spec.cohort / key, spec)

    monkeypatch.setattr(freshness, "manifest_of", manifest_of)
    monkeypatch.setattr(hook, "unfit", lambda _: {})
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda specs, **_: train(specs))
    monkeypatch.setattr(freshness, "find_spec", lambda name: chapters.get(name.split(".")[-1]))
    monkeypatch.setattr(freshness, "import_module", lambda name: chapters[name.split(".")[-1]])
    return state


def write_record(folder, spec, status="completed"):
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": 1, "spec": {"cohort": spec.cohort}, "key": folder.name, "status": status,
        "recipe_key": spec.recipe_key(), "manifest_hash": "m", "converged": True, "curves": [],
        "split": {}, "provenance": {},
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(content))
    (folder / "cases.csv").write_text("case,dice\na,0.5\n")


def chapter(*names, cohort="phantom", **rest):
    module = ModuleType("chapter")
    module.specs = lambda cohort_, preset: [FakeSpec(name, cohort) for name in names]
    vars(module).update(rest)
    return module


def refresh(book):
    outcome = hook.refresh(book.root, read_pages(book.root, {}))
    assert sorted(outcome.executed) == book.executed()
    return outcome


def test_a_page_runs_again_when_its_notebook_or_parameters_change(counting):
    assert sorted(refresh(counting).executed) == ["one", "three", "two"]
    assert refresh(counting).executed == {}
    counting.notebook("counted", "1", COUNTING)
    assert sorted(refresh(counting).executed) == ["one", "two"]
    counting.page("three", "other", parameters={"name": "drei"})
    assert list(hook.refresh(counting.root, read_pages(counting.root, {})).executed) == ["three"]
    assert counting.executed() == ["drei"]
    del counting.pages["one"]
    counting.page("two", "counted", parameters={"name": "two"})
    assert refresh(counting).executed == {}
    left = sorted(path.stem for path in (counting.root / "book" / "pages").iterdir())
    assert left == ["three", "two"]


@pytest.fixture
def cohorts(book, world, monkeypatch):
    """Page ``a`` needs the runs r1 and r2, ``b`` the run r2, ``c`` none; no kernels."""

    def execute(root, page, key, **_):
        (root / "runs.log").open("a").write(f"{page.name}\n")
        copy = {"metadata": {"study": {"key": key}}}
        (root / page.executed).parent.mkdir(exist_ok=True)
        (root / page.executed).write_text(json.dumps(copy))
        return 0.0

    monkeypatch.setattr("mammostudy.publishing.execute.execute_page", execute)
    for stem in "ab":
        book.notebook(stem, parameters="cohort: str = 'phantom'\npreset: str = 'quick'")
        book.page(stem, stem, parameters={"cohort": "phantom", "preset": "quick"})
    book.notebook("c")
    book.page("c", "c")
    world.chapters |= {"a": chapter("r1", "r2"), "b": chapter("r2"), "c": None}
    return book


def test_what_cannot_be_made_here_is_left_out_and_the_rest_is_made(cohorts, world, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "LACKING", {"r2"})
    assert sorted(refresh(cohorts).executed) == ["a", "b", "c"]
    assert world.trained == ["r1"]
    LACKING.clear()  # with its library it is made, and its pages show it at once
    assert sorted(refresh(cohorts).executed) == ["a", "b"]
    assert world.trained == ["r1", "r2"]
    assert refresh(cohorts).executed == {}


def test_a_page_runs_again_when_what_it_stands_on_changes(cohorts, world, tmp_path):
    inputs = {"sheet.yaml": "one"}
    world.chapters["b"] = chapter(page_inputs=lambda: inputs)
    cohorts.notebook("claims")
    cohorts.page("verdicts", "claims")
    refresh(cohorts)
    assert refresh(cohorts).executed == {}
    world.manifests["phantom"] = "m2"
    assert sorted(refresh(cohorts).executed) == ["a", "b"]
    RECIPE["version"] = 2
    assert sorted(refresh(cohorts).executed) == ["a"]
    assert world.trained == ["r1", "r2"] * 3
    spec = FakeSpec("r1")
    write_record(tmp_path / "store" / "records" / "phantom" / spec.key("m2"), spec, "diverged")
    assert list(refresh(cohorts).executed) == ["a"]
    inputs["sheet.yaml"] = "another"
    assert list(refresh(cohorts).executed) == ["b"]
    study = cohorts.root / "study.yaml"
    study.write_text(study.read_text() + "claims: {dice-beats-l1: {text: Dice wins.}}\n")
    assert list(refresh(cohorts).executed) == ["verdicts"]


def test_only_a_fixed_page_renders_without_its_data_and_trains_nothing(cohorts, world):
    cohorts.page("a", "a", parameters={"cohort": "far", "preset": "quick"})
    with pytest.raises(DataError, match="'far'"):
        refresh(cohorts)
    cohorts.page("a", "a", parameters={"cohort": "far", "preset": "reference"}, fixed=True)
    world.chapters["a"] = chapter("long", cohort="far")
    refresh(cohorts)
    assert world.trained == ["r2"]
    world.manifests["far"] = "m"  # the data arrive
    assert list(refresh(cohorts).executed) == ["a"]
    assert world.trained == ["r2"]


def notice(book, name: str) -> str:
    """The HTML that stands in the place of a page."""
    (told,) = nbformat.read(book.root / f"book/pages/{name}.ipynb", as_version=4).cells[1].outputs
    return told["data"]["text/html"]


@pytest.mark.slow
def test_a_page_that_fails_says_so_and_the_others_are_as_ever(counting, capsys):
    app = SimpleNamespace(srcdir=str(counting.root))
    counting.page("three", "other", parameters={"nmae": "three"})
    with pytest.raises(SystemExit, match="2"):
        hook.on_config_inited(app, None)
    assert "unknown parameter nmae" in capsys.readouterr().err
    assert counting.executed() == []  # refused before anything runs
    counting.page("three", "other", parameters={"name": "three"})
    counting.notebook("other", "raise ValueError('<i>why')")
    hook.on_config_inited(app, None)
    assert counting.executed() == ["one", "two"]
    (failed,) = app.study_failed
    assert failed.startswith("page three ")
    assert "ValueError: &lt;i&gt;why" in notice(counting, "three")
    assert "<i>" not in notice(counting, "three")
    counting.notebook("other", COUNTING)
    assert list(refresh(counting).executed) == ["three"]


def test_what_a_cohort_cannot_serve_is_left_out_until_it_can(cohorts, world, monkeypatch):
    lacks = {"b": "phantom: lacks <i>"}
    monkeypatch.setattr(hook, "unfit", lambda _: lacks)
    assert sorted(refresh(cohorts).executed) == ["a", "c"]
    assert "lacks &lt;i&gt;" in notice(cohorts, "b")
    assert refresh(cohorts).executed == {}
    lacks.clear()
    assert list(refresh(cohorts).executed) == ["b"]


def test_a_training_that_fails_stops_no_page(cohorts, world, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("killed")

    monkeypatch.setattr("mammostudy.runs.execute.ensure", fail)
    assert sorted(refresh(cohorts).executed) == ["a", "b", "c"]
