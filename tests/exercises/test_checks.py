"""Checks of the exercises: right solutions pass in any style, each half-right one is named."""

import json

import numpy as np
import pytest

from helpers import notebook
from helpers.notebook import checks
from helpers.notebook.checks import structure, verdict
from tests.exercises.mistakes import MISTAKES, source_of
from tests.exercises.solutions import SOLUTIONS, compile_in

EXERCISES = {exercise.function: exercise for exercise in checks.EXERCISES}
EVERY_CHECK = [
    (exercise, check) for exercise in checks.EXERCISES for check in checks.checks_of(exercise)
]
JUNK = [
    None, 0, 1.5, 1j, "a zip", [], [None], [[]], [[1, 2], [3]], {}, {"gradient": 3}, np.nan,
    np.zeros(0), np.zeros((3, 4)), [np.zeros(3), np.ones(2)], [[np.zeros((2, 2))] * 2] * 3,
]  # fmt: skip
"""What a student's function, or a forged answer, may hold."""


def fault_of(exercise, source):
    function = compile_in(exercise.module, source, exercise.function)
    return checks.first_fault(exercise, function)


@pytest.mark.parametrize("function", EXERCISES)
@pytest.mark.parametrize("style", SOLUTIONS)
def test_solutions_from_the_texts_alone_are_right(style, function):
    assert fault_of(EXERCISES[function], SOLUTIONS[style][function]) is None


@pytest.mark.parametrize("function", EXERCISES)
@pytest.mark.parametrize("layer_sizes", [(1, 2), (2, 3, 3, 3, 2), (8, 1, 5)])
@pytest.mark.parametrize("seed", [1, 2])
def test_our_functions_are_right_at_any_shape_and_seed(function, layer_sizes, seed):
    exercise = EXERCISES[function]
    assert checks.first_fault(exercise, exercise.resolve(), [layer_sizes], seed) is None


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake[0]}: {mistake[1]}")
def test_each_mistake_is_named_by_its_own_exercise(mistake):
    function, _, right, wrong, words = mistake
    line = fault_of(EXERCISES[function], source_of(function, right, wrong))
    assert line and words in line and "\n" not in line


def test_there_are_four_mistakes_for_each_function():
    of_functions = [function for function, *_ in MISTAKES]
    assert all(of_functions.count(function) >= 4 for function in EXERCISES)


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_no_answer_whatever_it_holds_stops_the_judge(junk):
    for _, check in EVERY_CHECK:
        answer = structure.Answer(junk, structure.plain(check.given))
        assert structure.fault(check, answer)


def test_checks_are_the_same_for_the_same_seed_and_others_for_another():
    for exercise in checks.EXERCISES:
        one, again = checks.checks_of(exercise, seed=3), checks.checks_of(exercise, seed=3)
        given = [structure.plain(check.given) for check in one]
        assert structure.same(given, [structure.plain(check.given) for check in again])
        names = [check.what for check in one]
        assert len(set(names)) == len(names)


def test_an_answer_is_plain_data():
    def is_plain(value):
        if isinstance(value, dict):
            return all(map(is_plain, value.values()))
        if isinstance(value, list):
            return all(map(is_plain, value))
        if isinstance(value, np.ndarray):
            return value.dtype.kind in "biufc"
        return value is None or type(value) in (bool, int, float, complex, str)

    for exercise, check in EVERY_CHECK:
        answer = structure.make(check, exercise.resolve())
        assert is_plain(answer.result) and is_plain(answer.after) and json.dumps(answer.error)


# ---- in a notebook


@pytest.fixture
def shown(monkeypatch):
    """Collect what is shown as plain text."""
    texts = []
    monkeypatch.setattr("helpers.notebook.sources.show", lambda data: texts.append(data))
    return texts


def put(monkeypatch, function, body):
    """Let a student's function stand in the place of ours."""
    exercise = EXERCISES[function]
    monkeypatch.setattr(f"helpers.{exercise.module}.{function}", body)


def test_right_shows_one_line(shown):
    notebook.check("A3")
    [data] = shown
    assert data["text/plain"] == "A3 softmax, log_loss: right. 10 of 10 exercises done."
    assert data["text/plain"] in data["text/html"]


def test_wrong_is_red_and_stops_the_cells_below(shown, monkeypatch):
    put(monkeypatch, "forward", lambda layers, images: images.T)
    with pytest.raises(checks.ExerciseError, match="A2 forward is wrong"):
        notebook.check("A2")
    [data] = shown
    assert "the result (activations, logits) is an array" in data["text/plain"]
    assert verdict.COLOURS["wrong"] in data["text/html"]


def unwritten(*arguments):
    raise NotImplementedError("exercise A4: write backprop; see part_a.ipynb")


def test_an_unwritten_exercise_says_so_and_does_not_count(shown, monkeypatch):
    put(monkeypatch, "backprop", unwritten)
    with pytest.raises(checks.ExerciseError, match="A4 backprop is unwritten"):
        notebook.check("A4")
    assert shown.pop()["text/plain"].startswith("A4 backprop: not written yet")
    with pytest.raises(checks.ExerciseError):
        notebook.check("A6")
    assert "waits for exercise A4: write backprop" in shown.pop()["text/plain"]
    notebook.check("D1")
    assert shown.pop()["text/plain"] == "D1 tile_W0: right. 8 of 10 exercises done."


def test_the_terminal_says_the_same(monkeypatch):
    lines, all_right = verdict.report()
    assert all_right and lines[-1] == "10 of 10 exercises done."
    put(monkeypatch, "softmax", lambda logits: logits)
    lines, all_right = verdict.report()
    assert not all_right
    assert any(line.startswith("A3 softmax: WRONG: sums and ratios") for line in lines)


def test_an_error_names_its_line(monkeypatch):
    check, *_ = checks.checks_of(EXERCISES["unpack"])
    answer = structure.make(check, lambda weights, layer_sizes: weights.reshape(3, 1, 7))
    assert "ValueError: cannot reshape" in structure.fault(check, answer)
