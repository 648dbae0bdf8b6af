"""`python -m helpers.exercise FOLDER`: write a hand-out into a new folder."""

import argparse
from pathlib import Path

from helpers.errors import OneLineError
from helpers.exercise import handout


def main(arguments=None):
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m helpers.exercise", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="to be made")
    options = parser.parse_args(arguments)
    try:
        handout.write(options.folder)
    except (OSError, OneLineError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
