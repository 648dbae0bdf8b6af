"""The hand-out: the project without solutions, tests, recorded outputs and history.

A function that is an exercise keeps its signature and its docstring; the file around it stays as
it is, so the code itself needs no markers.
"""

import ast
import shutil
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor

from helpers.exercise.tasks import TASKS
from helpers.files import PROJECT

STUDENT = Path(__file__).with_name("student")
"""What a hand-out has in place of ours: its README, a plain step for the grid, an error in a line.
"""
COPIED = "LICENSE", "requirements.txt", "data"
GIVEN = "best_model", "recipe_model"
"""Trained networks, so that part D can be done before part C."""


def write(folder):
    """Write a hand-out into a folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    pyproject = (PROJECT / "pyproject.toml").read_text("utf-8")
    (folder / "pyproject.toml").write_text(pyproject.split("\n[tool.pytest")[0] + "\n", "utf-8")
    copy_helpers(folder / "helpers")
    shutil.copy(STUDENT / "lanes.py", folder / "helpers" / "grid")
    gallery = without_faults((PROJECT / "helpers" / "broken_gradients.py").read_text("utf-8"))
    (folder / "helpers" / "broken_gradients.py").write_text(gallery, "utf-8")
    for task in TASKS:
        change(folder / task.file, task.function, f'raise NotImplementedError("{task.unwritten}")')
    rows = [f"| {task.exercise} | `{task.function}` | `{task.file}` |" for task in TASKS]
    readme = (STUDENT / "README.md").read_text("utf-8").replace("TASKS", "\n".join(rows))
    (folder / "README.md").write_text(readme, "utf-8")
    with open(folder / "helpers" / "__init__.py", "a", encoding="utf-8") as file:
        file.write((STUDENT / "one_line.py").read_text("utf-8"))
    (folder / "notebooks").mkdir()
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        nbformat.write(cleared(path), folder / "notebooks" / path.name)


def copy_helpers(folder):
    """Copy helpers without this package and without solutions under other names."""
    ignored = shutil.ignore_patterns("exercise", "__pycache__", ".ipynb_checkpoints")
    shutil.copytree(PROJECT / "helpers", folder, ignore=ignored)
    for name in "grid/lanes.py", "broken_gradients.py":
        (folder / name).unlink(missing_ok=True)


def change(path, function, line=None):
    """Replace the body of a function in a file by a line, or take the whole function out."""
    source = path.read_text("utf-8")
    [node] = [node for node in ast.parse(source).body if getattr(node, "name", "") == function]
    lines = source.splitlines()
    start = node.body[0].end_lineno if line else node.lineno - 1
    lines[start : node.end_lineno] = [f"    {line}"] if line else []
    path.write_text("\n".join(lines) + "\n", "utf-8")


def without_faults(source):
    """Empty the gallery of broken gradients: its faults are changes to the text of our solution."""
    assignments = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    [faults] = [node for node in assignments if getattr(node.targets[0], "id", "") == "FAULTS"]
    lines = source.splitlines()
    lines[assignments[0].lineno - 1 : faults.end_lineno] = ["FAULTS = {}"]
    return "\n".join(lines) + "\n"


def cleared(path):
    """Read a notebook without its outputs and what was recorded about it."""
    notebook = nbformat.read(path, as_version=4)
    keep = {"preserve_nb_metadata_mask": {"kernelspec"}, "preserve_cell_metadata_mask": {"tags"}}
    for clear in ClearOutputPreprocessor(), ClearMetadataPreprocessor(**keep):
        notebook, _ = clear.preprocess(notebook, {})
    return notebook
