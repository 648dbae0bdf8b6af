"""What is asked for is checked before anything runs; from words to the parameters of each part."""

import pytest

from helpers import data, files
from helpers.batch import signals
from helpers.batch.command_line import main, read_words
from helpers.grid import workers
from helpers.notebook import parameters
from helpers.notebook.parameters import PARTS


@pytest.fixture
def refused(capsys, monkeypatch):
    """Give a function that expects a request to be refused, and returns the one line."""
    monkeypatch.setattr(data, "verify", lambda: None)
    monkeypatch.setattr(signals, "handle", lambda: pytest.fail("it was to run"))

    def run(*arguments):
        assert main([str(argument) for argument in arguments]) == 2
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.count("\n") == 1
        return shown.err.removeprefix("python -m helpers: ").strip()

    return run


# What is typed -> what the line must hold; what a parameter accepts is tested in tests/notebook.
BAD = {
    "a -p learning_rate fast": "learning_rate = 'fast'",
    "a -p learning_rate ": "learning_rate = ''",
    "a -p learning_rate 0.1,0.2": "learning_rate = (0.1, 0.2)",
    "a -p learning_rate " + "[" * 100_000: "learning_rate = '[[[[",
    "b -p learning_rate 0.1": "unknown parameter 'learning_rate'",
    "a -p output_dir x": "unknown parameter 'output_dir'",
}


@pytest.mark.parametrize("typed", BAD, ids=lambda typed: typed[:40])
def test_a_bad_request_is_refused(refused, typed):
    assert BAD[typed] in refused(*typed.split(" "))


def test_no_folder_of_this_machine_and_no_option_is_one_line_too(refused):
    words = "--output: 's3://bucket/run1' should be a folder on this machine"
    assert words in refused("a", "--output", "s3://bucket/run1")
    assert "unrecognized arguments: --outptu" in refused("a", "--outptu", "x")


NO_LANGUAGE = '{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"name": "python3"}}}'


def test_damaged_notebooks_are_refused_before_anything_runs(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    for text in "<<<<<<< HEAD", "[]", NO_LANGUAGE:
        (tmp_path / "part_a.ipynb").write_text(text)
        line = refused("a", "--output", tmp_path / "output")
        assert line.startswith("part_a.ipynb is damaged")
    assert not (tmp_path / "output").exists()


def test_whoever_trains_part_c_is_looked_at_before_part_a(refused, tmp_path, monkeypatch):
    asked = []

    def check(*options):
        asked.append(options)
        raise workers.WorkerError("nobody there")

    monkeypatch.setattr(workers, "check", check)
    words = ["a", "c", "--scheduler", "tcp://host:8786", "-p", "num_workers", "3", "--output"]
    assert refused(*words, tmp_path / "output") == "nobody there"
    assert asked == [("dask", 3, "tcp://host:8786")]
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("text", "value"), [("3,4,5", [3, 4, 5]), ("[3,4]", [3, 4]), ("5e-2", [0.05])]
)
def test_ways_to_write_a_list(text, value):
    _, plan = read_words(["c", "-p", "learning_rate", text])
    assert plan["c"]["learning_rate"] == value


def test_every_parameter_is_injected_so_that_an_explored_cell_changes_nothing():
    _, full = read_words([])
    _, quick = read_words(["--quick"])
    assert list(full) == list(quick) == ["a", "b", "c", "d"]
    for part in "abc":
        assert full[part] == parameters.full(part)
        assert quick[part] == parameters.defaults(part)
    assert full["d"] == parameters.full("d") | {"model_dir": str(files.OUTPUTS)}


def test_where_results_go_and_where_part_d_looks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    outputs = files.OUTPUTS
    changed = ("-p", "num_images", "3")
    how = ("--resume", "--scheduler", "tcp://host:8786", "-p", "num_workers", "1")
    for words, folder, networks in [
        (["a", "d"], outputs, outputs),
        (["c", "d", *how], outputs, outputs),
        (["--quick"], outputs / "quick", outputs / "quick"),
        (["d", *changed], outputs / "changed", outputs),
        (["C", "d", *changed], outputs / "changed", outputs / "changed"),
        (["d", "-p", "model_dir", "x"], outputs / "changed", "x"),
        (["d", "--output", "here"], tmp_path / "here", tmp_path / "here"),
        (["d", "--output=~/res"], tmp_path / "home" / "res", tmp_path / "home" / "res"),
    ]:
        output_dir, asked = read_words(words)
        assert (output_dir, asked["d"]["model_dir"]) == (folder, str(networks))


def test_help_lists_every_parameter_with_the_notebook_s_words(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ending.value.code == 0
    for part, kind in PARTS.items():
        assert f"\npart {part}: {kind.__doc__}" in shown
        for name in kind.model_fields.keys() - {"output_dir"}:
            assert f"\n  {name}: " in shown
    assert "  num_units: list[int] = [30, 50]  # units of each hidden layer" in shown
    assert "  num_units = [30, 40, 50]" in shown.split("part c at full size:")[1]
