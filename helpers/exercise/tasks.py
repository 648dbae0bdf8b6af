"""The exercises, a line each in tasks.csv: who renames a function changes one line there.

Each is graded by itself, with our solution of all the others, so that a mistake costs its own
points alone. What is called, and with what, stands in tests/exercises/calls.py.
"""

from pathlib import Path

import pandas as pd

TASKS = list(pd.read_csv(Path(__file__).with_suffix(".csv")).itertuples(index=False, name="Task"))


def file_of(module):
    """Name the file of a module, relative to the project."""
    return f"helpers/{module.replace('.', '/')}.py"


def unwritten(task):
    """Say what the hand-out's function says when it is called."""
    notebook = f"part_{task.exercise[0].lower()}.ipynb"
    return f"exercise {task.exercise}: write {task.function}; see {notebook}"
