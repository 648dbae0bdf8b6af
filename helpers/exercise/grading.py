"""Grading: the checks with numbers of another seed, a process for each exercise.

In it all functions but one are ours, so a mistake costs its own exercise only. It gets arguments
and gives answers; what is right is known here. Points are the lines of plan.csv, each for all of
its cases or none.
"""

import csv
import tempfile
from pathlib import Path

from helpers import files
from helpers.errors import OneLineError
from helpers.exercise import handout
from helpers.exercise.check import ask_process, fault
from helpers.exercise.exercises import EXERCISES, FILES


class GradingError(OneLineError):
    """There is no submission in a folder, or there are several."""


def find_files(folder):
    """Find a submission's files by their names; of several, the one nearest to the folder.

    Returns
    -------
    dict of str to Path
        For each file that is there: its name in the project, and where it is.

    Raises
    ------
    GradingError
        If none is there, or several are equally near.
    """
    taken = {}
    for name in FILES:
        paths = list(folder.rglob(Path(name).name))
        depth = min((len(path.parts) for path in paths), default=0)
        near = [path for path in paths if len(path.parts) == depth]
        if len(near) > 1:
            raise GradingError(
                f"{folder}: expected one submission, but there are {len(near)} {near[0].name}; "
                "for a folder of submissions add --csv FILE"
            )
        if near:
            taken[name] = near[0]
    if not taken:
        raise GradingError(f"{folder}: expected at least one of {', '.join(FILES)}")
    return taken


def grade(folder, cases):
    """Grade a submission, whatever is in it.

    Parameters
    ----------
    folder : Path
    cases : dict
        As `helpers.exercise.record.record` gives them.

    Returns
    -------
    dict
        In the form of Gradescope's results.json: a test for each line of points. None if it
        cannot be graded; "output" says why.
    """
    tests = []
    try:
        taken = find_files(folder)
        for exercise in EXERCISES:
            path = taken.get(exercise.file)
            tests += grade_exercise(exercise, cases[exercise.function], path)
    except Exception as error:  # one submission never costs the others their rows
        return {"score": 0.0, "output": f"NOT GRADED: {error}", "tests": []}
    score = sum(test["score"] for test in tests)
    names = [str(path.relative_to(folder)) for path in taken.values()]
    missing = [name for name in FILES if name not in taken]
    output = f"taken: {', '.join(names)}; missing: {', '.join(missing) or 'none'}"
    return {"score": score, "output": output, "tests": tests}


def grade_exercise(exercise, cases, path):
    """Grade one function: a test, in Gradescope's form, for each line of plan.csv.

    Parameters
    ----------
    exercise : Exercise
    cases : list of dict
        Of this exercise.
    path : Path or None
        The student's file, if there is one.
    """
    lines = [f"{exercise.file} is missing"] * len(cases)
    if path:
        lines = judge_student(exercise, cases, path)
    tests = {}
    for case, line in zip(cases, lines, strict=True):
        if case["call"] == "is_refused":
            line = line or lines[0]  # who always raises ValueError refuses nothing
        name = f"{exercise.function}: {case['what']}"
        new = {
            "number": exercise.label,
            "name": name,
            "score": case["points"],
            "max_score": case["points"],
            "output": "right",
        }
        test = tests.setdefault(name, new)
        if line and test["score"]:
            test["score"] = 0.0
            test["output"] = line
    return list(tests.values())


def judge_student(exercise, cases, path):
    """Say for each case what is wrong with a student's function; all others are ours."""
    ours = (files.PROJECT / exercise.file).read_text("utf-8")
    node = handout.find_function(ours, exercise.function)
    others = ours.splitlines()
    del others[node.lineno - 1 : node.end_lineno]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        handout.copy(handout.COURSE, root)
        target = root / exercise.file
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes() + "\n".join(["", *others]).encode())
        answers = ask_process(exercise, cases, root)
    try:
        return [fault(case, given) for case, given in zip(cases, answers, strict=True)]
    except Exception:  # whatever a student's process has made of them
        return ["the answers cannot be read"] * len(cases)


def grade_all(folder, cases, path):
    """Grade every folder in a folder, and write a row for each as soon as it is graded."""
    labels = list(dict.fromkeys(exercise.label for exercise in EXERCISES))
    # Names that are no UTF-8 get question marks.
    with open(path, "w", newline="", encoding="utf-8", errors="replace") as file:
        table = csv.DictWriter(file, ["name", *labels, "all", "note"])
        table.writeheader()
        for submission in sorted(filter(Path.is_dir, folder.iterdir())):
            results = grade(submission, cases)
            row = dict.fromkeys(labels, 0.0)
            row["name"] = submission.name
            row["all"] = results["score"]
            row["note"] = results["output"]
            for test in results["tests"]:
                row[test["number"]] += test["score"]
            table.writerow(row)
            file.flush()
