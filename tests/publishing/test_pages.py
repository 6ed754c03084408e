from __future__ import annotations

import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.pages import read_pages

DECLARED = "cohort: str = 'phantom'\npreset: str = 'quick'"
PHANTOM = {"cohort": "phantom", "preset": "quick"}
REAL = {"cohort": "cdd-cesm", "preset": "reference"}


@pytest.fixture
def pages(book):
    book.notebook("data", "1", parameters=DECLARED)
    book.page("study-data", "data", parameters=PHANTOM)
    book.page("real-data", "data", parameters=REAL, fixed=True)
    book.page("audit", "data")
    return book


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        ({"MAMMOSTUDY_PRESET": "smoke"}, {"preset": "smoke"}),
        ({"MAMMOSTUDY_COHORT": "cdd-cesm"}, {"cohort": "cdd-cesm"}),
        ({"MAMMOSTUDY_COHORT": ""}, {}),
    ],
)
def test_environment_overrides_pages_that_are_not_fixed(pages, environ, changed):
    found = {page.name: page.parameters for page in read_pages(pages.root, environ)}
    assert found == {"study-data": PHANTOM | changed, "real-data": REAL, "audit": {}}


def test_an_unknown_preset_is_refused(pages):
    with pytest.raises(BookError, match=r"MAMMOSTUDY_PRESET.*'fast'"):
        read_pages(pages.root, {"MAMMOSTUDY_PRESET": "fast"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pages: {a: {notebok: data}}", r"pages\.a\.notebok"),
        ("pages: {a: {notebook: data, fixed: 1}}", r"pages\.a\.fixed"),
        ("pages: {a: {notebook: nothing}}", r"pages\.a\.notebook"),
        (
            "pages: {a: {notebook: data, parameters: {preset: slow}}}",
            r"parameters\.preset",
        ),
        ("pages: [", r"study\.yaml"),
    ],
)
def test_faults_of_study_yaml_name_the_key(pages, content, message):
    (pages.root / "study.yaml").write_text(content)
    with pytest.raises(BookError, match=message):
        read_pages(pages.root, {})
