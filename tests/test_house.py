"""The house: lines a room, floors between rooms, no circles, small functions."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mammostudy"
BUDGETS = {
    "study": 4_500, "data": 4_300, "evaluation": 2_100, "runs": 2_500, "models": 2_100,
    "figures": 1_600, "training": 900, "imaging": 800, "publishing": 900, "top": 1_300,
}  # fmt: skip
ABOVE: dict[str, int] = {}
"""Rooms that stand above their budget still: what they may hold today. It only falls."""
PACKAGE_BUDGET, TESTS_BUDGET = 21_000, 17_000
MODULE, CHAPTER, FUNCTION = 400, 340, 40
WIDE_CHAPTERS = {"subtypes", "cohorts", "comparing"}  # up to MODULE
FLOORS = (
    {""},
    {"errors", "paths", "processes"},
    {"faults", "imaging", "settings"},
    {"data"},
    {"evaluation", "models"},
    {"training"},
    {"runs"},
    {"figures"},
    {"inference"},
    {"study"},
    {"publishing"},
    {"doctor", "data_commands"},
    {"cli"},
)


def room_of(path: Path) -> str:
    """The room of a module: its folder, or its own name at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem.replace("__init__", "")


@cache
def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("room", BUDGETS)
def test_no_room_is_above_its_budget(room: str) -> None:
    inside = [
        path for path in modules()
        if (path.parent == PACKAGE if room == "top" else room_of(path) == room)
    ]  # fmt: skip
    assert inside
    assert sum(map(lines_of, inside)) <= ABOVE.get(room, BUDGETS[room])


def test_no_room_is_called_above_its_budget_that_is_not() -> None:
    assert all(held > BUDGETS[room] for room, held in ABOVE.items())


def test_package_and_tests_keep_within_theirs() -> None:
    assert sum(map(lines_of, modules())) <= PACKAGE_BUDGET
    assert sum(map(lines_of, (ROOT / "tests").rglob("*.py"))) <= TESTS_BUDGET


def test_modules_and_functions_are_small() -> None:
    long = {
        str(path.relative_to(ROOT)): lines_of(path)
        for path in modules()
        if lines_of(path)
        > (CHAPTER if room_of(path) == "study" and path.stem not in WIDE_CHAPTERS else MODULE)
    }
    assert long == {}
    tall = {
        f"{path.relative_to(ROOT)}:{node.name}": code_lines(node)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and code_lines(node) > FUNCTION
    }
    assert tall == {}


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
    assert node.end_lineno is not None
    return node.end_lineno - body[0].lineno + 1


def imports_of(path: Path, tree: ast.Module) -> set[str]:
    """The modules of the package that a module imports, wherever in it, but for type checking."""
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mammostudy"):
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                found.add(inner if module_path(inner) else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names if each.name.startswith("mammostudy")}
    return found


def module_path(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def floor_of(room: str) -> int:
    return next(at for at, floor in enumerate(FLOORS) if room in floor)


def climbs() -> list[str]:
    """Imports that lead to a higher floor, or to a neighbour on the same one."""
    found = []
    for path, tree in modules().items():
        own = room_of(path)
        for name in imports_of(path, tree):
            target = module_path(name)
            other = room_of(target) if target else ""
            if other != own and floor_of(other) >= floor_of(own):
                found.append(f"{path.relative_to(ROOT)} imports {name}")
    return sorted(found)


def test_a_room_imports_only_from_floors_below() -> None:
    assert climbs() == []


def test_an_import_up_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    path = PACKAGE / "imaging" / "framing.py"
    tree = ast.parse("def late():\n    from mammostudy.study import losses\n")
    monkeypatch.setitem(modules(), path, tree)
    assert climbs() == ["mammostudy/imaging/framing.py imports mammostudy.study.losses"]


def circles() -> list[list[str]]:
    """Circles of modules by imports at the top of files, found depth first."""
    graph = {}
    for path, tree in modules().items():
        top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        graph[path] = {target for name in imports_of(path, top) if (target := module_path(name))}
    found, done, stack = [], set(), []

    def visit(node: Path) -> None:
        if node in stack:
            found.append([str(each.relative_to(ROOT)) for each in stack[stack.index(node) :]])
            return
        if node in done:
            return
        stack.append(node)
        for other in graph.get(node, ()):
            if other != node:
                visit(other)
        done.add(stack.pop())

    for node in graph:
        visit(node)
    return found


def test_no_circles() -> None:
    assert circles() == []


def test_text_files_name_their_encoding() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read_text", "write_text")
        and ast.unparse(node.func.value) != "files"  # the readers' own, which decides for itself
        and not any(word.arg == "encoding" for word in node.keywords)
    ]
    assert bare == []
