"""Checks of the exercises: right solutions pass in any style, each half-right one is helped."""

import re
import warnings
from itertools import chain

import numpy as np
import pytest

from helpers import network, notebook
from helpers.exercise import check, record
from helpers.exercise.answers import answer, dump
from helpers.exercise.exercises import BY_FUNCTION
from tests.exercises.mistakes import MISTAKES, source_of
from tests.exercises.solutions import SOLUTIONS, compile_in

JUNK = [
    None, 1.5, "a zip", [], [None], {"gradient": 3}, np.nan, np.zeros((3, 4)),
    [np.zeros(3), np.ones(2)], [[np.zeros((2, 2))] * 2] * 3,
]  # fmt: skip
"""What a student's function may give."""
OTHER_SHAPES = (1, 2), (2, 3, 3, 3, 2), (8, 1, 5)


@pytest.fixture(scope="module")
def cases():
    return check.load_cases()


@pytest.fixture(scope="module")
def other_cases():
    """Record cases of another seed and of other shapes."""
    return record.record(1, OTHER_SHAPES)


def fault_of(function, source, cases):
    """Judge a source in the place of a function of ours: what is wrong, empty if nothing is."""
    student = compile_in(BY_FUNCTION[function].module, source, function)

    def ask(exercise, own):
        return [answer(case, lambda: student) for case in own]

    return check.judge(BY_FUNCTION[function]._replace(needs=()), cases, ask, {})


# ---- what is recorded


NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


def test_the_recorded_cases_are_those_that_are_recorded_again(cases):
    with warnings.catch_warnings(action="error"):  # no two mistakes give the same
        texts = [dump(cases), dump(record.record(0))]
    words, words_again = (re.split(NUMBER, text) for text in texts)
    assert words == words_again
    numbers, numbers_again = (np.array(re.findall(NUMBER, text), float) for text in texts)
    # Another processor rounds differently.
    np.testing.assert_allclose(numbers, numbers_again, rtol=1e-5, atol=1e-12)
    assert check.CASES.stat().st_size < 200_000


def test_every_mistake_is_recorded_somewhere(cases):
    lines = set()
    for case in chain(*cases.values()):
        lines |= {line for recorded in case["mistakes"].values() for line, _ in recorded}
    assert lines == {row["line"] for row in record.read_table("mistakes.csv")}


def test_two_mistakes_that_give_the_same_are_reported(monkeypatch):
    row = {"function": "softmax", "right": "np.exp(", "wrong": "np.exp2("}
    rows = [row | {"line": "has powers of two"}, row | {"line": "is something else"}]
    plan = [row for row in record.read_table("plan.csv") if row["function"] == "softmax"]
    monkeypatch.setattr(record, "read_table", {"plan.csv": plan[:1], "mistakes.csv": rows}.get)
    with pytest.warns(UserWarning, match="has powers of two / is something else"):
        record.record(0, [(3, 2)])


# ---- the judgement


@pytest.mark.parametrize("function", BY_FUNCTION)
@pytest.mark.parametrize("style", SOLUTIONS)
def test_solutions_from_the_texts_alone_are_right(style, function, cases, other_cases):
    source = SOLUTIONS[style][function]
    assert fault_of(function, source, cases) == ""
    assert fault_of(function, source, other_cases) == ""


def name_of(mistake):
    return f"{mistake['function']}: {mistake['what']}"


@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_each_mistake_is_named_by_its_own_exercise(mistake, cases):
    line = fault_of(mistake["function"], source_of(mistake), cases)
    assert mistake["help"] in line
    assert line and "\n" not in line


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_whatever_comes_back_is_judged_in_one_line(junk, cases):
    for function in cases:
        for case in cases[function]:
            line = check.fault(case, answer(case, lambda: lambda *arguments: junk))
            if case["call"] != "take_step":  # what a step returns is nobody's business
                assert line and "\n" not in line


def test_a_number_that_is_off_in_its_tenth_digit_is_right_and_in_its_fifth_is_not(cases):
    ours = SOLUTIONS["plain NumPy"]["softmax"]
    for factor, is_right in ("1 + 1e-10", True), ("1 + 1e-5", False), ("-1", False):
        source = ours.replace("return e", f"return ({factor}) * e")
        assert (fault_of("softmax", source, cases) == "") == is_right


# ---- in a notebook


@pytest.fixture
def shown(monkeypatch):
    """Collect what is shown."""
    data = []
    monkeypatch.setattr("helpers.notebook.display.show", data.append)
    return data


def test_right_shows_one_line(shown):
    notebook.check(" a3 ")
    [data] = shown
    assert data["text/plain"] == "A3 softmax, log_loss: right."
    assert data["text/plain"] in data["text/html"]


def test_an_unknown_label_is_refused_in_one_line(shown):
    with pytest.raises(check.ExerciseError, match=r"A9.*A1, A2, A3, A4, A5, A6, B1, C1, D1"):
        notebook.check("A9")
    assert shown == []


def test_wrong_is_red_and_stops_the_cells_below(shown, monkeypatch):
    monkeypatch.setattr(network, "forward", lambda layers, images: images.T)
    with pytest.raises(check.ExerciseError, match="A2 forward"):
        notebook.check("A2")
    [data] = shown
    words = "the result (activations, logits) has 5 entries, expected a list of 2"
    assert words in data["text/plain"]
    assert check.WRONG in data["text/html"]


def unwritten(*arguments):
    raise NotImplementedError("exercise A3: write softmax; see part_a.ipynb")


def test_an_unwritten_exercise_says_so_and_others_wait_for_it(shown, monkeypatch):
    monkeypatch.setattr(network, "softmax", unwritten)
    with pytest.raises(check.ExerciseError):
        notebook.check("A3")
    assert shown.pop()["text/plain"].startswith("A3 softmax: not written yet")
    for label in "A4", "A6":
        with pytest.raises(check.ExerciseError):
            notebook.check(label)
        assert "waits for A" in shown.pop()["text/plain"]
    notebook.check("A2")


def test_an_error_names_its_line(cases):
    case = cases["softmax"][0]
    line = check.fault(case, answer(case, lambda: lambda logits: network.unpack(logits, 3)))
    assert line.startswith("TypeError: ") and "[network.py, line " in line


def test_a_file_on_disk_that_cannot_be_run_is_named(shown, monkeypatch, tmp_path):
    monkeypatch.setattr(check, "ROOT", tmp_path)
    path = tmp_path / BY_FUNCTION["softmax"].file
    path.parent.mkdir()
    path.write_text("def softmax(logits)\n    pass\n", "utf-8")
    with pytest.raises(check.ExerciseError):
        notebook.check("A3")
    assert "network.py, line 1" in shown.pop()["text/plain"]
