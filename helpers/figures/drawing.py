"""Every picture, drawn from numbers that are already computed, in one style.

A drawing function takes arrays or table rows and returns a matplotlib figure; `show` displays it
in a notebook and `png` turns it into bytes for a file. Titles state what was found, and for that
the functions count and average a little. Left out: training, reading data, writing files; the
counts behind the pictures of one network come from `helpers.analysis`.
"""

import base64
import io
from functools import wraps
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter
from PIL import Image

from helpers.analysis import order_by_norm
from helpers.data import CLASS_NAMES, IMAGE_SHAPE

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 6.7
"""Inches: the text width of an A4 page with margins of 2 cm, so nothing shrinks in print."""
PIXELS_PER_INCH = 110
"""Of the picture on a screen; the file holds more (savefig.dpi in the style file)."""
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
BLUE, RED = COLOURS[:2]
GREY, YELLOW = "#777777", "#F0E442"
GAP = 2
"""Pixels between the tiles of a mosaic."""
FACTOR_NAMES = {
    "num_hidden_layers": "hidden layers",
    "num_units": "units a layer",
    "num_epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
}


def in_style(draw):
    """Make a function run under the style file, whatever the notebook's own settings are."""

    @wraps(draw)
    def styled(*args, **kwargs):
        with matplotlib.rc_context(fname=STYLE):
            return draw(*args, **kwargs)

    return styled


@in_style
def png(fig):
    """Render a figure.

    Parameters
    ----------
    fig : matplotlib.figure.Figure

    Returns
    -------
    bytes
        A PNG file of 256 colours: a third of the size, and no difference that can be seen.
    """
    drawn, reduced = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png")
    picture = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    picture.save(reduced, format="png", optimize=True)
    return reduced.getvalue()


def show(fig, caption, alt):
    """Display a figure once, with its caption under it, and close it.

    The picture's output carries ``metadata["image/png"]["alt"]`` and ``metadata["caption"]``,
    which the report reads. Both texts should hold no figures that vary from run to run.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    caption : str
        What good and bad look like; Markdown is understood.
    alt : str
        What is to be seen, for who cannot see it.
    """
    picture = base64.b64encode(png(fig)).decode()
    width = round(fig.get_figwidth() * PIXELS_PER_INCH)
    fig.clear()
    display(
        {"image/png": picture, "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": width}, "caption": caption},
        raw=True,
    )
    display({"text/markdown": f"*{caption}*", "text/plain": caption}, raw=True)


@in_style
def samples(data, count=12):
    """Draw the first images of each class, and how many there are.

    Parameters
    ----------
    data : helpers.data.Images
    count : int
        Images a class.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [np.flatnonzero(data.labels == k) for k in range(len(CLASS_NAMES))]
    tiles = [_images(data.images[row[:count]]) for row in rows]
    fig, ax = _figure(0.7 + WIDTH * 0.75 * len(rows) / count)
    _show_mosaic(
        ax,
        [list(row) for row in tiles],
        cmap="gray_r",
        vmin=-0.5,
        vmax=0.5,
        interpolation="nearest",
    )
    height = IMAGE_SHAPE[0] + GAP
    names = [f"{name}\n{len(row):,}" for name, row in zip(CLASS_NAMES, rows, strict=True)]
    ax.set_yticks([height * (k + 0.5) for k in range(len(rows))], names)
    ax.set_title("Trousers and bags stand apart; shirt, coat and pullover look alike")
    return fig


@in_style
def learning_curves(history):
    """Draw cross-entropy and accuracy after each epoch, from the initial weights on.

    Parameters
    ----------
    history : helpers.sgd.History
        Of one network.

    Returns
    -------
    matplotlib.figure.Figure
        Both axes are stretched where the curves end: cross-entropy by its logarithm, accuracy by
        that of the errors.
    """
    fig, (loss, accuracy) = _figure(3.0, 1, 2)
    for ax, quantity in (loss, "cross_entropy"), (accuracy, "accuracy"):
        for part, colour, marker in ("training", BLUE, "o"), ("validation", RED, "s"):
            values = np.array(getattr(history, f"{part}_{quantity}"))
            ax.plot(values, color=colour, marker=marker, label=part)
        ax.set_xlabel("epochs of training")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(axis="y")
    loss.set_ylabel("cross-entropy (nats)")
    loss.set_yscale("log")
    _plain_log_ticks(loss)
    accuracy.set_ylabel("accuracy")
    _error_scale(accuracy)
    loss.legend()
    fig.suptitle(_learning_title(history))
    return fig


@in_style
def confusion(counts):
    """Draw which class was taken for which: counts, and shares of each row.

    Parameters
    ----------
    counts : ndarray of int, shape (10, 10)
        See `helpers.analysis.confusion_counts`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    fig, ax = _figure(5.6)
    picture = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        text = (
            f"{counts[row, column]:,}\n{share:.1%}"
            if share < 0.1
            else (f"{counts[row, column]:,}\n{share:.0%}")
        )
        colour = "white" if share > 0.35 else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour, linespacing=1.0)
    ax.set_xticks(range(10), CLASS_NAMES, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(10), CLASS_NAMES)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(length=0)
    bar = fig.colorbar(picture, ax=ax, format=_percent_tick, aspect=30, pad=0.02)
    bar.set_label("share of the true class")
    wrong = np.where(np.eye(10, dtype=bool), -1, shares)
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    ax.set_title(
        f"The most frequent confusion: {wrong.max():.0%} of “{CLASS_NAMES[true]}” "
        f"are taken for “{CLASS_NAMES[predicted]}”"
    )
    return fig


