"""What the pages of a smoke book show; run after it was built, by ``pytest -m book``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mammostudy.data.descriptors import describe
from mammostudy.publishing.banners import PHANTOM
from mammostudy.publishing.pages import EXECUTED, read_pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.name: page for page in read_pages(ROOT, {"MAMMOSTUDY_PRESET": "smoke"})}
NO_RUNS = {"cohorts"}  # plans with a cohort: it shows none of its images and none of its runs
OF_COHORTS = [name for name, page in PAGES.items() if page.cohort and name not in NO_RUNS]
OF_PHANTOMS = [name for name in OF_COHORTS if describe(str(PAGES[name].cohort)).phantom]
GAPS = r"\bnan\b|\bNaT\b|<NA>|>\s*None\s*<|\{\{ "

pytestmark = pytest.mark.book


@pytest.fixture
def copy(read_copy, request):
    """The executed copy of the page a test is given by name."""
    return read_copy(ROOT, PAGES[request.param])


def each(names):
    return pytest.mark.parametrize("copy", names, indirect=True)


def outputs(copy):
    return [out for cell in copy.cells for out in cell.get("outputs", [])]


def said(copy, kind="text/markdown"):
    """The texts that cells made, in their order."""
    return [str(out["data"][kind]) for out in outputs(copy) if kind in out.get("data", {})]


def test_study_pages_are_of_the_phantom_in_the_smoke_preset():
    free = [page for page in PAGES.values() if page.cohort and not page.fixed]
    assert len(free) >= 11
    assert {(page.cohort, page.preset) for page in free} == {("phantom", "smoke")}


def test_no_copy_is_left_of_a_page_that_is_not_listed():
    left = {path.stem for path in (ROOT / EXECUTED).glob("*.ipynb")}
    assert left <= set(PAGES)


@each(PAGES)
def test_every_cell_ran_without_an_error_or_a_warning(copy):
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.execution_count for cell in code)
    assert not [out for out in outputs(copy) if out.output_type == "error"]
    assert not [out["text"] for out in outputs(copy) if out.output_type == "stream"]


@each(PAGES)
def test_no_gap_shows_and_no_place_of_this_machine(copy):
    prose = [cell.source for cell in copy.cells if cell.cell_type == "markdown"]
    texts = [*prose, *said(copy), *said(copy, "text/html")]
    assert not [found[0] for text in texts for found in re.finditer(f".{{0,40}}({GAPS})", text)]
    assert not [text for text in texts if str(ROOT) in text or str(Path.home()) in text]


@each(OF_COHORTS)
def test_the_first_line_and_the_banner_say_whose_images(copy, request):
    title, banner = copy.cells[0].source.splitlines()[0], said(copy)[0].splitlines()[0]
    phantom = request.node.callspec.params["copy"] in OF_PHANTOMS
    assert title.startswith("# ")
    assert ("phantom" in title.lower()) == phantom
    assert banner.startswith(f"> **{PHANTOM}") == phantom
    assert ("real mammograms" in banner) != phantom


@each(OF_PHANTOMS)
def test_every_run_of_the_preset_was_made(copy):
    assert "Not run" not in " ".join(said(copy))


@each(OF_PHANTOMS)
def test_nothing_is_judged_on_phantoms(copy):
    verdicts = r"\*\*(better|worse|alike|undecided)\*\*|>(supported|contradicted|undecided)<"
    texts = [*said(copy), *said(copy, "text/html")]
    assert not [found[0] for text in texts for found in re.finditer(verdicts, text)]
