"""A recipe: everything that decides how one network is trained."""

from dataclasses import dataclass
from math import cos, inf, pi
from numbers import Integral, Real

from helpers.errors import OneLineError

AVERAGE_EVERY = 100
"""Steps between two iterates that enter the running average; a shorter epoch gives its last."""


class RecipeError(OneLineError):
    """A value that no recipe can have; the message names the field and what is allowed."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how one network is trained.

    It is checked when it is made, and holds plain Python values: NumPy's numbers become Python's,
    lists tuples, and a whole number as a rate a float. So equal recipes have the same repr, by
    which results are named, and each can be saved.

    Attributes
    ----------
    layer_sizes : tuple of int
        Width of each layer, input first.
    num_epochs, batch_size : int
        Passes over the training images; images per step.
    learning_rate, alpha : float
        Step size; strength of the L2 penalty.
    schedule : str
        "constant", or "cosine": half a wave from `learning_rate` towards 0, one value per epoch
        (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts).
    average_epochs : int
        How many last epochs are averaged; with 0 the result is the last iterate.
    seed, shuffle_seed : int
        Of the initial weights; of the minibatches.

    Raises
    ------
    RecipeError
        If a value is of another type or not allowed; a bool is no number.
    """

    layer_sizes: tuple[int, ...]
    num_epochs: int
    batch_size: int
    learning_rate: float
    alpha: float = 0.0
    schedule: str = "constant"
    average_epochs: int = 0
    seed: int = 0
    shuffle_seed: int = 0

    def __post_init__(self):
        checks = {
            "layer_sizes": _widths,
            "num_epochs": _whole,
            "batch_size": _positive,
            "learning_rate": _real,
            "alpha": _real,
            "schedule": _schedule,
            "average_epochs": _whole,
            "seed": _whole,
            "shuffle_seed": _whole,
        }
        for field, check in checks.items():
            plain = check(field, getattr(self, field))
            object.__setattr__(self, field, plain)  # frozen: it has no other way

    def rate(self, epoch):
        """Look up the learning rate of an epoch, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + cos(pi * epoch / self.num_epochs))

    def averages(self, epoch, number, num_batches):
        """Tell whether the iterate after a step enters the running average.

        The `number`-th step, from 1, of an epoch, from 0, that has `num_batches` of them.
        """
        is_late = epoch >= self.num_epochs - self.average_epochs
        return is_late and number % min(AVERAGE_EVERY, num_batches) == 0


def _refusal(field, value, allowed):
    """Make a RecipeError of one line."""
    shown = " ".join(repr(value).split())
    return RecipeError(f"recipe: {field} = {shown:.80} is not allowed, expected {allowed}")


def _widths(field, value):
    """Make a tuple of at least two positive int of any sequence of whole numbers."""
    try:
        widths = tuple(value)
    except TypeError:
        widths = ()
    if len(widths) < 2:
        raise _refusal(field, value, "a width for each layer, at least two")
    return tuple(_positive(f"{field}[{number}]", width) for number, width in enumerate(widths))


def _whole(field, value, at_least=0):
    """Make a plain int of a whole number."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < at_least:
        raise _refusal(field, value, f"a whole number of at least {at_least}")
    return int(value)


def _positive(field, value):
    """Make a plain int of a whole number that is at least 1."""
    return _whole(field, value, at_least=1)


def _real(field, value):
    """Make a plain float of a finite number, at least 0."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    if not is_real or not 0 <= value < inf:
        raise _refusal(field, value, "a finite number of at least 0")
    return abs(float(value))  # never -0.0, which equals 0.0 but does not look like it


def _schedule(field, value):
    """Make a plain str of a schedule's name."""
    if not isinstance(value, str) or value not in ("constant", "cosine"):
        raise _refusal(field, value, "'constant' or 'cosine'")
    return str(value)