@in_style
def per_class_accuracy(counts):
    """Draw the accuracy of each class with its standard error, the best class first.

    Parameters
    ----------
    counts : ndarray of int, shape (10, 10)
        See `helpers.analysis.confusion_counts`; no class may be empty.

    Returns
    -------
    matplotlib.figure.Figure
    """
    totals = counts.sum(axis=1)
    accuracy = counts.diagonal() / totals
    error = np.sqrt(accuracy * (1 - accuracy) / totals)
    order = np.argsort(accuracy)
    overall = counts.trace() / totals.sum()
    fig, ax = _figure(3.2)
    ax.barh(range(10), accuracy[order], xerr=error[order], color=BLUE, ecolor="black")
    for y, k in enumerate(order):
        ax.text(0.01, y, f"{accuracy[k]:.1%}", color="white", va="center", weight="bold")
    ax.axvline(overall, color=RED, ls="--")
    ax.text(overall, 9.7, f" all: {overall:.1%}", color=RED, ha="center", va="bottom")
    ax.set_yticks(range(10), [CLASS_NAMES[k] for k in order])
    ax.set(xlim=(0, 1), xlabel="accuracy, with its standard error", ylim=(-0.6, 9.6))
    ax.xaxis.set_major_formatter(_percent_tick)
    worst, best = CLASS_NAMES[order[0]], CLASS_NAMES[order[-1]]
    ax.set_title(
        f"“{best}” is easiest ({accuracy.max():.0%}), “{worst}” hardest ({accuracy.min():.0%})",
        pad=18,
    )
    return fig


