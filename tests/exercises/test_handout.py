"""The hand-out: no line of a solution in it, and it works up to the first exercise."""

import ast
import asyncio
import os
import subprocess
import sys
import tomllib

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers.broken_gradients import FAULTS
from helpers.exercise import grading, handout
from helpers.exercise.tasks import TASKS
from helpers.files import PROJECT

HARMLESS = {"raise ValueError(", "check_width(layers, images)"}
"""Lines of solutions that stand elsewhere, too, and say nothing; so do those of a word or two."""
FILLED_IN = """
import importlib, pathlib
for path in pathlib.Path("helpers").rglob("*.py"):
    if path.name != "__main__.py":
        importlib.import_module(".".join(path.with_suffix("").parts))

import numpy as np
from helpers import network, sgd
from helpers.data import Images
from helpers.grid import lanes

rng = np.random.default_rng(0)
data = Images(rng.normal(size=(50, 784)), rng.integers(0, 10, 50))
recipe = sgd.Recipe((784, 5, 10), 2, 8, 0.1, 0.01, average_epochs=1)
weights = sgd.train(recipe, data, data, dtype=float).weights
assert (lanes.train([recipe], data, float)[recipe] == weights).all()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handout") / "new"
    handout.write(folder)
    return folder


def python(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True)


def solution_lines():
    """List the lines of all solutions, without docstrings and comments."""
    found = set()
    for task in TASKS:
        source = (PROJECT / task.file).read_text("utf-8")
        [node] = [n for n in ast.parse(source).body if getattr(n, "name", "") == task.function]
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
    assert not [right for right, _ in FAULTS.values() if right in gallery]


def test_only_what_a_student_needs_is_in_it(folder):
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE", "README.md", "data", "helpers", "notebooks", "pyproject.toml", "requirements.txt"
    }  # fmt: skip
    for path in folder.glob("notebooks/*.ipynb"):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert notebook.metadata.keys() == {"kernelspec"}
    tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def test_unwritten_exercises_get_no_points_and_say_so(folder):
    for task, test in zip(TASKS, grading.grade(folder)["tests"], strict=True):
        assert test["score"] == 0 and task.unwritten in test["output"]


def test_notebooks_run_to_their_first_exercise(folder):
    async def run(path):
        notebook = nbformat.read(path, 4)
        client = NotebookClient(notebook, timeout=60, kernel_name="python3")
        with pytest.raises(CellExecutionError):
            await client.async_execute(
                cwd=str(path.parent), env=os.environ | {"PYTHONPATH": str(folder)}
            )
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        return [output["traceback"] for output in outputs if output.output_type == "error"]

    async def run_two_at_a_time():
        paths = sorted(folder.glob("notebooks/*.ipynb"))
        return [
            shown
            for pair in (paths[:2], paths[2:])
            for shown in await asyncio.gather(*map(run, pair))
        ]

    first = {
        "a": TASKS[0],
        "b": TASKS[0],
        "c": next(task for task in TASKS if task.exercise == "C1"),
        "d": TASKS[0],
    }
    lines = [[[f"NotImplementedError: {task.unwritten}"]] for task in first.values()]
    assert asyncio.run(run_two_at_a_time()) == lines


def test_filled_in_it_imports_and_trains_the_grid_with_the_students_step(folder, tmp_path):
    filled = tmp_path / "filled"
    handout.shutil.copytree(folder / "helpers", filled / "helpers")
    for task in TASKS:
        handout.shutil.copy(PROJECT / task.file, filled / task.file)
    python(filled, "-c", FILLED_IN)
