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

CHANGES = {}


def change_of(source, *words):
    """Register a change of a recorded cell, and what its failure must say (nothing: it passes)."""

    def register(change):
        CHANGES[change.__name__] = source, change, words
        return change

    return register


def alter(output, **changes):
    """Change a figure and, as a careful forger would, its readable line as well."""
    output.data[RECORD].update(changes)
    if not math.isnan(output.data[RECORD]["value"]):
        output.data["text/plain"] = str(Record(**output.data[RECORD]))


@change_of(FIGURES)
def nothing(cell):
    pass


@change_of(FIGURES)
def figure_inside_tolerance(cell):
    alter(cell.outputs[0], value=0.8792)


@change_of(FIGURES)
def computed_limit_differs_in_its_last_bit(cell):
    alter(cell.outputs[1], limit=1.0000000000000002e-5)


@change_of(TABLE)
def varying_line_differs(cell):
    cell.outputs[1].data["text/plain"] = "took 8 s"


@change_of(PICTURE)
def live_line_was_interrupted(cell):
    cell.outputs[0].data["text/plain"] = "epoch 3 of 10"


@change_of(
    FIGURES,
    "accuracy",
    "recorded 0.8793",
    "came out 0.87125",
    "may differ by 0.008",
    "differ by 0.00805",
)
def figure_outside_tolerance(cell):
    alter(cell.outputs[0], value=0.8793)


@change_of(FIGURES, "accuracy", "recorded with: a rerun may differ by 0.8", "may differ by 0.008")
def tolerance_widened(cell):
    alter(cell.outputs[0], limit=0.8)


@change_of(FIGURES, "accuracy", "differ by 0.008 of the value, but")
def kind_of_bound_changed(cell):
    alter(cell.outputs[0], bound="rel")


@change_of(FIGURES, "outside its own bound")
def recorded_value_outside_its_bound(cell):
    alter(cell.outputs[1], value=2e-5)


@change_of(FIGURES, "is no record")
def recorded_value_not_finite(cell):
    alter(cell.outputs[0], value=float("nan"))


@change_of(TABLE, "number of weights", "recorded 59211", "came out 59210", "the same in every run")
def count_changed(cell):
    alter(cell.outputs[0], value=59_211)


@change_of(FIGURES, "recorded validation accuracy = 0.87125", "came out accuracy = 0.87125")
def figure_renamed(cell):
    alter(cell.outputs[0], name="validation accuracy")


@change_of(FIGURES, "recorded: value\n", "came out: value, value")
def figure_dropped(cell):
    del cell.outputs[1]


@change_of(FIGURES, "recorded accuracy", "came out relative error", "recorded relative error")
def order_swapped(cell):
    cell.outputs.reverse()


@change_of(FIGURES, "its line says 'accuracy = 0.99", "its data accuracy = 0.87125")
def line_says_something_else(cell):
    cell.outputs[0].data["text/plain"] = "accuracy = 0.99   (a rerun may differ by 0.008)"


@change_of(FIGURES, "recorded: text/plain that varies, value", "came out: value, value")
def figure_declared_to_vary(cell):
    data = cell.outputs[0].data
    del data[RECORD]
    data[VARIES] = {}


@change_of(
    TABLE,
    "recorded: stdout, value, text/plain that varies",
    "came out: value, text/plain that varies, stdout",
)
def varying_line_moved(cell):
    cell.outputs.insert(0, cell.outputs.pop())


@change_of(TABLE, "mismatch 'stdout'", "0.01     87.1 %", "0.01     97.1 %")
def table_text_changed(cell):
    out = cell.outputs[2]
    out.text = out.text.replace("87.1", "97.1")


@change_of(PICTURE, "came out: text/plain that varies, image/png with text/plain")
def picture_dropped(cell):
    del cell.outputs[1]


@change_of(PICTURE, "the pictures differ: by 1.00 of 1")
def picture_replaced(cell):
    cell.outputs[1].data["image/png"] = base64.b64encode(b"no picture").decode()


@change_of(NOTE, "stderr, which is not allowed, was recorded: a warning")
def stderr_recorded(cell):
    warning = nbformat.v4.new_output("stream", name="stderr", text="a warning\n")
    cell.outputs.append(warning)


@change_of(NOTE, "stderr, which is not allowed, came out: note")
def stderr_comes_out(cell):
    cell.source = cell.source.replace("if False", "if True")


@change_of(FIGURES, "recorded: nothing", "came out: value, value")
def outputs_cleared(cell):
    cell.outputs = []


@change_of(FIGURES, "holds no run of this cell")
def outputs_and_counts_cleared(cell):
    cell.outputs, cell.execution_count = [], None


@change_of(QUIET, "holds no run of this cell")
def count_of_a_quiet_cell_cleared(cell):
    cell.execution_count = None


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
    for name, (source, change, _) in CHANGES.items():
        cell = copy.deepcopy(cells[source])
        cell.id = name
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


@pytest.mark.parametrize("name", [name for name, (*_, words) in CHANGES.items() if not words])
def test_honest_cell_passes(failures, name):
    assert failures[name] == ""


@pytest.mark.parametrize("name", [name for name, (*_, words) in CHANGES.items() if words])
def test_doctored_cell_fails_and_says_why(failures, name):
    *_, words = CHANGES[name]
    assert [word for word in words if word not in failures[name]] == [], failures[name]


RECIPE_CELLS = "read_parameters(", "from helpers import analysis", "load_training", "short run"
CHANGED_RECIPES = "learning_rate=0.02", "batch_size=16", "alpha=0.001", "shuffle_seed=1"


def test_a_recipe_changed_in_its_cell_is_noticed(check_notebooks, tmp_path):
    """Run the cells of part A's short run in double precision, each time with another recipe."""
    notebook = nbformat.read(NOTEBOOKS / "part_a.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    [recipe] = [cell for cell in code if cell.source.startswith("recipe = sgd.Recipe(")]
    first = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    *setup, short_run = [c for c in code if any(words in c.source for words in RECIPE_CELLS)]
    cells = [*first, *setup, recipe, short_run]
    for change in CHANGED_RECIPES:
        changed, again = copy.deepcopy(recipe), copy.deepcopy(short_run)
        name = change.partition("=")[0]
        changed.source = re.sub(rf"\b{name}=[^,]+", change, recipe.source)
        changed.id, again.id = f"changed-{name}", f"again-{name}"
        cells += [changed, again]
    notebook.cells = cells
    nbformat.write(notebook, tmp_path / "part_a.ipynb")
    found = check_notebooks(tmp_path)["part_a.ipynb"]
    assert found[: len(first) + len(setup) + 2] == [""] * (len(first) + len(setup) + 2)
    failures = found[len(first) + len(setup) + 3 :: 2]
    assert len(failures) == len(CHANGED_RECIPES)
    assert all("short run, cross-entropy: recorded" in failure for failure in failures)


def test_without_the_plugin_nbval_compares_literally(recorded, check_notebooks, tmp_path):
    moved = copy.deepcopy(recorded[0])
    figure_inside_tolerance(moved.cells[1])
    nbformat.write(moved, tmp_path / "moved.ipynb")
    setup, figures, *_ = check_notebooks(tmp_path, "-p", "no:nbval_records")["moved.ipynb"]
    assert setup == ""
    assert "0.8792" in figures and "0.87125" in figures