@in_style
def mistakes(images, labels, probabilities, columns=5):
    """Draw wrongly classified images with what the network said and how sure it was.

    Parameters
    ----------
    images : ndarray, shape (n, 784)
    labels : ndarray of int, shape (n,)
    probabilities : ndarray, shape (n, 10)
    columns : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = max(1, -(-len(images) // columns))
    fig, axes = _figure(0.4 + 1.75 * rows, rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, label, p in zip(axes.flat, _images(images), labels, probabilities, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=-0.5, vmax=0.5)
        said = f"said {CLASS_NAMES[p.argmax()]}\nat {_percent(p.max())}"
        ax.set_title(f"{said}\nis {CLASS_NAMES[label]}", fontsize=9, loc="center")
    least = probabilities.max(axis=1).min() if len(images) else 1
    fig.suptitle(f"Surely wrong: {len(images)} mistakes made at {_percent(least)} or more")
    return fig


def _percent(p):
    """Write a share without rounding it up to 100 %."""
    return "over 99.9%" if p > 0.999 else f"{p:.1%}"


def _percent_tick(share, _):
    return f"{100 * share:.4g}%"


@in_style
def reliability(calibration):
    """Draw accuracy against confidence, and how many predictions there are of each confidence.

    Parameters
    ----------
    calibration : helpers.analysis.Calibration

    Returns
    -------
    matplotlib.figure.Figure
        Bins of fewer than 10 predictions are left out of the curve.
    """
    fig, (ax, below) = _figure(4.6, 2, 1, sharex=True, height_ratios=(3, 1))
    counts, num_bins = calibration.counts, len(calibration.counts)
    left, full = np.arange(num_bins) / num_bins, counts >= 10
    x, y = calibration.confidence[full], calibration.accuracy[full]
    error = np.sqrt(y * (1 - y) / counts[full])
    ax.plot((0, 1), (0, 1), color=GREY, ls="--", label="as sure as right")
    ax.errorbar(x, y, error, color=BLUE, marker="o", capsize=3, label="network, standard error")
    ax.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(loc="upper left")
    ax.grid()
    below.bar(left, counts, 1 / num_bins, align="edge", color=BLUE, edgecolor="white")
    below.set(xlabel="confidence (the largest probability)", ylabel="predictions")
    below.yaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_formatter(_percent_tick)
    below.xaxis.set_major_formatter(_percent_tick)
    side = "Too sure" if calibration.bias > 0 else "Not sure enough"
    ax.set_title(
        f"{side}: confidence and accuracy differ by {100 * calibration.error:.1f} points on average"
    )
    return fig


@in_style
def weight_tiles(matrix, before=None):
    """Draw the weights of all first-layer units as images, sorted by norm, on one scale.

    Parameters
    ----------
    matrix : ndarray, shape (units, 784)
    before : ndarray, shape (units, 784), optional
        The same units before training, drawn beside them in the same order.

    Returns
    -------
    matplotlib.figure.Figure
        The colour scale is symmetric and shared by all tiles; it ends at the 99.9th percentile
        of the absolute trained weights, and the arrows of its bar stand for what lies beyond.
    """
    order = order_by_norm(matrix)
    panels = [(matrix, f"All {len(matrix)} units after training, longest weight vector first")]
    if before is not None:
        panels = [(before, "Before training: noise"), (matrix, "After training, longest first")]
    limit = np.percentile(np.abs(matrix), 99.9)
    columns = int(np.ceil(np.sqrt(len(matrix))))
    rows = -(-len(matrix) // columns)
    width = WIDTH * 0.86 / len(panels)
    fig, axes = _figure(0.6 + width * rows / columns, 1, len(panels), squeeze=False)
    for ax, (weights, title) in zip(axes.flat, panels, strict=True):
        tiles = _images(weights[order])
        lines = [list(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
        picture = _show_mosaic(ax, lines, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_title(title)
        ax.set_yticks([])
    bar = fig.colorbar(picture, ax=axes, extend="both", aspect=30, pad=0.02)
    bar.set_label("weight of a pixel (0 is white)")
    return fig


@in_style
def exciting_images(matrix, images, units):
    """Draw units' weights with the images that excite each of them most.

    Parameters
    ----------
    matrix : ndarray, shape (units, 784)
    images : ndarray, shape (units, count, 784)
        For each unit in turn; see `helpers.analysis.most_exciting`.
    units : sequence of int
        Which units to draw, in this order.

    Returns
    -------
    matplotlib.figure.Figure
    """
    across = images.shape[1] + 2.2
    blocks = min(max(1, int(22 // across)), len(units))
    rows = -(-len(units) // blocks)
    tile = min(WIDTH / blocks / across, 0.6)
    fig, axes = _figure(0.5 + tile * 1.08 * rows, 1, blocks, squeeze=False)
    limit = np.percentile(np.abs(matrix), 99.9)
    for block, ax in enumerate(axes.flat):
        chosen = units[block * rows : (block + 1) * rows]
        if len(chosen):
            _show_units(ax, matrix, images, chosen, limit, rows)
        else:
            ax.axis("off")
    fig.suptitle("Each unit's weights (colour) and the images that it likes best")
    return fig


def _show_units(ax, matrix, images, units, limit, rows):
    """Draw one block: a line a unit, its weights in colour and then images in grey."""
    colour = matplotlib.colormaps["RdBu_r"]
    grey = matplotlib.colormaps["gray_r"]
    scale = Normalize(-limit, limit)
    lines = [
        [colour(scale(_images(matrix[unit]))), *grey(_images(images[unit]) + 0.5)] for unit in units
    ]
    mosaic = _mosaic(lines)
    ax.imshow(mosaic)
    height = IMAGE_SHAPE[0] + GAP
    ax.set_ylim(rows * height, -GAP)
    ax.set_yticks([height * (k + 0.5) for k in range(len(units))], units)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


@in_style
def grid_main_effects(rows, factors):
    """Draw the validation accuracy of every run against each hyperparameter.

    Parameters
    ----------
    rows : list of dict
        One run each, with the keys `factors` and "accuracy" (None if the run diverged).
    factors : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    levels = {factor: sorted({row[factor] for row in rows}) for factor in factors}
    widths = [max(8, 2 + sum(len(f"{v:g}") + 1.5 for v in levels[k])) for k in factors]
    fig, axes = _figure(3.3, 1, len(factors), sharey=True, squeeze=False, width_ratios=widths)
    finished = [row for row in rows if row["accuracy"] is not None]
    effects = {}
    for ax, factor in zip(axes.flat, factors, strict=True):
        values = levels[factor]
        groups = [[r["accuracy"] for r in finished if r[factor] == value] for value in values]
        for x, group in enumerate(groups):
            ax.plot(x + _spread(len(group)), sorted(group), ".", color=GREY, ms=3.5, alpha=0.6)
        means = [np.mean(group) if group else np.nan for group in groups]
        ax.plot(means, color=RED, marker="o")
        ax.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        ax.set(xlim=(-0.6, len(values) - 0.4), xlabel=FACTOR_NAMES.get(factor, factor))
        ax.grid(axis="y")
        if len(values) > 1 and np.isfinite(means).any():
            effects[factor] = np.nanmax(means) - np.nanmin(means)
    axes[0, 0].set_ylabel("validation accuracy")
    axes[0, 0].yaxis.set_major_formatter(_percent_tick)
    fig.suptitle(_effects_title(effects, len(rows) - len(finished)))
    return fig


