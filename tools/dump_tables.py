"""Write every table of every page to CSV, so that two versions of the code can be compared.

    python tools/dump_tables.py OUT [--pages NAME ...] [--preset smoke] [--fixed]
    python tools/dump_tables.py --compare BEFORE AFTER

The code cells of each page run in this process, in order. A page's folder receives each table that
it shows (`01.csv` ...) and each table that its cells left behind by name (`name.csv`). The
comparison lists the numbers of a page before that no table of the page after holds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import time
import traceback
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import pandas as pd

LARGEST = 2000  # rows: longer tables are rows of cases, which records hold anyway
NUMBER = re.compile(r"[-+\u2212]?\d+\.?\d*(?:e[-+]?\d+)?")


def dump_page(root: Path, page: Any, out: Path) -> None:
    """Run the cells of a page and write its tables."""
    folder = out / page.name
    folder.mkdir(parents=True, exist_ok=True)
    shown: list[pd.DataFrame] = []
    for name in ("mammostudy.figures.primitives",):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        if hasattr(module, "page_table"):
            original = getattr(module, "_page_table", module.page_table)
            module._page_table = original

            def keep(table: pd.DataFrame, *args: Any, _make: Any = original, **more: Any) -> Any:
                shown.append(table)
                return _make(table, *args, **more)

            module.page_table = keep
    scope: dict[str, Any] = dict(page.parameters) | {"__name__": "page", "display": print}
    notebook = nbformat.read(root / page.template, as_version=4)
    for at, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or "parameters" in cell.metadata.get("tags", []):
            continue
        source = "\n".join(x for x in cell.source.splitlines() if not x.startswith("%"))
        try:
            exec(compile(source, f"{page.name}, cell {at}", "exec"), scope)
        except Exception:
            (folder / "ERROR.txt").write_text(f"cell {at}\n{traceback.format_exc()}")
            print(f"{page.name}: cell {at} failed", flush=True)
            break
    for at, table in enumerate(shown):
        table.to_csv(folder / f"{at:02}.csv", index=True)
    for name, value in scope.items():
        if not name.startswith("_") and isinstance(value, pd.DataFrame) and len(value) <= LARGEST:
            value.to_csv(folder / f"{name}.csv", index=True)
        if isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, pd.DataFrame) and len(inner) <= LARGEST:
                    safe = re.sub(r"\W+", "-", f"{name}-{key}")
                    inner.to_csv(folder / f"{safe}.csv", index=True)


def numbers(folder: Path) -> dict[str, list[str]]:
    """Return every number of a page's tables as printed, with the tables that hold it."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.csv")):
        for match in NUMBER.finditer(path.read_text(encoding="utf-8")):
            text = match.group().replace("\u2212", "-").lstrip("+")
            try:
                value = float(text)
            except ValueError:
                continue
            found.setdefault(text, []).append(path.name)
            found.setdefault(f"{abs(value):.6g}", []).append(path.name)
    return found


def compare(before: Path, after: Path) -> None:
    """Print, a page, the shown numbers of before that no table of after holds at that precision."""
    for folder in sorted(path for path in before.iterdir() if path.is_dir()):
        there = after / folder.name
        if not there.is_dir():
            print(f"{folder.name}: page is gone")
            continue
        values = [abs(float(x)) for x in numbers(there)]
        lost: dict[str, list[str]] = {}
        total = 0
        for path in sorted(folder.glob("[0-9][0-9].csv")):
            rows = path.read_text(encoding="utf-8").splitlines()[1:]
            for line in rows:
                for match in NUMBER.finditer(line.partition(",")[2]):
                    text = match.group().lstrip("+-\u2212")
                    if "." not in text:
                        continue  # counts and years are everywhere
                    total += 1
                    digits = len(text.partition(".")[2].partition("e")[0])
                    value, half = float(text), 0.5001 * 10.0**-digits
                    scales = (1, 100, 0.01)
                    if not any(abs(v * s - value) <= half for v in values for s in scales):
                        lost.setdefault(path.name, []).append(text)
        n = sum(map(len, lost.values()))
        print(f"{folder.name}: {total - n} of {total} numbers stand")
        for name, texts in lost.items():
            head = (folder / name).read_text(encoding="utf-8").splitlines()[0]
            print(f"    {name} ({head[:70]}): {len(texts)} missing: {' '.join(texts[:12])}")


def main() -> None:
    """Read the command line and dump or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--pages", nargs="*")
    parser.add_argument("--preset")
    parser.add_argument("--fixed", action="store_true", help="the pages of committed records only")
    parser.add_argument("--compare", type=Path, nargs=2)
    asked = parser.parse_args()
    if asked.compare:
        compare(*asked.compare)
        return
    mpl.use("agg")
    from mammostudy.paths import project_root
    from mammostudy.publishing.pages import read_pages

    root = project_root()
    environ = dict(os.environ) | ({"MAMMOSTUDY_PRESET": asked.preset} if asked.preset else {})
    for page in read_pages(root, environ):
        if (asked.pages and page.name not in asked.pages) or (asked.fixed and not page.fixed):
            continue
        began = time.monotonic()
        dump_page(root, page, asked.out)
        import matplotlib.pyplot as plt

        plt.close("all")
        print(f"{page.name}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
