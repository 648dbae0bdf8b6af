"""What training gives: learning curves and the trained network, or the reason why it has none."""

from dataclasses import dataclass, field

import numpy as np

from helpers import network
from helpers.errors import OneLineError
from helpers.recipe import Recipe


class DivergedError(OneLineError):
    """The weights, or the cross-entropy, are no longer finite numbers.

    Attributes
    ----------
    epoch, step : int
        When that happened, both counted from 1.
    history : History
        The curves of the epochs before.
    """

    def __init__(self, epoch, step, rate, history):
        self.epoch, self.step, self.history = epoch, step, history
        before = history.training_cross_entropy[-1]
        super().__init__(
            f"training diverged in epoch {epoch}, step {step}, at learning rate {rate:g} "
            f"(cross-entropy before this epoch: {before:.4g}); choose a smaller learning_rate"
        )


class StoppedError(OneLineError, KeyboardInterrupt):
    """Ctrl-C or the stop button ended a training before its first epoch was complete."""


@dataclass
class History:
    """Learning curves, an entry after each epoch, from epoch 0 (the initial weights) on.

    They describe the network that training would return after that epoch. Training curves are
    measured on the first `helpers.sgd.NUM_WATCHED` images, validation curves on all.
    """

    training_cross_entropy: list = field(default_factory=list)
    training_accuracy: list = field(default_factory=list)
    validation_cross_entropy: list = field(default_factory=list)
    validation_accuracy: list = field(default_factory=list)

    def __len__(self):
        return len(self.training_cross_entropy)

    def add(self, on_training, on_validation):
        """Append an epoch: (cross_entropy, accuracy) on training and on validation images."""
        self.training_cross_entropy.append(float(on_training[0]))
        self.training_accuracy.append(float(on_training[1]))
        self.validation_cross_entropy.append(float(on_validation[0]))
        self.validation_accuracy.append(float(on_validation[1]))

    def line(self):
        """Say the last epoch in one line of at most 75 characters."""
        return (
            f"epoch {len(self) - 1:3d}  training: {self.training_cross_entropy[-1]:.4f}, "
            f"{self.training_accuracy[-1]:6.2%}  validation: "
            f"{self.validation_cross_entropy[-1]:.4f}, {self.validation_accuracy[-1]:6.2%}"
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gives back."""

    recipe: Recipe
    weights: np.ndarray
    """Shape (P,)."""
    history: History

    @property
    def layers(self):
        """list of (ndarray, ndarray) : views of the weights."""
        return network.unpack(self.weights, self.recipe.layer_sizes)

    @property
    def interrupted(self):
        """bool : whether Ctrl-C, or the stop button, ended training before its last epoch."""
        return len(self.history) <= self.recipe.num_epochs


class RunningMean:
    """The mean of iterates, w_mean <- w_mean + (w - w_mean) / k, without keeping them.

    Averaging the late iterates of SGD takes out much of their noise (Polyak and Juditsky 1992,
    SIAM Journal on Control and Optimization 30, 838-855).
    """

    def __init__(self):
        self.count = 0
        self.mean = np.zeros(())

    def add(self, weights):
        """Take one more iterate, shape (P,), into the mean, which is kept in float64."""
        self.count += 1
        self.mean = self.mean + (weights - self.mean) / self.count

    def over(self, weights):
        """Give the mean in the dtype of `weights`; a copy of them if nothing was added yet."""
        return self.mean.astype(weights.dtype) if self.count else weights.copy()
