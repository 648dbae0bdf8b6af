"""Every committed notebook holds one complete, clean run, and nothing of the machine it ran on."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.files import NOTEBOOKS, OUTPUTS
from helpers.notebook.parameters import PARTS
from helpers.notebook.records import RECORD, RecordError, read_records

WIDGET = "application/vnd.jupyter.widget-view+json"
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<])/(?:[\w.-]+/)+[\w.-]+|\b[A-Za-z]:\\\w")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
NBVAL = re.compile(r"NBVAL_|PYTEST_VALIDATE|nbval-|raises-exception")
KEPT = {"kernelspec", "language_info", "helpers"}
RECORDED = [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted(OUTPUTS.glob("*.ipynb"))]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def said(notebook):
    """Join all that outputs say: texts and metadata, but no picture."""
    parts = []
    for output in outputs(notebook):
        data = {kind: what for kind, what in output.get("data", {}).items() if "image" not in kind}
        parts += [output.get("text", ""), *data.values(), output.get("metadata")]
    return "\n".join(map(str, parts))


def ran_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return counts == [*range(1, len(counts) + 1)] != []


def has_no_error(notebook):
    return "error" not in {output.output_type for output in outputs(notebook)}


def has_no_stderr(notebook):
    return "stderr" not in {output.get("name") for output in outputs(notebook)}


def has_no_widget(notebook):
    return WIDGET not in str(outputs(notebook)) and "widgets" not in notebook.metadata


def names_no_path(notebook):
    return not ABSOLUTE_PATH.search(said(notebook))


def names_no_memory_address(notebook):
    return not ADDRESS.search(said(notebook))


def keeps_no_metadata_of_a_run(notebook):
    of_cells = {key for cell in notebook.cells for key in cell.metadata}
    return of_cells <= {"tags"} and set(notebook.metadata) <= KEPT


def runs_on_python3(notebook):
    return notebook.metadata.get("kernelspec", {}).get("name") == "python3"


def describes_its_pictures(notebook):
    """Tell whether each picture has a width and an alternative text."""
    pictures = [out for out in outputs(notebook) if "image/png" in out.get("data", {})]
    about = [out.metadata.get("image/png", {}) for out in pictures]
    return all(each.get("width", 0) > 0 and each.get("alt") for each in about)


def has_sound_records(notebook):
    """Tell whether there are recorded values, each readable and beside its own line."""
    try:
        found = read_records(notebook)
    except (TypeError, ValueError, RecordError):
        return False
    shown = [out.data for out in outputs(notebook) if RECORD in out.get("data", {})]
    return bool(found) and [data["text/plain"] for data in shown] == [*map(str, found.values())]


def hides_nothing_from_nbval(notebook):
    typed = [f"{cell.source} {cell.metadata.get('tags')}" for cell in notebook.cells]
    return not NBVAL.search("\n".join(typed))


CHECKS = [
    ran_from_top_to_bottom,
    has_no_error,
    has_no_stderr,
    has_no_widget,
    names_no_path,
    names_no_memory_address,
    keeps_no_metadata_of_a_run,
    runs_on_python3,
    describes_its_pictures,
    has_sound_records,
    hides_nothing_from_nbval,
]


def test_no_notebook_is_missing():
    names = {f"part_{part}.ipynb" for part in PARTS}
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == names
    assert {path.name for path in OUTPUTS.glob("*.ipynb")} == names


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recorded_notebook_is_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert [check.__name__ for check in CHECKS if not check(notebook)] == []


def sound_notebook():
    """Make a small notebook that passes every check."""
    payload = {"name": "x", "value": 1, "bound": "exactly", "limit": 0}
    line = "x = 1   (the same in every run)"
    figure = new_output("display_data", {"text/plain": line, RECORD: payload})
    cell = new_code_cell("1", execution_count=1, outputs=[figure])
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=[cell], metadata={"kernelspec": kernel})


def say(text, name="stdout"):
    return lambda nb: nb.cells[0].outputs.append(new_output("stream", name=name, text=text))


def show(data):
    return lambda nb: nb.cells[0].outputs.append(new_output("display_data", data))


FLAWS = [
    (ran_from_top_to_bottom, lambda nb: nb.cells[0].update(execution_count=2)),
    (ran_from_top_to_bottom, lambda nb: nb.cells.append(new_code_cell("2"))),
    (has_no_error, lambda nb: nb.cells[0].outputs.append(new_output("error"))),
    (has_no_stderr, say("a warning", name="stderr")),
    (has_no_widget, show({WIDGET: {}})),
    (names_no_path, say("written to /home/somebody/file.csv")),
    (names_no_path, say(r"C:\Users\somebody")),
    (names_no_memory_address, show({"text/plain": "<Axes at 0x7f1315f65fd0>"})),
    (keeps_no_metadata_of_a_run, lambda nb: nb.metadata.update(papermill={"duration": 1})),
    (keeps_no_metadata_of_a_run, lambda nb: nb.cells[0].metadata.update(execution={"x": "12:00"})),
    (runs_on_python3, lambda nb: nb.metadata.kernelspec.update(name="my-environment")),
    (describes_its_pictures, show({"image/png": "iVBORw0KGgo="})),
    (has_sound_records, lambda nb: nb.cells[0].outputs.pop(0)),
    (has_sound_records, lambda nb: nb.cells[0].outputs[0].data.update({"text/plain": "x = 2"})),
    (hides_nothing_from_nbval, lambda nb: nb.cells[0].update(source="# NBVAL_SKIP")),
    (hides_nothing_from_nbval, lambda nb: nb.cells[0].metadata.update(tags=["nbval-skip"])),
]


@pytest.mark.parametrize(("check", "spoil"), FLAWS)
def test_each_flaw_is_seen(check, spoil):
    notebook = sound_notebook()
    assert [each for each in CHECKS if not each(notebook)] == []
    spoil(notebook)
    assert not check(notebook)
