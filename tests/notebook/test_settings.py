"""What a notebook starts with: whose helpers, which parameters, a folder that can be written."""

import copy
import os
import shutil
import subprocess
import sys

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from helpers import files
from helpers.history import History
from helpers.notebook import cells, output, read_parameters
from helpers.notebook.output import OutputError
from helpers.notebook.parameters import ParameterError
from helpers.notebook.settings import ProjectError


@pytest.fixture
def values(tmp_path):
    """Give the variables of a notebook of part D."""
    return {"model_dir": "outputs", "num_images": 7, "output_dir": str(tmp_path / "out")}


def test_what_the_settings_hold_and_show(values, tmp_path):
    values["recorded"] = {"x": "of an earlier run of the cells"}
    settings = read_parameters("d", values)
    assert settings.recorded == values["recorded"] == {}
    assert settings.output_dir == tmp_path / "out" and settings.output_dir.is_dir()
    assert settings.num_images == 7 and copy.copy(settings) == settings
    with pytest.raises(AttributeError):
        settings.num_images = 6
    shown = settings._repr_mimebundle_()
    assert shown["text/plain"] == "num_images = 7"
    assert shown[cells.PARAMETERS] == {name: values[name] for name in shown[cells.PARAMETERS]}


def test_a_parameter_that_is_not_set_is_named(values):
    del values["num_images"]
    with pytest.raises(ParameterError, match=r"^num_images is not set"):
        read_parameters("d", values)


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(values, tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"^/proc/results: cannot be written"):
        read_parameters("d", values | {"output_dir": "/proc/results"})
    usage = shutil.disk_usage(tmp_path)._replace(free=7_000_000)
    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="only 7 MB are free"):
        read_parameters("d", values)


CELL = "model_dir = 'outputs'\nnum_images = 7"
INJECTED = "# Parameters\nnum_images = {}\nPAPERMILL_INPUT_PATH = 'x'\n"


def test_what_papermill_injected_last_is_what_is_read(values):
    values["In"] = ["", CELL, "# Parameters of mine\nnum_images = 8"]
    assert read_parameters("d", values).num_images == 7
    values["In"] += [INJECTED.format(8), "%time", INJECTED.format(7)]
    assert read_parameters("d", values).num_images == 7
    values["In"] = ["", INJECTED.format(8), CELL]  # as without the tag of the parameters cell
    with pytest.raises(ParameterError, match=r"^num_images = 7 was read, but 8 injected"):
        read_parameters("d", values)


def test_an_unknown_name_is_refused_if_papermill_injects_it(values):
    history = ["", CELL, "# Parameters\nnum_image: int = 2\n"]
    with pytest.raises(ParameterError, match="'num_image'; did you mean num_images"):
        read_parameters("d", values | {"num_image": 2, "In": history})


def test_helpers_of_another_project_are_refused(values, tmp_path, monkeypatch):
    for name in "helpers", "notebooks":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    read_parameters("d", values)
    (tmp_path / "helpers" / "network.py").touch()
    with pytest.raises(ProjectError, match=rf"where those of {tmp_path} are meant"):
        read_parameters("d", values)
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path / "site-packages" / "notebooks")
    with pytest.raises(ProjectError, match=r"in that folder run: pip install -e \.$"):
        read_parameters("d", values)


SCRIPT = """
from helpers import notebook
from helpers.history import History
globals().update({})
settings = notebook.read_parameters("d", globals())
notebook.record("x", 2, at_most=3)
notebook.progress_line().update("half")
notebook.live_curve(None)(History([0.25], [0.5], [0.25], [0.5]))
notebook.finish(settings)"""


def test_without_a_notebook_the_same_is_printed(values):
    command = [sys.executable, "-c", SCRIPT.format(values)]
    printed = subprocess.check_output(command, cwd=files.PROJECT, text=True)
    epoch = History([0.25], [0.5], [0.25], [0.5]).line()
    last = "Every recorded value is within its bound."
    lines = ["x = 2   (must be at most 3)", "half", epoch, last]
    assert [line for line in printed.splitlines() if line] == lines


START = """from helpers import network, notebook
globals().update({})
settings = notebook.read_parameters("d", globals())"""
EDIT = """from pathlib import Path
path = Path(network.__file__)
path.write_text("# a line more\\n" + path.read_text("utf-8").replace("2 * x", "3 * x"), "utf-8")"""


def run_cells(project, *sources):
    """Run cells in a kernel, as Jupyter does, with the helpers of a project; give their outputs."""
    book = new_notebook(cells=[new_code_cell(source) for source in sources])
    client = NotebookClient(book, timeout=60, kernel_name="python3", allow_errors=True)
    client.execute(cwd=project, env=os.environ | {"PYTHONPATH": str(project)})
    return [cell.outputs for cell in book.cells]


def make_project(folder):
    """Copy the helpers, with a function that can be edited."""
    shutil.copytree(files.PROJECT / "helpers", folder / "helpers")
    (folder / "notebooks").mkdir()
    with open(folder / "helpers" / "network.py", "a", encoding="utf-8") as file:
        file.write("\n\ndef times(x):\n    return 2 * x\n")


def test_in_a_kernel_edits_are_live_and_shown_and_errors_are_one_line(tmp_path, values):
    make_project(tmp_path)
    *_, value, shown, last = run_cells(
        tmp_path,
        START.format(values),
        f"from helpers.network import times\n{EDIT}",
        "times(2)",
        "notebook.show_source(times)",
        "notebook.record('x', 2, at_most=1)\nnotebook.finish(settings)",
    )
    assert value[0].data["text/plain"] == "6"
    source = "# helpers.network\ndef times(x):\n    return 3 * x"
    assert shown[0].data["text/plain"] == source
    assert last[1].traceback == ["RecordError: x = 2   (FAILED: must be at most 1)"]


def test_a_run_whose_parameters_were_injected_keeps_the_code_it_began_with(tmp_path, values):
    make_project(tmp_path)
    *_, value = run_cells(
        tmp_path,
        f"# Parameters\nnum_images = {values['num_images']}",
        START.format(values),
        f"from helpers.network import times\n{EDIT}",
        "times(2)",
    )
    assert value[0].data["text/plain"] == "4"
