"""The exercises, as the hand-out sees them."""

from collections import namedtuple

from helpers.notebook.checks import EXERCISES

Task = namedtuple("Task", "exercise module function")
TASKS = [Task(*exercise) for exercise in EXERCISES]


def file_of(module):
    """Name the file of a module, relative to the project."""
    return f"helpers/{module.replace('.', '/')}.py"


def unwritten(task):
    """Say what the hand-out's function says when it is called."""
    notebook = f"part_{task.exercise[0].lower()}.ipynb"
    return f"exercise {task.exercise}: write {task.function}; see {notebook}"
