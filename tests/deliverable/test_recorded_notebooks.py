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


def text_of(output):
    """Join all that an output says, pictures left out, what they are called included."""
    data = {kind: what for kind, what in output.get("data", {}).items() if "image" not in kind}
    parts = output.get("text", ""), *data.values(), output.get("metadata")
    return "\n".join(map(str, parts))


def figures_are_sound(notebook, outputs):
    """Tell whether there are recorded values, each readable and with its own line."""
    try:
        found = read_records(notebook)
    except (TypeError, ValueError, RecordError):
        return False
    lines = [out.data["text/plain"] for out in outputs if RECORD in out.get("data", {})]
    return bool(found) and lines == [str(each) for each in found.values()]


def pictures_are_sized(outputs):
    """Tell whether each picture has a width and a description."""
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    about = [out.metadata.get("image/png", {}) for out in pictures]
    return all(each.get("width", 0) > 0 and each.get("alt") for each in about)


def broken_checks(notebook):
    """Name the checks that a notebook does not pass."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    counts = [cell.execution_count for cell in code]
    outputs = [output for cell in code for output in cell.outputs]
    kinds = {kind for out in outputs for kind in (out.output_type, out.get("name"))}
    said = "\n".join(map(text_of, outputs))
    typed = "\n".join(f"{cell.source} {cell.metadata.get('tags')}" for cell in notebook.cells)
    cell_metadata = {key for cell in notebook.cells for key in cell.metadata}
    checks = {
        "one complete run from top to bottom": counts == [*range(1, len(counts) + 1)] != [],
        "no error": "error" not in kinds,
        "no stderr": "stderr" not in kinds,
        "no widget": WIDGET not in str(outputs) and "widgets" not in notebook.metadata,
        "no absolute path": not ABSOLUTE_PATH.search(said),
        "no memory address": not ADDRESS.search(said),
        "no metadata of a run": cell_metadata <= {"tags"} and set(notebook.metadata) <= KEPT,
        "kernel python3": notebook.metadata.get("kernelspec", {}).get("name") == "python3",
        "pictures have a size and a description": pictures_are_sized(outputs),
        "figures are sound": figures_are_sound(notebook, outputs),
        "nothing hidden from nbval": not NBVAL.search(typed),
    }
    return [name for name, passes in checks.items() if not passes]


def test_no_notebook_is_missing():
    names = {f"part_{part}.ipynb" for part in PARTS}
    assert {path.name for path in NOTEBOOKS.glob("*.ipynb")} == names
    recorded = {path.name for path in OUTPUTS.glob("*.ipynb")}
    assert recorded in (set(), names), "a batch run is recorded whole or not at all"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recorded_notebook_is_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert broken_checks(notebook) == []


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
    ("one complete run from top to bottom", lambda nb: nb.cells[0].update(execution_count=2)),
    ("one complete run from top to bottom", lambda nb: nb.cells[0].update(execution_count=None)),
    ("one complete run from top to bottom", lambda nb: nb.cells.append(new_code_cell("2"))),
    ("no error", lambda nb: nb.cells[0].outputs.append(new_output("error"))),
    ("no stderr", say("a warning", name="stderr")),
    ("no widget", lambda nb: nb.metadata.update(widgets={})),
    ("no widget", show({WIDGET: {}})),
    ("no absolute path", say("written to /home/somebody/file.csv")),
    ("no absolute path", say("'/Users/somebody/file'")),
    ("no absolute path", say(r"C:\Users\somebody")),
    ("no memory address", show({"text/plain": "<Axes at 0x7f1315f65fd0>"})),
    ("no metadata of a run", lambda nb: nb.metadata.update(papermill={"duration": 1})),
    ("no metadata of a run", lambda nb: nb.cells[0].metadata.update(execution={"x": "12:00"})),
    ("kernel python3", lambda nb: nb.metadata.kernelspec.update(name="my-environment")),
    ("kernel python3", lambda nb: nb.metadata.pop("kernelspec")),
    ("pictures have a size and a description", show({"image/png": "iVBORw0KGgo="})),
    ("figures are sound", lambda nb: nb.cells[0].outputs.insert(0, nb.cells[0].outputs[0])),
    ("figures are sound", lambda nb: nb.cells[0].outputs.pop(0)),
    ("figures are sound", lambda nb: nb.cells[0].outputs[0].data.update({"text/plain": "x = 2"})),
    ("figures are sound", lambda nb: nb.cells[0].outputs[0].data[RECORD].update(value=2.0)),
    ("nothing hidden from nbval", lambda nb: nb.cells[0].update(source="# NBVAL_SKIP")),
    ("nothing hidden from nbval", lambda nb: nb.cells[0].metadata.update(tags=["nbval-skip"])),
]


def test_a_sound_notebook_passes_every_check():
    assert broken_checks(sound_notebook()) == []


@pytest.mark.parametrize(("name", "spoil"), FLAWS)
def test_each_flaw_is_seen(name, spoil):
    notebook = sound_notebook()
    spoil(notebook)
    assert name in broken_checks(notebook)
