"""Every committed notebook holds one complete, clean run with the parameters it should have."""

import re

import pytest

from helpers.files import NOTEBOOKS
from helpers.notebook import cells, parameters
from tests.deliverable.recorded import FOLDER, notebook, records

PARTS = tuple(parameters.PARTS)
RECORDED = [(folder, part) for folder in (NOTEBOOKS, FOLDER) for part in PARTS]
each_notebook = pytest.mark.parametrize(("folder", "part"), RECORDED)
each_part = pytest.mark.parametrize("part", PARTS)
OF_A_MACHINE = re.compile(
    r"(?<![\w.:/<])/(?:[\w.-]+/)+[\w.-]+"  # a path
    r"|\b[A-Za-z]:\\\w"  # a path of Windows
    r"|\b0x[0-9a-fA-F]{6,}"  # a place in memory
)
HIDDEN_FROM_NBVAL = re.compile(r"NBVAL_|PYTEST_VALIDATE|nbval-|raises-exception")
PLACES = {"output_dir", "model_dir"}
"""Parameters that say where files are, not what is found."""


def code_cells(notebook):
    """List the cells that a run executes."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def shown(notebook):
    """List the outputs of a notebook."""
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def without_places(values):
    return {name: value for name, value in values.items() if name not in PLACES}


def test_there_are_the_four_notebooks_and_nothing_else():
    names = {f"part_{part}.ipynb" for part in PARTS}
    assert {path.name for path in NOTEBOOKS.glob("[!.]*")} == names


@each_notebook
def test_it_ran_from_top_to_bottom(folder, part):
    executed = notebook(part, folder)
    counts = [cell.execution_count for cell in code_cells(executed)]
    assert counts == [*range(1, len(counts) + 1)]
    assert "error" not in [output.output_type for output in shown(executed)]


@each_notebook
def test_it_holds_no_warning_no_widget_and_nothing_of_the_machine(folder, part):
    executed = notebook(part, folder)
    for output in shown(executed):
        assert output.get("name") != "stderr"
        texts = [output.get("text", "")]
        for kind, content in output.get("data", {}).items():
            assert "widget" not in kind
            if "image" not in kind:
                texts.append(str(content))
        assert not OF_A_MACHINE.search("\n".join(texts))


@each_notebook
def test_it_keeps_no_metadata_of_a_run_and_hides_nothing(folder, part):
    executed = notebook(part, folder)
    assert set(executed.metadata) <= {"kernelspec", "language_info", "helpers"}
    assert "version" not in executed.metadata.language_info  # of Python
    assert executed.metadata.kernelspec.name == "python3"
    for cell in executed.cells:
        assert set(cell.metadata) <= {"tags"}
        assert not HIDDEN_FROM_NBVAL.search(f"{cell.source} {cell.metadata.get('tags')}")


# ---- parameters and sources


@each_part
def test_notebooks_are_at_their_defaults(part):
    recorded = notebook(part, NOTEBOOKS)
    usual = parameters.defaults(part)
    assert cells.tagged(recorded, cells.INJECTED_TAG) == []
    assert cells.parameters_of(recorded, is_run=False) == usual
    assert without_places(cells.parameters_of(recorded)) == without_places(usual)


@each_part
def test_outputs_are_those_of_the_full_run(part):
    recorded = notebook(part)
    wanted = without_places(parameters.full(part))
    assert without_places(cells.parameters_of(recorded)) == wanted
    injected = cells.tagged(recorded, cells.INJECTED_TAG)
    assert without_places(cells.parameters_of({"cells": injected}, is_run=False)) == wanted


@each_part
def test_outputs_ran_the_cells_that_stand_in_notebooks(part):
    now = [(cell.cell_type, cell.source) for cell in notebook(part, NOTEBOOKS).cells]
    ran = [
        (cell.cell_type, cell.source)
        for cell in notebook(part).cells
        if cells.INJECTED_TAG not in cell.metadata.get("tags", [])
    ]
    assert ran == now


@pytest.mark.parametrize("part", "abd")
def test_a_full_run_with_the_same_parameters_found_the_same(part):
    there = records(part, NOTEBOOKS)
    here = records(part)
    assert here.keys() == there.keys()
    for name, record in here.items():
        assert there[name].admits(record.value), record
