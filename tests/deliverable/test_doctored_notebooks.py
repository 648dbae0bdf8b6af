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
from helpers.notebook import live, record, varies"""
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
line = live()
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
        if not math.isnan(data[RECORD]["value"]):
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
    "nothing": (FIGURES, lambda cell: None),
    "a value inside its tolerance": (FIGURES, INSIDE),
    "a computed limit, in its last bit": (FIGURES, alter(1, limit=1.0000000000000002e-5)),
    "a line that varies": (TABLE, say(1, "took 8 s")),
    "a live line that was interrupted": (PICTURE, say(0, "epoch 3 of 10")),
}
DOCTORED = {
    "a value outside its tolerance": (FIGURES, alter(0, value=0.8793)),
    "a tolerance widened": (FIGURES, alter(0, limit=0.8)),
    "another kind of bound": (FIGURES, alter(0, bound="rel")),
    "a value outside its own bound": (FIGURES, alter(1, value=2e-5)),
    "a value not finite": (FIGURES, alter(0, value=math.nan)),
    "a count": (TABLE, alter(0, value=59_211)),
    "a value renamed": (FIGURES, alter(0, name="validation accuracy")),
    "a value dropped": (FIGURES, drop),
    "values exchanged": (FIGURES, lambda cell: cell.outputs.reverse()),
    "a line that says something else": (FIGURES, say(0, "accuracy = 0.99   (...)")),
    "a value declared to vary": (FIGURES, let_vary),
    "a line moved": (TABLE, lambda cell: cell.outputs.insert(0, cell.outputs.pop())),
    "a printed table": (TABLE, forge_table),
    "a picture dropped": (PICTURE, drop),
    "a picture replaced": (PICTURE, say(1, NO_PNG, "image/png")),
    "a warning recorded": (NOTE, warn),
    "a warning that comes out": (NOTE, update(source=NOTE.replace("if False", "if True"))),
    "outputs cleared": (FIGURES, update(outputs=[])),
    "outputs and counts cleared": (FIGURES, update(outputs=[], execution_count=None)),
    "the count of a quiet cell cleared": (QUIET, update(execution_count=None)),
}
SAYS = {
    "a value outside its tolerance": "recorded 0.8793, came out 0.87125 … (they differ by 0.00805)",
    "a tolerance widened": "recorded with: a rerun may differ by 0.8 … may differ by 0.008",
    "another kind of bound": "by 0.008 of the value, but",
    "a value outside its own bound": "outside its own bound",
    "a value not finite": "is no record",
    "a count": "recorded 59211 … the same in every run",
    "a value renamed": "recorded validation accuracy = 0.87125 … came out accuracy = 0.87125",
    "a value dropped": "recorded: value\n … came out: value, value",
    "values exchanged": "recorded accuracy … came out relative error … recorded relative error",
    "a line that says something else": "its line says 'accuracy = 0.99 … data accuracy = 0.87125",
    "a value declared to vary": "recorded: text/plain that varies, value … came out: value, value",
    "a line moved": "recorded: stdout, value, text/plain … value, text/plain that varies, stdout",
    "a printed table": "mismatch 'stdout' … 0.01     97.1 %",
    "a picture dropped": "came out: text/plain that varies, image/png with text/plain",
    "a picture replaced": "the pictures differ: by 1.00 of 1",
    "a warning recorded": "not allowed, was recorded: a warning",
    "a warning that comes out": "stderr, which is not allowed, came out: note",
    "outputs cleared": "recorded: nothing … came out: value, value",
    "outputs and counts cleared": "holds no run of this cell",
    "the count of a quiet cell cleared": "holds no run of this cell",
}
"""What the failure of a doctored cell says, in parts."""
CHANGES = HONEST | DOCTORED


@pytest.fixture(scope="module")
def recorded(record_notebook):
    """Give the recorded notebook, and its cells by their source."""
    notebook = record_notebook(SETUP, FIGURES, TABLE, PICTURE, QUIET, NOTE)
    return notebook, {cell.source: cell for cell in notebook.cells}


@pytest.fixture(scope="module")
def results(recorded, check_notebooks, tmp_path_factory):
    """Give what pytest says of the notebook as recorded, and of one of all changed cells."""
    notebook, cells = recorded
    doctored = copy.deepcopy(notebook)
    del doctored.cells[1:]
    for number, (source, change) in enumerate(CHANGES.values()):
        cell = copy.deepcopy(cells[source])
        cell.id = f"changed-{number}"
        change(cell)
        doctored.cells.append(cell)
    folder = tmp_path_factory.mktemp("doctored")
    nbformat.write(notebook, folder / "recorded.ipynb")
    nbformat.write(doctored, folder / "doctored.ipynb")
    return check_notebooks(folder)


@pytest.fixture(scope="module")
def failures(results):
    """Give the failure of each changed cell; they share a notebook to start one kernel only."""
    setup, *found = results["doctored.ipynb"]
    assert setup == ""
    return dict(zip(CHANGES, found, strict=True))


def test_recorded_notebook_passes(results):
    assert results["recorded.ipynb"] == [""] * 6


@pytest.mark.parametrize("name", HONEST)
def test_honest_cell_passes(failures, name):
    assert failures[name] == ""


@pytest.mark.parametrize("name", DOCTORED)
def test_doctored_cell_fails_and_says_why(failures, name):
    assert all(words in failures[name] for words in SAYS[name].split(" … ")), failures[name]


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
    found = check_notebooks(tmp_path)["part_a.ipynb"]
    honest, failures = found[: len(setup) + 2], found[len(setup) + 3 :: 2]
    assert set(honest) == {""}
    assert len(failures) == len(CHANGED_RECIPES)
    assert all("short run, cross-entropy: recorded" in failure for failure in failures)


def test_without_the_plugin_nbval_compares_literally(recorded, check_notebooks, tmp_path):
    moved = copy.deepcopy(recorded[0])
    INSIDE(moved.cells[1])
    nbformat.write(moved, tmp_path / "moved.ipynb")
    setup, figures, *_ = check_notebooks(tmp_path, "-p", "no:nbval_records")["moved.ipynb"]
    assert setup == ""
    assert "0.8792" in figures and "0.87125" in figures
