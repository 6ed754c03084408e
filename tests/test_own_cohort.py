"""A cohort of one's own, from files to a rendered book, by the words of the guide alone."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from mammostudy.data.descriptors import TASKS
from mammostudy.data.manifest import BOX, SHAPES, SUBTYPES
from mammostudy.data.sources import phantom

ROOT = Path(__file__).resolve().parents[1]
SIGNS = ("<script>alert(1)</script>", "{{7*7}}", "{cite}`singh2020`", r"$\frac{$", "_x_ **y**")
SHAPE_PAGES = {"study-shapes", "study-roc", "study-subtypes"}
NO_MASK = SHAPE_PAGES | {
    f"study-{chapter}"
    for chapter in (
        "data", "cropping", "segmenters", "losses", "postprocessing", "failures", "chain", "claims"
    )
}  # fmt: skip
"""What boxes alone do not serve."""
CHROMIUM = ("/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu")


def write_clinic(folder: Path, patients: int) -> pd.DataFrame:
    """Write phantoms as a clinic has them, images and masks; return what its doctors know."""
    phantom.write("phantom", folder, patients=patients, seed=5)
    known = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    (folder / "manifest.csv").unlink()
    number = known["patient"].factorize()[0]
    drawn = known["mask"] != ""
    known["shape"] = [SHAPES[k % 4] * is_mass for k, is_mass in zip(number, drawn, strict=True)]
    types = [SUBTYPES[k // 2 % 4] * is_mass for k, is_mass in zip(number, drawn, strict=True)]
    return known.assign(subtype=types, site=[SIGNS[k % len(SIGNS)] for k in number])


def copy_project(folder: Path) -> dict[str, str]:
    """Copy the book with the pages that show a user's cohort; return their notebooks by name."""
    for name in ("book", "data_manifests"):
        leave = shutil.ignore_patterns("pages", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    shutil.copy(ROOT / "_config.yml", folder)
    study = yaml.safe_load((ROOT / "study.yaml").read_text(encoding="utf-8"))
    every = study["pages"].items()
    free = {name: page for name, page in every if name.startswith("study-")}
    (folder / "study.yaml").write_text(yaml.safe_dump(study | {"pages": free}, sort_keys=False))
    files = [*(f"book/pages/{name}" for name in free), "book/own-data", "book/bibliography"]
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": f} for f in files]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    return {name: page["notebook"] for name, page in free.items()}


@pytest.fixture
def call(tmp_path, own_store):
    """Return ``call(*words)``: the command line in the project; its output and exit code."""

    def run(*words: str) -> tuple[str, int]:
        done = subprocess.run(
            [sys.executable, "-m", "mammostudy.cli", *words], cwd=tmp_path / "project",
            env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert "Traceback" not in done.stdout, done.stdout[-4000:]
        return done.stdout, done.returncode

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patients", "lacks", "left_out"),
    [(12, "subtype", SHAPE_PAGES), (24, "", set()), (12, "mask", NO_MASK)],
)
def test_from_files_to_the_book(call, tmp_path, own_store, patients, lacks, left_out):
    pages = copy_project(tmp_path / "project")
    folder, root = tmp_path / "data" / "clinic", ("--root", str(tmp_path / "data"))
    known = write_clinic(folder, patients).set_index("image")
    if lacks == "mask":  # a row a box, and one of each view without
        shutil.rmtree(folder / "masks")
        known = known.drop(columns="mask_label")
    else:
        known = known.drop(columns=list(BOX))
    assert call("data", "template", str(folder))[1] == 0
    table = pd.read_csv(folder / "cohort.csv", dtype=str, keep_default_na=False)
    told = [name for name in table if name in known and name != "mask"]
    table = table[["image", "mask"]].merge(known[told], on="image")
    if lacks == "subtype":
        table = table.drop(columns=["subtype"])
    table.to_csv(folder / "cohort.csv", index=False)
    for command in ("build", "check", "describe"):
        said, code = call("data", command, "clinic", *root)
        assert code == 0, said
        if command != "describe":
            assert ("  shape: yes" in said) == (not left_out)
            assert ("  segmentation: yes" in said) == (lacks != "mask")
            assert "  detection: yes" in said

    table.assign(pathology="benign").to_csv(folder / "cohort.csv", index=False)
    said, code = call("data", "check", "clinic", *root)
    assert (code, "mammostudy data build clinic" in said) == (2, True)
    table.to_csv(folder / "cohort.csv", index=False)

    said, code = call("book", "--cohort", "clinic", "--data", root[1], "--preset", "smoke")
    assert code == 0, said[-4000:]
    shown = {name: copy_of(tmp_path / "project", name) for name in pages}
    assert {name for name, text in shown.items() if ">Left out<" in text} == left_out
    assert not [name for name, text in shown.items() if "This page failed" in text]
    if "study-data" not in left_out:
        check_signs(shown["study-data"], tmp_path / "project" / "_build/html/book/pages")


def copy_of(project: Path, name: str) -> str:
    """The rendered page, whose notebook ran without an error."""
    notebook = nbformat.read(project / f"book/pages/{name}.ipynb", as_version=4)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    assert str(Path.home()) not in json.dumps(notebook)
    return (project / f"_build/html/book/pages/{name}.html").read_text(encoding="utf-8")


def check_signs(page: str, folder: Path) -> None:
    """Check that what the table of the clinic says is text on a page, in a browser too."""
    assert not re.search("<script>alert|>49<", page)
    for sign in SIGNS:
        assert html.escape(sign, quote=False) in page
    if not Path(CHROMIUM[0]).is_file():
        return
    words = [*CHROMIUM, "--disable-background-networking", "--virtual-time-budget=9000"]
    url = (folder / "study-data.html").as_uri()
    seen = subprocess.run([*words, "--dump-dom", url], capture_output=True, text=True, check=True)
    assert not re.search("<script>alert|<mjx-merror|>49<", seen.stdout)
    for sign in SIGNS:
        assert html.escape(sign, quote=False) in seen.stdout


@pytest.mark.parametrize("name", ["book/own-data.md", "mammostudy/data/sources/cohort_guide.md"])
def test_the_guides_state_the_minima_that_the_code_holds(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    for task, needs in TASKS.items():
        columns = ", ".join(needs.columns).replace("|", " or ")
        assert f"| {task} | {columns} | {needs} |" in lines
