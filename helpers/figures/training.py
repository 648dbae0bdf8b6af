"""The figures of part A: the data, the learning curves, and what one network gets wrong.

`counts` is what `helpers.analysis.confusion_counts` gives: ndarray of int, shape (10, 10).
"""

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from helpers.data import CLASS_NAMES, IMAGE_SHAPE
from helpers.figures import style

ACCURACY_TICKS = [0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999]


@style.picture(
    caption="""The first images of each class, with the size of the class. Good: classes of about
    equal size. The network will find hard what you find hard: shirt, coat or pullover?""",
    alt="Ten rows of clothing images, one row a class, each with the number of its images.",
)
def samples(data):
    """Draw the first twelve images of each class of `data.Images`, and how many there are."""
    images = []
    names = []
    for label, name in enumerate(CLASS_NAMES):
        members = np.flatnonzero(data.labels == label)
        images.append(data.images[members[:12]])
        names.append(f"{name}\n{len(members):,}")
    fig, ax = style.figure(0.4 + 5 * len(names) / 12)
    style.show_tiles(ax, np.concatenate(images), 12, "gray_r", 0.5, names)
    return fig, "Trousers and bags stand apart; shirt, coat and pullover look alike"


@style.picture(
    caption="""After each epoch, on the first 6,000 training images and on all validation images;
    epoch 0 is the network before its first step. Good: both curves fall together. Bad: a
    validation cross-entropy that turns up while training goes on falling (too many epochs, or too
    large a network), or one that jumps (too large a rate).""",
    alt="Cross-entropy and accuracy by epoch, each with a curve for training and for validation.",
)
def learning_curves(history, num_epochs=0):
    """Draw a `sgd.History`: cross-entropy and accuracy by epoch, from the initial weights on.

    The axes reach to `num_epochs`, so that one sees how much is still to come, or never came.
    """
    fig, (loss, accuracy) = style.figure(3.0, 1, 2)
    loss.plot(history.training_cross_entropy, "o-", label="training")
    loss.plot(history.validation_cross_entropy, "s-", label="validation")
    loss.legend()
    _scale_loss(loss)
    accuracy.plot(history.training_accuracy, "o-")
    accuracy.plot(history.validation_accuracy, "s-")
    _scale_accuracy(accuracy)
    longest = max(num_epochs, len(history) - 1, 1)
    for ax in (loss, accuracy):
        ax.set_xlabel("epochs of training")
        ax.set_xlim(-0.02 * longest, 1.02 * longest)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return fig, _learning_title(history)


def _scale_loss(ax):
    ax.set_yscale("log")
    ax.set_ylabel("cross-entropy (nats), logarithmic")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    _reach(ax, 0.3, 3)


def _scale_accuracy(ax):
    ax.set_yscale("logit")
    ax.set_ylabel("accuracy (logit scale)")
    ax.yaxis.set_major_locator(FixedLocator(ACCURACY_TICKS))
    ax.yaxis.set_minor_locator(NullLocator())
    style.in_percent(ax.yaxis)
    _reach(ax, 0.08, 0.92)


def _reach(ax, low, high):
    """Let an axis show at least a range, so that there are ticks beside a single value, too."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(min(bottom, low), max(top, high))


def _learning_title(history):
    validation = history.validation_accuracy[-1]
    gap = 100 * (history.training_accuracy[-1] - validation)
    side = "under" if gap >= 0 else "over"
    if len(history) == 1:
        return f"Before training: validation accuracy {validation:.1%}"
    reached = f"Validation accuracy {validation:.1%} after {len(history) - 1} epochs"
    return f"{reached}, {abs(gap):.1f} points {side} training"


@style.picture(
    caption="""Counts, and under them the share of the true class. Good: a dark diagonal, and
    nothing elsewhere. Bad: a dark cell beside the diagonal, or a column that attracts all
    classes.""",
    alt="Confusion matrix of the ten classes with counts and shares of each row.",
)
def confusion(counts):
    """Draw which class was taken for which."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = style.figure(4.7)
    ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    for row, column in np.argwhere(counts):
        share = shares[row, column]
        text = f"{counts[row, column]:,}\n{share:.1%}"
        style.write_cell(ax, row, column, text, is_dark=share > 0.35)
    ax.set_xticks(range(10), CLASS_NAMES, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(10), CLASS_NAMES)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    style.without_frame(ax)
    return fig, _confusion_title(shares)


