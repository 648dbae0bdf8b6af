"""Parameters that are refused, each in one line that says what, why and where; those taken."""

import numpy as np
import papermill
import pytest

from helpers.files import NOTEBOOKS
from helpers.notebook.parameters import PARTS, ParameterError

NAN, INF = float("nan"), float("inf")
NO_COUNTS = [2.0, "10", True, NAN, [10], None, 10**24]
NO_NUMBERS = ["0.01", True, NAN, INF, None]
NO_LISTS = [64, "64,64", None, {64: 1}]
NO_ENTRIES = [[64.0], [True], ["64"], np.array([64])]
TABLE = {
    "a output_dir": (
        ["some where", "~/x"],
        ["", " ", "s3://bucket/x", "~no-such-user/x", 7, None],
    ),
    "a hidden_layers": (
        [[], [1, 10_000], (64, 32)],
        [*NO_LISTS, *NO_ENTRIES, [64, 0], [10_001], [1] * 101],
    ),
    "a num_epochs": ([0, 10_000], [-1, 10_001, *NO_COUNTS]),
    "a batch_size": ([1, 54_000], [0, 54_001]),
    "a learning_rate": ([1, 1e-300], [0, -0.01, *NO_NUMBERS]),
    "a alpha": ([0.0, 1], [-1e-9, NAN]),
    "a seed": ([0, 2**32 - 1], [-1, 2**32]),
    "b alpha": ([0.1], [0]),
    "b num_examples": ([1, 100], [0, 101]),
    "b step": ([1e-6, 1], [0.0, 1.1]),
    "b num_epochs": ([1, 10_000], [0, 10_001]),
    "c num_hidden_layers": ([[0]], [[-1]]),
    "c num_units": ([[1, 10_000], (7,)], [[], [2, 2], [0], [10_001], *NO_LISTS]),
    "c learning_rate": ([[1, 0.5]], [[0.01, 0], [1, 1.0]]),
    "c batch_size": ([[1, 54_000]], [[54_001]]),
    "c num_epochs": ([[1]], [[0]]),
    "c beyond_grid": ([True, False], ["true", 1]),
    "c executor": (["processes"], ["threads", "Dask"]),
    "c scheduler": ([""], [8786, "tcp://host:8786"]),
    "d model_dir": (["x"], ["s3://bucket/x"]),
    "d num_images": ([1, 20], [0, 21]),
}
"""Part and parameter -> values taken, values refused; what no number may be stands once."""


@pytest.mark.parametrize("key", TABLE)
def test_what_is_taken_and_what_is_refused_in_one_line(key):
    part, name = key.split()
    taken, refused = TABLE[key]
    for value in taken:
        read = getattr(PARTS[part](**{name: value}), name)
        assert read == (list(value) if isinstance(value, tuple) else value)
    for value in refused:
        with pytest.raises(ParameterError) as error:
            PARTS[part](**{name: value})
        line = str(error.value)
        assert line.startswith(name) and f" -p {name} VALUE" in line
        assert "\n" not in line and len(line) < 300


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"batch_size": 0},
            "batch_size = 0: Input should be greater than or equal to 1; set it in",
        ),
        ({"hidden_layers": [64, 0]}, "hidden_layers, entry 2 = 0: Input should be greater than"),
        ({"learning_rate": "x" * 9999}, "xxx': Input should be a valid number; set it in the para"),
        ({"learning_rat": 1}, "unknown parameter 'learning_rat'; did you mean learning_rate?"),
    ],
)
def test_what_the_line_says(values, words):
    with pytest.raises(ParameterError) as error:
        PARTS["a"](**values)
    assert words in str(error.value)


@pytest.mark.parametrize("part", PARTS)
def test_the_parameters_cell_says_what_each_is(part):
    described = papermill.inspect_notebook(str(NOTEBOOKS / f"part_{part}.ipynb"))
    assert described.keys() == PARTS[part].model_fields.keys()
    assert all(each["help"] for each in described.values())
