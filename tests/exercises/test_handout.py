"""The hand-out: no line of a solution in it, and it works up to the first exercise."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers.broken_gradients import FAULTS
from helpers.exercise import handout
from helpers.exercise.handout import unwritten
from helpers.files import PROJECT
from helpers.notebook import cells
from helpers.notebook.checks import EXERCISES
from helpers.notebook.parameters import PARTS

HARMLESS = {
    "raise ValueError(",
    "check_images(layers, images)",
    "lines = ceil(len(W) / columns)",
}
"""Lines of solutions that stand elsewhere, too, and say nothing; so do those of a word or two."""
FILLED_IN = """
import importlib, pathlib
for path in pathlib.Path("helpers").rglob("*.py"):
    if path.name != "__main__.py":
        importlib.import_module(".".join(path.with_suffix("").parts))

import numpy as np
from helpers import network, sgd
from helpers.data import Images
from helpers.grid import stack

rng = np.random.default_rng(0)
data = Images(rng.normal(size=(50, 784)), rng.integers(0, 10, 50))
recipe = sgd.Recipe((784, 5, 10), 2, 8, 0.1, 0.01, average_epochs=1)
weights = sgd.train(recipe, data, data, dtype=float).weights
assert (stack.train([recipe], data, float)[recipe] == weights).all()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handout") / "new"
    handout.write(folder)
    return folder


def solution_lines():
    """List the lines of all solutions, without docstrings and comments."""
    found = set()
    for exercise in EXERCISES:
        source = (PROJECT / exercise.file).read_text("utf-8")
        [node] = [n for n in ast.parse(source).body if getattr(n, "name", "") == exercise.function]
        lines = source.splitlines()[node.body[0].end_lineno : node.end_lineno]
        found |= {line.split("#")[0].strip() for line in lines}
    return {line for line in found - HARMLESS if len(line) >= 10}


def test_no_line_of_a_solution_is_in_it(folder):
    texts = {
        path: path.read_text("utf-8", errors="replace").replace('\\"', '"')
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    }
    assert len(solution_lines()) > 30
    leaks = [(p.name, s) for p, text in texts.items() for s in solution_lines() if s in text]
    assert not leaks, leaks
    gallery = texts[folder / "helpers" / "broken_gradients.py"]
    assert FAULTS and not [name for name in FAULTS if name in gallery]


def test_only_what_a_student_needs_is_in_it(folder):
    assert handout.IGNORED("", [".ipynb_checkpoints", "a.ipynb"]) == {".ipynb_checkpoints"}
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE", "README.md", "data", "helpers", "notebooks", "pyproject.toml", "requirements.txt"
    }  # fmt: skip
    for path in folder.glob("notebooks/*.ipynb"):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells)
    tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def test_parameters_are_the_defaults_whatever_was_explored():
    explored = "hidden_layers: list[int] = [8]  # units\nnum_epochs: int = 3\nalpha: float = 1"
    assert handout.with_defaults(explored, PARTS["a"]()) == (
        "hidden_layers: list[int] = [64, 64, 64]  # units\nnum_epochs: int = 10\nalpha: float = 0.0"
    )


@pytest.mark.parametrize("part", PARTS)
def test_the_parameters_cells_are_those_of_the_project(part, folder):
    name = f"notebooks/part_{part}.ipynb"
    theirs, ours = (nbformat.read(root / name, 4) for root in (folder, PROJECT))
    [cell], [expected] = (cells.tagged(each, cells.PARAMETERS_TAG) for each in (theirs, ours))
    assert cell.source == expected.source.replace('"outputs"', '"data"')


def test_without_the_projects_folder_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(handout, "PROJECT", tmp_path)
    with pytest.raises(handout.HandoutError, match=r"pip install -e \."):
        handout.write(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def stop(path):
    """Run a notebook of the hand-out; list what it shows of the error that stops it."""
    notebook = nbformat.read(path, 4)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3")
    with pytest.raises(CellExecutionError):
        client.execute(cwd=path.parent, env=os.environ | {"PYTHONPATH": str(path.parent.parent)})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.traceback for output in outputs if output.output_type == "error"]


def test_notebooks_run_to_their_first_exercise_and_show_one_line(folder):
    with ThreadPoolExecutor(2) as pool:
        shown = list(pool.map(stop, sorted(folder.glob("notebooks/*.ipynb"))))
    says = {exercise.label: unwritten(exercise) for exercise in EXERCISES}
    words = "A1 unpack is unwritten", says["A1"], "C1 list_runs is unwritten", says["A1"]
    for (trace,), expected in zip(shown, words, strict=True):
        [line] = trace
        assert expected in line and "\n" not in line


def test_filled_in_it_imports_and_trains_the_grid_with_the_students_step(folder, tmp_path):
    filled = tmp_path / "filled"
    shutil.copytree(folder / "helpers", filled / "helpers")
    for exercise in EXERCISES:
        shutil.copy(PROJECT / exercise.file, filled / exercise.file)
    environment = os.environ | {"PYTHONPATH": str(filled)}
    subprocess.run([sys.executable, "-c", FILLED_IN], cwd=filled, env=environment, check=True)
