"""The hand-out: the project without solutions, tests, recorded outputs and history.

A function that is an exercise keeps its signature and its docstring; the file around it stays as
it is, so the code itself needs no markers.
"""

import ast
import shutil
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor

from helpers.exercise.tasks import TASKS, file_of, unwritten
from helpers.files import PROJECT

STUDENT = Path(__file__).with_name("student")
"""Laid over the copy of ours: README, the grid's training, no faults, errors in one line."""

IGNORED = shutil.ignore_patterns("exercise", "__pycache__", ".*")
"""JupyterLab's checkpoints (.ipynb_checkpoints) hold whole notebooks, outputs and all."""
IN_CELLS = {
    'model_dir: str = "outputs"': 'model_dir: str = "data"',
    "figures.samples(training)": "from matplotlib import pyplot\n\n"
    'pyplot.matshow(training.images[0].reshape(28, 28), cmap="gray_r");',
}
"""Part D gets a network that is given, and part A a picture that needs no exercise of part D."""


def write(folder):
    """Write a hand-out into a folder, which is made if needed and has to be empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected a new or empty folder for the hand-out")
    copy_helpers(folder)
    for name in "data", "notebooks":
        shutil.copytree(PROJECT / name, folder / name, ignore=IGNORED)
    for name in "LICENSE", "requirements.txt":
        shutil.copy(PROJECT / name, folder)
    for task in TASKS:
        line = f'raise NotImplementedError("{unwritten(task)}")'
        blank(folder / file_of(task.module), task.function, line)
    for path in *PROJECT.glob("outputs/best_model*"), *PROJECT.glob("outputs/recipe_model*"):
        shutil.copy(path, folder / "data")  # part D needs no part C before it
    pyproject, _, _ = (PROJECT / "pyproject.toml").read_text("utf-8").partition("[tool.pytest")
    (folder / "pyproject.toml").write_text(pyproject, "utf-8")
    for path in folder.glob("notebooks/*.ipynb"):
        clear(path)


def copy_helpers(folder):
    """Copy helpers without this package; the fast step and the faults would give solutions."""
    shutil.copytree(PROJECT / "helpers", folder / "helpers", ignore=IGNORED)
    shutil.copytree(STUDENT, folder, ignore=IGNORED, dirs_exist_ok=True)


def blank(path, function, line=None):
    """Replace the body of a function in a file by a line, or take the whole function out."""
    lines = path.read_text("utf-8").splitlines()
    [node] = [n for n in ast.parse("\n".join(lines)).body if getattr(n, "name", "") == function]
    start = node.body[0].end_lineno if line else node.lineno - 1
    lines[start : node.end_lineno] = [f"    {line}"] if line else []
    path.write_text("\n".join(lines) + "\n", "utf-8")


def clear(path):
    """Take outputs, records and the fast step out of a notebook, and put `IN_CELLS` in."""
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    notebook.cells = [cell for cell in notebook.cells if "stack.Stack" not in cell.source]
    for cell in notebook.cells:
        for ours, theirs in IN_CELLS.items():
            cell.source = cell.source.replace(ours, theirs)
    nbformat.write(notebook, path)
