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
"""What a hand-out has in place of ours: its README, and the grid's training step by step."""


def write(folder):
    """Write a hand-out into a folder, which is made if needed."""
    copy_helpers(folder / "helpers")
    shutil.copytree(PROJECT / "data", folder / "data")
    shutil.copytree(PROJECT / "notebooks", folder / "notebooks")
    for name in "LICENSE", "requirements.txt", "pyproject.toml":
        shutil.copy(PROJECT / name, folder)
    shutil.copy(STUDENT / "lanes.py", folder / "helpers" / "grid")
    for task in TASKS:
        change(folder / task.file, task.function, f'raise NotImplementedError("{task.unwritten}")')
    rows = [f"| {task.exercise} | `{task.function}` | `{task.file}` |" for task in TASKS]
    readme = (STUDENT / "README.md").read_text("utf-8").replace("TASKS", "\n".join(rows))
    (folder / "README.md").write_text(readme, "utf-8")
    one_line = (STUDENT / "one_line.py").read_text("utf-8")
    edit(folder / "helpers" / "__init__.py", lambda text: text + one_line)
    edit(folder / "pyproject.toml", lambda text: text.split("[tool.pytest")[0])
    for path in folder.glob("notebooks/*.ipynb"):
        clear(path)


def copy_helpers(folder):
    """Copy helpers without this package and without solutions under other names."""
    shutil.copytree(
        PROJECT / "helpers",
        folder,
        ignore=shutil.ignore_patterns("exercise", "lanes.py", "__pycache__"),
    )
    edit(folder / "broken_gradients.py", without_faults)


def edit(path, function):
    """Change the text of a file."""
    path.write_text(function(path.read_text("utf-8")), "utf-8")


def change(path, function, line=None):
    """Replace the body of a function in a file by a line, or take the whole function out."""
    lines = path.read_text("utf-8").splitlines()
    [node] = [n for n in ast.parse("\n".join(lines)).body if getattr(n, "name", "") == function]
    start = node.body[0].end_lineno if line else node.lineno - 1
    lines[start : node.end_lineno] = [f"    {line}"] if line else []
    path.write_text("\n".join(lines) + "\n", "utf-8")


def without_faults(source):
    """Empty the gallery of broken gradients: its faults are changes to the text of our solution."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    [faults] = [node for node in nodes if ast.unparse(node.targets[0]) == "FAULTS"]
    lines = source.splitlines()
    lines[nodes[0].lineno - 1 : faults.end_lineno] = ["FAULTS = {}"]
    return "\n".join(lines) + "\n"


def clear(path):
    """Take the outputs out of a notebook, and what was recorded about it."""
    notebook = nbformat.read(path, as_version=4)
    keep = {"preserve_nb_metadata_mask": {"kernelspec"}, "preserve_cell_metadata_mask": {"tags"}}
    for preprocessor in ClearOutputPreprocessor(), ClearMetadataPreprocessor(**keep):
        notebook, _ = preprocessor.preprocess(notebook, {})
    nbformat.write(notebook, path)
