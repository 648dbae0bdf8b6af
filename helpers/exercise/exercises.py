"""The exercises, in the order of the notebooks.

Who renames a function that students write changes one line here.
"""

import importlib
from typing import NamedTuple


class Exercise(NamedTuple):
    """A function to be written: its label in the notebooks, its module, its name.

    `needs` names the other exercises that it calls.
    """

    label: str
    module: str
    function: str
    needs: tuple = ()

    @property
    def file(self):
        """str : the file to write it in, relative to the project."""
        return f"helpers/{self.module.replace('.', '/')}.py"

    def find(self):
        """Find the function, as it is at this moment."""
        return getattr(importlib.import_module(f"helpers.{self.module}"), self.function)

    def __str__(self):
        return f"{self.label} {self.function}"


EXERCISES = (
    Exercise("A1", "network", "unpack"),
    Exercise("A2", "network", "forward"),
    Exercise("A3", "network", "softmax"),
    Exercise("A3", "network", "log_loss"),
    Exercise("A4", "network", "backprop", ("forward", "softmax")),
    Exercise("A5", "sgd", "minibatches"),
    Exercise("A6", "sgd", "step", ("backprop",)),
    Exercise("B1", "gradient_check", "complex_step", ("unpack", "forward")),
    Exercise("C1", "grid.listing", "list_runs"),
    Exercise("D1", "analysis", "tile_W0"),
)
FILES = tuple(dict.fromkeys(exercise.file for exercise in EXERCISES))
BY_FUNCTION = {exercise.function: exercise for exercise in EXERCISES}
