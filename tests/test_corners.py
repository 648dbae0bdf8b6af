"""Every part over the corners of its parameters: what is right must not end in red."""

import pytest

from helpers.batch.execution import execute
from helpers.files import NOTEBOOKS, OUTPUTS

CORNERS = {
    "A, no hidden layer, batches of one, strong L2": (
        "a",
        {"hidden_layers": [], "num_epochs": 1, "batch_size": 1, "alpha": 1.0},
    ),
    "A, one unit, no epoch, one batch": (
        "a",
        {"hidden_layers": [1], "num_epochs": 0, "batch_size": 54_000},
    ),
    "B, no hidden layer, one image, a step that drowns in rounding": (
        "b",
        {"hidden_layers": [], "num_examples": 1, "step": 1e-12},
    ),
    "B, narrow layers, many images, a step that crosses kinks": (
        "b",
        {"hidden_layers": [2, 1, 3], "num_examples": 100, "step": 1.0, "alpha": 100.0},
    ),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_a_part_runs_to_its_end(tmp_path, corner):
    part, parameters = CORNERS[corner]
    run(part, tmp_path, parameters)


@pytest.mark.parametrize("depths", [[0], [0, 1]])
def test_the_smallest_grids_and_a_look_at_their_best(tmp_path, depths):
    smallest = {
        "num_hidden_layers": depths,
        "num_units": [1],
        "learning_rate": [0.01],
        "batch_size": [5_000],
        "num_epochs": [1],
        "repeat_top": 1,
        "repeat_seeds": 1,
        "num_workers": 1,
    }
    run("c", tmp_path, smallest)
    run("d", tmp_path, {"model_dir": str(tmp_path), "num_images": 1})


def test_one_picture_for_each_unit(tmp_path):
    run("d", tmp_path, {"model_dir": str(OUTPUTS), "num_images": 20})


def run(part, folder, parameters):
    """Run a part; a failed cell, or a recorded value outside its bound, raises PartError."""
    path = NOTEBOOKS / f"part_{part}.ipynb"
    execute(path, folder / ".partial.ipynb", parameters | {"output_dir": str(folder)})
