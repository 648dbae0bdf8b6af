"""The figures of part A: the data, the learning curves, and what one network gets wrong."""

from math import ceil

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.ticker import MaxNLocator

from helpers.data import CLASS_NAMES
from helpers.figures import style


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
    fig, ax = style.figure(4.6)
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
    """Draw a `history.History`: cross-entropy and accuracy by epoch, from the first weights on.

    The axes reach to `num_epochs`, so that one sees how much is still to come, or never came.
    """
    fig, (loss, accuracy) = style.figure(3.0, 1, 2)
    last = len(history) - 1
    end = max(last, num_epochs, 1)
    _draw_curves(
        loss,
        history.training_cross_entropy,
        history.validation_cross_entropy,
        end,
    )
    _draw_curves(accuracy, history.training_accuracy, history.validation_accuracy, end)
    loss.legend()
    loss.set(yscale="log", ylabel="cross-entropy, logarithmic")
    style.number_log_axis(loss.yaxis)
    accuracy.set(ylabel="accuracy", ylim=(0, 1))
    accuracy.yaxis.set_major_formatter("{x:.0%}")
    return fig, f"After {last} epochs: validation accuracy {history.validation_accuracy[-1]:.1%}"


def _draw_curves(ax, training, validation, end):
    ax.plot(training, "o-", label="training")
    ax.plot(validation, "s-", label="validation")
    ax.set(xlabel="epochs of training", xlim=(-0.5, end + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


@style.picture(
    caption="""Counts, and under them the share of the true class. Good: a dark diagonal, and
    nothing elsewhere. Bad: a dark cell beside the diagonal, or a column that attracts all
    classes.""",
    alt="Confusion matrix of the ten classes with counts and shares of each row.",
)
def confusion(counts):
    """Draw which class was taken for which.

    Parameters
    ----------
    counts : ndarray of int, shape (10, 10)
        A row for each true class, as `helpers.analysis.confusion_counts` gives them.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = style.figure(4.7)
    ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    for row, column in np.argwhere(counts):
        share = shares[row, column]
        text = f"{counts[row, column]:,}\n{share:.1%}"
        style.write_cell(ax, row, column, text, is_dark=share > 0.35)
    ax.set_xticks(range(10), CLASS_NAMES, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(10), CLASS_NAMES)
    ax.set(xlabel="predicted class", ylabel="true class")
    style.without_frame(ax)
    return fig, _confusion_title(shares)


def _confusion_title(shares):
    """Name the pair of classes that is confused most, or the first two of several that tie."""
    wrong = shares * (1 - np.eye(10))
    pairs = []
    for true, predicted in np.argwhere(wrong == wrong.max()):
        pairs.append(f"{CLASS_NAMES[true]} for {CLASS_NAMES[predicted]}")
    return f"Most often mistaken ({wrong.max():.0%}): {', '.join(pairs[:2])}"


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
    fig, axes = style.figure(0.4 + 1.45 * rows, rows, columns=5, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, label, shares in zip(axes.flat, images, labels, probabilities, strict=False):
        style.show_image(ax, image)
        predicted = CLASS_NAMES[shares.argmax()]
        confidence = min(shares.max(), 0.999)  # never written as 100.0%
        title = f"said {predicted}\nat {confidence:.1%}\nis {CLASS_NAMES[label]}"
        ax.set_title(title, fontsize=9, loc="center")
    return fig, f"Sure and wrong: the {len(images)} mistakes that the network was surest of"
