"""Executed notebooks as a table: complete ones, and each way in which one can be something else."""

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.notebook import runs
from helpers.notebook.cells import PARAMETERS
from helpers.notebook.records import RECORD

PAYLOAD = {"name": "accuracy", "value": 0.2, "bound": "abs", "limit": 0.01}
SHOWN = {"num_images": 2, "hidden_layers": [3, 4], "output_dir": "/x"}


def good():
    """Make a notebook like an executed one."""
    read = new_output("execute_result", {PARAMETERS: SHOWN}, execution_count=2)
    value = new_output("display_data", {RECORD: dict(PAYLOAD)})
    tag = {"tags": ["parameters"]}
    cells = [
        new_code_cell("num_images: int = 1 + 1", metadata=tag, execution_count=1),
        new_code_cell("settings", outputs=[read], execution_count=2),
        new_code_cell(""),
        new_code_cell("notebook.record()", outputs=[value], execution_count=3),
    ]
    return new_notebook(cells=cells)


def prepare(notebook):
    """Put a cell in as papermill --prepare-only does, beside the outputs of another run."""
    tag = {"tags": ["injected-parameters"]}
    notebook.cells.insert(1, new_code_cell("# Parameters\nnum_images = 7\n", metadata=tag))


def fail(notebook):
    error = new_output("error", ename="Oh", evalue="no\nmore", traceback=[])
    notebook.cells[3].outputs = [error]


WAYS = {
    "complete": (lambda notebook: None, ""),
    "bound": (
        lambda notebook: notebook.cells[3].outputs[0].data[RECORD].update(value=None),
        "accuracy = not a finite number   (FAILED: a rerun may differ by 0.01)",
    ),
    "error": (fail, "cell 3: Oh: no more"),
    "order": (lambda notebook: notebook.cells[0].update(execution_count=9), "top to bottom"),
    "prepared": (prepare, "1 cells were not run"),
    "foreign": (lambda notebook: notebook.cells.pop(1), "the parameters of no part"),
    "damaged": (
        lambda notebook: notebook.cells[3].outputs[0].data[RECORD].pop("limit"),
        "unreadable: ",
    ),
}


@pytest.fixture
def table(tmp_path):
    for name, (change, _) in WAYS.items():
        notebook = good()
        change(notebook)
        (tmp_path / name).mkdir()
        nbformat.write(notebook, tmp_path / name / f"{name}.ipynb")
    for name, text in {"text": "{", "list": "[]", "old": '{"nbformat": 3}'}.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "x.ipynb").write_text("{")
    table = runs.collect(tmp_path)
    return table.set_index(table.notebook.str.extract(r".*/([a-z]+)\.ipynb$")[0])


def test_each_notebook_gets_a_row_that_says_what_it_is(table):
    assert len(table) == len(WAYS) + 3
    assert table.index[table.complete].tolist() == ["complete"]
    for name, (_, reason) in WAYS.items():
        assert reason in table.reason[name]
    assert table.reason[["text", "list", "old"]].str.startswith("unreadable: ").all()


def test_parameters_and_values_are_those_of_the_run(table):
    assert table.num_images["complete"] == 2 and table.hidden_layers["complete"] == (3, 4)
    assert table.accuracy["complete"] == 0.2 and "output_dir" not in table
    assert table.num_images["prepared"] == 7 and pd.isna(table.accuracy["prepared"])
