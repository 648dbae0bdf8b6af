"""The plan of the house: arrows go down only, the course stays small, notebooks import little."""

import ast
import sys
from pathlib import Path

import nbformat
import pytest

from helpers.files import NOTEBOOKS, OUTPUTS, PROJECT

HELPERS = PROJECT / "helpers"
COURSE = "course"
BELOW = {
    COURSE: {COURSE},
    "grid": {COURSE},
    "figures": {COURSE},
    "notebook": {COURSE},
    "report": {COURSE, "grid", "figures", "notebook"},
    "batch": {COURSE, "notebook", "report"},
    "exercise": {COURSE, "notebook"},
}
"""Room -> the rooms that it may import beside itself."""
PLAIN = {"network": {"numpy"}, "sgd": {"numpy", "threadpoolctl", "helpers"}}
"""Files that students read first -> all that they import beside Python's own."""


def room(path):
    """Name the room of a file; the files on top of helpers are the course."""
    first = path.relative_to(HELPERS).parts[0]
    if (HELPERS / first).is_dir():
        return first
    return "batch" if first == "__main__.py" else COURSE


def imported(path):
    """List the modules that a file imports, e.g. "helpers.grid.table"."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of_module(name):
    """Name the room of an imported module of ours; None for others."""
    first, *rest = name.split(".")
    if first != "helpers" or not rest:
        return None
    return rest[0] if (HELPERS / rest[0]).is_dir() else COURSE


def arrows(path):
    return {room_of_module(name) for name in imported(path)} - {None, room(path)}


@pytest.mark.parametrize(
    "path", sorted(HELPERS.rglob("*.py")), ids=lambda path: str(path.relative_to(HELPERS))
)
def test_arrows_go_down_only(path):
    assert arrows(path) <= BELOW[room(path)]


def test_an_arrow_upwards_is_seen(tmp_path, monkeypatch):
    (tmp_path / "grid").mkdir()
    (tmp_path / "report").mkdir()
    path = tmp_path / "grid" / "wrong.py"
    path.write_text("from helpers.report import pages\nfrom helpers import sgd\nimport numpy\n")
    monkeypatch.setattr(sys.modules[__name__], "HELPERS", tmp_path)
    assert arrows(path) == {"report", COURSE}
    assert not arrows(path) <= BELOW["grid"]


@pytest.mark.parametrize("name", PLAIN)
def test_the_mathematics_needs_numpy_alone(name):
    packages = {each.split(".")[0] for each in imported(HELPERS / f"{name}.py")}
    assert packages - sys.stdlib_module_names <= PLAIN[name]


def test_who_opens_helpers_sees_the_course():
    assert len(list(HELPERS.glob("*.py"))) <= 11


@pytest.mark.parametrize("part", "abcd")
def test_a_notebook_imports_at_most_eight_names_of_ours(part):
    notebook = nbformat.read(NOTEBOOKS / f"part_{part}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    froms = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    ours = {a.name for node in froms if node.module.split(".")[0] == "helpers" for a in node.names}
    assert 1 <= len(ours) <= 8


def test_no_line_names_a_folder_of_the_machine_that_made_it():
    notebooks = *NOTEBOOKS.glob("*.ipynb"), *OUTPUTS.glob("*.ipynb")
    for path in [*notebooks, *HELPERS.rglob("*.py"), PROJECT / "README.md"]:
        assert str(Path.home()) not in path.read_text("utf-8")
        assert str(PROJECT) not in path.read_text("utf-8")
