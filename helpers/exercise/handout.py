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
"""What a hand-out has in place of ours: README, the training of the grid, errors in one line."""


def write(folder):
    """Write a hand-out into a folder, which is made if needed and has to be empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected a new or empty folder for the hand-out")
    copy_helpers(folder / "helpers")
    for name in "data", "notebooks":
        shutil.copytree(PROJECT / name, folder / name)
    for path in (
        *(PROJECT / name for name in ("LICENSE", "requirements.txt")),
        STUDENT / "README.md",
    ):
        shutil.copy(path, folder)
    for task in TASKS:
        blank(folder / task.file, task.function, f'raise NotImplementedError("{task.unwritten}")')
    for name, file in ("__init__.py", "one_line.py"), ("grid/lanes.py", "lanes.py"):
        with open(folder / "helpers" / name, "a", encoding="utf-8") as copy:
            copy.write("\n\n" + (STUDENT / file).read_text("utf-8"))
    for path in *PROJECT.glob("outputs/best_model*"), *PROJECT.glob("outputs/recipe_model*"):
        shutil.copy(path, folder / "data")  # part D needs no part C before it
    pyproject, _, _ = (PROJECT / "pyproject.toml").read_text("utf-8").partition("[tool.pytest")
    (folder / "pyproject.toml").write_text(pyproject, "utf-8")
    for path in folder.glob("notebooks/*.ipynb"):
        clear(path)


def copy_helpers(folder):
    """Copy helpers without this package and without solutions under other names.

    The fast step goes, and so do the faults of broken gradients, changes to the text of ours.
    """
    ignored = shutil.ignore_patterns("exercise", "__pycache__")
    shutil.copytree(PROJECT / "helpers", folder, ignore=ignored)
    for name in "train", "Lane", "Passes":
        blank(folder / "grid" / "lanes.py", name)
    gallery = folder / "broken_gradients.py"
    kept, _, faults = gallery.read_text("utf-8").partition("\nMEAN, ")
    _, _, rest = faults.partition("\n}\n")
    gallery.write_text(f"{kept}\nFAULTS = {{}}\n{rest}", "utf-8")


def blank(path, function, line=None):
    """Replace the body of a function in a file by a line, or take the whole function out."""
    lines = path.read_text("utf-8").splitlines()
    [node] = [n for n in ast.parse("\n".join(lines)).body if getattr(n, "name", "") == function]
    start = node.body[0].end_lineno if line else node.lineno - 1
    lines[start : node.end_lineno] = [f"    {line}"] if line else []
    path.write_text("\n".join(lines) + "\n", "utf-8")


def clear(path):
    """Take the outputs out of a notebook, and what was recorded about it; part D gets a network."""
    notebook = nbformat.read(path, as_version=4)
    keep = {"preserve_nb_metadata_mask": {"kernelspec"}, "preserve_cell_metadata_mask": {"tags"}}
    for preprocessor in ClearOutputPreprocessor(), ClearMetadataPreprocessor(**keep):
        notebook, _ = preprocessor.preprocess(notebook, {})
    for cell in notebook.cells:
        cell.source = cell.source.replace('model_dir: str = "outputs"', 'model_dir: str = "data"')
    nbformat.write(notebook, path)
