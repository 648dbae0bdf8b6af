"""The figures that explore in part A: learning rates side by side, and one image step by step."""

import numpy as np

from helpers.data import CLASS_NAMES, IMAGE_SHAPE
from helpers.figures import style

WINDOW = 50
"""Steps whose losses are averaged: those of single minibatches jump too much to be compared."""


@style.picture(
    caption="""The cross-entropy of the minibatches, each before its own step, as a running mean
    over up to 50 of them; a dotted line marks where a training diverged. Good: a curve that falls
    at once and goes on falling. Bad: one that has hardly moved at the end (the rate is too small),
    one that jumps, or one that leaves the picture (too large).""",
    alt="Cross-entropy against steps, a curve for each learning rate; dotted where one diverged.",
)
def losses_by_step(losses):
    """Draw the losses of short trainings.

    Parameters
    ----------
    losses : dict of float to ndarray
        For each learning rate what `helpers.sgd.step_losses` gives.
    """
    fig, ax = style.figure(3.2)
    num_steps = max(len(each) for each in losses.values())
    ax.set(xlabel="steps", xlim=(0, num_steps), ylabel="cross-entropy (nats), logarithmic")
    ax.set_yscale("log")
    at_end = {rate: _draw_losses(ax, rate, each) for rate, each in losses.items()}
    diverged = [rate for rate, loss in at_end.items() if np.isnan(loss)]
    ax.legend(loc="best")
    if len(diverged) < len(
        losses
    ):  # among curves that fall, one that explodes would press all others flat
        ax.set_ylim(0.3, 10)
        ax.set_yticks([0.3, 0.5, 1, 2, 5, 10], ["0.3", "0.5", "1", "2", "5", "10"])
        ax.minorticks_off()
    return fig, _rates_title(at_end, diverged)


def _draw_losses(ax, rate, losses):
    """Draw one training, up to where it diverged; returns its last mean, NaN if it did."""
    means = _running_means(losses[np.isfinite(losses)])
    [curve] = ax.plot(range(1, len(means) + 1), means, label=f"rate {rate:g}")
    if len(means) == len(losses):
        return means[-1]
    curve.set_label(f"rate {rate:g}, diverged after step {len(means)}")
    ax.axvline(len(means), color=curve.get_color(), ls=":")
    return np.nan


def _running_means(losses):
    """Average each loss with those before it, `WINDOW` at most."""
    ends = range(1, len(losses) + 1)
    return [losses[max(0, end - WINDOW) : end].mean() for end in ends]


def _rates_title(at_end, diverged):
    rates = ", ".join(f"{rate:g}" for rate in diverged)
    if len(diverged) == len(at_end):
        return f"Learning rate {rates} is too large: the loss explodes"
    best = min(at_end, key=lambda rate: np.nan_to_num(at_end[rate], nan=np.inf))
    exploded = f"; {rates} diverged" if diverged else ""
    return f"Learning rate {best:g} has the lowest loss at the end{exploded}"


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
    fig, (shown, *axes) = style.figure(2.4, 1, len(widths), width_ratios=widths)
    shown.imshow(activations[0].reshape(IMAGE_SHAPE), cmap="gray_r", vmin=-0.5, vmax=0.5)
    shown.set_axis_off()
    _draw_bars(axes, activations, logits, probabilities)
    axes[-1].patches[label].set_color(style.ORANGE)
    if before:
        _draw_bars(axes, *before, edgecolor=style.GREY, fill=False)
    _name_axes(axes)
    return fig, _verdict(probabilities, label)


def _name_axes(axes):
    """Name the axes of the hidden layers, of the logits and of the probabilities."""
    *hidden, logits, probabilities = axes
    for number, ax in enumerate(hidden, start=1):
        ax.set_title(f"$h_{number}$")
    logits.set_title("logits")
    logits.set_yticks(range(len(CLASS_NAMES)), CLASS_NAMES)
    probabilities.set_title("probabilities")
    probabilities.set_xlim(0, 1)


def _verdict(probabilities, label):
    said = probabilities.argmax()
    verdict = "rightly" if said == label else f"but it is “{CLASS_NAMES[label]}”"
    return f"The network says “{CLASS_NAMES[said]}” at {probabilities.max():.0%}, {verdict}"


def _draw_bars(axes, activations, logits, probabilities, **options):
    """Draw columns of numbers as bars, the first unit on top."""
    columns = [*activations[1:], logits, probabilities]
    for ax, column in zip(axes, columns, strict=True):
        ax.barh(range(len(column)), column[:, 0], **options)
        ax.set(yticks=[], ylim=(len(column) - 0.5, -0.5))
