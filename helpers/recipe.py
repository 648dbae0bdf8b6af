"""A recipe: everything that decides how one network is trained."""

from dataclasses import dataclass
from math import cos, pi

AVERAGE_EVERY = 100
"""Steps between two iterates that enter the running average; a shorter epoch gives its last."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how one network is trained.

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
        # A list, as JSON has it, becomes a tuple: recipes are keys of dicts.
        object.__setattr__(self, "layer_sizes", tuple(self.layer_sizes))

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
