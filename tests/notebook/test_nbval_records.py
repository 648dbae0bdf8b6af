"""The nbval plugin: honest reruns pass, changed records fail and say why."""

import base64
import copy
import io
from dataclasses import asdict

import nbformat
import pytest
from nbformat.v4 import new_output
from PIL import Image

from helpers.notebook.records import RECORD, VARIES, Record
from tests.nbval_records import differences


def shown(data):
    return new_output("display_data", data)


def value(*record):
    record = Record(*record)
    return shown({"text/plain": str(record), RECORD: asdict(record)})


def picture(grey):
    content = io.BytesIO()
    Image.new("L", (9, 9), grey).save(content, "png")
    return shown({"image/png": base64.b64encode(content.getvalue()).decode()})


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


RERUN = [
    value("accuracy", 0.87125, "abs", 0.008),
    value("relative error", 3.1e-7, "at_most", 1e-5),
    value("number of weights", 59_210, "exactly", 0),
    shown({"text/plain": "took 3 s", VARIES: {}}),
    picture(255),
    printed("rate 0.01\n"),
]
"""What comes out when a cell is run again."""


def alter(number, **changes):
    """Change a recorded value and its readable line."""

    def change(outputs):
        data = outputs[number].data
        data[RECORD].update(changes)
        data["text/plain"] = str(Record(**data[RECORD]))

    return change


def say(number, text):
    return lambda outputs: outputs[number].data.update({"text/plain": text})


def replace(number, *others):
    def change(outputs):
        outputs[number : number + 1] = others

    return change


HONEST = {
    "nothing": lambda outputs: None,
    "a value inside its tolerance": alter(0, value=0.8792),
    "a computed limit, in its last bit": alter(1, limit=1.0000000000000002e-5),
    "a line that varies": say(3, "took 8 s"),
    "a picture, a little": replace(4, picture(240)),
}
FORGED = {
    "recorded 0.8793, came out 0.87125 … differ by 0.00805": alter(0, value=0.8793),
    "a rerun may differ by 0.8 … may differ by 0.008": alter(0, limit=0.8),
    "outside its own bound": alter(1, value=2e-5),
    "recorded valid = 0.87125 … came out accuracy": alter(0, name="valid"),
    "its line says 'x = 0.99', its data accuracy = 0.87125": say(0, "x = 0.99"),
    "recorded: value, value, text/plain that varies … came out: value, value, value": replace(2),
    "the pictures differ: by 1.00 of 1": replace(4, picture(0)),
    "not allowed, was recorded: a warning": replace(5, printed("a warning\n", "stderr")),
}
"""What the failure says, in parts -> how the recorded outputs are changed."""


def compared(change):
    recorded = copy.deepcopy(RERUN)
    change(recorded)
    return "\n".join(differences(recorded, RERUN))


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_record_passes(name):
    assert compared(HONEST[name]) == ""


@pytest.mark.parametrize("words", FORGED)
def test_a_forged_record_fails_and_says_why(words):
    failure = compared(FORGED[words])
    assert all(part in failure for part in words.split(" … ")), failure


def test_a_warning_that_comes_out_is_not_allowed():
    warning = printed("a warning\n", "stderr")
    assert differences(RERUN, [*RERUN, warning])[0].endswith("came out: a warning")


PARAMETERS = """model_dir = "outputs"
num_images = 3
output_dir: str = {!r}  # folder"""
CELLS = [
    'from helpers import notebook\nsettings = notebook.read_parameters("d", globals())\nsettings',
    '(settings.output_dir / "result.txt").write_text("")',
    'notebook.record("accuracy", 0.87125, abs=0.008)',
    'print("rate 0.01")',
    "answer = 42",
]


def forge(notebook):
    """Change what cells of an executed notebook hold, each in another way."""
    _, settings, _, value, text, never_run = notebook.cells
    settings.outputs[0].data["text/plain"] = "num_images = 4"
    alter(0, value=0.95)(value.outputs)
    text.outputs[0].text = "rate 0.02\n"
    never_run.execution_count = None


def test_notebooks_are_run_again_with_the_plugin(record_notebook, check_notebooks, tmp_path):
    output = tmp_path / "out"
    notebook = record_notebook(PARAMETERS.format(str(output)), *CELLS)
    notebook.cells[0].metadata["tags"] = ["parameters"]
    (output / "result.txt").unlink()
    nbformat.write(notebook, tmp_path / "honest.ipynb")
    alter(0, value=0.8792)(notebook.cells[3].outputs)
    nbformat.write(notebook, tmp_path / "inside.ipynb")
    forge(notebook)
    nbformat.write(notebook, tmp_path / "forged.ipynb")
    failures = check_notebooks(tmp_path)
    assert failures["honest.ipynb"] == failures["inside.ipynb"] == [""] * 6
    _, shown, _, value, text, never_run = failures["forged.ipynb"]
    assert "num_images = 4" in shown
    assert "recorded 0.95, came out 0.87125" in value
    assert "rate 0.02" in text
    assert "holds no run of this cell" in never_run
    assert not (output / "result.txt").exists()
