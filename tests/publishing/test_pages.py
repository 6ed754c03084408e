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
        ({}, {}),
        ({"MAMMOSTUDY_PRESET": "smoke"}, {"preset": "smoke"}),
        ({"MAMMOSTUDY_COHORT": "cdd-cesm"}, {"cohort": "cdd-cesm"}),
        ({"MAMMOSTUDY_COHORT": ""}, {}),
    ],
)
def test_environment_overrides_pages_that_are_not_fixed(pages, environ, changed):
    found = {page.name: page.parameters for page in read_pages(pages.root, environ)}
    assert found == {"study-data": PHANTOM | changed, "real-data": REAL, "audit": {}}


def test_unknown_preset_names_the_known_ones(pages):
    with pytest.raises(BookError, match=r"MAMMOSTUDY_PRESET.*'fast'.*smoke, quick, reference"):
        read_pages(pages.root, {"MAMMOSTUDY_PRESET": "fast"})
    pages.page("study-data", "data", parameters={"preset": "slow"})
    with pytest.raises(BookError, match=r"pages\.study-data\.parameters\.preset.*'slow'"):
        read_pages(pages.root, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pages: {a: {notebok: data}}", r"pages\.a\.notebok: unknown key; known: notebook, param"),
        ("pages: {a: {}}", r"pages\.a\.notebook: field required"),
        ("page: {}", r"page: unknown key; known: pages, claims"),
        ("pages: {a: {notebook: data, fixed: 1}}", r"pages\.a\.fixed: .*boolean"),
        ("pages: {a: {notebook: data, parameters: {x: [1]}}}", r"pages\.a\.parameters\.x"),
        ("pages: {a: {notebook: nothing}}", r"pages\.a\.notebook: no file .*there are: data"),
        ("pages: [", r"not readable as YAML"),
        ("", r"study\.yaml: content"),
    ],
)
def test_faults_of_study_yaml_name_the_key(pages, content, message):
    (pages.root / "study.yaml").write_text(content)
    with pytest.raises(BookError, match=message):
        read_pages(pages.root, {})


def test_a_folder_without_study_yaml_is_said(book):
    with pytest.raises(BookError, match="run the command in the project's folder"):
        read_pages(book.root, {})
