"""The exercises, as data: who renames a function changes one line here.

Each is graded by itself, with our solution of all the others: a mistake costs the points of its
own exercise alone. Only what keeps a file from being imported costs those of its whole file. What
is called, and with what, stands in tests/exercises/calls.py.
"""

from typing import NamedTuple


class Task(NamedTuple):
    """A function of the course that a student writes; `module` is a part of ``helpers``."""

    exercise: str
    module: str
    function: str
    points: int

    @property
    def file(self):
        """The module's file, relative to the project."""
        return f"helpers/{self.module.replace('.', '/')}.py"

    @property
    def unwritten(self):
        """What the hand-out's function says when it is called."""
        notebook = f"part_{self.exercise[0].lower()}.ipynb"
        return f"exercise {self.exercise}: write {self.function}; see {notebook}"


TASKS = (
    Task("A1", "network", "unpack", 2),
    Task("A2", "network", "forward", 3),
    Task("A3", "network", "softmax", 1),
    Task("A3", "network", "log_loss", 2),
    Task("A4", "network", "backprop", 4),
    Task("A5", "sgd", "minibatches", 2),
    Task("A6", "sgd", "step", 1),
    Task("B1", "gradient_check", "complex_step", 2),
    Task("C1", "grid.units", "list_runs", 2),
    Task("D1", "analysis", "tile_W0", 2),
)
