"""Grading: points for what is right, each mistake at its own exercise, and no row lost."""

import csv
import json
import os
import shutil

import pytest

from helpers.exercise import check, grading, handout, record
from helpers.exercise.__main__ import main
from helpers.exercise.exercises import BY_FUNCTION, EXERCISES, FILES
from helpers.files import PROJECT
from tests.exercises.solutions import SOLUTIONS

SUBMITTED = "helpers/network.py"


@pytest.fixture(scope="module")
def cases():
    return record.record(7)


@pytest.fixture
def right(tmp_path):
    """Make a submission with helpers/ in which everything is right."""
    folder = tmp_path / "right"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    return folder


def replace(path, old, new):
    """Change a student's file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def points_of(results, function):
    """Sum the points of a function: what it has, and what it could have."""
    tests = [test for test in results["tests"] if test["name"].startswith(f"{function}:")]
    return sum(test["score"] for test in tests), sum(test["max_score"] for test in tests)


def test_solutions_in_any_style_get_all_points_and_a_bad_one_costs_its_own(right, cases):
    # Every file of ours with the functions of a style in the place of ours; unpack is wrong.
    for exercise in EXERCISES:
        path = right / exercise.file
        text = path.read_text("utf-8")
        node = handout.find_function(text, exercise.function)
        lines = text.splitlines(keepends=True)
        style = "loops" if exercise.function == "backprop" else "einsum"
        lines[node.lineno - 1 : node.end_lineno] = [SOLUTIONS[style][exercise.function]]
        path.write_text("".join(lines), "utf-8")
    replace(
        right / SUBMITTED, "def unpack(weights, layer_sizes):\n", "def unpack(w, s):\n    1 / 0\n"
    )
    results = grading.grade(right, cases)
    for function in BY_FUNCTION:
        score, most = points_of(results, function)
        assert score == (0 if function == "unpack" else most)
    assert results["score"] == sum(test["score"] for test in results["tests"]) == 21 - 2
    assert "ZeroDivisionError: division by zero   [network.py, line " in str(results)
    json.dumps(results, allow_nan=False)


def test_who_always_raises_refuses_nothing(right, cases):
    replace(right / SUBMITTED, "    check_images(layers, images)\n", "    raise ValueError\n")
    path = right / SUBMITTED
    tests = grading.grade_exercise(BY_FUNCTION["forward"], cases["forward"], path)
    assert [test["score"] for test in tests] == [0, 0, 0]


def test_a_line_of_points_is_for_all_of_its_cases(right, cases):
    replace(right / SUBMITTED, "delta.sum(axis=-1)", "delta.sum(axis=-1) / len(images)")
    tests = grading.grade_exercise(BY_FUNCTION["backprop"], cases["backprop"], right / SUBMITTED)
    scores = {test["name"].partition(": ")[2]: test["score"] for test in tests}
    assert scores["one image"] == 1 and scores["several images"] == 0
    assert "0.166667 times" in str(tests)


def test_an_endless_loop_ends_and_says_so(right, cases, monkeypatch):
    monkeypatch.setattr(check, "SECONDS", 1)
    replace(
        right / SUBMITTED,
        "    e = np.exp(",
        "    while len(logits) == 10:\n        pass\n    e = np.exp(",
    )
    tests = grading.grade_exercise(BY_FUNCTION["softmax"], cases["softmax"], right / SUBMITTED)
    ordinary, large = tests
    assert "no answer after 1 s" in large["output"]
    assert ordinary["score"] == 0  # all of an exercise wait for its process


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "print(chr(10) * 9); exit()"])
def test_a_process_that_ends_itself_gets_no_points(end, right, cases):
    replace(right / SUBMITTED, "    e = np.exp(", f"    {end}\n    e = np.exp(")
    tests = grading.grade_exercise(BY_FUNCTION["softmax"], cases["softmax"], right / SUBMITTED)
    assert {test["score"] for test in tests} == {0}
    assert "the process ended before it gave an answer" in tests[0]["output"]


def test_a_file_that_is_no_python_names_its_line(right, cases):
    (right / SUBMITTED).write_bytes(b"import numpy as np\nx = '\xe9'\n")
    tests = grading.grade_exercise(BY_FUNCTION["softmax"], cases["softmax"], right / SUBMITTED)
    assert "SyntaxError: (unicode error)" in tests[0]["output"]
    assert "network.py" in tests[0]["output"]


@pytest.mark.parametrize("answers", [None, {}, [], [1, 2, 3, 4, 5], [{"changed": 3}] * 5])
def test_answers_that_are_none_are_wrong(answers, right, cases, monkeypatch):
    monkeypatch.setattr(grading, "ask_process", lambda *arguments: answers)
    tests = grading.grade_exercise(BY_FUNCTION["softmax"], cases["softmax"], right / SUBMITTED)
    assert {test["score"] for test in tests} == {0}
    assert {test["output"] for test in tests} == {"the answers cannot be read"}


def test_files_are_found_by_name_the_nearest_first(right, tmp_path):
    expected = {name: right / name for name in FILES}
    assert grading.find_files(right) == grading.find_files(tmp_path) == expected
    shutil.copy(right / SUBMITTED, tmp_path)
    flat = {SUBMITTED: tmp_path / "network.py"}
    assert grading.find_files(tmp_path) == expected | flat


def test_none_and_several_submissions_are_not_graded(tmp_path, capsys):
    results = tmp_path / "results.json"
    folder = tmp_path / "class"
    expected = ["at least one of", "there are 2 network.py; for a folder of submissions add --csv"]
    for words in expected:
        for name in "alice", "bob":
            (folder / name).mkdir(parents=True, exist_ok=True)
        with pytest.raises(SystemExit) as stop:
            main(["--grade", str(folder), "--json", str(results)])
        assert stop.value.code == 2
        message = json.loads(results.read_text("utf-8"))["output"]
        assert words in message and message in capsys.readouterr().out
        for name in "alice", "bob":
            shutil.copy(PROJECT / SUBMITTED, folder / name)


def test_one_submission_is_graded_by_the_command(right, tmp_path, capsys):
    for name in FILES[1:]:
        (right / name).unlink()
    path = tmp_path / "results.json"
    main(["--grade", str(right), "--seed", "4", "--json", str(path)])
    results = json.loads(path.read_text("utf-8"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == results["output"]
    assert lines[0].startswith(f"taken: {SUBMITTED}; missing: helpers/sgd.py")
    assert lines[-1] == "all: 12"
    assert "helpers/sgd.py is missing" in str(lines)


def grade_anything(exercise, cases, path):
    """Stand in for the grading of an exercise."""
    if path.parent.name == "a":
        raise RuntimeError("anything")
    return [{"number": exercise.label, "score": 1.0}]


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_one_students_folder_never_costs_anothers_row(right, tmp_path, monkeypatch):
    folder = tmp_path / "class"
    for name in b"a", b"\xff\xfe", b"x" * 255, b"z":
        os.makedirs(os.path.join(os.fsencode(folder), name))
    for name in "a", "z":
        shutil.copytree(right / "helpers", folder / name, dirs_exist_ok=True)
    (folder / "notes.txt").touch()
    monkeypatch.setattr(grading, "grade_exercise", grade_anything)
    main(["--grade", str(folder), "--csv", str(tmp_path / "grades.csv")])
    rows = read_rows(tmp_path / "grades.csv")
    assert rows.keys() == {"a", "x" * 255, "z", "??"}
    assert rows["a"]["note"] == "NOT GRADED: anything"
    assert rows["z"]["all"] == "10.0" and rows["z"]["A3"] == "2.0"
    assert "expected at least one of" in rows["x" * 255]["note"]
    assert rows["??"]["note"].startswith("NOT GRADED")


def test_a_row_is_there_before_the_next_submission_is_graded(right, tmp_path, monkeypatch):
    folder, grades = tmp_path / "class", tmp_path / "grades.csv"
    for name in "b", "z":
        shutil.copytree(right, folder / name)
    names = []

    def grade(submission, cases):
        names.append(list(read_rows(grades)))
        if submission.name == "z":
            raise KeyboardInterrupt
        return {"score": 0, "output": "", "tests": []}

    monkeypatch.setattr(grading, "grade", grade)
    with pytest.raises(KeyboardInterrupt):
        grading.grade_all(folder, {}, grades)
    assert names == [[], ["b"]]