def _spread(count):
    """Lay dots of one group side by side."""
    return (np.arange(count) * 0.618 % 1 - 0.5) * 0.5


def _effects_title(effects, num_diverged):
    title = f"{num_diverged} diverged" if num_diverged else ""
    if effects:
        factor = max(effects, key=effects.get)
        found = f"Largest effect on the mean: {FACTOR_NAMES.get(factor, factor)}"
        found += f", {100 * effects[factor]:.1f} points"
        title = f"{found}; {title}" if title else found
    return title or "One value of each hyperparameter: no effect to compare"


@in_style
def grid_heat_maps(rows):
    """Draw the validation accuracy of every combination, one map for each depth.

    Parameters
    ----------
    rows : list of dict
        One run each, with the five hyperparameters and "accuracy" (None if the run diverged);
        runs of one combination are averaged.

    Returns
    -------
    matplotlib.figure.Figure
    """
    depths, units, epochs, batches, rates = (sorted({row[k] for row in rows}) for k in FACTOR_NAMES)
    lines = [(n, e) for n in units for e in epochs]
    columns = [(b, rate) for b in batches for rate in rates]
    maps = np.array([[[_mean(rows, d, *i, *j) for j in columns] for i in lines] for d in depths])
    lowest, highest = _range(maps)
    height = max(2.3, 1.05 + len(depths) * (0.35 + 0.24 * len(lines)))
    fig, axes = _figure(height, len(depths), 1, sharex=True, squeeze=False)
    for ax, depth, values in zip(axes.flat, depths, maps, strict=True):
        picture = ax.imshow(values, vmin=lowest, vmax=highest, aspect="auto")
        _write_cells(ax, values, (lowest + highest) / 2)
        ax.set_yticks(range(len(lines)), [f"{n} units, {e} epochs" for n, e in lines])
        ax.set_title(f"{depth} hidden layer{'s' if depth != 1 else ''}")
        for x in range(len(rates), len(columns), len(rates)):
            ax.axvline(x - 0.5, color="white", lw=2.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    axes[-1, 0].set_xticks(range(len(columns)), [f"{rate:g}" for _, rate in columns])
    axes[-1, 0].set_xlabel("learning rate, for each batch size")
    _label_groups(axes[-1, 0], [f"batch {b}" for b in batches], len(rates))
    bar = fig.colorbar(picture, ax=axes, aspect=40, pad=0.02, extend="min")
    bar.ax.yaxis.set_major_formatter(_percent_tick)
    bar.set_label("validation accuracy")
    fig.suptitle(_best_title(maps, depths, lines, columns))
    return fig


def _mean(rows, *combination):
    """Average the accuracy of the runs of one combination; NaN if there is none."""
    found = [
        row["accuracy"]
        for row in rows
        if row["accuracy"] is not None and combination == tuple(row[k] for k in FACTOR_NAMES)
    ]
    return np.mean(found) if found else np.nan


def _range(values):
    """Choose the ends of a colour scale: a few very bad runs must not make the rest look alike."""
    if not np.isfinite(values).any():
        return 0, 1
    lowest, highest = np.nanpercentile(values, 5), np.nanmax(values)
    return (lowest, highest) if highest > lowest else (lowest - 0.01, highest + 0.01)


def _write_cells(ax, values, middle):
    for (row, column), value in np.ndenumerate(values):
        text = f"{100 * value:.1f}" if np.isfinite(value) else "–"
        colour = "black" if not value < middle else "white"
        ax.text(column, row, text, ha="center", va="center", color=colour)


def _label_groups(ax, names, size):
    """Write a second line of labels under the ticks, one for each group of `size` columns."""
    second = ax.secondary_xaxis(-0.0)
    second.set_xticks(
        [size * (k + 0.5) - 0.5 for k in range(len(names))], [f"\n{name}" for name in names]
    )
    second.tick_params(length=0)
    second.spines[:].set_visible(False)
    ax.xaxis.labelpad = 14


def _best_title(maps, depths, lines, columns):
    if not np.isfinite(maps).any():
        return "Every run diverged"
    d, i, j = np.unravel_index(np.nanargmax(maps), maps.shape)
    return (
        f"Best, {np.nanmax(maps):.2%}: {depths[d]} × {lines[i][0]} units, "
        f"{lines[i][1]} epochs, batch {columns[j][0]}, rate {columns[j][1]:g}"
    )


@in_style
def accuracy_against_cross_entropy(rows, noise=None):
    """Draw every run's validation accuracy against its validation cross-entropy.

    Parameters
    ----------
    rows : list of dict
        One run each, with "accuracy", "cross_entropy" (None if it diverged), "learning_rate" and
        "num_epochs".
    noise : float, optional
        Standard deviation of an accuracy, drawn as a band under the best.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [row for row in rows if row["accuracy"] is not None]
    rates, epochs = (sorted({row[key] for row in rows}) for key in ("learning_rate", "num_epochs"))
    colours = dict(zip(rates, cycle(COLOURS), strict=False))
    markers = dict(zip(epochs, cycle("os^Dv<>pP*X"), strict=False))
    fig, ax = _figure(3.8)
    for row in rows:
        style = colours[row["learning_rate"]], markers[row["num_epochs"]]
        ax.plot(row["cross_entropy"], row["accuracy"], style[1], color=style[0], alpha=0.75)
    keys = [_key(f"rate {rate:g}", colours[rate], "o") for rate in rates]
    keys += [_key(f"{count} epochs", GREY, markers[count]) for count in epochs]
    if noise is not None and rows:
        best = max(row["accuracy"] for row in rows)
        ax.axhspan(best - noise, best, color=YELLOW, alpha=0.4, lw=0, zorder=0)
        keys.append(matplotlib.patches.Patch(color=YELLOW, alpha=0.4, label="one sd of noise"))
    ax.set(xlabel="validation cross-entropy (nats)", ylabel="validation accuracy")
    ax.yaxis.set_major_formatter(_percent_tick)
    ax.grid()
    fig.legend(handles=keys, loc="outside right center")
    ax.set_title(_band_title([row["accuracy"] for row in rows], noise))
    return fig


def _key(label, colour, marker):
    return Line2D([], [], color=colour, marker=marker, ls="", label=label)


def _band_title(accuracies, noise):
    if not accuracies:
        return "Every run diverged"
    if noise is None:
        return f"The best of {len(accuracies)} runs reaches {max(accuracies):.2%}"
    inside = sum(accuracy >= max(accuracies) - noise for accuracy in accuracies)
    return f"{inside} of {len(accuracies)} runs lie within the noise of the best"


@in_style
def recipe_bars(rows):
    """Draw the validation accuracy of several recipes with the spread over their seeds.

    Parameters
    ----------
    rows : list of dict
        With "name", "mean" and "sd" (0 or None for a single seed), the first one the reference.

    Returns
    -------
    matplotlib.figure.Figure
        Points, not bars from zero: the differences are a hundredth of the values.
    """
    fig, ax = _figure(0.9 + 0.32 * len(rows))
    for y, row in enumerate(rows):
        colour = BLUE if y else GREY
        ax.errorbar(row["mean"], y, xerr=row["sd"] or 0, color=colour, marker="o", capsize=4, ms=7)
        ax.annotate(
            f"{row['mean']:.2%}",
            (row["mean"], y),
            (0, 6),
            textcoords="offset points",
            ha="center",
            bbox={"fc": "white", "ec": "none", "pad": 0.5},
        )
    ax.axvline(rows[0]["mean"], color=GREY, ls="--", lw=1)
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.8)
    ax.margins(x=0.12)
    ax.set_xlabel("validation accuracy, with the standard deviation over seeds")
    ax.xaxis.set_major_formatter(_percent_tick)
    ax.grid(axis="x")
    fig.suptitle(_recipe_title(rows))
    return fig


def _recipe_title(rows):
    first, best = rows[0], max(rows, key=lambda row: row["mean"])
    if best is first:
        return f"None is better than {first['name']}"
    gain = 100 * (best["mean"] - first["mean"])
    return f"Best: {best['name']},\n{gain:+.1f} points over {first['name']}"


@in_style
def error_against_step(curve):
    """Draw the error of each derivative against the step size, and the kinks that steps cross.

    Parameters
    ----------
    curve : helpers.gradient_check.StepCurve

    Returns
    -------
    matplotlib.figure.Figure
        Measured: lines with markers. Predicted: dashed (truncation) and dotted (rounding).
    """
    fig, (error, kinks) = _figure(5.8, 2, 1, sharex=True, height_ratios=(3, 1))
    styles = zip(curve.errors.items(), COLOURS, "osDv", strict=False)
    for (name, errors), colour, marker in styles:
        error.plot(curve.steps, errors, color=colour, marker=marker, ms=4, label=name)
        for predicted, dashes in (curve.truncation, "--"), (curve.rounding, ":"):
            if name in predicted:
                error.plot(curve.steps, predicted[name], dashes, color=colour, lw=1.1, zorder=1)
    for label, dashes in ("truncation, predicted", "--"), ("rounding, predicted", ":"):
        error.plot([], [], dashes, color=GREY, lw=1.1, label=label)
    error.set(yscale="log", ylim=(1e-17, 10), ylabel="relative error of the gradient")
    error.grid()
    fig.legend(*error.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    kinks.plot(curve.steps, curve.kinks, color=GREY, marker=".")
    kinks.set(xscale="log", yscale="symlog", xlabel="step size")
    kinks.set_ylim(0, 2 * max(curve.kinks.max(), 5))
    kinks.set_ylabel("kinks crossed")
    kinks.grid()
    best = {name: errors.min() for name, errors in curve.errors.items()}
    fig.suptitle(
        f"Complex steps are right to {best['complex step']:.0e}, "
        f"differences at best to {best['3-point']:.0e}"
    )
    return fig


def _learning_title(history):
    validation = float(history.validation_accuracy[-1])
    gap = float(history.training_accuracy[-1]) - validation
    return (
        f"Validation accuracy {validation:.1%} after {len(history) - 1} epochs, "
        f"{100 * abs(gap):.1f} points {'under' if gap >= 0 else 'over'} training"
    )


def _plain_log_ticks(ax):
    """Write the ticks of a logarithmic axis as plain numbers."""
    ticks = [m * 10.0**e for e in range(-6, 3) for m in (1, 2, 3, 5)]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="y", which="minor", length=0)


def _error_scale(ax):
    """Scale an axis of accuracies by the logarithm of the error, up to 99.95 %."""
    least = 5e-4
    ax.set_yscale(
        "function",
        functions=(
            lambda accuracy: -np.log(np.maximum(1 - np.asarray(accuracy), least)),
            lambda scaled: 1 - np.exp(-np.asarray(scaled)),
        ),
    )
    ticks = [0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.999]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FixedFormatter([f"{100 * tick:g}%" for tick in ticks]))


def _images(rows):
    """View rows of 784 numbers as images."""
    return rows.reshape(*rows.shape[:-1], *IMAGE_SHAPE)


def _mosaic(lines):
    """Join lines of tiles into one array; the gaps, and places without a tile, are NaN."""
    height, width = IMAGE_SHAPE
    columns = max(map(len, lines))
    shape = len(lines) * (height + GAP) - GAP, columns * (width + GAP) - GAP
    mosaic = np.full(shape + np.shape(lines[0][0])[2:], np.nan)
    for row, line in enumerate(lines):
        for column, tile in enumerate(line):
            top, left = row * (height + GAP), column * (width + GAP)
            mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _show_mosaic(ax, lines, **options):
    """Draw tiles without axes; gaps are grey, so that a white pixel is not taken for one."""
    mosaic = np.ma.masked_invalid(_mosaic(lines))
    colours = matplotlib.colormaps[options.pop("cmap")].with_extremes(bad="#C8C8C8")
    picture = ax.imshow(mosaic, cmap=colours, **options)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return picture


def _figure(height, rows=1, columns=1, **options):
    """Make a figure of full width with a grid of axes."""
    fig = Figure(figsize=(WIDTH, height))
    return fig, fig.subplots(rows, columns, **options)
