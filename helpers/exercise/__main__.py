"""`python -m helpers.exercise`: write a hand-out, or grade a filled-in one."""

import argparse
import sys
from pathlib import Path

from helpers import files
from helpers.exercise import grading, handout


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.exercise", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the hand-out, new or filled in")
    parser.add_argument("--grade", action="store_true", help="grade what has been filled in there")
    parser.add_argument("--json", type=Path, help="file for the grades, in Gradescope's form")
    options = parser.parse_args(arguments)
    try:
        if options.grade:
            grade(options.folder, options.json)
        else:
            write(options.folder)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def write(folder):
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: expected a new or empty folder for the hand-out")
    handout.write(folder)


def grade(folder, json):
    if not (folder / "helpers").is_dir():
        raise FileNotFoundError(f"{folder}: expected a filled-in hand-out, with a folder helpers")
    results = grading.grade(folder)
    if json:
        files.write_json(json, results)
    for test in results["tests"]:
        print("{number}  {name:13} {score} of {max_score}  {output}".format(**test))
    print(f"all: {results['score']} of {sum(test['max_score'] for test in results['tests'])}")


if __name__ == "__main__":
    main()
