"""Parameters that are refused, each in one line that says what, why and where; those taken."""

import os

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from pydantic import ValidationError

from helpers import files
from helpers.notebook import parameters, read_parameters
from helpers.notebook.parameters import FULL, PARTS, ParameterError

NAN, INF = float("nan"), float("inf")
WHOLE, NUMBER = "a whole number", "a number"
TEXT_GIVEN = "leave out the quotes"
BAD = [
    ("a", "hidden_layers", 64, "a list of values, each a whole number at least 1 and at most"),
    ("a", "hidden_layers", "64,64", "a list of values"),
    ("a", "hidden_layers", "(1, 2)", "a list of values"),
    ("a", "hidden_layers", [64, 32.5], WHOLE),
    ("a", "hidden_layers", [64.0], WHOLE),
    ("a", "hidden_layers", [64, 0], "at least 1"),
    ("a", "hidden_layers", [-3], "at least 1"),
    ("a", "hidden_layers", [True], WHOLE),
    ("a", "hidden_layers", ["64"], TEXT_GIVEN),
    ("a", "hidden_layers", [[64]], WHOLE),
    ("a", "hidden_layers", [10**12], "at most 10,000"),
    ("a", "hidden_layers", [1] * 101, "a list"),
    ("a", "hidden_layers", None, "a list"),
    ("a", "hidden_layers", b"@@", "a list"),
    ("a", "hidden_layers", {64: 1}, "a list"),
    ("a", "hidden_layers", {64}, "a list"),
    ("a", "hidden_layers", np.array(64), "a list"),
    ("a", "hidden_layers", np.array([64.0]), WHOLE),
    ("a", "num_epochs", -1, "at least 0"),
    ("a", "num_epochs", 10**24, "at most 10,000"),
    ("a", "num_epochs", 2.5, WHOLE),
    ("a", "num_epochs", 2.0, WHOLE),
    ("a", "num_epochs", "10", TEXT_GIVEN),
    ("a", "num_epochs", "ten", WHOLE),
    ("a", "num_epochs", True, WHOLE),
    ("a", "num_epochs", NAN, WHOLE),
    ("a", "num_epochs", [10], WHOLE),
    ("a", "batch_size", 0, "at least 1"),
    ("a", "batch_size", -8, "at least 1"),
    ("a", "batch_size", 54_001, "at most 54,000"),
    ("a", "batch_size", None, WHOLE),
    ("a", "batch_size", 1j, WHOLE),
    ("a", "learning_rate", 0, "a number above 0"),
    ("a", "learning_rate", -0.01, "above 0"),
    ("a", "learning_rate", "1e-3", "YAML needs 1.0e-3"),
    ("a", "learning_rate", "0.01", TEXT_GIVEN),
    ("a", "learning_rate", "true", NUMBER),
    ("a", "learning_rate", True, NUMBER),
    ("a", "learning_rate", NAN, "above 0"),
    ("a", "learning_rate", INF, "above 0"),
    ("a", "learning_rate", np.float32(NAN), "above 0"),
    ("a", "learning_rate", 10**400, "above 0"),
    ("a", "learning_rate", [0.01], NUMBER),
    ("a", "alpha", -1e-9, "at least 0"),
    ("a", "alpha", -INF, "at least 0"),
    ("a", "alpha", "", TEXT_GIVEN),
    ("a", "seed", -1, "at least 0"),
    ("a", "seed", 0.5, WHOLE),
    ("a", "seed", None, WHOLE),
    ("a", "seed", 2**70, "below 4,294,967,296"),
    ("a", "output_dir", "", "a text, not empty"),
    ("a", "output_dir", 7, "a text"),
    ("a", "output_dir", None, "a text"),
    ("b", "hidden_layers", [0], "at least 1"),
    ("b", "num_examples", 0, "at least 1"),
    ("b", "num_examples", 101, "at most 100"),
    ("b", "num_examples", "5", TEXT_GIVEN),
    ("b", "alpha", NAN, NUMBER),
    ("b", "step", 0.0, "above 0"),
    ("b", "step", -1e-6, "above 0"),
    ("b", "step", "1e-6", "YAML needs"),
    ("b", "num_epochs", 0, "at least 1"),
    ("b", "seed", True, WHOLE),
    ("c", "num_hidden_layers", [], "a list of 1 or more different values"),
    ("c", "num_hidden_layers", [3, 3], "different values"),
    ("c", "num_hidden_layers", [-1], "at least 0"),
    ("c", "num_hidden_layers", [10**9], "at most 100"),
    ("c", "num_hidden_layers", 3, "a list"),
    ("c", "num_units", [], "1 or more"),
    ("c", "num_units", [30, 30], "different"),
    ("c", "num_units", [30, np.int64(30)], "different"),
    ("c", "num_units", [30, 0], "at least 1"),
    ("c", "num_units", [30.5], WHOLE),
    ("c", "num_epochs", [0], "at least 1"),
    ("c", "num_epochs", (), "1 or more"),
    ("c", "num_epochs", [10**9], "at most 10,000"),
    ("c", "batch_size", [16, 60_000], "at most 54,000"),
    ("c", "batch_size", [16, 32, 16], "different"),
    ("c", "learning_rate", [0.01, 0], "above 0"),
    ("c", "learning_rate", [0.01, 0.010], "different"),
    ("c", "learning_rate", [1, 1.0], "different"),
    ("c", "learning_rate", [0.01, "1e-3"], "YAML needs"),
    ("c", "learning_rate", [0.01, INF], "above 0"),
    ("c", "learning_rate", 0.01, "a list"),
    ("c", "num_seeds", 0, "at least 1"),
    ("c", "num_seeds", 10**6, "at most 1,000"),
    ("c", "repeat_top", -1, "at least"),
    ("c", "repeat_seeds", 10**6, "at most 1,000"),
    ("c", "beyond_grid", "true", "true or false (a text was given"),
    ("c", "beyond_grid", 1, "true or false"),
    ("c", "resume", "no", "true or false"),
    ("c", "resume", None, "true or false"),
    ("c", "executor", "threads", "one of 'processes', 'dask'"),
    ("c", "executor", "Dask", "one of"),
    ("c", "executor", None, "one of"),
    ("c", "num_workers", -2, "at least 0"),
    ("c", "num_workers", 1.5, WHOLE),
    ("c", "num_workers", 10**9, "at most 1,000"),
    ("c", "scheduler", 8786, "a text"),
    ("c", "scheduler", "tcp://host:8786", "with 'dask', and none without it"),
    ("d", "model_dir", "", "not empty"),
    ("d", "model_dir", ["outputs"], "a text"),
    ("d", "num_images", 0, "at least 1"),
    ("d", "num_images", 21, "at most 20"),
    ("d", "num_images", "5", TEXT_GIVEN),
]
GOOD = [
    ("a", "hidden_layers", [64, 32], (64, 32)),
    ("a", "hidden_layers", (64,), (64,)),
    ("a", "hidden_layers", [], ()),
    ("a", "hidden_layers", range(1, 4), (1, 2, 3)),
    ("a", "hidden_layers", np.array([5, 6]), (5, 6)),
    ("a", "hidden_layers", [np.int32(5)], (5,)),
    ("a", "num_epochs", 0, 0),
    ("a", "num_epochs", np.int64(3), 3),
    ("a", "batch_size", 54_000, 54_000),
    ("a", "learning_rate", 1, 1.0),
    ("a", "learning_rate", 1e-300, 1e-300),
    ("a", "learning_rate", np.float32(0.5), 0.5),
    ("a", "alpha", 0, 0.0),
    ("a", "seed", 2**32 - 1, 2**32 - 1),
    ("a", "output_dir", "some where", "some where"),
    ("c", "learning_rate", [1, 0.5], (1.0, 0.5)),
    ("c", "num_hidden_layers", [0, 3], (0, 3)),
    ("c", "resume", True, True),
    ("c", "executor", "processes", "processes"),
    ("c", "scheduler", "", ""),
]


