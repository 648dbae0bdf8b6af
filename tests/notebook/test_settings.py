"""What a notebook starts with: whose helpers, which parameters, a folder of its own to write to."""

import copy
import logging
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

import helpers
from helpers import files, notebook
from helpers.history import History
from helpers.notebook import cells, output, parameters, read_parameters
from helpers.notebook.output import OutputError
from helpers.notebook.refusals import ParameterError
from helpers.notebook.settings import ProjectError

CELL = 'model_dir: str = "outputs"\nnum_images: int = 7\noutput_dir = {!r}'
START = """from helpers import files, notebook
settings = notebook.read_parameters("d", globals())"""
WRITE = """files.write_text(settings.output_dir / "result.txt", "found")
notebook.finish(settings)"""
TAKE = """import sys
from pathlib import Path
from helpers.notebook import output
with output.output_lock(Path(sys.argv[1])):
    print("taken")"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """Undo what a notebook's start changes in its process."""
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.delenv(output.STAGING_VARIABLE, raising=False)
    yield
    output.release()
    logging.lastResort.setLevel(logging.WARNING)


@pytest.fixture
def values(tmp_path):
    """Give the variables of a notebook of part D."""
    return {"model_dir": "outputs", "num_images": 7, "output_dir": str(tmp_path / "out")}


def run(*sources):
    """Run cells in a kernel, as nbconvert and Jupyter do; give what they show, as text."""
    made = new_notebook(cells=[new_code_cell(source) for source in sources])
    NotebookClient(made, timeout=60, kernel_name="python3").execute()
    shown = [out for cell in made.cells for out in cell.outputs]
    return [out.get("text") or out.data["text/plain"] for out in shown]


def test_a_kernel_holds_its_part_from_the_start_until_it_finishes(tmp_path):
    folder = tmp_path / "out"
    begin = CELL.format(str(folder)), START
    output.hold(folder, "d")
    with pytest.raises(CellExecutionError) as refused:
        run(*begin)
    last = f"{folder}: in use by the notebook of part D (to its last cell, "
    assert f"OutputError: {last}" in str(refused.value)
    assert "Traceback" not in str(refused.value)
    output.release()
    command = [sys.executable, "-c", TAKE, str(folder)]
    take = f"import subprocess\nprint(subprocess.run({command}, capture_output=True, text=True))"
    during, written, after = run(*begin, take, *begin, WRITE, take)
    assert f"OutputError: {folder}: in use by the notebook of part D" in during
    assert written == f"written to {folder}: result.txt"
    assert "taken" in after


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(values, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for place in "/proc/results", str(tmp_path / "file"), "~nobody-of-this-name/out":
        with pytest.raises(OutputError) as refused:
            read_parameters("d", values | {"output_dir": place})
        assert str(refused.value).endswith(f"; {output.ELSEWHERE}")
        assert "\n" not in str(refused.value)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = read_parameters("d", values | {"output_dir": "~/results"})
    assert found.output_dir == tmp_path / "results" and found.output_dir.is_dir()


def test_what_the_settings_hold(values, tmp_path, monkeypatch):
    found = read_parameters("d", values)
    assert (found.output_dir, found.grid_dir) == (tmp_path / "out", tmp_path / "out" / ".grid")
    assert found.num_images == 7
    with pytest.raises(AttributeError):
        found.num_images = 6
    assert copy.copy(found) == found
    shown = found._repr_mimebundle_()
    assert shown[cells.PARAMETERS] == values
    assert shown["text/plain"].splitlines()[0] == f"output_dir = {values['output_dir']!r}"
    files.write_text(found.output_dir / "result", "")
    assert found.written() == ["result"]
    assert read_parameters("d", values).written() == []


def test_the_command_line_s_kernel_writes_to_its_staging_folder(values, tmp_path, monkeypatch):
    monkeypatch.setenv(output.STAGING_VARIABLE, str(tmp_path / "stage"))
    with output.output_lock(tmp_path / "out"):
        found = read_parameters("d", values)
    assert (found.output_dir, found.grid_dir) == (tmp_path / "stage", tmp_path / "out" / ".grid")


INJECTED = "# Parameters\nseed = 1\nnum_image = 2"
OWN = "# Parameters of mine\nnum_image = 2"
PLACE = CELL.format("o")


@pytest.mark.parametrize(
    "history",
    [
        ["", PLACE, OWN],
        ["", PLACE, "%time", INJECTED],
        ["", INJECTED, PLACE],
        ["", PLACE, INJECTED, PLACE, "# Parameters\nPAPERMILL_INPUT_PATH = 'x'"],
        ["", "%time", PLACE, "# Parameters of\n" + INJECTED],
    ],
)
def test_cells_of_one_s_own_are_not_taken_for_papermill_s(values, history):
    assert read_parameters("d", values | {"num_image": 2, "In": history}).num_images == 7


@pytest.mark.parametrize("form", ["num_image = 2", "num_image: int = 2"])
def test_an_unknown_name_is_refused_if_papermill_injects_it(values, form):
    history = ["", "1", PLACE, f"# Parameters\nmodel_dir = 'x'\n{form}\n", START]
    with pytest.raises(ParameterError, match=r"'num_image'.* did you mean num_images\?"):
        read_parameters("d", values | {"num_image": 2, "In": history})


def first_code(part):
    """Give the code of a notebook that imports helpers and reads the parameters."""
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    code = [cells.source(cell) for cell in cells.read(path)["cells"]]
    [start] = [source for source in code if "read_parameters(" in source]
    return f"In = []\nglobals().update({parameters.defaults(part)})\n{start}"


def python(code, folder):
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(files.PROJECT), "HOME": "/proc/nobody"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("part", "abcd")
def test_a_notebook_takes_the_helpers_beside_it(part, tmp_path):
    """They win over those that are installed, and nothing of the machine is told on the way."""
    shutil.copytree(files.PROJECT / "helpers", tmp_path / "helpers")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / f"part_{part}.ipynb").touch()
    code = f"{first_code(part)}\nimport matplotlib.font_manager, helpers\nprint(helpers.__file__)"
    done = python(code, tmp_path / "notebooks")
    assert (done.stdout, done.stderr) == (f"{tmp_path}/helpers/__init__.py\n", "")


