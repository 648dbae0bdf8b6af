"""Parameters that are refused, each in one line that says what, why and where; those taken."""

import os
import re
from functools import cache

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from pydantic import ValidationError

from helpers import files
from helpers.notebook import parameters, read_parameters
from helpers.notebook.parameters import PARTS, ParameterError

NAN, INF = float("nan"), float("inf")
NO_LISTS = [64, "64,64", "(1, 2)", None, b"@@", {64: 1}, {64}, np.array(64)]
NO_ENTRIES = [[64, 32.5], [64.0], [True], ["64"], [[64]], [None], np.array([64.0]), [10**12]]
NO_COUNTS = [2.5, 2.0, "10", "ten", True, NAN, [10], None, 1j, 10**24]
NO_NUMBERS = ["0.01", "", "true", True, NAN, INF, -INF, np.float32(NAN), 10**400, [0.01], None]


def count(least, most):
    """Give what a message says of a count, the values taken, those refused."""
    words = f"a whole number at least {least:,} and at most {most:,}"
    return words, [least, most, np.int64(most)], [least - 1, most + 1, *NO_COUNTS]


def number(words, taken, refused):
    return f"a number {words}", taken, [*refused, *NO_NUMBERS]


def layers():
    words, _, _ = count(1, 10_000)
    taken = [(), (1, 10_000), [64, 32], range(1, 4), np.array([5, 6]), [np.int32(5)]]
    refused = [*NO_LISTS, *NO_ENTRIES, [64, 0], [10_001], [1] * 101]
    return f"a list of values, each {words}", taken, refused


def several(least, most):
    words, _, _ = count(least, most)
    refused = [[], [most, np.int64(most)], [least - 1], [most + 1], [*range(least, least + 101)]]
    return f"{SEVERAL} {words}", [(least, most)], [*refused, *NO_LISTS, *NO_ENTRIES]


SEVERAL = "a list of 1 or more different values, each"
RATES = [], [0.01, 0], [0.01, 0.010], [1, 1.0], [0.01, "1e-3"], [0.01, INF], 0.01
SEEDS = "a whole number at least 0 and below 4,294,967,296", [0, 2**32 - 1], [-1, 2**32, *NO_COUNTS]
TEXT = "a text, not empty", ["some where"], ["", 7, None, ["outputs"]]
SWITCH = "true or false", [True, False], ["true", "no", 1, 0, None]
TABLE = {
    "abcd output_dir": TEXT,
    "ab hidden_layers": layers(),
    "a num_epochs": count(0, 10_000),
    "a batch_size": count(1, 54_000),
    "a learning_rate": number("above 0", [1, 1e-300, np.float32(0.5)], [0, -0.01]),
    "ac alpha": number("at least 0", [0.0], [-1e-9]),
    "abc seed": SEEDS,
    "b num_examples": count(1, 100),
    "b alpha": number("above 0", [0.1], [0]),
    "b step": number("above 0 and at most 1", [1e-6, 1], [0.0, -1e-6, 1.1]),
    "b num_epochs": count(1, 10_000),
    "c num_hidden_layers": several(0, 100),
    "c num_units": several(1, 10_000),
    "c learning_rate": (f"{SEVERAL} a number above 0", [[1, 0.5]], RATES),
    "c batch_size": several(1, 54_000),
    "c num_epochs": several(1, 10_000),
    "c num_seeds": count(1, 1000),
    "c repeat_top": count(1, 1000),
    "c repeat_seeds": count(1, 1000),
    "c beyond_grid": SWITCH,
    "c executor": ("one of 'processes', 'dask'", ["processes"], ["threads", "Dask", None]),
    "c num_workers": count(0, 1000),
    "c scheduler": ("a text", [""], [8786, None]),
    "c resume": SWITCH,
    "d model_dir": TEXT,
    "d num_images": count(1, 20),
}
"""Parts and parameter -> what a message says is allowed, values taken, values refused."""
PLACES = [place.split() for place in TABLE]
KNOWN = {f"{part} {name}": TABLE[f"{parts} {name}"] for parts, name in PLACES for part in parts}
BAD = [(place, words, value) for place, (words, _, bad) in KNOWN.items() for value in bad]
HINTS = [
    ("a hidden_layers", ["64"], "leave out the quotes)"),
    ("c resume", "true", "leave out the quotes)"),
    ("c learning_rate", [0.1, "1e-3"], "leave out the quotes; YAML needs 1.0e-3 for 1e-3)"),
    ("a output_dir", "", "not empty"),
    ("c executor", "Dask", "'dask'"),
]


defaults = cache(parameters.defaults)


def changed(part, **changes):
    return PARTS[part](**defaults(part) | changes)


