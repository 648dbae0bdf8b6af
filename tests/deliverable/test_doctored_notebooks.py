"""A recorded notebook passes as it is; changed by hand, it fails and says why."""

import base64
import copy
import math
import re

import nbformat
import pytest

from helpers.files import NOTEBOOKS
from helpers.notebook.records import RECORD, VARIES, Record

SETUP = """
import sys
from IPython.display import display
from helpers.notebook import progress_line, record, varies"""
FIGURES = """
record("accuracy", 0.87125, abs=0.008)
record("relative error", 3.1e-7, at_most=1e-5)"""
TABLE = """
record("number of weights", 59_210)
varies("took 3 s")
print("rate   accuracy")
print("0.01     87.1 %")"""
PICTURE = """
import base64, io, PIL.Image
line = progress_line()
line.update("epoch 10 of 10")
content = io.BytesIO()
PIL.Image.new("L", (9, 9), 255).save(content, "png")
png = base64.b64encode(content.getvalue()).decode()
display({"image/png": png, "text/plain": "a curve"}, raw=True)"""
QUIET = "answer = 42"
NOTE = """print("note", file=sys.stderr if False else sys.stdout)"""


def alter(which, **changes):
    """Change a recorded value and, as a careful forger would, its readable line as well."""

    def change(cell):
        data = cell.outputs[which].data
        data[RECORD].update(changes)
        data["text/plain"] = str(Record(**data[RECORD]))

    return change


def say(which, text, kind="text/plain"):
    """Change what an output says."""
    return lambda cell: cell.outputs[which].data.update({kind: text})


def let_vary(cell):
    del cell.outputs[0].data[RECORD]
    cell.outputs[0].data[VARIES] = {}


def warn(cell):
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text="a warning\n"))


def forge_table(cell):
    cell.outputs[2].text = cell.outputs[2].text.replace("87.1", "97.1")


def drop(cell):
    cell.outputs.pop()


def update(**changes):
    return lambda cell: cell.update(changes)


INSIDE = alter(0, value=0.8792)
NO_PNG = base64.b64encode(b"no picture").decode()
HONEST = {
    "nothing": (FIGURES, update()),
    "nothing, and nothing is shown": (QUIET, update()),
    "nothing in a printed line": (NOTE, update()),
    "a value inside its tolerance": (FIGURES, INSIDE),
    "a computed limit, in its last bit": (FIGURES, alter(1, limit=1.0000000000000002e-5)),
    "a line that varies": (TABLE, say(1, "took 8 s")),
    "a live line that was interrupted": (PICTURE, say(0, "epoch 3 of 10")),
}
DOCTORED = {
    "recorded 0.8793, came out 0.87125 … differ by 0.00805": (FIGURES, alter(0, value=0.8793)),
    "a rerun may differ by 0.8 … may differ by 0.008": (FIGURES, alter(0, limit=0.8)),
    "by 0.008 of the value, but": (FIGURES, alter(0, bound="rel")),
    "outside its own bound": (FIGURES, alter(1, value=2e-5)),
    "is no record": (FIGURES, lambda cell: cell.outputs[0].data[RECORD].update(value=math.nan)),
    "recorded 59211 … the same in every run": (TABLE, alter(0, value=59_211)),
    "recorded valid = 0.87125 … came out accuracy = 0.87125": (FIGURES, alter(0, name="valid")),
    "recorded: value\n … came out: value, value": (FIGURES, drop),
    "recorded accuracy … came out relative": (FIGURES, lambda cell: cell.outputs.reverse()),
    "its line says 'x = 0.99', its data accuracy = 0.87125": (FIGURES, say(0, "x = 0.99")),
    "recorded: text/plain that varies, value … came out: value, value": (FIGURES, let_vary),
    "text/plain that varies, stdout": (TABLE, lambda c: c.outputs.insert(0, c.outputs.pop())),
    "mismatch 'stdout' … 0.01     97.1 %": (TABLE, forge_table),
    "came out: text/plain that varies, image/png with text/plain": (PICTURE, drop),
    "the pictures differ: by 1.00 of 1": (PICTURE, say(1, NO_PNG, "image/png")),
    "not allowed, was recorded: a warning": (NOTE, warn),
    "not allowed, came out: note": (NOTE, update(source=NOTE.replace("if False", "if True"))),
    "recorded: nothing … came out: value, value": (FIGURES, update(outputs=[])),
    "The notebook holds no run": (FIGURES, update(outputs=[], execution_count=None)),
    "holds no run of this cell": (QUIET, update(execution_count=None)),
}
"""What the failure says, in parts -> the cell, and how it is changed."""
CHANGES = HONEST | DOCTORED


