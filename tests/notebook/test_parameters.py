"""Parameters that are refused, each in one line that says what, why and where; those taken."""

import numpy as np
import papermill
import pytest
from IPython.core.interactiveshell import InteractiveShell
from pydantic import ValidationError

from helpers.files import NOTEBOOKS
from helpers.notebook import cells, parameters
from helpers.notebook.parameters import PARTS
from helpers.notebook.refusals import ParameterError

NAN, INF = float("nan"), float("inf")
NO_COUNTS = [2.5, 2.0, "10", "ten", True, NAN, [10], None, 1j, 10**24]
NO_NUMBERS = ["0.01", "", "true", True, NAN, INF, -INF, np.float32(NAN), 10**400, [0.01], None]
NO_LISTS = [64, "64,64", "(1, 2)", None, b"@@", {64: 1}, {64}, np.array(64)]
NO_ENTRIES = [[64, 32.5], [64.0], [True], ["64"], [[64]], [None], np.array([64.0]), [10**12]]


def count(least, most):
    return [least, most, np.int64(most)], [least - 1, most + 1, *NO_COUNTS]


def number(taken, refused):
    return taken, [*refused, *NO_NUMBERS]


def layers():
    taken = [(), (1, 10_000), [64, 32], range(1, 4), np.array([5, 6]), [np.int32(5)]]
    return taken, [*NO_LISTS, *NO_ENTRIES, [64, 0], [10_001], [1] * 101]


def several(least, most):
    refused = [[], [most, np.int64(most)], [least - 1], [most + 1], [*range(least, least + 101)]]
    return [(least, most)], [*refused, *NO_LISTS, *NO_ENTRIES]


RATES = [[], [0.01, 0], [0.01, 0.010], [1, 1.0], [0.01, "1e-3"], [0.01, INF], 0.01]
SEEDS = [0, 2**32 - 1], [-1, 2**32, *NO_COUNTS]
TEXT = ["some where"], ["", 7, None, ["outputs"]]
SWITCH = [True, False], ["true", "no", 1, 0, None]
TABLE = {
    "abcd output_dir": TEXT,
    "ab hidden_layers": layers(),
    "a num_epochs": count(0, 10_000),
    "a batch_size": count(1, 54_000),
    "a learning_rate": number([1, 1e-300, np.float32(0.5)], [0, -0.01]),
    "ac alpha": number([0.0], [-1e-9]),
    "abc seed": SEEDS,
    "b num_examples": count(1, 100),
    "b alpha": number([0.1], [0]),
    "b step": number([1e-6, 1], [0.0, -1e-6, 1.1]),
    "b num_epochs": count(1, 10_000),
    "c num_hidden_layers": several(0, 100),
    "c num_units": several(1, 10_000),
    "c learning_rate": ([[1, 0.5]], RATES),
    "c batch_size": several(1, 54_000),
    "c num_epochs": several(1, 10_000),
    "c num_seeds": count(1, 1000),
    "c repeat_top": count(1, 1000),
    "c repeat_seeds": count(1, 1000),
    "c beyond_grid": SWITCH,
    "c executor": (["processes"], ["threads", "Dask", None, "dask"]),
    "c num_workers": count(0, 1000),
    "c scheduler": ([""], [8786, None, "tcp://host:8786"]),
    "c resume": SWITCH,
    "d model_dir": TEXT,
    "d num_images": count(1, 20),
}
"""Parts and parameter -> values taken, values refused."""
PLACES = [place.split() for place in TABLE]
KNOWN = {f"{part} {name}": TABLE[f"{parts} {name}"] for parts, name in PLACES for part in parts}
BAD = [(place, value) for place, (_, refused) in KNOWN.items() for value in refused]


def refusal(part, **values):
    """Give the one line that refuses values."""
    with pytest.raises(ParameterError) as error:
        PARTS[part](**values)
    line = str(error.value)
    assert "\n" not in line and len(line) < 400
    return line


