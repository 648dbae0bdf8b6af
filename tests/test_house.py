"""The plan of the house: which room may use which; the course stays small, notebooks import little.

A room is a folder of helpers/; the files on top are the course. An arrow is anything by which a
file reaches another room: an import, absolute or relative, a module or a file that is named in a
string (importlib, runpy, `python -m`), or a path that is put together.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers.files import NOTEBOOKS, OUTPUTS, PROJECT

HELPERS = PROJECT / "helpers"
STUDENT = HELPERS / "exercise" / "student" / "helpers"
"""Files that take the place of ours in a student's copy of helpers/."""
COURSE = "course"
TESTS = "tests"
ANY = "any room"
PLAN = {
    COURSE: set(),
    "grid": {COURSE},
    "figures": {COURSE, "grid"},
    "notebook": {COURSE, "exercise"},
    "report": {COURSE, "grid", "notebook"},
    "batch": {COURSE, "grid", "notebook", "report"},
    "exercise": {COURSE, "notebook"},
}
"""Room -> the rooms that it may use beside itself."""
BY_NAME = {
    "exercise/exercises.py": {ANY},
    "exercise/handout.py": {"figures", "grid"},
}
"""Tables that name more rooms: where the exercises are, and what a hand-out is copied from."""
PLAIN = {"network": {"numpy"}, "sgd": {"numpy", "helpers"}, "recipe": set()}
"""Files that students read first -> all that they import beside Python's own."""


def room(path):
    """Name the room of a file."""
    folder = STUDENT if path.is_relative_to(STUDENT) else HELPERS
    first, *rest = path.relative_to(folder).parts
    if first == "__main__.py":
        return "batch"
    return first if rest else COURSE


def room_of_module(name):
    """Name the room of a module such as "helpers.grid.table"; None if it is not ours."""
    first, *rest = re.split(r"[./]", name)
    if first == TESTS:
        return TESTS
    if first != "helpers" or not rest:
        return None
    return rest[0] if (HELPERS / rest[0]).is_dir() else COURSE


def imported(path):
    """List the modules that a file imports, with the names that it takes from them."""
    package = ["helpers", *path.relative_to(HELPERS).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def named(path):
    """List the modules and files of ours that a file names in strings, docstrings left out."""
    tree = ast.parse(path.read_text("utf-8"))
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    docstrings = {id(node.value) for node in statements}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield from re.findall(r"\b(?:helpers|tests)[./][\w./]+", node.value)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield "/".join(constants(node))


def constants(node):
    """List the texts that a path such as ``PROJECT / "helpers" / name`` is put together from."""
    if isinstance(node, ast.BinOp):
        return [*constants(node.left), *constants(node.right)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def names_any_room(path):
    """Tell whether a file names modules as f"helpers.{...}"."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            if any(re.search(r"\bhelpers\.$", text) for text in texts):
                return True
    return False


def arrows(path):
    """Collect the rooms that a file reaches, its own left out."""
    found = {room_of_module(name) for name in [*imported(path), *named(path)]}
    if names_any_room(path):
        found.add(ANY)
    return found - {None, room(path)}


FILES = sorted(HELPERS.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(HELPERS).as_posix())
def test_arrows_go_down_only(path):
    allowed = BY_NAME.get(path.relative_to(HELPERS).as_posix(), set())
    assert arrows(path) <= PLAN[room(path)] | allowed


def test_the_plan_names_every_room():
    folders = {path.parent.name for path in HELPERS.glob("*/__init__.py")}
    assert folders == PLAN.keys() - {COURSE}


WAYS = {
    "from helpers.report import pages": "report",
    "import helpers.report.pages": "report",
    "from ..report import pages": "report",
    "from helpers import sgd": COURSE,
    "importlib.import_module('helpers.report.pages')": "report",
    "importlib.import_module(f'helpers.{name}')": ANY,
    "runpy.run_path('helpers/report/pages.py')": "report",
    "runpy.run_path(PROJECT / 'helpers' / 'report' / 'pages.py')": "report",
    "runpy.run_path(PROJECT / 'tests' / name)": TESTS,
    "subprocess.run([sys.executable, '-m', 'helpers.report'])": "report",
    "import numpy": None,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_arrow_is_seen(tmp_path, monkeypatch, way):
    monkeypatch.setattr(sys.modules[__name__], "HELPERS", tmp_path)
    for name in "grid", "report":
        (tmp_path / name).mkdir()
    path = tmp_path / "grid" / "file.py"
    path.write_text(way, "utf-8")
    assert arrows(path) == {WAYS[way]} - {None}


@pytest.mark.parametrize("name", PLAIN)
def test_the_mathematics_needs_numpy_alone(name):
    packages = {each.split(".")[0] for each in imported(HELPERS / f"{name}.py")}
    assert packages - sys.stdlib_module_names <= PLAIN[name]


HEAVY = {"pandas", "matplotlib", "IPython", "nbformat", "papermill", "distributed"}


@pytest.mark.parametrize("imports", ["helpers.grid", "helpers.batch"])
def test_who_only_trains_or_asks_for_help_imports_nothing_heavy(imports):
    # Tens of megabytes for each worker, a second for each command.
    code = f"import sys, {imports}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(found.stdout.split())


def test_who_opens_helpers_sees_the_course():
    assert len(list(HELPERS.glob("*.py"))) <= 14


@pytest.mark.parametrize("part", "abcd")
def test_a_notebook_imports_at_most_eight_names_of_ours(part):
    notebook = nbformat.read(NOTEBOOKS / f"part_{part}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    froms = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    ours = {a.name for node in froms if node.module.split(".")[0] == "helpers" for a in node.names}
    assert 1 <= len(ours) <= 8


def test_no_file_names_a_folder_of_the_machine_that_made_it():
    notebooks = *NOTEBOOKS.glob("*.ipynb"), *OUTPUTS.glob("*.ipynb")
    for path in [*notebooks, *HELPERS.rglob("*.py"), *PROJECT.glob("*.md")]:
        text = path.read_text("utf-8")
        assert str(Path.home()) not in text
        assert str(PROJECT) not in text


PAGES = [PROJECT / "README.md", *HELPERS.glob("*/*.md"), *(PROJECT / "tests").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
    local = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []
