"""Which pages run again: the hook's pass over a tiny book, real kernels, fake runs."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell

from mammostudy.errors import BookError, DataError, MissingDataError
from mammostudy.publishing import freshness, hook
from mammostudy.publishing.pages import read_pages


@dataclass(frozen=True)
class FakeSpec:
    """A run spec with one recipe, whose version the test moves."""

    name: str
    cohort: str = "phantom"

    @property
    def cannot_run(self) -> str:
        return "r2 needs the package p" if self.name in LACKING else ""

    def recipe_versions(self) -> dict[str, int]:
        return {"fake.recipe": RECIPE["version"]}

    def recipe_key(self) -> str:
        return f"{self.name}-{RECIPE['version']}"

    def key(self, manifest_hash: str) -> str:
        return hashlib.sha256(f"{self.recipe_key()} {manifest_hash}".encode()).hexdigest()[:16]


COUNTING = "from pathlib import Path\nPath('runs.log').open('a').write(f'{name}\\n')"
RECIPE = {"version": 1}
LACKING: set[str] = set()


@pytest.fixture
def world(monkeypatch, private_store, tmp_path):
    """Fake chapters, manifests and trainer; returns the dictionaries that the test changes."""
    state = SimpleNamespace(chapters={}, manifests={"phantom": "m1"}, trained=[], here=set())
    store = tmp_path / "store"
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    RECIPE["version"] = 1

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
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda specs, **_: train(specs))
    monkeypatch.setattr(
        freshness, "find_spec", lambda name: state.chapters.get(name.rpartition(".")[2])
    )
    monkeypatch.setattr(
        freshness, "import_module", lambda name: state.chapters[name.rpartition(".")[2]]
    )
    return state


def write_record(folder: Path, spec: FakeSpec, status: str = "completed") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": 1, "spec": {"cohort": spec.cohort}, "key": folder.name, "status": status,
        "recipe_key": spec.recipe_key(), "manifest_hash": "m", "converged": True, "curves": [],
        "split": {}, "provenance": {},
    }  # fmt: skip
    (folder / "record.json").write_text(json.dumps(content))
    (folder / "cases.csv").write_text("case,dice\na,0.5\n")


def chapter(*names: str, cohort: str = "phantom", **rest: object) -> ModuleType:
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
    path = counting.root / "book" / "chapters" / "other.ipynb"
    content = json.loads(path.read_text())
    content["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    content["cells"][2]["execution_count"] = 3
    path.write_text(json.dumps(content))  # saved outputs are no change
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
    """Page ``a`` with runs r1 r2 on the phantom, ``b`` with run r2, ``c`` without a cohort.

    Kernels are left out: the tests above start them.
    """

    def execute(root, page, key, **_):
        (root / "runs.log").open("a").write(f"{page.name}\n")
        copy = {"metadata": {"study": {"key": key}}}
        (root / page.executed).parent.mkdir(exist_ok=True)
        (root / page.executed).write_text(json.dumps(copy))
        return 0.0

    monkeypatch.setattr("mammostudy.publishing.execute.execute_page", execute)
    for stem in "abc":
        declared = "n: int = 1" if stem == "c" else "cohort: str = 'phantom'\npreset: str = 'quick'"
        book.notebook(stem, parameters=declared)
        parameters = {} if stem == "c" else {"cohort": "phantom", "preset": "quick"}
        book.page(stem, stem, parameters=parameters)
    world.chapters |= {"a": chapter("r1", "r2"), "b": chapter("r2"), "c": None}
    return book


def test_missing_runs_are_trained_once(cohorts, world):
    refresh(cohorts)
    assert world.trained == ["r1", "r2"]
    assert refresh(cohorts).executed == {}
    assert world.trained == ["r1", "r2"]


def test_what_cannot_be_made_here_is_left_out_and_the_rest_is_made(cohorts, world, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "LACKING", {"r2"})
    assert sorted(refresh(cohorts).executed) == ["a", "b", "c"]
    assert world.trained == ["r1"]
    LACKING.clear()  # the control: with its library it is made
    refresh(cohorts)
    assert world.trained == ["r1", "r2"]


def test_a_page_runs_again_when_what_it_stands_on_changes(cohorts, world, tmp_path):
    inputs = {"sheet.yaml": "one"}
    world.chapters["b"] = chapter(page_inputs=lambda: inputs)
    cohorts.notebook("claims", parameters="n: int = 1")
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


def test_a_fixed_page_trains_nothing_and_renders_without_its_data(cohorts, world):
    cohorts.page("a", "a", parameters={"cohort": "far", "preset": "reference"}, fixed=True)
    world.chapters["a"] = chapter("long", cohort="far")
    refresh(cohorts)
    assert world.trained == ["r2"]
    world.manifests["far"] = "m"  # the data arrive
    assert list(refresh(cohorts).executed) == ["a"]
    assert world.trained == ["r2"]


def test_missing_data_of_a_page_that_is_not_fixed_stop_the_build(cohorts, world):
    cohorts.page("a", "a", parameters={"cohort": "far", "preset": "quick"})
    with pytest.raises(DataError, match="'far'"):
        refresh(cohorts)


def test_every_failing_page_is_reported_and_the_others_run(counting):
    for stem, source in (("bad", "1 / 0"), ("worse", "nothing")):
        counting.notebook(stem, source)
        counting.page(stem, stem)
    outcome = refresh(counting)
    assert len(outcome.executed) == 3
    assert "page bad (book/chapters/bad.ipynb): cell 3 of 3" in outcome.failed[0]
    assert "ZeroDivisionError" in outcome.failed[0]
    assert "page worse" in outcome.failed[1]
    assert "NameError" in outcome.failed[1]


def test_wrong_parameters_are_refused_before_anything_runs(counting):
    counting.page("three", "other", parameters={"nmae": "three"})
    with pytest.raises(BookError, match="unknown parameter nmae; known: name: str"):
        refresh(counting)
    assert counting.executed() == []


def _app(root, tmp_path):
    outdir = tmp_path / "_build" / "html"
    outdir.mkdir(parents=True)
    html = SimpleNamespace(format="html")
    return SimpleNamespace(srcdir=str(root), outdir=str(outdir), builder=html)


def test_failures_leave_sphinx_as_system_exit_with_the_message(book, tmp_path):
    book.write("t", [new_code_cell("1 / 0")])
    book.page("p", "t")
    with pytest.raises(SystemExit, match=r"page p .*ZeroDivisionError"):
        hook.on_config_inited(_app(book.root, tmp_path), None)


def test_all_pages_are_written_again_until_a_build_with_the_change_succeeds(tmp_path):
    app = _app(tmp_path, tmp_path)
    env = SimpleNamespace(found_docs={"b", "a"})
    assert hook.on_env_updated(app, env) == []  # not our book
    app.study_digest = "new"
    assert hook.on_env_updated(app, env) == ["a", "b"]
    hook.on_build_finished(app, RuntimeError())
    assert hook.on_env_updated(app, env) == ["a", "b"]
    hook.on_build_finished(app, None)
    assert hook.on_env_updated(app, env) == []


def test_source_buttons_lead_to_the_template_and_downloads_to_the_copy(book):
    book.write("t", [new_code_cell("1")])
    book.page("p", "t")
    base = "https://example.org/edit/main/book/pages/p.ipynb"
    copy = "../../_sources/book/pages/p.ipynb"
    context = {"header_buttons": [{"buttons": [{"url": base}, {"url": copy}]}, "text"]}
    hook.on_page_context(SimpleNamespace(srcdir=str(book.root)), "book/pages/p", "", context, None)
    urls = [button["url"] for button in context["header_buttons"][0]["buttons"]]
    assert urls == ["https://example.org/edit/main/book/chapters/t.ipynb", copy]
