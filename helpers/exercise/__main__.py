"""`python -m helpers.exercise`: write a hand-out, or grade what comes back.

python -m helpers.exercise FOLDER             write a hand-out into a new folder
python -m helpers.exercise --grade FOLDER     grade a filled-in hand-out (a folder or zip file),
                                              or a folder with one of these for each student
"""

import argparse
import os
from pathlib import Path

from helpers import files
from helpers.errors import OneLineError
from helpers.exercise import classes, grading, handout


def main(arguments=None):
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.exercise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a hand-out, or of a class")
    parser.add_argument("--grade", action="store_true", help="grade what is there")
    parser.add_argument("--seed", type=int, default=0, help="of the problems (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="grades, in Gradescope's form")
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="of a class (default: FOLDER-grades)"
    )
    options = parser.parse_args(arguments)
    try:
        if not options.grade:
            handout.write(options.folder)
        elif is_single(options.folder):
            grade_single(options)
        else:
            grade_class(options)
    except (OSError, OneLineError) as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "stopped; the same command goes on from here\n")


def is_single(path):
    """Tell whether a path is one submission: a file, or a folder that holds `helpers` itself."""
    return path.is_file() or (path / "helpers").is_dir()


def grade_single(options):
    """Grade one submission and show what each exercise got."""
    results = grading.grade(options.folder, options.seed)
    if options.json:
        files.write_json(options.json, results)
    print(results["output"])
    for test in results["tests"]:
        points = f"{test['score']:g} of {test['max_score']:g}"
        print(f"{test['number']}  {test['name']:48} {points:12}  {test['output']}")
    print(f"all: {results['score']:g} of {grading.MOST:g}")


def grade_class(options):
    """Grade a folder of submissions."""
    folder = options.folder.absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected the folder of a submission, or of a class")
    results = (options.results or folder.with_name(f"{folder.name}-grades")).absolute()
    if results.is_relative_to(folder):
        raise OSError(f"{results}: results would be graded as a submission; choose another folder")
    num_workers = len(os.sched_getaffinity(0))
    rows = classes.grade_class(folder, results, options.seed, num_workers)
    print(f"{results / 'grades.csv'}: {len(rows)} rows")


if __name__ == "__main__":
    main()