def _confusion_title(shares):
    wrong = shares - 2 * np.eye(10)  # the diagonal, which is right, is never the largest
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    taken = f"“{CLASS_NAMES[true]}” are taken for “{CLASS_NAMES[predicted]}”"
    return f"The most frequent confusion: {wrong.max():.0%} of {taken}"


@style.picture(
    caption="""The accuracy of each class with its standard error, and that of all images (dashed).
    Good: all bars near the dashed line. One value for all classes hides that some are nearly
    solved while others are missed often.""",
    alt="Bars of the accuracy of each class with standard errors, the best class on top.",
)
def per_class_accuracy(counts):
    """Draw the accuracy of each class, none of them empty, with its standard error; best first."""
    totals = pd.Series(counts.sum(axis=1), CLASS_NAMES)
    accuracy = (counts.diagonal() / totals).sort_values()
    error = np.sqrt(accuracy * (1 - accuracy) / totals[accuracy.index])
    overall = counts.trace() / counts.sum()
    fig, ax = style.figure(3.2)
    bars = ax.barh(accuracy.index, accuracy, xerr=error, capsize=0)
    ax.bar_label(bars, fmt="{:.1%}", label_type="center", color="white", weight="bold")
    ax.axvline(overall, color=style.ORANGE, ls="--")
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"accuracy (dashed: {overall:.1%} of all images)")
    style.in_percent(ax.xaxis)
    return fig, _class_title(accuracy)


def _class_title(accuracy):
    hardest, *_, easiest = accuracy.index
    title = f"“{easiest}” is easiest ({accuracy.max():.0%})"
    return f"{title}, “{hardest}” hardest ({accuracy.min():.0%})"


@style.picture(
    caption="""The mistakes that the network was surest of. Good: you hesitate as well, or doubt
    the label. Bad: plain cases.""",
    alt="Misclassified images with the predicted class, its probability and the true class.",
)
def mistakes(images, labels, probabilities):
    """Draw wrongly classified images with what the network said and how sure it was.

    Parameters
    ----------
    images : ndarray, shape (n, 784)
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, 10)
    """
    rows = max(1, ceil(len(images) / 5))
    fig, axes = style.figure(
        0.4 + 1.45 * rows,
        rows,
        columns=5,
        squeeze=False,
        subplot_kw={"frame_on": False, "xticks": [], "yticks": []},
    )
    confidence = probabilities.max(axis=1)
    predicted = probabilities.argmax(axis=1)
    for k, image in enumerate(images):
        ax = axes.flat[k]
        ax.imshow(image.reshape(IMAGE_SHAPE), cmap="gray_r", vmin=-0.5, vmax=0.5)
        said = f"said {CLASS_NAMES[predicted[k]]}\nat {_percent(confidence[k])}"
        ax.set_title(f"{said}\nis {CLASS_NAMES[labels[k]]}", fontsize=9, loc="center")
    least = _percent(confidence.min(initial=1))
    return fig, f"Sure and wrong: {len(images)} mistakes made at {least} or more"


def _percent(p):
    """Write a share without rounding it up to 100 %."""
    return "over 99.9%" if p > 0.999 else f"{p:.1%}"


@style.picture(
    caption="""Accuracy against confidence, with standard errors. Good: points on the dashed line.
    Below it the network is too sure of itself, above it not sure enough. Long bars stand for few
    predictions.""",
    alt="Accuracy against confidence in ten bins, beside the line where they would be equal.",
)
def reliability(calibration):
    """Draw accuracy against confidence.

    Takes an `analysis.Calibration`; bins of fewer than 10 predictions are left out.
    """
    is_shown = calibration.counts >= 10
    counts = calibration.counts[is_shown]
    confidence = calibration.confidence[is_shown]
    accuracy = calibration.accuracy[is_shown]
    error = np.sqrt(accuracy * (1 - accuracy) / counts)
    fig, ax = style.figure(3.3)
    ax.plot((0, 1), (0, 1), color=style.GREY, ls="--", label="as sure as right")
    ax.errorbar(confidence, accuracy, error, marker="o", label="network, standard error")
    ax.set_xlabel("confidence (the largest probability)")
    ax.set_ylabel("accuracy")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    ax.legend(loc="upper left")
    style.in_percent(ax.xaxis, ax.yaxis)
    side = "Too sure" if calibration.bias > 0 else "Not sure enough"
    gap = 100 * calibration.error
    return fig, f"{side}: confidence and accuracy differ by {gap:.1f} points on average"
