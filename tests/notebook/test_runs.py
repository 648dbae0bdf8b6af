"""Executed notebooks as a table: complete ones, and each way in which one can be something else."""

import copy
import re
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.notebook import runs
from helpers.notebook.parameters import PARTS

START = """from helpers import notebook
settings = notebook.read_parameters("d", globals())
settings"""
VALUES = """notebook.record("accuracy", num_images / 10, abs=0.01)
notebook.record("loss", 2 - num_images, at_least=0)"""


def sources(folder, num_images):
    cell = f'model_dir = "outputs"\nnum_images: int = {num_images}\noutput_dir = {str(folder)!r}'
    return cell, START, VALUES


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record_notebook):
    """Make a folder of notebooks, one complete and the others spoilt in one way each."""
    folder = tmp_path_factory.mktemp("runs")
    good = record_notebook(*sources(folder / "out", "1 + 1"))
    good.cells[0].metadata["tags"] = ["parameters"]

    def save(name, change=lambda notebook: None):
        notebook = copy.deepcopy(good)
        change(notebook)
        (folder / name).parent.mkdir(exist_ok=True)
        nbformat.write(notebook, folder / name)

    def prepare(notebook):
        """Put a cell in as papermill --prepare-only does, beside the outputs of another run."""
        injected = new_code_cell("# Parameters\nnum_images = 7\n")
        injected.metadata["tags"] = ["injected-parameters"]
        notebook.cells.insert(1, injected)

    def stop(notebook):
        notebook.cells[2].update(execution_count=None, outputs=[])

    def fail(notebook):
        stop(notebook)
        error = nbformat.v4.new_output("error", ename="Oh", evalue="no\nmore", traceback=[])
        notebook.cells[2].update(execution_count=3, outputs=[error])

    def explore(notebook):
        notebook.cells[0].execution_count = 9

    def exceed(notebook):
        payload = notebook.cells[2].outputs[1].data["application/vnd.helpers.record+json"]
        payload.update(value=None)

    def damage(notebook):
        notebook.cells[2].outputs[1].data["application/vnd.helpers.record+json"].pop("limit")

    save("complete.ipynb")
    save("deeper/failed value.ipynb", exceed)
    save("error.ipynb", fail)
    save("half run.ipynb", stop)
    save("mixed.ipynb", explore)
    save("not run.ipynb", prepare)
    save("unreadable damaged.ipynb", damage)
    save(".ipynb_checkpoints/complete.ipynb")
    foreign = new_notebook(cells=[new_code_cell("1", execution_count=1)])
    nbformat.write(foreign, folder / "foreign.ipynb")
    for name, text in {
        "text": "{",
        "list": "[]",
        "old": '{"nbformat": 3}',
        "odd": '{"nbformat": 4}',
    }.items():
        (folder / f"unreadable {name}.ipynb").write_text(text)
    (folder / "unreadable folder.ipynb").mkdir()
    return folder


def test_each_notebook_gets_a_row_that_says_what_it_is(folder):
    table = runs.collect(folder)
    names = table.notebook.str.extract(r".*/([a-z ]+)\.ipynb$")[0]
    assert len(table) == 13
    for name, state in zip(names, table.state, strict=True):
        assert name.startswith(state)
    reasons = table.set_index(names).reason
    assert reasons["complete"] == "" and reasons["error"] == "cell 3: Oh: no more"
    assert reasons["half run"] == "what follows cell 2 was not run"
    assert reasons["failed value"].startswith("loss = not a finite number   (FAILED: ")
    assert "Is a directory" in reasons["unreadable folder"]


def test_parameters_and_values_are_those_of_the_run(folder):
    table = runs.collect(str(folder / "*.ipynb")).set_index("state")
    assert table.num_images["complete"] == 2  # which stands as 1 + 1 in its parameters cell
    assert table.accuracy["complete"] == 0.2 and table.loss["complete"] == 0
    assert table.num_images["half run"] == 2 and pd.isna(table.accuracy["half run"])
    assert table.num_images["not run"] == 7 and pd.isna(table.accuracy["not run"])
    assert table.part.fillna("").tolist().count("d") == 5


def test_places_are_folders_patterns_files_or_a_list_of_them(folder, tmp_path):
    one = folder / "complete.ipynb"
    assert runs.collect(one).state.tolist() == ["complete"]
    several = runs.collect([str(one), folder / "deeper", tmp_path / "nowhere.ipynb"])
    assert several.state.tolist() == ["complete", "failed value", "unreadable"]
    assert several.reason.iloc[2] == "No such file or directory"
    assert runs.collect(tmp_path).columns.tolist() == runs.COLUMNS


def test_the_example_works(folder, tmp_path, monkeypatch, capsys):
    """The code of RUNS.md, with a notebook that has been run already in the place of part A."""
    like_part_a = {"num_images": "learning_rate", '"accuracy"': '"validation accuracy"'}

    def execute_notebook(source, target, parameters, progress_bar):
        assert PARTS["a"](**parameters)
        made = (folder / "complete.ipynb").read_text("utf-8")
        for old, new in like_part_a.items():
            made = made.replace(old, new)
        Path(target).write_text(made, "utf-8")

    text = Path(runs.__file__).with_name("RUNS.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    exec(code, {})
    assert capsys.readouterr().out.count("complete") == 4
    assert (tmp_path / "sweep" / "accuracy.png").exists()
