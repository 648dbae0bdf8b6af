"""Values that are refused, each with one line that says what, why and where; and those taken."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.notebook import parts
from helpers.notebook.settings import SettingError, describe
from helpers.sgd import Recipe

NAN, INF = float("nan"), float("inf")
PART_A = parts.PartA(
    hidden_layers=[64, 64, 64],
    num_epochs=10,
    batch_size=8,
    learning_rate=0.01,
    alpha=0,
    seed=0,
    output_dir="outputs/quick",
)
PART_B = parts.PartB(
    hidden_layers=[64, 64, 64],
    num_examples=5,
    alpha=1,
    step=1e-6,
    num_epochs=1,
    seed=0,
    output_dir="outputs/quick",
)
PART_C = parts.PartC(
    num_hidden_layers=[3],
    num_units=[30, 40],
    num_epochs=[2],
    batch_size=[64],
    learning_rate=[0.01, 0.05],
    alpha=0,
    seed=0,
    num_seeds=1,
    repeat_top=5,
    repeat_seeds=1,
    beyond_grid=False,
    executor="processes",
    num_workers=0,
    scheduler="",
    resume=False,
    output_dir="outputs/quick",
)
PART_D = parts.PartD(model_dir="outputs", num_images=5, output_dir="outputs/quick")
RECIPE = Recipe((784, 30, 10), num_epochs=2, batch_size=16, learning_rate=0.05)

WHOLE, NUMBER = "a whole number", "a number"
TEXT_GIVEN = "leave out the quotes"
BAD = [
    # Part A
    (PART_A, "hidden_layers", 64, "a list of values, each a whole number at least 1"),
    (PART_A, "hidden_layers", "64,64", "a list of values"),
    (PART_A, "hidden_layers", "(1, 2)", "a list of values"),
    (PART_A, "hidden_layers", [64, 32.5], WHOLE),
    (PART_A, "hidden_layers", [64.0], WHOLE),
    (PART_A, "hidden_layers", [64, 0], "at least 1"),
    (PART_A, "hidden_layers", [-3], "at least 1"),
    (PART_A, "hidden_layers", [True], WHOLE),
    (PART_A, "hidden_layers", ["64"], TEXT_GIVEN),
    (PART_A, "hidden_layers", [[64]], WHOLE),
    (PART_A, "hidden_layers", [10**12], "at most 10,000"),
    (PART_A, "hidden_layers", None, "a list"),
    (PART_A, "hidden_layers", b"@@", "a list"),
    (PART_A, "hidden_layers", {64: 1}, "a list"),
    (PART_A, "hidden_layers", {64}, "a list"),
    (PART_A, "hidden_layers", np.array(64), "a list"),
    (PART_A, "hidden_layers", np.array([64.0]), WHOLE),
    (PART_A, "num_epochs", -1, "at least 0"),
    (PART_A, "num_epochs", 2.5, WHOLE),
    (PART_A, "num_epochs", 2.0, WHOLE),
    (PART_A, "num_epochs", "10", TEXT_GIVEN),
    (PART_A, "num_epochs", "ten", WHOLE),
    (PART_A, "num_epochs", True, WHOLE),
    (PART_A, "num_epochs", NAN, WHOLE),
    (PART_A, "num_epochs", [10], WHOLE),
    (PART_A, "batch_size", 0, "at least 1"),
    (PART_A, "batch_size", -8, "at least 1"),
    (PART_A, "batch_size", 54_001, "at most 54,000"),
    (PART_A, "batch_size", None, WHOLE),
    (PART_A, "batch_size", 1j, WHOLE),
    (PART_A, "learning_rate", 0, "a number above 0"),
    (PART_A, "learning_rate", -0.01, "above 0"),
    (PART_A, "learning_rate", "1e-3", "YAML needs 1.0e-3"),
    (PART_A, "learning_rate", "0.01", TEXT_GIVEN),
    (PART_A, "learning_rate", "true", NUMBER),
    (PART_A, "learning_rate", True, NUMBER),
    (PART_A, "learning_rate", NAN, "above 0"),
    (PART_A, "learning_rate", INF, "above 0"),
    (PART_A, "learning_rate", np.float32(NAN), "above 0"),
    (PART_A, "learning_rate", 10**400, "above 0"),
    (PART_A, "learning_rate", [0.01], NUMBER),
    (PART_A, "alpha", -1e-9, "at least 0"),
    (PART_A, "alpha", -INF, "at least 0"),
    (PART_A, "alpha", "", TEXT_GIVEN),
    (PART_A, "seed", -1, "at least 0"),
    (PART_A, "seed", 0.5, WHOLE),
    (PART_A, "seed", None, WHOLE),
    (PART_A, "output_dir", "", "a text, not empty"),
    (PART_A, "output_dir", 7, "a text"),
    (PART_A, "output_dir", None, "a text"),
    # Part B
    (PART_B, "hidden_layers", [0], "at least 1"),
    (PART_B, "num_examples", 0, "at least 1"),
    (PART_B, "num_examples", 101, "at most 100"),
    (PART_B, "num_examples", "5", TEXT_GIVEN),
    (PART_B, "alpha", NAN, NUMBER),
    (PART_B, "step", 0.0, "above 0"),
    (PART_B, "step", -1e-6, "above 0"),
    (PART_B, "step", "1e-6", "YAML needs"),
    (PART_B, "num_epochs", 0, "at least 1"),
    (PART_B, "seed", True, WHOLE),
    # Part C
    (PART_C, "num_hidden_layers", [], "a list of 1 or more different values"),
    (PART_C, "num_hidden_layers", [3, 3], "different values"),
    (PART_C, "num_hidden_layers", [-1], "at least 0"),
    (PART_C, "num_hidden_layers", [10**9], "at most 100"),
    (PART_C, "num_hidden_layers", 3, "a list"),
    (PART_C, "num_units", [], "1 or more"),
    (PART_C, "num_units", [30, 30], "different"),
    (PART_C, "num_units", [30, np.int64(30)], "different"),
    (PART_C, "num_units", [30, 0], "at least 1"),
    (PART_C, "num_units", [30.5], WHOLE),
    (PART_C, "num_epochs", [0], "at least 1"),
    (PART_C, "num_epochs", (), "1 or more"),
    (PART_C, "batch_size", [16, 60_000], "at most 54,000"),
    (PART_C, "batch_size", [16, 32, 16], "different"),
    (PART_C, "learning_rate", [0.01, 0], "above 0"),
    (PART_C, "learning_rate", [0.01, 0.010], "different"),
    (PART_C, "learning_rate", [1, 1.0], "different"),
    (PART_C, "learning_rate", [0.01, "1e-3"], "YAML needs"),
    (PART_C, "learning_rate", [0.01, INF], "above 0"),
    (PART_C, "learning_rate", 0.01, "a list"),
    (PART_C, "num_seeds", 0, "at least 1"),
    (PART_C, "repeat_top", -1, "at least"),
    (PART_C, "beyond_grid", "true", "true or false (a text was given"),
    (PART_C, "beyond_grid", 1, "true or false"),
    (PART_C, "resume", "no", "true or false"),
    (PART_C, "resume", None, "true or false"),
    (PART_C, "executor", "threads", "one of 'processes', 'dask'"),
    (PART_C, "executor", "Dask", "one of"),
    (PART_C, "executor", None, "one of"),
    (PART_C, "num_workers", -2, "at least 0"),
    (PART_C, "num_workers", 1.5, WHOLE),
    (PART_C, "scheduler", 8786, "a text"),
    # Part D
    (PART_D, "model_dir", "", "not empty"),
    (PART_D, "model_dir", ["outputs"], "a text"),
    (PART_D, "num_images", 0, "at least 1"),
    (PART_D, "num_images", 21, "at most 20"),
    (PART_D, "num_images", "5", TEXT_GIVEN),
    # A recipe
    (RECIPE, "layer_sizes", (784,), "2 or more"),
    (RECIPE, "layer_sizes", (784, 0, 10), "at least 1"),
    (RECIPE, "layer_sizes", "784-30-10", "a list"),
    (RECIPE, "num_epochs", -1, "at least 0"),
    (RECIPE, "batch_size", 0, "at least 1"),
    (RECIPE, "learning_rate", 0.0, "above 0"),
    (RECIPE, "alpha", -1, "at least 0"),
    (RECIPE, "schedule", "linear", "one of 'constant', 'cosine'"),
    (RECIPE, "average_epochs", -1, "at least 0"),
    (RECIPE, "seed", -1, "at least 0"),
    (RECIPE, "shuffle_seed", 1.0, WHOLE),
]


def name_of(case):
    return f"{type(case[0]).__name__}-{case[1]}-{case[2]!r}"[:60]


@pytest.mark.parametrize(("good", "name", "value", "allowed"), BAD, ids=map(name_of, BAD))
def test_bad_input_is_refused_in_one_clear_line(good, name, value, allowed):
    with pytest.raises(SettingError) as error:
        replace(good, **{name: value})
    message = str(error.value)
    assert message.startswith(f"{name} = {repr(value)[:70]}")
    assert ": expected " in message
    assert allowed in message.split(": expected ", 1)[1]
    assert "\n" not in message
    if isinstance(good, parts.Part):
        assert f"set it in the parameters cell or with -p {name} VALUE" in message
    assert error.value.__suppress_context__  # a traceback shows this line alone


def test_there_are_enough_bad_inputs():
    assert len({name_of(case) for case in BAD}) >= 100


@pytest.mark.parametrize(
    "value", [[10**9 + i for i in range(10_000)], np.ones((50, 50)), "x" * 999]
)
def test_a_long_value_is_cut_to_one_line(value):
    with pytest.raises(SettingError) as error:
        replace(PART_A, hidden_layers=value)
    message = str(error.value)
    assert " ...: expected" in message
    assert "\n" not in message
    assert len(message) < 300


GOOD = [
    (PART_A, "hidden_layers", [64, 32], (64, 32)),
    (PART_A, "hidden_layers", (64,), (64,)),
    (PART_A, "hidden_layers", [], ()),
    (PART_A, "hidden_layers", range(1, 4), (1, 2, 3)),
    (PART_A, "hidden_layers", np.array([5, 6]), (5, 6)),
    (PART_A, "hidden_layers", [np.int32(5)], (5,)),
    (PART_A, "num_epochs", 0, 0),
    (PART_A, "num_epochs", np.int64(3), 3),
    (PART_A, "batch_size", 54_000, 54_000),
    (PART_A, "learning_rate", 1, 1.0),
    (PART_A, "learning_rate", 1e-300, 1e-300),
    (PART_A, "learning_rate", np.float32(0.5), 0.5),
    (PART_A, "learning_rate", np.int8(2), 2.0),
    (PART_A, "learning_rate", Fraction(1, 4), 0.25),
    (PART_A, "alpha", 0, 0.0),
    (PART_A, "seed", 2**70, 2**70),
    (PART_A, "output_dir", "some where", "some where"),
    (PART_C, "learning_rate", [1, 0.5], (1.0, 0.5)),
    (PART_C, "num_hidden_layers", [0, 3], (0, 3)),
    (PART_C, "resume", True, True),
    (PART_C, "executor", "processes", "processes"),
    (PART_C, "scheduler", "", ""),
    (RECIPE, "layer_sizes", [784, 10], (784, 10)),
]


@pytest.mark.parametrize(("good", "name", "value", "expected"), GOOD, ids=map(name_of, GOOD))
def test_good_input_is_converted(good, name, value, expected):
    found = getattr(replace(good, **{name: value}), name)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(expected, tuple):
        assert [type(entry) for entry in found] == [type(entry) for entry in expected]


@given(st.integers() | st.floats() | st.text() | st.none() | st.lists(st.integers() | st.floats()))
def test_a_value_is_either_a_rate_or_refused(value):
    if isinstance(value, (int, float)) and 0 < value < INF:
        assert replace(PART_A, learning_rate=value).learning_rate == float(value)
    else:
        with pytest.raises(SettingError):
            replace(PART_A, learning_rate=value)


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        PART_A.learning_rate = -1


def test_a_parameter_without_value_or_of_another_name_is_refused():
    with pytest.raises(TypeError, match="num_epochs"):
        parts.PartA(hidden_layers=[64])
    with pytest.raises(TypeError, match="learning_rat"):
        replace(PART_A, learning_rat=0.1)


@pytest.mark.parametrize(
    ("kind", "limits", "words"),
    [
        (int, {}, "a whole number"),
        (float, {"above": 0, "at_most": 1}, "a number above 0 and at most 1"),
        (int, {"at_least": 1, "at_most": 54_000}, "a whole number at least 1 and at most 54,000"),
        (bool, {}, "true or false"),
        (str, {}, "a text"),
        (str, {"length": 1}, "a text, not empty"),
        (str, {"one_of": ("a", "b")}, "one of 'a', 'b'"),
        (
            tuple[float, ...],
            {"above": 0, "length": 1, "distinct": True},
            "a list of 1 or more different values, each a number above 0",
        ),
        (tuple[int, ...], {}, "a list of values, each a whole number"),
    ],
    ids=str,
)
def test_ranges_in_words(kind, limits, words):
    assert describe(kind, limits) == words
