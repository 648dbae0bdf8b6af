"""`python -m helpers.exercise`: write a hand-out, or grade what comes back.

python -m helpers.exercise FOLDER                             write a hand-out into a new folder
python -m helpers.exercise --grade FOLDER --json results.json       grade one submission
python -m helpers.exercise --grade FOLDER --csv grades.csv    grade every folder in a folder

Exit status: 0 graded (or written), whatever the points; 2 not graded.
"""

import argparse
from pathlib import Path

from helpers import files
from helpers.errors import OneLineError
from helpers.exercise import grading, handout, record


def main(arguments=None):
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.exercise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the hand-out, or to grade")
    parser.add_argument("--grade", action="store_true", help="grade what is there")
    parser.add_argument("--seed", type=int, default=0, help="of the checks' arguments (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results in Gradescope's form")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each submission")
    options = parser.parse_args(arguments)
    try:
        if not options.grade:
            handout.write(options.folder, options.seed)
            return
        cases, _ = record.record(options.seed)
        if options.csv:
            grading.grade_all(options.folder, cases, options.csv)
        else:
            grade_one(options, cases)
    except (OSError, OneLineError) as error:
        parser.exit(2, f"{error}\n")


def grade_one(options, cases):
    """Grade one submission and show what each exercise got; JSON is written in any case."""
    try:
        results = grading.grade(options.folder, cases)
    except grading.GradingError as error:
        if options.json:
            files.write_json(options.json, {"score": 0.0, "output": str(error), "tests": []})
        raise
    if options.json:
        files.write_json(options.json, results)
    print(results["output"])
    for test in results["tests"]:
        points = f"{test['score']:g} of {test['max_score']:g}"
        print(f"{test['number']}  {test['name']:48} {points:12}  {test['output']}")
    print(f"all: {results['score']:g} of {sum(test['max_score'] for test in results['tests']):g}")


if __name__ == "__main__":
    main()
