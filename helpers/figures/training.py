"""The figures of part A: the data, the learning curves, and what one network gets wrong.

`counts` is what `helpers.analysis.confusion_counts` gives: ndarray of int, shape (10, 10).
"""

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from helpers.data import CLASS_NAMES, IMAGE_SHAPE
from helpers.figures import style


@style.picture
def samples(data):
    """Draw the first twelve images of each class of `data.Images`, and how many there are."""
    rows = [np.flatnonzero(data.labels == k) for k in range(len(CLASS_NAMES))]
    first = np.concatenate([data.images[row[:12]] for row in rows])
    fig, ax = style.figure(0.4 + 5 * len(rows) / 12)
    names = [f"{name}\n{len(row):,}" for name, row in zip(CLASS_NAMES, rows, strict=True)]
    style.show_tiles(ax, first, 12, "gray_r", 0.5, names)
    return fig, "Trousers and bags stand apart; shirt, coat and pullover look alike"


@style.picture
def learning_curves(history):
    """Draw a `sgd.History`: cross-entropy and accuracy by epoch, from the initial weights on."""
    fig, (loss, accuracy) = style.figure(3.0, 1, 2)
    for ax, quantity in (loss, "cross_entropy"), (accuracy, "accuracy"):
        for part, marker in ("training", "o"), ("validation", "s"):
            ax.plot(getattr(history, f"{part}_{quantity}"), marker=marker, label=part)
        ax.set_xlabel("epochs of training")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y")
    loss.set(ylabel="cross-entropy (nats), logarithmic", yscale="log")
    loss.yaxis.set(major_locator=LogLocator(subs=(1, 2, 3, 5)), minor_locator=NullLocator())
    loss.yaxis.set_major_formatter("{x:g}")
    _error_scale(accuracy)
    loss.legend()
    return fig, _learning_title(history)


def _error_scale(ax):
    """Stretch an axis of accuracies by the logarithm of the error, up to 99.95 %."""
    both_ways = (lambda share: -np.log(np.maximum(1 - share, 5e-4)), lambda y: 1 - np.exp(-y))
    ax.set_yscale("function", functions=both_ways)
    ticks = [0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    style.in_percent(ax.yaxis)
    ax.set_ylabel("accuracy (logarithmic in the error)")


def _learning_title(history):
    validation = history.validation_accuracy[-1]
    gap = history.training_accuracy[-1] - validation
    training = f"{100 * abs(gap):.1f} points {'under' if gap >= 0 else 'over'} training"
    return f"Validation accuracy {validation:.1%} after {len(history) - 1} epochs, {training}"


@style.picture
def confusion(counts):
    """Draw which class was taken for which."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = style.figure(4.7)
    shown = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        text = f"{counts[row, column]:,}\n{share:.{1 if share < 0.1 else 0}%}"
        colour = "white" if share > 0.35 else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour, linespacing=1.0)
    ax.set_xticks(range(10), CLASS_NAMES, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(10), CLASS_NAMES)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    bar = fig.colorbar(shown, ax=ax, aspect=30, pad=0.02, label="share of the true class")
    style.in_percent(bar.ax.yaxis)
    return fig, _confusion_title(shares)


def _confusion_title(shares):
    wrong = np.where(np.eye(len(shares), dtype=bool), -1, shares)
    true, said = (CLASS_NAMES[k] for k in np.unravel_index(wrong.argmax(), wrong.shape))
    return f"The most frequent confusion: {wrong.max():.0%} of “{true}” are taken for “{said}”"


@style.picture
def per_class_accuracy(counts):
    """Draw the accuracy of each class, none of them empty, with its standard error; best first."""
    totals = counts.sum(axis=1)
    shares = counts.diagonal() / totals
    order = np.argsort(shares)
    names, accuracy = [CLASS_NAMES[k] for k in order], shares[order]
    error = np.sqrt(accuracy * (1 - accuracy) / totals[order])
    overall = counts.trace() / totals.sum()
    fig, ax = style.figure(3.2)
    ax.barh(names, accuracy, xerr=error, color=style.BLUE, ecolor="black", capsize=0)
    for y, share in enumerate(accuracy):
        ax.text(0.01, y, f"{share:.1%}", color="white", va="center", weight="bold")
    ax.axvline(overall, color=style.RED, ls="--")
    ax.text(overall, 9.6, f"all: {overall:.1%}", color=style.RED, ha="center", va="bottom")
    ax.set(xlim=(0, 1), xlabel="accuracy", ylim=(-0.6, 9.6))
    style.in_percent(ax.xaxis)
    easy, hard = (f"{accuracy[k]:.0%}" for k in (-1, 0))
    return fig, f"“{names[-1]}” is easiest ({easy}), “{names[0]}” hardest ({hard})"


@style.picture
def mistakes(images, labels, probabilities):
    """Draw wrongly classified images with what the network said and how sure it was.

    Parameters
    ----------
    images : ndarray, shape (n, 784)
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, 10)
    """
    rows = max(1, -(-len(images) // 5))
    bare = {"frame_on": False, "xticks": [], "yticks": []}
    fig, axes = style.figure(0.4 + 1.45 * rows, rows, 5, squeeze=False, subplot_kw=bare)
    for ax, image, label, p in zip(axes.flat, images, labels, probabilities, strict=False):
        ax.imshow(image.reshape(IMAGE_SHAPE), cmap="gray_r", vmin=-0.5, vmax=0.5)
        said = f"said {CLASS_NAMES[p.argmax()]}\nat {_percent(p.max())}"
        ax.set_title(f"{said}\nis {CLASS_NAMES[label]}", fontsize=9, loc="center")
    least = probabilities.max(axis=1).min(initial=1)
    return fig, f"Sure and wrong: {len(images)} mistakes made at {_percent(least)} or more"


def _percent(p):
    """Write a share without rounding it up to 100 %."""
    return "over 99.9%" if p > 0.999 else f"{p:.1%}"


@style.picture
def reliability(calibration):
    """Draw accuracy against confidence, and how many predictions there are of each confidence.

    Takes an `analysis.Calibration`; bins of fewer than 10 predictions are left out of the curve.
    """
    fig, (ax, below) = style.figure(4.4, 2, 1, sharex=True, height_ratios=(3, 1))
    counts = calibration.counts
    full = counts >= 10
    x, y = calibration.confidence[full], calibration.accuracy[full]
    error = np.sqrt(y * (1 - y) / counts[full])
    ax.plot((0, 1), (0, 1), color=style.GREY, ls="--", label="as sure as right")
    ax.errorbar(x, y, error, color=style.BLUE, marker="o", label="network, standard error")
    ax.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(loc="upper left")
    ax.grid()
    left, width = np.linspace(0, 1, len(counts), endpoint=False, retstep=True)
    below.bar(left, counts, width, align="edge", color=style.BLUE, edgecolor="white")
    below.set(xlabel="confidence (the largest probability)", ylabel="predictions")
    below.yaxis.set_major_formatter("{x:,.0f}")
    style.in_percent(ax.yaxis, below.xaxis)
    side = "Too sure" if calibration.bias > 0 else "Not sure enough"
    gap = 100 * calibration.error
    return fig, f"{side}: confidence and accuracy differ by {gap:.1f} points on average"