def name_of(case):
    return f"{case[0]}-{case[1]}-{case[2]!r}"[:60]


def changed(part, **changes):
    return PARTS[part](**parameters.defaults(part) | changes)


@pytest.mark.parametrize(("part", "name", "value", "allowed"), BAD, ids=map(name_of, BAD))
def test_bad_input_is_refused_in_one_clear_line(part, name, value, allowed):
    with pytest.raises(ParameterError) as error:
        changed(part, **{name: value})
    message = str(error.value)
    assert message.startswith(f"{name} = {repr(value)[:70]}")
    assert allowed in message.split(": expected ", 1)[1]
    assert f"set it in the parameters cell or with -p {name} VALUE" in message
    assert "\n" not in message and len(message) < 350


def test_there_are_enough_bad_inputs():
    assert len({name_of(case) for case in BAD}) >= 100


def test_a_long_value_is_cut_to_one_line():
    for value in [10**9 + i for i in range(10_000)], np.ones((50, 50)), "x" * 999:
        with pytest.raises(ParameterError, match=r" \.\.\.: expected") as error:
            changed("a", hidden_layers=value)
        assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize(("part", "name", "value", "expected"), GOOD, ids=map(name_of, GOOD))
def test_good_input_is_converted(part, name, value, expected):
    found = getattr(changed(part, **{name: value}), name)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(expected, tuple):
        assert [type(entry) for entry in found] == [type(entry) for entry in expected]


