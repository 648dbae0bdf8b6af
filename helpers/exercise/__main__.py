"""`python -m helpers.exercise`: write a hand-out, or grade what comes back.

python -m helpers.exercise FOLDER                                 write a hand-out
python -m helpers.exercise --grade FOLDER --json results.json     grade one submission
python -m helpers.exercise --grade FOLDER --csv grades.csv        grade each folder in FOLDER

Exit status: 0 written or graded, whatever the points; 2 not.
"""

import argparse
from pathlib import Path

from helpers import files
from helpers.exercise import grading, handout, record


def main(arguments=None):
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.exercise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--grade", action="store_true", help="grade what is there")
    parser.add_argument("--seed", type=int, default=0, help="of the numbers (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results in Gradescope's form")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a row for each submission")
    options = parser.parse_args(arguments)
    try:
        if not options.grade:
            handout.write(options.folder, options.seed)
        elif options.csv:
            grading.grade_all(options.folder, record.record(options.seed), options.csv)
        elif not grade_one(options):
            parser.exit(2)
    except OSError as error:
        parser.exit(2, f"{error}\n")


def grade_one(options):
    """Grade one submission and show what each exercise got; whether it could be graded."""
    results = grading.grade(options.folder, record.record(options.seed))
    if options.json:
        files.write_json(options.json, results)
    print(results["output"])
    for test in results["tests"]:
        points = f"{test['score']:g} of {test['max_score']:g}"
        print(f"{test['number']}  {test['name']:48} {points:12}  {test['output']}")
    print(f"all: {results['score']:g}")
    return bool(results["tests"])


if __name__ == "__main__":
    main()
