"""Half-right solutions: what students write, and the words by which a check's line has to help.

mistakes.csv holds changes of the functions in `solutions.PLAIN`: function, what is wrong, a text,
what it becomes, and the words.
"""

import csv
from pathlib import Path

from tests.exercises.solutions import PLAIN

with open(Path(__file__).with_suffix(".csv"), newline="", encoding="utf-8") as file:
    MISTAKES = list(csv.DictReader(file))


def source_of(mistake):
    """Put a mistake into the plain solution."""
    source = PLAIN[mistake["function"]]
    assert mistake["right"] in source, mistake
    return source.replace(mistake["right"], mistake["wrong"])
