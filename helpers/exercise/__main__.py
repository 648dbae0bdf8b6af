"""`python -m helpers.exercise`: write a hand-out, or grade a filled-in one."""

import argparse
import sys
from pathlib import Path

from helpers import files
from helpers.exercise import grading, handout
from helpers.exercise.tasks import TASKS


def main(arguments=None):
    options = read_arguments(arguments)
    try:
        if not options.grade:
            handout.write(new_folder(options.folder))
            print(f"{options.folder}: hand-out with {len(TASKS)} functions to write")
            return
        if not (options.folder / "helpers").is_dir():
            raise FileNotFoundError(f"{options.folder}: no hand-out, it has no folder helpers")
        grades = grading.grade(options.folder)
        if options.json:
            files.write_json(options.json, as_results(grades))
        print(as_table(grades))
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def read_arguments(arguments):
    parser = argparse.ArgumentParser(prog="python -m helpers.exercise", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the hand-out")
    parser.add_argument("--grade", action="store_true", help="grade what has been filled in there")
    parser.add_argument("--json", type=Path, help="file for the grades, in Gradescope's form")
    return parser.parse_args(arguments)


def new_folder(folder):
    """Refuse a folder with anything in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: expected a new or empty folder for the hand-out")
    return folder


def as_table(grades):
    """Write a line for each exercise, and the sum."""
    rows = [(g.task.exercise, g.task.function, g.points, g.task.points, g.line) for g in grades]
    rows.append(("", "all", sum(row[2] for row in rows), sum(row[3] for row in rows), ""))
    return "\n".join(
        f"{exercise:4}{function:14}{points:3} of {most:2}  {line}".rstrip()
        for exercise, function, points, most, line in rows
    )


def as_results(grades):
    """Say grades in the form of Gradescope's results.json."""
    tests = [
        {
            "number": grade.task.exercise,
            "name": grade.task.function,
            "score": grade.points,
            "max_score": grade.task.points,
            "status": "failed" if grade.line else "passed",
            "output": grade.line or "right",
        }
        for grade in grades
    ]
    return {"score": sum(test["score"] for test in tests), "tests": tests}


if __name__ == "__main__":
    main()
