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
    """Change a student's file, with an editor that knows no UTF-8."""
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new.encode("latin-1")))


@pytest.fixture
def grade(right, cases):
    """Give a function that grades one function of network.py after a change in the file."""

    def grade_changed(function, old="", new=""):
        path = right / SUBMITTED
        replace(path, old, new)
        return grading.grade_exercise(BY_FUNCTION[function], cases[function], path)

    return grade_changed


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
    signature = "def unpack(weights, layer_sizes):\n"
    replace(right / SUBMITTED, signature, f"{signature}    1 / 0\n")
    results = grading.grade(right, cases)
    for test in results["tests"]:
        expected = 0 if test["name"].startswith("unpack:") else test["max_score"]
        assert test["score"] == expected
    assert results["score"] == 21 - 2
    assert "ZeroDivisionError: division by zero   [network.py, line " in str(results)
    json.dumps(results, allow_nan=False)


def test_who_always_raises_refuses_nothing(grade):
    tests = grade("forward", "    check_images(layers, images)\n", "    raise ValueError\n")
    assert [test["score"] for test in tests] == [0, 0, 0]


def test_a_line_of_points_is_for_all_of_its_cases(grade):
    tests = grade("backprop", "delta.sum(axis=-1)", "delta.sum(axis=-1) / len(images)")
    scores = {test["name"].partition(": ")[2]: test["score"] for test in tests}
    assert scores["one image"] == 1 and scores["several images"] == 0
    assert "0.166667 times" in str(tests)


def test_an_endless_loop_ends_and_says_so(grade, monkeypatch):
    monkeypatch.setattr(check, "SECONDS", 1)
    loop = "    while len(logits) == 10:\n        pass\n"
    ordinary, large = grade("softmax", "    e = np.exp(", f"{loop}    e = np.exp(")
    assert "no answer after 1 s" in large["output"]
    assert ordinary["score"] == 0  # all of an exercise wait for its process


def test_a_process_that_ends_itself_gets_no_points(grade):
    end = "    print(chr(10) * 9); exit()\n"
    for test in grade("softmax", "    e = np.exp(", f"{end}    e = np.exp("):
        assert test["score"] == 0
        assert "the process ended before it gave an answer" in test["output"]


def test_a_file_that_is_no_python_names_its_line(grade):
    line = grade("softmax", "import numpy as np\n", "x = '\xe9'\n")[0]["output"]
    assert "SyntaxError: (unicode error)" in line and "network.py" in line


@pytest.mark.parametrize("answers", [None, [], [{"changed": 3}] * 5])
def test_answers_that_are_none_are_wrong(answers, grade, monkeypatch):
    monkeypatch.setattr(grading, "ask_process", lambda *arguments: answers)
    for test in grade("softmax"):
        assert test["score"] == 0
        assert test["output"] == "the answers cannot be read"


def test_files_are_found_by_name_the_nearest_first(right, tmp_path):
    expected = {name: right / name for name in FILES}
    assert grading.find_files(tmp_path) == expected
    shutil.copy(right / SUBMITTED, tmp_path)
    flat = {SUBMITTED: tmp_path / "network.py"}
    assert grading.find_files(tmp_path) == expected | flat


def test_several_submissions_are_not_taken_for_one(right):
    shutil.copytree(right, right / "another")
    shutil.move(right / "helpers", right / "one" / "helpers")
    words = r"there are 2 network\.py; for a folder of submissions add --csv"
    with pytest.raises(grading.GradingError, match=words):
        grading.find_files(right)


def test_a_folder_without_a_submission_is_not_graded(tmp_path, capsys):
    results = tmp_path / "results.json"
    with pytest.raises(SystemExit) as stop:
        main(["--grade", str(tmp_path), "--json", str(results)])
    assert stop.value.code == 2
    message = json.loads(results.read_text("utf-8"))["output"]
    assert "expected at least one of" in message and message in capsys.readouterr().out


def test_one_submission_is_graded_by_the_command(tmp_path, capsys):
    shutil.copy(PROJECT / "helpers" / "analysis.py", tmp_path)
    path = tmp_path / "results.json"
    main(["--grade", str(tmp_path), "--seed", "4", "--json", str(path)])
    results = json.loads(path.read_text("utf-8"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == results["output"]
    assert lines[0].startswith(f"taken: analysis.py; missing: {SUBMITTED}, helpers/sgd.py")
    assert lines[-1] == "all: 2"
    assert f"{SUBMITTED} is missing" in str(lines)


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


def test_a_row_is_there_before_the_next_submission_is_graded(tmp_path, monkeypatch):
    folder, grades = tmp_path / "class", tmp_path / "grades.csv"
    for name in "b", "z":
        (folder / name).mkdir(parents=True)
    names = []

    def grade(submission, cases):
        names.append(list(read_rows(grades)))
        return {"score": 0, "output": "", "tests": []}

    monkeypatch.setattr(grading, "grade", grade)
    grading.grade_all(folder, {}, grades)
    assert names == [[], ["b"]]
