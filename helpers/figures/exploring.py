"""The figures that explore in part A: learning rates side by side, and one image step by step."""

import numpy as np
import pandas as pd

from helpers.data import CLASS_NAMES
from helpers.figures import style

WINDOW = 50
"""Steps whose losses are averaged: those of single minibatches jump too much to be compared."""


@style.picture(
    caption="""The cross-entropy of the minibatches, each before its own step, as a running mean
    over up to 50 of them. Good: a curve that falls at once and goes on falling. Bad: one that has
    hardly moved at the end (the rate is too small), one that jumps, or one that leaves the picture
    or ends with a cross, since the training diverged (too large).""",
    alt="""Cross-entropy against steps, both logarithmic, a curve for each learning rate; those of
    trainings that diverged leave the picture or end with a cross.""",
)
def losses_by_step(losses):
    """Draw the losses of short trainings.

    Parameters
    ----------
    losses : dict of float to ndarray
        For each learning rate what `helpers.sgd.step_losses` gives.
    """
    fig, ax = style.figure(3.2)
    last_means = {}
    for rate, each in losses.items():
        last_means[rate] = _draw_losses(ax, rate, each)
    num_steps = max(map(len, losses.values()))
    ax.set(
        xscale="log",
        xlabel="steps, logarithmic",
        xlim=(0.9, num_steps),
        yscale="log",
        ylabel="cross-entropy, logarithmic",
        ylim=(0.3, 10),  # a loss that explodes would press all others flat
    )
    style.number_log_axis(ax.xaxis)
    style.number_log_axis(ax.yaxis)
    ax.legend(loc="lower left")
    return fig, _rates_title(last_means)


def _draw_losses(ax, rate, losses):
    """Draw one training, up to where it diverged; returns its last mean, infinite if it did."""
    finite = losses[np.isfinite(losses)]
    steps = range(1, len(finite) + 1)
    means = pd.Series(finite, steps).rolling(WINDOW, min_periods=1).mean()
    if len(finite) == len(losses):
        ax.plot(steps, means, label=f"rate {rate:g}")
        return means.iloc[-1]
    label = f"rate {rate:g}, diverged after step {len(finite)}"
    ax.plot(steps, means, "-x", markevery=[-1], label=label)
    return np.inf


def _rates_title(last_means):
    best = min(last_means, key=last_means.get)
    if np.isinf(last_means[best]):
        return "Too large a learning rate: the loss explodes"
    return f"Rate {best:g} has the lowest loss at the end"


@style.picture(
    caption="""From left to right: the pixels; what each hidden layer makes of them, a bar for each
    unit (0 where ReLU is closed); the logits; the probabilities, the bar of the true class in
    orange. Grey outlines, where there are any, are those of the image before it was changed. Good:
    one probability near 1, for the true class.""",
    alt="An image; bars of the activations of each hidden layer, the logits and probabilities.",
)
def one_image(activations, logits, probabilities, label, before=None):
    """Draw what a network computes of one image.

    Parameters
    ----------
    activations : list of ndarray, shapes (n_l, 1)
        The image, then the hidden layers, as `helpers.network.forward` gives them.
    logits, probabilities : ndarray, shape (10, 1)
    label : int
    before : tuple of (activations, logits, probabilities), optional
        Of the same image before it was changed.
    """
    widths = [1.6] + [0.7] * (len(activations) - 1) + [1, 1]
    fig, (pixels, *axes) = style.figure(2.4, 1, len(widths), width_ratios=widths)
    style.show_image(pixels, activations[0])
    _draw_bars(axes, activations, logits, probabilities)
    *_, of_logits, of_probabilities = axes
    of_probabilities.patches[label].set_color(style.ORANGE)
    if before:
        pixels.set_title("grey outlines: before")
        _draw_bars(axes, *before, edgecolor=style.GREY, fill=False)
    of_logits.set_yticks(range(len(CLASS_NAMES)), CLASS_NAMES)
    of_probabilities.set_xlim(0, 1)
    predicted = CLASS_NAMES[probabilities.argmax()]
    said = f"{predicted} at {probabilities.max():.0%}"
    return fig, f"The network says {said}, the label says {CLASS_NAMES[label]}"


def _draw_bars(axes, activations, logits, probabilities, **options):
    """Draw columns of numbers as bars, the first unit on top."""
    columns = [*activations[1:], logits, probabilities]
    names = [f"$h_{layer}$" for layer in range(1, len(activations))]
    names += ["logits", "probabilities"]
    for ax, name, column in zip(axes, names, columns, strict=True):
        num_units = len(column)
        ax.barh(range(num_units), column[:, 0], **options)
        ax.set(title=name, yticks=[], ylim=(num_units - 0.5, -0.5))
