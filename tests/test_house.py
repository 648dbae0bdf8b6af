"""The plan of the house: which room may use which.

A room is a folder of helpers/; the files on top are the course. An arrow is an import.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.files import NOTEBOOKS, OUTPUTS, PROJECT

HELPERS = PROJECT / "helpers"
COURSE = "course"
PLAN = {
    COURSE: set(),
    "grid": {COURSE},
    "figures": {COURSE, "grid"},
    "notebook": {COURSE},
    "exercise": {COURSE, "grid", "notebook"},  # of the notebook's room what shows, no more
    "report": {COURSE, "grid", "notebook"},
    "batch": {COURSE, "grid", "figures", "notebook", "exercise", "report"},
}
"""Room -> the rooms that it may use beside itself."""
CHECK = HELPERS / "notebook" / "__init__.py", "helpers.exercise.check.check"
"""The one arrow that goes up: notebooks call `notebook.check`."""


def room(path):
    """Name the room of a file or folder below helpers/."""
    first = path.relative_to(HELPERS).parts[0]
    if first == "__main__.py":
        return "batch"
    return first if (HELPERS / first).is_dir() else COURSE


def imported(path):
    """List the modules that a file imports, with the names that it takes from them."""
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", sorted(HELPERS.rglob("*.py")), ids=lambda path: path.name)
def test_arrows_go_down_only(path):
    here = room(path)
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "helpers" and rest and (path, name) != CHECK:
            assert room(HELPERS / rest[0]) in {here, *PLAN[here]}


HEAVY = {"pandas", "matplotlib", "IPython", "nbformat", "papermill", "distributed"}


def test_a_worker_imports_nothing_heavy():
    # Tens of megabytes for each.
    command = [sys.executable, "-c", "import sys, helpers.grid; print(*sys.modules)"]
    modules = subprocess.check_output(command, cwd=PROJECT, text=True).split()
    assert "numpy" in modules
    assert not HEAVY & set(modules)


def test_no_file_names_a_folder_of_the_machine_that_made_it():
    paths = [*HELPERS.rglob("*.*"), *(PROJECT / "tests").rglob("*.*")]
    for folder in PROJECT, NOTEBOOKS, OUTPUTS:
        paths += folder.glob("*.*")
    for path in filter(Path.is_file, paths):
        content = path.read_bytes()
        assert f"{PROJECT}/".encode() not in content, path
        assert f"{Path.home()}/".encode() not in content, path


def test_links_lead_to_files():
    for page in [PROJECT / "README.md", *HELPERS.rglob("*.md"), *(PROJECT / "tests").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            assert re.match(r"\w+:", link) or (page.parent / link).exists(), (page, link)
