"""The hand-out: the project without solutions, tests, recorded outputs and history.

A function that is an exercise keeps its signature and its docstring; the file around it stays as
it is, so the code itself needs no markers. Parameters are the project's defaults, whatever somebody
has set in the notebooks while exploring.
"""

import ast
import shutil
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor

from helpers.errors import OneLineError
from helpers.files import PROJECT
from helpers.notebook import cells
from helpers.notebook.checks import EXERCISES
from helpers.notebook.parameters import PARTS

STUDENT = Path(__file__).with_name("student")
"""Laid over the copy of ours: README, the grid's training, errors in one line."""
NEEDED = "LICENSE", "data", "notebooks", "outputs/best_model.json", "requirements.txt"
IGNORED = shutil.ignore_patterns("exercise", "__pycache__", ".*")
"""JupyterLab's checkpoints (.ipynb_checkpoints) hold whole notebooks, outputs and all."""
IN_CELLS = {
    'model_dir: str = "outputs"': 'model_dir: str = "data"',
    "figures.samples(training)": "from matplotlib import pyplot\n\n"
    'pyplot.matshow(training.images[0].reshape(28, 28), cmap="gray_r");',
}
"""Part D gets a network that is given, and part A a picture that needs no exercise of part D."""


class HandoutError(OneLineError):
    """A hand-out cannot be made here."""


def write(folder):
    """Write a hand-out into a folder, which is made if needed and has to be empty."""
    missing = [name for name in NEEDED if not (PROJECT / name).exists()]
    if missing:
        raise HandoutError(
            f"a hand-out is made of the project's folder, but {', '.join(missing)} is not in "
            f"{PROJECT}: run `pip install -e .` in a checkout"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected a new or empty folder for the hand-out")
    copy_helpers(folder)
    take_solutions_out(folder)
    for name in "data", "notebooks":
        shutil.copytree(PROJECT / name, folder / name, ignore=IGNORED)
    for name in "LICENSE", "requirements.txt":
        shutil.copy(PROJECT / name, folder)
    for name in "best_model*", "first_layer_*":  # part D needs no part C before it
        for path in PROJECT.glob(f"outputs/{name}"):
            shutil.copy(path, folder / "data")
    pyproject, _, _ = (PROJECT / "pyproject.toml").read_text("utf-8").partition("[tool.pytest")
    (folder / "pyproject.toml").write_text(pyproject, "utf-8")
    for part in PARTS:
        clear(folder / "notebooks" / f"part_{part}.ipynb", PARTS[part]())


def copy_helpers(folder):
    """Copy helpers with all solutions; the training of the grid is that of the hand-out."""
    shutil.copytree(PROJECT / "helpers", folder / "helpers", ignore=IGNORED)
    shutil.copytree(STUDENT, folder, ignore=IGNORED, dirs_exist_ok=True)


def take_solutions_out(folder):
    """Leave the exercises, and the gallery of faults, to the student."""
    for exercise in EXERCISES:
        line = f'    raise NotImplementedError("{unwritten(exercise)}")'
        put_in_place_of_body(folder / exercise.file, exercise.function, line)
    empty_faults(folder / "helpers" / "broken_gradients.py")
    with open(folder / "helpers" / "__init__.py", "a", encoding="utf-8") as file:
        file.write("\nfrom helpers import unwritten\n")


def unwritten(exercise):
    """Say what the hand-out's function says when it is called."""
    notebook = f"part_{exercise.label[0].lower()}.ipynb"
    return f"exercise {exercise.label}: write {exercise.function}; see {notebook}"


def put_in_place_of_body(path, function, line):
    """Replace the body of a function in a file, below its docstring, by a line."""
    lines = path.read_text("utf-8").splitlines()
    [node] = [n for n in ast.parse("\n".join(lines)).body if getattr(n, "name", "") == function]
    docstring = node.body[0]
    lines[docstring.end_lineno : node.end_lineno] = [line]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def empty_faults(path):
    """Leave the gallery of faults to the students: ours would tell what is right."""
    lines = path.read_text("utf-8").splitlines()
    assignments = [n for n in ast.parse("\n".join(lines)).body if isinstance(n, ast.Assign)]
    [faults] = [node for node in assignments if node.targets[0].id == "FAULTS"]
    lines[faults.lineno - 1 : faults.end_lineno] = ["FAULTS = {}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def clear(path, defaults):
    """Take outputs and the fast step out of a notebook, and put defaults and `IN_CELLS` in."""
    notebook, _ = ClearOutputPreprocessor().preprocess(nbformat.read(path, as_version=4), {})
    notebook.cells = [
        cell
        for cell in notebook.cells
        if "stack.Stack" not in cell.source and not cell.source.startswith("## The fast step")
    ]
    for cell in cells.tagged(notebook, cells.PARAMETERS_TAG):
        cell.source = with_defaults(cell.source, defaults)
    for cell in notebook.cells:
        for ours, theirs in IN_CELLS.items():
            cell.source = cell.source.replace(ours, theirs)
    nbformat.write(notebook, path)


def with_defaults(source, defaults):
    """Set the values in a parameters cell, ``name: type = value  # meaning``, to the defaults."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        default = getattr(defaults, node.target.id)
        default = list(default) if isinstance(default, tuple) else default
        if ast.literal_eval(node.value) != default:
            line = lines[node.lineno - 1]
            before, after = line[: node.value.col_offset], line[node.value.end_col_offset :]
            lines[node.lineno - 1] = before + repr(default) + after
    return "\n".join(lines)