def refusal(place, value):
    """Give the one line that refuses a value."""
    part, name = place.split()
    with pytest.raises(ParameterError) as error:
        changed(part, **{name: value})
    line = str(error.value)
    assert "\n" not in line and len(line) < 350
    assert line.endswith(f"; set it in the parameters cell or with -p {name} VALUE")
    return line


def test_every_parameter_is_listed_here():
    names = [f"{part} {name}" for part, kind in PARTS.items() for name in kind.model_fields]
    assert set(names) == set(KNOWN)


@pytest.mark.parametrize(("place", "words", "value"), BAD)
def test_bad_input_is_refused_in_one_clear_line(place, words, value):
    line = refusal(place, value)
    assert line.startswith(f"{place[2:]} = {repr(value)[:70]}")
    assert re.search(rf": expected {re.escape(words)}( \(a text was given: .*\))?; set", line)


@pytest.mark.parametrize(("place", "value", "hint"), HINTS)
def test_a_number_in_quotes_is_explained(place, value, hint):
    assert f"{hint}; set it" in refusal(place, value)


def test_a_long_value_is_cut_to_one_line():
    for value in [10**9 + i for i in range(10_000)], np.ones((50, 50)), "x" * 999:
        assert " ...: expected" in refusal("a hidden_layers", value)


@pytest.mark.parametrize("place", KNOWN)
def test_good_input_is_taken_and_made_plain(place):
    part, name = place.split()
    for value in KNOWN[place][1]:
        found = getattr(changed(part, **{name: value}), name)
        assert found == (value if np.isscalar(value) else tuple(value))
        assert "np." not in repr(found)


@pytest.mark.parametrize("address", ["", "tcp://host", "host", "tcp://host:port", "a b:1", None])
def test_dask_needs_an_address_with_a_port(address):
    with pytest.raises(ParameterError, match=r"^scheduler = .*: expected [^\n]*$"):
        changed("c", executor="dask", scheduler=address)
    for good in "tcp://host:8786", "127.0.0.1:8786", "tls://[::1]:8786":
        assert changed("c", executor="dask", scheduler=good).scheduler == good
        assert "with 'dask', and none without it" in refusal("c scheduler", good)


def test_values_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        changed("a").learning_rate = -1


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_value_and_another_name_are_refused(part):
    PARTS[part](**parameters.full(part))
    with pytest.raises(ParameterError, match="is not set: expected "):
        PARTS[part]()
    with pytest.raises(ParameterError, match=r"unknown parameter 'output_di'.*mean output_dir"):
        changed(part, output_di="x")


def test_injected_names_are_read_from_the_notebook_s_history():
    values = {**defaults("a"), "learning_rat": 1, "own": 2}
    injected = "# Parameters\nseed = 1"
    for history in [], ["learning_rat = 1"], [f"{injected}\nlearning_rat = 1", injected, "own = 2"]:
        assert dict(read_parameters("a", values | {"In": history})) == dict(changed("a"))
    for form in "learning_rat = 1", "learning_rat: float = 1":
        with pytest.raises(ParameterError, match=r"'learning_rat'.* did you mean learning_rate\?"):
            read_parameters("a", values | {"In": ["", f"# Parameters\nseed = 1\n{form}"]})


def test_a_notebook_shows_the_line_and_no_traceback(capsys):
    shell = InteractiveShell()
    shell.run_cell("from helpers.notebook import read_parameters\nread_parameters('a', {})")
    shown = capsys.readouterr().out.strip()
    assert shown.startswith("ParameterError: ") and "\n" not in shown


SOURCE = 'model_dir: str = "m"  # here\nnum_images = 7\noutput_dir: str = "o"'


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("7", "3 * 7", "part_d.ipynb: its parameters cannot be read"),
        ("model_dir: str", "1 +", "part_d.ipynb: its parameters cannot be read"),
        ("7", "70", "num_images = 70: "),
        ("num_", "", "unknown parameter 'images'"),
    ],
)
def test_defaults_are_the_notebook_s_own(tmp_path, monkeypatch, old, new, reason):
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)

    def read(source):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "part_d.ipynb")
        return parameters.defaults("d")

    assert read(SOURCE) == {"model_dir": "m", "num_images": 7, "output_dir": "o"}
    with pytest.raises(ParameterError, match=f"^{reason}"):
        read(SOURCE.replace(old, new))
    for damaged in "{", "{}":
        (tmp_path / "part_d.ipynb").write_text(damaged)
        with pytest.raises(ParameterError, match=r"^part_d.ipynb: its parameters cannot be read"):
            parameters.defaults("d")


def test_only_what_was_written_since_is_named(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "old").write_text("")
    os.utime(tmp_path / "new" / "old", (0, 0))
    settings = changed("d", output_dir=str(tmp_path / "new"))
    assert settings.folder == tmp_path / "new" and settings.written() == []
    (settings.folder / "result").write_text("")
    (settings.folder / ".hidden").write_text("")
    assert settings.written() == ["result"]
