"""Grading a class: every submission gets a row whatever it is, and no work is lost."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from helpers.exercise import classes, submissions
from helpers.exercise.__main__ import main
from helpers.exercise.submissions import Submission, find_submissions
from tests.exercises.mistakes import source_of
from tests.exercises.solutions import PLAIN
from tests.exercises.test_grading import SLEEP, hand_in, sleepers, write

NOTHING = "is empty, or holds none of the files"


def zipped(entries):
    """Make an archive of {path in it: text}; a list of pairs may hold a path twice."""
    content = io.BytesIO()
    pairs = entries.items() if isinstance(entries, dict) else entries
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in pairs:
            archive.writestr(name, text)
    return content.getvalue()


def read_rows(results):
    with open(results / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


# ---- What is read


def read(path):
    submission = Submission("x", path)
    submission.read()
    return submission


@pytest.mark.parametrize("above", ["helpers/", "hand out/helpers/", "a/b/helpers/", "", "mine/"])
def test_files_are_found_at_any_depth_in_folders_and_archives(above, tmp_path):
    files = {f"{above}network.py": "1", f"{above}grid/listing.py": "2", f"{above}own/new.py": "3"}
    others = {f"{above}data.py": "ours", "__MACOSX/helpers/network.py": "junk", "README.md": ""}
    (tmp_path / "a.zip").write_bytes(zipped(files | others))
    for name, text in (files | others).items():
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_text(text)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "any name.ZIP").write_bytes(zipped(files | others))
    expected = {"network.py": b"1", "grid/listing.py": b"2", "own/new.py": b"3"}
    found = [read(tmp_path / name) for name in ("a.zip", "b", "c")]
    assert [each.files for each in found] == [expected] * 3
    assert len({each.fingerprint for each in found}) == 1


def test_nothing_leaves_an_archive_and_nothing_grows_out_of_it(tmp_path):
    (tmp_path / "secret.py").write_text("secret")
    entries = {
        "helpers/network.py": "mine",
        "helpers/../../secret.py": "out",
        "/helpers/sgd.py": "root",
        "..\\helpers\\analysis.py": "out",
        "helpers/analysis.py": " " * 2**24,
        "helpers/gradient_check.py": " " * submissions.LARGEST_FILE,
    }
    (tmp_path / "a.zip").write_bytes(zipped(entries))
    before = sorted(tmp_path.iterdir())
    assert read(tmp_path / "a.zip").files.keys() == {"network.py", "gradient_check.py"}
    assert sorted(tmp_path.iterdir()) == before


def test_links_and_pipes_are_not_followed(tmp_path):
    helpers = tmp_path / "a" / "helpers"
    helpers.mkdir(parents=True)
    (tmp_path / "secret.py").write_text("secret")
    (helpers / "network.py").write_text("mine")
    (helpers / "sgd.py").symlink_to(tmp_path / "secret.py")
    (helpers / "grid").symlink_to(tmp_path)
    os.mkfifo(helpers / "analysis.py")
    assert read(tmp_path / "a").files == {"network.py": b"mine"}


BROKEN = {
    "empty.zip": (zipped({}), NOTHING),
    "cut.zip": (zipped({"helpers/network.py": "x" * 999})[:-30], "expected a folder or a zip file"),
    "letter.pdf": (b"%PDF", "expected a folder or a zip file"),
    "other.zip": (zipped({"essay.py": "x"}), NOTHING),
    "many.zip": (zipped({f"helpers/{k}.py": "" for k in range(200)} | {"network.py": ""}), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_submission_has_a_note(name, tmp_path):
    content, note = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    submission = read(tmp_path / name)
    assert note in submission.problem and (submission.problem or submission.files)


def test_a_damaged_file_in_an_archive_is_as_one_that_is_missing(tmp_path):
    content = zipped({"helpers/network.py": os.urandom(999).hex(), "helpers/sgd.py": "x"})
    (tmp_path / "a.zip").write_bytes(content.replace(content[60:80], bytes(20)))
    assert read(tmp_path / "a.zip").files == {"sgd.py": b"x"}


def test_each_submission_has_a_name_of_its_own(tmp_path):
    names = "Ana Núñez", "bo.zip", "bo", "BO.zip", "李 明_123_assignsubmission_file", ".hidden"
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "bo.zip").rmdir()
    (tmp_path / "bo.zip").write_bytes(zipped({}))
    found = [submission.name for submission in find_submissions(tmp_path)]
    assert sorted(found) == sorted(["Ana Núñez", "bo.zip", "bo", "BO.zip", "李 明"])


# ---- What comes out


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grade a class through the command line; give the folders of submissions and of results."""
    folder = tmp_path_factory.mktemp("class") / "exercise 1"
    folder.mkdir()
    mistake = {"backprop": source_of("backprop", "delta /= n", "pass")}
    write(hand_in(PLAIN), folder / "Ana Núñez" / "hand out")
    right = {f"helpers/{name}": text for name, text in hand_in(PLAIN).files.items()}
    (folder / "Bo O'Neil.zip").write_bytes(zipped(right))
    write(hand_in(PLAIN | mistake), folder / "李 明")
    (folder / "empty").mkdir()
    (folder / "letter.pdf").write_bytes(b"%PDF")
    write(hand_in(files={"network.py": "while True: pass"}), folder / "loops")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classes.grading, "SECONDS", 2)
        main(["--grade", str(folder), "--seed", "7"])
    return folder, folder.with_name("exercise 1-grades")