def test_other_helpers_in_front_are_told_in_one_line(tmp_path):
    (tmp_path / "helpers.py").touch()
    done = python(first_code("a"), tmp_path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("cannot import name 'notebook' from 'helpers'")
    assert "run `pip install -e .` in this project's folder" in done.stderr


def test_two_packages_are_not_mixed(values, tmp_path, monkeypatch):
    """An editable installation fills in what another package in front of it does not have."""
    monkeypatch.setattr(helpers, "__path__", [str(tmp_path / "helpers")])
    with pytest.raises(ProjectError, match=rf"stands before this project's: {tmp_path}/helpers; "):
        read_parameters("d", values)


def test_helpers_of_another_project_are_refused(values, tmp_path, monkeypatch):
    for name in "helpers", "notebooks":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    read_parameters("d", values)
    (tmp_path / "notebooks" / "part_d.ipynb").touch()
    with pytest.raises(ProjectError, match=rf"^this notebook belongs to {tmp_path}, but the help"):
        read_parameters("d", values)
    monkeypatch.setattr(files, "PROJECT", tmp_path / "site-packages")
    monkeypatch.setattr(helpers, "__path__", [str(tmp_path / "site-packages" / "helpers")])
    with pytest.raises(ProjectError, match=r"in that folder run: pip install -e \.$"):
        read_parameters("d", values)


def test_a_warning_names_no_folder(values):
    read_parameters("d", values)
    told = warnings.formatwarning
    line = told("no /home/me/.config/x", UserWarning, "/home/me/network.py", 4)
    assert line == "network.py, line 4: UserWarning: no x\n"
    line = told("see https://a.org/b/c", UserWarning, "/tmp/ipykernel_9/7.py", 1)
    assert line == "this cell, line 1: UserWarning: see https://a.org/b/c\n"


def test_without_a_notebook_the_same_is_printed(values, capsys):
    found = read_parameters("d", values)
    notebook.record("x", 2)
    line = notebook.progress_line()
    line.update("half")
    history = History([0.25], [0.5], [0.25], [0.5])
    notebook.live_curve(None)(history)
    notebook.finish(found)
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines[:2] == ["x = 2   (the same in every run)", "half"]
    assert lines[2] == history.line() and lines[3].startswith("written to ")
