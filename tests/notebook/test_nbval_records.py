"""The nbval plugin: honest reruns pass, changed records fail and say why."""

import base64
import io
import os
import re
import subprocess
import sys
from dataclasses import asdict

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from helpers.files import PROJECT
from helpers.notebook.cells import PARAMETERS
from helpers.notebook.records import RECORD, VARIES, Record
from tests.nbval_records import differences


def shown(data):
    return new_output("display_data", data)


def value(*record, line=None):
    record = Record(*record)
    return shown({"text/plain": line or str(record), RECORD: asdict(record)})


def varying(text):
    return shown({"text/plain": text, VARIES: {}})


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
    varying("took 3 s"),
    picture(255),
    printed("rate 0.01\n"),
]
"""What comes out when a cell is run again."""
HONEST = {
    "a value inside its tolerance": (0, value("accuracy", 0.8792, "abs", 0.008)),
    "a limit, in its last bit": (
        1,
        value("relative error", 3.1e-7, "at_most", 1.0000000000000002e-5),
    ),
    "a line that varies": (3, varying("took 8 s")),
    "a picture, a little": (4, picture(240)),
}
"""A name -> the place in the record that differs, and what stands there."""
FORGED = {
    "recorded 0.8793, came out 0.87125 … differ by 0.00805": (
        0,
        value("accuracy", 0.8793, "abs", 0.008),
    ),
    "a rerun may differ by 0.8 … may differ by 0.008": (0, value("accuracy", 0.87125, "abs", 0.8)),
    "outside its own bound": (1, value("relative error", 2e-5, "at_most", 1e-5)),
    "recorded valid = 0.87125 … came out accuracy": (0, value("valid", 0.87125, "abs", 0.008)),
    "its line says 'x = 0.99', its data accuracy = 0.87125": (
        0,
        value("accuracy", 0.87125, "abs", 0.008, line="x = 0.99"),
    ),
    "came out: value, value, value, text/plain that varies": (2, varying("59,210")),
    "the pictures differ: by 1.00 of 1": (4, picture(0)),
    "image/png, stderr (a warning) … image/png, stdout": (5, printed("a warning\n", "stderr")),
}
"""What the failure says, in parts -> the place that differs in the record, and what is there."""


def compare(place, output):
    """Compare a record with one other output with what comes out."""
    recorded = list(RERUN)
    recorded[place] = output
    return "\n".join(differences(recorded, RERUN))


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_record_passes(name):
    assert compare(*HONEST[name]) == ""


@pytest.mark.parametrize("words", FORGED)
def test_a_forged_record_fails_and_says_why(words):
    failure = compare(*FORGED[words])
    assert all(part in failure for part in words.split(" … ")), failure


READ = """from helpers import notebook
settings = notebook.read_parameters("d", globals())
(settings.output_dir / "result.txt").write_text("")
settings"""
RECORD_ONE = "notebook.record('accuracy', 0.87125, abs=0.008)"


def ran(source, *outputs):
    """Make a cell as after a run."""
    return new_code_cell(source, outputs=list(outputs), execution_count=1)


def write_notebook(path, output_dir):
    """Write an executed notebook: three honest cells and three forged ones."""
    parameters = ran(
        f"model_dir = 'outputs'\nnum_images = 3\noutput_dir: str = '{output_dir}'  # x"
    )
    parameters.metadata["tags"] = ["parameters"]
    settings = {"text/plain": "num_images = 3", PARAMETERS: {"output_dir": "/elsewhere"}}
    cells = [
        parameters,
        ran(READ, new_output("execute_result", settings, execution_count=1)),
        ran(RECORD_ONE, value("accuracy", 0.8792, "abs", 0.008)),
        ran(RECORD_ONE, value("accuracy", 0.95, "abs", 0.008)),
        ran("print('rate 0.01')", printed("rate 0.02\n")),
        new_code_cell("never_run = 42"),
    ]
    nbformat.write(new_notebook(cells=cells), path)


def test_a_notebook_is_run_again_with_the_plugin(tmp_path):
    write_notebook(tmp_path / "x.ipynb", tmp_path / "out")
    options = ["-c", PROJECT / "pyproject.toml", "-p", "no:cacheprovider", "-rA", "--color=no"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", tmp_path / "x.ipynb", *options],
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    results = re.findall(r"^(PASSED|FAILED) .*::Cell \d", done.stdout, re.MULTILINE)
    assert results == ["PASSED"] * 3 + ["FAILED"] * 3, done.stdout
    for words in "recorded 0.95, came out 0.87125", "rate 0.02", "holds no run of this cell":
        assert words in done.stdout
    assert not (tmp_path / "out").exists()
