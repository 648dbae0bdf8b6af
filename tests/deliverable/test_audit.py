"""The audit executes a recorded run again, compares every file and writes nowhere else."""

import json
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers.files import OUTPUTS
from helpers.grid.machine import machine
from helpers.notebook.output import OutputError, grid_folder
from tests.tools import audit

WRITING = """
from helpers import files, notebook
parameters = {"output_dir": "outputs", "model_dir": "outputs", "num_images": 5}
settings = notebook.read_parameters("d", parameters)
files.write_text(settings.output_dir / "written_by_a_test.csv", "accuracy\\n0.85\\n")
notebook.record("files", 1)"""


def test_notices_what_changed_and_leaves_outputs_alone(
    record_notebook, tmp_path, monkeypatch, capfd
):
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    path = recorded / "part_d.ipynb"
    monkeypatch.setattr(audit, "OUTPUTS", recorded)
    nbformat.write(record_notebook(WRITING), path)
    path.write_text(path.read_text().replace(", 1)", ", 2)"))
    (recorded / "written_by_a_test.csv").write_text("accuracy\n0.75\n")
    (recorded / "timing.json").write_text(json.dumps({"machine": machine()}))
    assert audit.main(["d"]) == 1
    shown = capfd.readouterr().out
    assert "files: recorded 1, came out 2" in shown
    assert "written_by_a_test.csv: other bytes, on the same kernels" in shown
    assert "part d: DOES NOT AGREE" in shown
    assert not (OUTPUTS / "written_by_a_test.csv").exists()


def test_refuses_what_cannot_be_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit, "OUTPUTS", tmp_path)
    assert audit.main(["b"]) == 2
    assert "outputs/part_b.ipynb: not there" in capsys.readouterr().err
    (tmp_path / "part_c.ipynb").touch()
    grid_folder(tmp_path).mkdir()
    with pytest.raises(OutputError, match="unfinished grid"):
        audit.refuse_what_is_not_there("c")
    with pytest.raises(SystemExit) as stopped:
        audit.main(["e"])
    assert stopped.value.code == 2


def lower_all(path):
    table = pd.read_csv(path)
    table["accuracy"] -= 0.01
    table.to_csv(path, index=False)


def lower_one(path):
    table = pd.read_csv(path)
    table.loc[3, "accuracy"] -= 0.2
    table.to_csv(path, index=False)


def reseed(path):
    table = pd.read_csv(path)
    table["seed"] += 1
    table.to_csv(path, index=False)


def raise_accuracy(path):
    card = json.loads(path.read_text("utf-8"))
    card["test"]["accuracy"] += 0.05
    path.write_text(json.dumps(card))


def shorten(path):
    np.save(path, np.load(path)[1:])


def invert(path):
    np.save(path, 1 - np.load(path))


def halve(path):
    path.write_text(path.read_text("utf-8").replace("Value 7: ", "Value 7: 1", 1))


CHANGES = [
    ("hyperparameter_tune.csv", lower_all),
    ("hyperparameter_tune.csv", lower_one),
    ("hyperparameter_tune.csv", reseed),
    ("wide_model.json", raise_accuracy),
    ("wide_model_weights.npy", shorten),
    ("ensemble_test_probabilities.npy", invert),
    ("Part_B_grad_weight.txt", halve),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_a_changed_file_is_seen_with_any_kernels(tmp_path, name, change):
    shutil.copy(OUTPUTS / name, tmp_path)
    assert audit.differences(OUTPUTS, tmp_path, same_kernels=True) == []
    assert audit.differences(OUTPUTS, tmp_path, same_kernels=False) == []
    change(tmp_path / name)
    for same_kernels in True, False:
        [line] = audit.differences(OUTPUTS, tmp_path, same_kernels)
        assert line.startswith(f"{name}: ")


def test_the_last_bit_is_compared_on_the_same_kernels(tmp_path):
    mean = np.load(OUTPUTS / "ensemble_test_probabilities.npy")
    mean[0, 0] = np.nextafter(mean[0, 0], 1)
    np.save(tmp_path / "ensemble_test_probabilities.npy", mean)
    assert len(audit.differences(OUTPUTS, tmp_path, same_kernels=True)) == 1
    assert audit.differences(OUTPUTS, tmp_path, same_kernels=False) == []
