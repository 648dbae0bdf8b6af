"""`python -m helpers.exercise`: write a hand-out, or grade a filled-in one."""

import argparse
from pathlib import Path

from helpers import files
from helpers.exercise import grading, handout


def main(arguments=None):
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m helpers.exercise", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the hand-out, new or filled in")
    parser.add_argument("--grade", action="store_true", help="grade what has been filled in there")
    parser.add_argument("--json", type=Path, help="file for the grades, in Gradescope's form")
    options = parser.parse_args(arguments)
    try:
        if not options.grade:
            return handout.write(options.folder)
        results = grading.grade(options.folder)
        if options.json:
            files.write_json(options.json, results)
    except OSError as error:
        parser.exit(2, f"{error}\n")
    for test in results["tests"]:
        print("{number}  {name:13} {score} of {max_score}  {output}".format(**test))
    print(f"all: {results['score']} of {sum(test['max_score'] for test in results['tests'])}")


if __name__ == "__main__":
    main()