def test_the_table_has_a_row_for_each_submission(graded):
    _, results = graded
    rows = read_rows(results)
    assert rows.keys() == {"Ana Núñez", "Bo O'Neil", "李 明", "empty", "letter.pdf", "loops"}
    totals = {name: float(row["total"]) for name, row in rows.items()}
    assert totals["Ana Núñez"] == totals["Bo O'Neil"] == 21 and totals["loops"] == 9
    assert totals["empty"] == totals["letter.pdf"] == 0
    assert totals["李 明"] == 21 - 4 + float(rows["李 明"]["A4"]) and rows["李 明"]["A3"] == "3.0"
    assert "the same files: Ana Núñez, Bo O'Neil" in rows["Ana Núñez"]["note"]
    assert NOTHING in rows["empty"]["note"] and not rows["李 明"]["note"]
    for row in rows.values():
        points = [float(row[label]) for label in classes.grading.by_exercise({"tests": []})]
        assert sum(points) == pytest.approx(float(row["total"]))


def test_each_student_has_a_page_and_a_result_for_gradescope(graded):
    _, results = graded
    page = (results / "feedback" / "李 明.md").read_text("utf-8")
    assert "times too large: the mean over n images divides delta by n" in page
    for name, row in read_rows(results).items():
        stored = json.loads((results / "feedback" / f"{name}.json").read_text("utf-8"))
        assert stored["score"] == float(row["total"])
        assert {"score", "max_score", "name", "number", "output"} <= stored["tests"][0].keys()
        assert f"# {name}\n" in (results / "feedback" / f"{name}.md").read_text("utf-8")
    loops = (results / "feedback" / "loops.md").read_text("utf-8")
    assert "stopped after 2 s" in loops


def test_what_is_graded_is_not_graded_again_unless_it_changes(graded, monkeypatch):
    folder, results = graded
    before = (results / "grades.csv").read_bytes()
    asked = []
    real = classes.grading.grade_submission

    def counted(submission, plan):
        asked.append(submission.name)
        return real(submission, plan)

    monkeypatch.setattr(classes.grading, "grade_submission", counted)
    main(["--grade", str(folder), "--seed", "7"])
    assert not asked and (results / "grades.csv").read_bytes() == before
    (folder / "李 明" / "helpers" / "sgd.py").write_text("")
    (folder / "late").mkdir()
    (results / "feedback" / "empty.json").write_text("{")
    main(["--grade", str(folder), "--seed", "7"])
    assert sorted(asked) == ["empty", "late", "李 明"]


def test_an_error_of_ours_costs_one_row_and_is_not_stored(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / "class" / name / "helpers").mkdir(parents=True)
        (tmp_path / "class" / name / "helpers" / "network.py").write_text("")

    def fails(submission, plan):
        raise RuntimeError("ours") if submission.name == "b" else KeyError(submission.name)

    monkeypatch.setattr(classes.grading, "grade_submission", fails)
    lines = []
    rows = classes.grade_class(tmp_path / "class", tmp_path / "out", 1, 2, lines.append)
    assert list(rows["name"]) == ["a", "b", "c"]
    assert rows["note"].str.contains("NOT GRADED, an error of ours").all()
    assert not list((tmp_path / "out" / "feedback").iterdir())
    assert lines[-1].split()[:3] == ["3", "of", "3"] and " left " in lines[1]


def test_results_do_not_go_among_the_submissions(tmp_path, capsys):
    (tmp_path / "class").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["--grade", str(tmp_path / "class"), "--results", str(tmp_path / "class" / "out")])
    assert "choose another folder" in capsys.readouterr().err


def test_killed_in_the_middle_it_leaves_no_process_and_goes_on(tmp_path, monkeypatch):
    folder = tmp_path / "class"
    write(hand_in(), folder / "a")
    sleeps = f"import os\ndef unpack(*arguments):\n    os.execlp('sleep', 'sleep', '{SLEEP}')"
    write(hand_in({"unpack": sleeps}), folder / "b")
    command = [sys.executable, "-m", "helpers.exercise", "--grade", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as grader:
        await_that(sleepers)
        grader.send_signal(signal.SIGKILL)
    await_that(lambda: not sleepers())
    monkeypatch.setattr(classes.grading, "SECONDS", 2)
    main(["--grade", str(folder)])
    rows = read_rows(tmp_path / "class-grades")
    assert [rows[name]["total"] for name in "ab"] == ["21.0", "19.0"]


def await_that(condition):
    """Wait until something is so, for two minutes at most."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("this takes too long")