@pytest.fixture(scope="module")
def recorded(record_notebook):
    """Give the recorded notebook, and its cells by their source."""
    notebook = record_notebook(SETUP, FIGURES, TABLE, PICTURE, QUIET, NOTE)
    return notebook, {cell.source: cell for cell in notebook.cells}


@pytest.fixture(scope="module")
def failures(recorded, check_notebooks, tmp_path_factory):
    """Give the failure of each changed cell; they share a notebook to start one kernel only."""
    notebook, cells = recorded
    doctored = copy.deepcopy(notebook)
    del doctored.cells[1:]
    for number, (source, change) in enumerate(CHANGES.values()):
        cell = copy.deepcopy(cells[source])
        cell.id = f"changed-{number}"
        change(cell)
        doctored.cells.append(cell)
    folder = tmp_path_factory.mktemp("doctored")
    nbformat.write(doctored, folder / "doctored.ipynb")
    setup, *found = check_notebooks(folder)["doctored.ipynb"]
    assert setup == ""
    return dict(zip(CHANGES, found, strict=True))


@pytest.mark.parametrize("name", HONEST)
def test_honest_cell_passes(failures, name):
    assert failures[name] == ""


@pytest.mark.parametrize("words", DOCTORED)
def test_doctored_cell_fails_and_says_why(failures, words):
    assert all(part in failures[words] for part in words.split(" … ")), failures[words]


SHORT_RUN = "hidden_layers:", "read_parameters(", "import analysis", "load_training", "short run"
CHANGED_RECIPES = "learning_rate=0.02", "batch_size=16", "alpha=0.001", "shuffle_seed=1"


def test_a_recipe_changed_in_its_cell_is_noticed(check_notebooks, tmp_path):
    """Run the cells of part A's short run in double precision, each time with another recipe."""
    notebook = nbformat.read(NOTEBOOKS / "part_a.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    [recipe] = [cell for cell in code if cell.source.startswith("recipe = sgd.Recipe(")]
    *setup, short = [cell for cell in code if any(words in cell.source for words in SHORT_RUN)]
    notebook.cells = [*setup, recipe, short]
    for change in CHANGED_RECIPES:
        name = change.partition("=")[0]
        source = re.sub(rf"\b{name}=[^,]+", change, recipe.source)
        again = recipe | {"source": source, "id": name}, short | {"id": f"{name}-run"}
        notebook.cells += map(nbformat.from_dict, again)
    nbformat.write(notebook, tmp_path / "part_a.ipynb")
    runs = check_notebooks(tmp_path)["part_a.ipynb"][len(setup) + 1 :: 2]
    is_red = ["short run, cross-entropy: recorded" in failure for failure in runs]
    assert runs[0] == "" and is_red == [False, *(True for _ in CHANGED_RECIPES)]


def test_without_the_plugin_nbval_compares_literally(recorded, check_notebooks, tmp_path):
    moved = copy.deepcopy(recorded[0])
    INSIDE(moved.cells[1])
    nbformat.write(moved, tmp_path / "moved.ipynb")
    setup, figures, *_ = check_notebooks(tmp_path, "-p", "no:nbval_records")["moved.ipynb"]
    assert setup == ""
    assert "0.8792" in figures and "0.87125" in figures