def test_every_parameter_is_listed_here():
    names = [f"{part} {name}" for part, kind in PARTS.items() for name in kind.model_fields]
    assert set(names) == set(KNOWN)


@pytest.mark.parametrize(("place", "value"), BAD)
def test_bad_input_is_refused_in_one_clear_line(place, value):
    part, name = place.split()
    line = refusal(part, **{name: value})
    if (name, value) != ("executor", "dask"):  # it is the scheduler that is not set right
        assert line.startswith(f"{name} = {repr(value)[:70]}")
    name = line.split()[0]
    assert f" ({PARTS[part].model_fields[name].description}); set it in the para" in line
    assert f" -p {name} " in line


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("a", "batch_size", 0, "batch_size = 0: should be greater than or equal to 1 (images per"),
        ("a", "hidden_layers", [64, 0], "[64, 0]: entry 0 should be greater than or equal to 1"),
        ("a", "hidden_layers", [64, 0], "or with papermill's -y 'hidden_layers: [64, 64, 64]'"),
        ("a", "hidden_layers", 64, "64: should be a valid list (units of each hidden layer"),
        ("c", "num_epochs", [2, 2], "[2, 2]: two entries are equal (passes over"),
        ("c", "num_units", [], "[]: it should have at least 1 item"),
        ("a", "hidden_layers", ["64"], "a text was given: leave out the quotes (units"),
        ("c", "resume", "true", "a text was given: leave out the quotes (whether"),
        ("c", "learning_rate", [0.1, "1e-3"], "leave out the quotes; YAML needs 1.0e-3 for 1e-3 ("),
        ("a", "output_dir", "", "'': it should have at least 1 character"),
        ("c", "executor", "Dask", "'Dask': should be 'processes' or 'dask' ("),
        (
            "a",
            "hidden_layers",
            [10**9] * 10_000,
            "1000000000, 1000000000, 100 ...: entry 1000000000 ",
        ),
        ("a", "learning_rat", 1, "unknown parameter 'learning_rat': expected one of alpha, batch_"),
        ("a", "learning_rat", 1, "; did you mean learning_rate?"),
    ],
)
def test_what_the_line_says(part, name, value, words):
    assert words in refusal(part, **{name: value})


@pytest.mark.parametrize("place", KNOWN)
def test_good_input_is_taken_and_made_plain(place):
    part, name = place.split()
    for value in KNOWN[place][0]:
        found = getattr(PARTS[part](**{name: value}), name)
        assert found == (value if np.isscalar(value) else tuple(value))
        assert "np." not in repr(found)


@pytest.mark.parametrize("address", ["", "tcp://host", "host", "tcp://host:port", "a b:1", None])
def test_dask_needs_an_address_with_a_port_or_a_file(address):
    assert refusal("c", executor="dask", scheduler=address).startswith("scheduler = ")
    for good in "tcp://host:8786", "127.0.0.1:8786", "tls://[::1]:8786", "~/scheduler.json":
        assert PARTS["c"](executor="dask", scheduler=good).scheduler == good


def test_values_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        PARTS["a"]().learning_rate = -1


def test_a_notebook_shows_the_line_and_no_traceback(capsys):
    shell = InteractiveShell()
    shell.run_cell("from helpers.notebook import read_parameters\nread_parameters('a', {})")
    shown = capsys.readouterr().out.strip()
    assert shown.startswith("ParameterError: output_dir is not set (") and "\n" not in shown


@pytest.mark.parametrize("part", PARTS)
def test_the_parameters_cell_says_what_is_recorded_here(part):
    """If this fails, somebody has explored and saved: git checkout notebooks/part_X.ipynb."""
    path = NOTEBOOKS / f"part_{part}.ipynb"
    values = cells.parameters_of(cells.read(path), is_run=False)
    assert values == parameters.defaults(part), f"explored and saved? git checkout {path.name}"
    described = papermill.inspect_notebook(str(path))
    meanings = {name: field.description for name, field in PARTS[part].model_fields.items()}
    assert {name: each["help"] for name, each in described.items()} == meanings
