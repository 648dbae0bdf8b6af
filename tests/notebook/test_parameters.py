"""Parameters that are refused, each in one line that says what, why and where; those taken."""

import numpy as np
import papermill
import pytest

from helpers.files import NOTEBOOKS
from helpers.notebook import cells, parameters
from helpers.notebook.parameters import PARTS, ParameterError

NAN, INF = float("nan"), float("inf")
NO_COUNTS = [2.5, 2.0, "10", True, NAN, [10], None, 10**24]
NO_NUMBERS = ["0.01", "", True, NAN, INF, -INF, [0.01], None]
NO_LISTS = [64, "64,64", None, {64: 1}]
NO_ENTRIES = [[64.0], [True], ["64"], np.array([64])]


def count(least, most):
    return [least, most], [least - 1, most + 1, *NO_COUNTS]


def several(least, most):
    return [[least, most], (most,)], [[], [least, least], [least - 1], [most + 1], *NO_LISTS]


TABLE = {
    "abcd output_dir": (
        ["some where", "~/x"],
        ["", " ", "s3://bucket/x", "file:///x", "~no-such-user/x", 7, None],
    ),
    "d model_dir": (["outputs"], ["", "gs://bucket/x"]),
    "ab hidden_layers": (
        [[], [1, 10_000], (64, 32), range(1, 4)],
        [*NO_LISTS, *NO_ENTRIES, [64, 0], [10_001], [1] * 101],
    ),
    "a num_epochs": count(0, 10_000),
    "a batch_size": count(1, 54_000),
    "a learning_rate": ([1, 1e-300], [0, -0.01, *NO_NUMBERS]),
    "ac alpha": ([0.0, 1], [-1e-9, *NO_NUMBERS]),
    "b alpha": ([0.1], [0, *NO_NUMBERS]),
    "abc seed": count(0, 2**32 - 1),
    "b num_examples": count(1, 100),
    "b step": ([1e-6, 1], [0.0, 1.1, *NO_NUMBERS]),
    "b num_epochs": count(1, 10_000),
    "c num_hidden_layers": several(0, 10_000),
    "c num_units": several(1, 10_000),
    "c learning_rate": ([[1, 0.5]], [[], [0.01, 0], [0.01, 0.010], [1, 1.0], [INF], ["1"], 0.01]),
    "c batch_size": several(1, 54_000),
    "c num_epochs": several(1, 10_000),
    "c num_seeds": count(1, 10_000),
    "c repeat_top": count(1, 10_000),
    "c repeat_seeds": count(1, 10_000),
    "c beyond_grid": ([True, False], ["true", 1, None]),
    "c executor": (["processes"], ["threads", "Dask", None]),
    "c num_workers": count(0, 10_000),
    "c scheduler": ([""], [8786, None, "tcp://host:8786"]),
    "d num_images": count(1, 20),
}
"""Parts and parameter -> values taken, values refused."""
CASES = [
    (part, name, *values)
    for (parts, name), values in zip(map(str.split, TABLE), TABLE.values(), strict=True)
    for part in parts
]


def test_every_parameter_is_listed_here():
    names = {(part, name) for part, kind in PARTS.items() for name in kind.model_fields}
    assert names == {(part, name) for part, name, *_ in CASES}


@pytest.mark.parametrize(("part", "name", "taken", "refused"), CASES)
def test_what_is_taken_and_what_is_refused_in_one_line(part, name, taken, refused):
    for value in taken:
        read = getattr(PARTS[part](**{name: value}), name)
        assert read == (list(value) if isinstance(value, (tuple, range)) else value)
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
def test_the_parameters_cell_says_the_same(part):
    path = NOTEBOOKS / f"part_{part}.ipynb"
    values = cells.parameters_of(cells.read(path), is_run=False)
    assert values == parameters.defaults(part), f"explored and saved? git checkout {path.name}"
    described = papermill.inspect_notebook(str(path))
    assert all(each["help"] for each in described.values())
