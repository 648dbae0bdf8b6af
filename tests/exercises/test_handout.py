"""The hand-out: no line of a solution in it, little else, and it works up to the first exercise."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers.exercise import handout
from helpers.exercise.__main__ import main
from helpers.exercise.exercises import EXERCISES
from helpers.files import PROJECT

HARMLESS = {
    "raise ValueError(",
    "check_images(layers, images)",
    "lines = ceil(len(W) / columns)",
}
"""Lines of solutions that stand elsewhere, too, and say nothing; so do those of a word or two."""
FILLED_IN = """
import pathlib
for path in sorted(pathlib.Path("helpers").rglob("*.py")):
    __import__(".".join(path.with_suffix("").parts))

import numpy as np
from helpers import data, sgd
from helpers.grid import listing, search

rng = np.random.default_rng(0)
few = data.Images(rng.normal(size=(50, 784)).astype("f"), rng.integers(0, 10, 50))
data.load_training = lambda: (few, few)
recipes = listing.list_runs([1], [5], [0.1], [8], [1, 2], 0.0, seed=0, num_seeds=1)
diverging = listing.list_runs([1], [5], [1e30], [8], [1], 0.0, seed=0, num_seeds=1)
repeat = listing.repeats(recipes[:1], 1)
runs = search.search(
    recipes, "", None, on_progress=lambda line: None, beyond=diverging, repeats=lambda runs: repeat
)
assert list(runs) == [*recipes, *diverging, *repeat]
expected = sgd.train(recipes[1], few, few)
assert (runs[recipes[1]].weights == expected.weights).all()
assert runs[recipes[1]].accuracy == expected.history.validation_accuracy[-1]
assert np.isnan(runs[diverging[0]].accuracy)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handout") / "new"
    handout.write(folder, seed=4)
    return folder


def solution_lines():
    """List the lines of all solutions, without docstrings and comments."""
    lines = set()
    for exercise in EXERCISES:
        source = (PROJECT / exercise.file).read_text("utf-8")
        node = handout.find_function(source, exercise.function)
        body = source.splitlines()[node.body[0].end_lineno : node.end_lineno]
        lines |= {line.split("#")[0].strip() for line in body}
    return {line for line in lines - HARMLESS if len(line) >= 10}


def test_no_line_of_a_solution_is_in_it(folder):
    texts = {
        path: path.read_text("utf-8", errors="replace").replace('\\"', '"')
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    }
    assert len(solution_lines()) > 30
    for path, text in texts.items():
        assert [line for line in solution_lines() if line in text] == [], path


def test_only_what_a_student_needs_is_in_it(folder):
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE", "README.md", "data", "helpers", "notebooks", "outputs", "requirements.txt"
    }  # fmt: skip
    rooms = {path.name for path in folder.glob("helpers/*/")}
    assert rooms == {"exercise", "figures", "grid", "notebook"}
    names = {path.stem for path in folder.rglob("*.py")}
    assert not names & {
        "__main__",
        "workspace",
        "products",
        "stack",
        "record",
        "grading",
        "handout",
    }


def test_its_checks_have_the_arguments_of_its_seed(folder):
    theirs = (folder / "helpers" / "exercise" / "cases.json").read_text("utf-8")
    ours = (PROJECT / "helpers" / "exercise" / "cases.json").read_text("utf-8")
    assert theirs != ours


def test_a_notebook_is_cleared_of_runs_and_of_what_is_for_us_alone():
    def cell(source, tag=""):
        return {"cell_type": "code", "source": [source], "metadata": {"tags": [tag]}} | {
            "outputs": [{"text": "an output"}], "execution_count": 3
        }  # fmt: skip

    notebook = {
        "cells": [
            cell("num_epochs = 3", "parameters"),
            cell("num_epochs = 5", "injected-parameters"),
            cell("our_own()", "full"),
            cell("theirs()"),
        ]
    }
    parameters, theirs = handout.clear(notebook)["cells"]
    assert parameters["source"] == "num_epochs = 3"
    assert theirs["source"] == "theirs()"
    assert parameters["outputs"] == theirs["outputs"] == []
    assert theirs["execution_count"] is None


def test_a_folder_that_is_there_is_left_alone(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path)])
    assert stop.value.code == 2
    assert f"File exists: '{tmp_path}'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def run_to_error(path):
    """Run a notebook of the hand-out; what it shows of the error that stops it."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3")
    with pytest.raises(CellExecutionError):
        client.execute(cwd=path.parent, env=os.environ | {"PYTHONPATH": str(path.parent.parent)})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    [trace] = [output.traceback for output in outputs if output.output_type == "error"]
    return trace


def test_notebooks_run_to_their_first_exercise_and_show_one_line(folder):
    words = {
        "a": "A1 unpack is not right yet",
        "b": "exercise A1: write unpack; see part_a.ipynb",
        "c": "C1 list_runs is not right yet",
        "d": "exercise A1: write unpack; see part_a.ipynb",
    }
    for part, expected in words.items():
        [line] = run_to_error(folder / "notebooks" / f"part_{part}.ipynb")
        assert expected in line and "\n" not in line


def test_filled_in_it_imports_and_searches_with_the_students_step(folder, tmp_path):
    shutil.copytree(folder / "helpers", tmp_path / "helpers")
    for exercise in EXERCISES:
        shutil.copy(PROJECT / exercise.file, tmp_path / exercise.file)
    command = [sys.executable, "-c", FILLED_IN]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, check=True)


def test_its_requirements_are_packages_alone(folder):
    # Without a pyproject.toml beside them, "-e ." would end the installation.
    lines = (folder / "requirements.txt").read_text("utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages
    assert all("==" in line for line in packages)