@given(st.integers() | st.floats() | st.text() | st.none() | st.lists(st.integers() | st.floats()))
def test_a_value_is_either_a_rate_or_refused(value):
    if isinstance(value, (int, float)) and 0 < value < INF:
        assert changed("a", learning_rate=value).learning_rate == float(value)
    else:
        with pytest.raises(ParameterError):
            changed("a", learning_rate=value)


@pytest.mark.parametrize("address", ["", "tcp://host", "host", "tcp://host:port", "a b:1", None])
def test_dask_needs_an_address_with_a_port(address):
    with pytest.raises(ParameterError, match=r"^scheduler = .*: expected ") as error:
        changed("c", executor="dask", scheduler=address)
    assert "\n" not in str(error.value)
    for good in "tcp://host:8786", "127.0.0.1:8786", "tls://[::1]:8786":
        assert changed("c", executor="dask", scheduler=good).scheduler == good


def test_values_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        changed("a").learning_rate = -1


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_value_and_another_name_are_refused(part):
    with pytest.raises(ParameterError, match="is not set: expected "):
        PARTS[part]()
    with pytest.raises(ParameterError, match=r"unknown parameter 'output_di'.*mean output_dir"):
        changed(part, output_di="x")


@pytest.mark.parametrize("part", PARTS)
def test_every_parameter_has_a_meaning_and_every_count_an_end(part):
    for name, field in PARTS[part].model_fields.items():
        assert field.description
        words = parameters.allowed(part, name)
        assert WHOLE not in words or "at most" in words or "below" in words
    assert parameters.full(part) == parameters.defaults(part) | FULL[part]
    PARTS[part](**parameters.full(part))


def test_injected_names_are_read_from_the_notebook_s_history():
    values = {**parameters.defaults("a"), "learning_rat": 1, "own": 2}
    for history in [], ["", "learning_rat = 1"], ["# Parameters\nseed = 1", "own = 2"]:
        assert read_parameters("a", values | {"In": history}).seed == values["seed"]
    assert read_parameters("a", values).model_dump() == changed("a").model_dump()
    for form in "learning_rat = 1", "learning_rat: float = 1":
        with pytest.raises(ParameterError, match="unknown parameter 'learning_rat'") as error:
            read_parameters("a", values | {"In": ["", f"# Parameters\nseed = 1\n{form}"]})
    assert "did you mean learning_rate?" in str(error.value)


def test_a_notebook_shows_the_line_and_no_traceback(capsys):
    shell = InteractiveShell()
    shell.run_cell("from helpers.notebook import read_parameters\nread_parameters('a', {})")
    shown = capsys.readouterr().out.strip()
    assert shown.startswith("ParameterError: ") and "\n" not in shown


def test_defaults_are_the_notebook_s_own_with_or_without_types(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "NOTEBOOKS", tmp_path)
    source = 'model_dir: str = "m"  # here\nnum_images = 7\noutput_dir: str = "o"'

    def write(source):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "part_d.ipynb")

    write(source)
    assert parameters.defaults("d") == {"model_dir": "m", "num_images": 7, "output_dir": "o"}
    for bad in source.replace("7", "3 * 7"), "1 +":
        write(bad)
        with pytest.raises(ParameterError, match=r"^part_d.ipynb: its parameters cannot be read"):
            parameters.defaults("d")
    for bad in source.replace("7", "70"), source.replace("num_", ""):
        write(bad)
        with pytest.raises(ParameterError, match=r"num_images = 70: |unknown parameter 'images'"):
            parameters.defaults("d")
    (tmp_path / "part_d.ipynb").write_text("{")
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
