"""The hand-out: what the ten exercises need, without their solutions.

A function that is an exercise keeps its signature and its docstring; the file around it stays as
it is, so the code itself needs no markers. Notebooks lose their outputs and the cells that are
tagged `full`.
"""

import ast
import json
import shutil
from pathlib import Path

from helpers.exercise import record
from helpers.exercise.exercises import EXERCISES
from helpers.files import NOTEBOOKS, PROJECT
from helpers.notebook import cells

STUDENT = Path(__file__).with_name("student")
"""Laid over the copy of ours: README, and a plain search."""
COURSE = [
    "helpers/*.py",
    "helpers/exercise/__init__.py",
    "helpers/exercise/answers.py",
    "helpers/exercise/calls.py",
    "helpers/exercise/exercises.py",
]
"""Files that a student's function may need in a process of its own."""
COPIED = [
    *COURSE,
    "helpers/exercise/check.py",
    "helpers/figures/*.*",
    *(
        f"helpers/grid/{name}.py"
        for name in ("beyond", "effects", "listing", "machine", "runs", "table")
    ),
    "helpers/notebook/*.py",
    "data/*",
    "outputs/best_model*",
    "outputs/first_layer_*",
    "LICENSE",
]
LEFT_OUT = {"helpers/__main__.py", "helpers/broken_gradients.py", "helpers/notebook/runs.py"}
CELLS_LEFT_OUT = {"full", cells.INJECTED_TAG}
IN_CELLS = {
    "import broken_gradients, data": "import data",
    "figures.samples(training)": "from matplotlib import pyplot\n\n"
    'pyplot.matshow(training.images[0].reshape(28, 28), cmap="gray_r");',
}
"""In the hand-out part A shows a picture that needs no exercise of part D."""


def write(folder, seed=0):
    """Write a hand-out.

    Parameters
    ----------
    folder : Path
        Is made; must not be there yet.
    seed : int
        Of the checks' arguments.

    Raises
    ------
    OSError
        If there is such a folder, or it cannot be written.
    """
    folder.mkdir(parents=True)
    copy(COPIED, folder)
    pinned = (PROJECT / "requirements.txt").read_text("utf-8").replace("-e .\n", "")
    (folder / "requirements.txt").write_text(pinned, "utf-8")  # there is nothing to install of ours
    shutil.copytree(STUDENT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__py*"))
    for exercise in EXERCISES:
        path = folder / exercise.file
        path.write_text(without_body(path.read_text("utf-8"), exercise), "utf-8")
    record.write(folder / "helpers" / "exercise" / "cases.json", seed)
    (folder / "notebooks").mkdir()
    for path in sorted(NOTEBOOKS.glob("part_?.ipynb")):
        notebook = json.dumps(clear(cells.read(path)), indent=1)
        (folder / "notebooks" / path.name).write_text(notebook + "\n", "utf-8")


def copy(patterns, folder):
    """Copy files of the project, at the same paths, into another folder."""
    for pattern in patterns:
        for path in PROJECT.glob(pattern):
            name = path.relative_to(PROJECT).as_posix()
            target = folder / name
            if path.is_file() and name not in LEFT_OUT:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def find_function(source, name):
    """Find a function on the top level of a source: its node in the syntax tree."""
    [node] = [node for node in ast.parse(source).body if getattr(node, "name", "") == name]
    return node


def without_body(source, exercise):
    """Replace the body of a function, below its docstring, by lines that say so."""
    notebook = f"part_{exercise.label[0].lower()}.ipynb"
    words = f"exercise {exercise.label}: write {exercise.function}; see {notebook}"
    node = find_function(source, exercise.function)
    lines = source.splitlines(keepends=True)
    lines[node.body[0].end_lineno : node.end_lineno] = [
        "    from helpers.errors import OneLineError\n\n",
        f'    raise OneLineError("{words}")\n',
    ]
    return "".join(lines)


def clear(notebook):
    """Take outputs, papermill's cells and our own out of a notebook."""
    kept = []
    for cell in notebook["cells"]:
        if CELLS_LEFT_OUT.intersection(cell["metadata"].get("tags", [])):
            continue
        source = cells.source(cell)
        for ours, theirs in IN_CELLS.items():
            source = source.replace(ours, theirs)
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
        kept.append(cell | {"source": source})
    return notebook | {"cells": kept}
