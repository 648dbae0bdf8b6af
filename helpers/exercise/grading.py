"""Grading: the checks with numbers of another seed, a process for each exercise.

In it all functions but one are ours, so a mistake costs its own exercise only. It gets arguments
and gives answers; what is right is known here. Points are the lines of plan.csv, each for all of
its cases or none.
"""

import csv
import os
import tempfile
from pathlib import Path

from helpers import files
from helpers.errors import OneLineError
from helpers.exercise import handout
from helpers.exercise.check import ask_process, fault
from helpers.exercise.exercises import EXERCISES, FILES

LENGTH = 300
"""Characters of a line of help that are kept."""


class GradingError(OneLineError):
    """There is no submission in a folder, or there are several."""


def find_files(folder):
    """Find a submission's files: in helpers/, flat, or either one folder deeper.

    Returns
    -------
    dict of str to Path
        For each file that is there: its name in the project, and where it is.
    """
    roots = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    submissions = [taken for taken in map(files_below, roots) if taken]
    if submissions and (len(submissions) == 1 or files_below(folder)):
        return submissions[0]
    names = ", ".join(Path(name).name for name in FILES)
    raise GradingError(
        f"{folder}: expected one submission with any of {names}, but there are "
        f"{len(submissions)}; for a folder of submissions add --csv FILE"
    )


def files_below(root):
    """Find files by their path in the project or by the end of it, e.g. listing.py."""
    taken = {}
    for name in FILES:
        parts = Path(name).parts
        for start in range(len(parts)):
            path = root.joinpath(*parts[start:])
            if path.is_file() and os.access(path, os.R_OK):
                taken.setdefault(name, path)
    return taken


def grade(folder, cases):
    """Grade a submission.

    Parameters
    ----------
    folder : Path
    cases : dict
        As `helpers.exercise.record.record` gives them.

    Returns
    -------
    dict
        In the form of Gradescope's results.json: a test for each line of points.

    Raises
    ------
    GradingError, OSError
        If it cannot be graded.
    """
    taken = find_files(folder)
    tests = []
    for exercise in EXERCISES:
        path = taken.get(exercise.file)
        tests += grade_exercise(exercise, cases[exercise.function], path)
    names = [str(path.relative_to(folder)) for path in taken.values()]
    missing = [name for name in FILES if name not in taken] or ["none"]
    return {
        "score": sum(test["score"] for test in tests),
        "output": f"taken: {', '.join(names)}; missing: {', '.join(missing)}",
        "tests": tests,
    }


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
        answers = ask_student(exercise, cases, path)
        lines = [line_of(case, given) for case, given in zip(cases, answers, strict=True)]
    tests = {}
    for case, line in zip(cases, lines, strict=True):
        if case["call"] == "is_refused":
            line = line or lines[0]  # who always raises ValueError refuses nothing
        name = f"{exercise.function}: {case['what']}"
        test = {
            "number": exercise.label,
            "name": name,
            "score": 0.0 if line else case["points"],
            "max_score": case["points"],
            "output": line or "right",
        }
        if name not in tests or test["score"] < tests[name]["score"]:
            tests[name] = test
    return list(tests.values())


def ask_student(exercise, cases, path):
    """Get the answers of a student's function; all others in its process are ours."""
    ours = (files.PROJECT / exercise.file).read_text("utf-8")
    node = handout.find_function(ours, exercise.function)
    others = ours.splitlines(keepends=True)
    del others[node.lineno - 1 : node.end_lineno]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        handout.copy(handout.COURSE, root)
        (root / exercise.file).parent.mkdir(exist_ok=True)
        content = path.read_bytes() + b"\n\n" + "".join(others).encode()
        (root / exercise.file).write_bytes(content)
        return ask_process(exercise, cases, root)


def line_of(case, given):
    """Judge an answer, whatever a student's process has made of it; empty if it is right."""
    try:
        return (fault(case, given) or "")[:LENGTH]
    except Exception:
        return "what comes back cannot be read"


def grade_all(folder, cases, path):
    """Grade every folder in a folder, and write a row for each as soon as it is graded."""
    labels = list(dict.fromkeys(exercise.label for exercise in EXERCISES))
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["name", *labels, "all", "note"])
        table.writeheader()
        for submission in sorted(filter(Path.is_dir, folder.iterdir())):
            row = {"name": as_utf8(submission.name)} | dict.fromkeys(labels, 0.0)
            try:
                results = grade(submission, cases)
                for test in results["tests"]:
                    row[test["number"]] += test["score"]
                row |= {"all": results["score"], "note": as_utf8(results["output"])}
            except Exception as error:  # one submission never costs the others their rows
                row["note"] = as_utf8(f"NOT GRADED: {error}")
            table.writerow(row)
            file.flush()


def as_utf8(text):
    """Write what is no UTF-8 in the names of files with question marks."""
    return os.fsencode(text).decode("utf-8", "replace")
