"""The figures of part C: what each hyperparameter does, and what lies beyond the grid.

Each function takes a table, a DataFrame with one row a run and the columns of
`helpers.grid.table`; the accuracy of a run that diverged is not a number.
"""

from itertools import cycle

import numpy as np

from helpers.figures import style

FACTORS = ["num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"]


@style.picture
def grid_main_effects(table):
    """Draw the validation accuracy of every run against each hyperparameter.

    A mean's standard error is the standard deviation of its runs over the root of their number.
    It counts the effects of the other hyperparameters as noise: too large rather than too small.
    """
    widths = [2 + sum(len(f"{v:g}") + 1.5 for v in table[name].unique()) for name in FACTORS]
    fig, axes = style.figure(3.3, 1, len(FACTORS), sharey=True, width_ratios=np.maximum(widths, 8))
    effects = {}
    for ax, name in zip(axes, FACTORS, strict=True):
        words = name.removeprefix("num_").replace("_", " ")
        groups = table.groupby(name).accuracy
        means, errors = groups.mean(), groups.sem()
        for x, (_, group) in enumerate(groups):
            spread = (np.arange(len(group)) * 0.618 % 1 - 0.5) * 0.5
            ax.plot(x + spread, sorted(group), ".", color=style.GREY, ms=3.5, alpha=0.6)
        ax.errorbar(range(len(means)), means, errors, color=style.RED, marker="o")
        ax.set_xticks(range(len(means)), [f"{value:g}" for value in means.index])
        ax.set(xlim=(-0.6, len(means) - 0.4), xlabel=words)
        ax.grid(axis="y")
        effects[words] = means.max() - means.min(), errors.max()
    axes[0].set_ylabel("validation accuracy")
    style.in_percent(axes[0].yaxis)
    return fig, _effects_title(effects, table.accuracy.isna().sum())


def _effects_title(effects, num_diverged):
    name = max(effects, key=lambda name: np.nan_to_num(effects[name][0]))
    effect, error = 100 * np.array(effects[name])
    title = "No two means to compare"
    if effect > 0:
        title = f"Largest effect: {name}, {effect:.2f} points; standard error of a mean {error:.2f}"
    return title + (f"; {num_diverged} diverged" if num_diverged else "")


@style.picture
def grid_heat_maps(table):
    """Draw the validation accuracy of every combination, averaged over seeds; a map a depth."""
    depth, _, rate, batch, _ = FACTORS
    means = table.groupby(FACTORS).accuracy.mean()
    maps = means.unstack([batch, rate]).sort_index(axis=1)
    depths = maps.index.unique(depth)
    height = 0.9 + len(depths) * 0.35 + 0.24 * len(maps)
    fig, axes = style.figure(max(2.3, height), len(depths), 1, sharex=True, squeeze=False)
    for ax, value in zip(axes.flat, depths, strict=True):
        shown = _show_map(ax, maps.loc[value], _limits(means))
        ax.set_title(f"{value} hidden layer{'s' if value != 1 else ''}")
    _label_columns(axes[-1, 0], maps.columns)
    bar = fig.colorbar(shown, ax=axes, aspect=40, pad=0.02, extend="min")
    bar.set_label("validation accuracy")
    style.in_percent(bar.ax.yaxis)
    return fig, _best_title(means)


def _limits(means):
    """Choose the ends of a colour scale: a few very bad runs must not make the rest look alike."""
    return (0, 1) if means.isna().all() else (means.quantile(0.05) - 1e-3, means.max())


def _show_map(ax, values, limits):
    """Draw the map of one depth, with a line between two batch sizes."""
    shown = ax.imshow(values, vmin=limits[0], vmax=limits[1], aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = f"{100 * value:.2f}" if np.isfinite(value) else "–"
        colour = "white" if value < np.mean(limits) else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour)
    names = [f"{units} units, {epochs} epochs" for units, epochs in values.index]
    ax.set_yticks(range(len(values)), names)
    batches = values.columns.get_level_values(0)
    for x in np.flatnonzero(batches[1:] != batches[:-1]):
        ax.axvline(x + 0.5, color="white", lw=2.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown


def _label_columns(ax, columns):
    """Write the rate under each column, and the batch size under the columns that share it."""
    ax.set_xticks(range(len(columns)), [f"{rate:g}" for _, rate in columns])
    batches = columns.get_level_values(0)
    centres = [np.flatnonzero(batches == size).mean() for size in batches.unique()]
    ax.xaxis.remove_overlapping_locs = False
    ax.set_xticks(centres, [f"batch {size}" for size in batches.unique()], minor=True)
    ax.tick_params(axis="x", which="minor", length=0, pad=17)
    ax.set_xlabel("learning rate, for each batch size")


def _best_title(means):
    if means.isna().all():
        return "Every run diverged"
    depth, units, rate, batch, epochs = means.idxmax()
    recipe = f"{depth} × {units} units, rate {rate:g}, batch {batch}, {epochs} epochs"
    return f"Best, {means.max():.2%}: {recipe}"


@style.picture
def accuracy_against_cross_entropy(table, noise):
    """Draw every run's validation accuracy against its validation cross-entropy.

    The band under the best is `noise` high, the standard deviation of an accuracy.
    """
    colours = {rate: f"C{k}" for k, rate in enumerate(sorted(table.learning_rate.unique()))}
    markers = dict(zip(sorted(table.num_epochs.unique()), cycle("os^Dv<>pP*X"), strict=False))
    fig, ax = style.figure(3.8)
    for (rate, epochs), runs in table.groupby(["learning_rate", "num_epochs"]):
        ax.plot(runs.cross_entropy, runs.accuracy, markers[epochs], color=colours[rate], alpha=0.75)
    for rate, colour in colours.items():
        ax.plot([], [], "o", color=colour, label=f"rate {rate:g}")
    for epochs, marker in markers.items():
        ax.plot([], [], marker, color=style.GREY, label=f"{epochs} epochs")
    best = table.accuracy.max()
    ax.axhspan(best - noise, best, color=style.YELLOW, lw=0, zorder=0, label="one sd of noise")
    ax.set(xlabel="validation cross-entropy (nats)", ylabel="validation accuracy")
    style.in_percent(ax.yaxis)
    ax.grid()
    fig.legend(loc="outside right center")
    inside = (table.accuracy >= best - noise).sum()
    return fig, f"{inside} of {len(table)} runs lie within the noise of the best"


@style.picture
def recipe_bars(table):
    """Draw the validation accuracy of several recipes with the spread over their seeds.

    Of the table it needs the columns "recipe" (a text) and "accuracy". The recipes are drawn in
    the order of their first runs, and compared with the first of them.
    """
    found = table.groupby("recipe", sort=False).accuracy.agg(["mean", "std"])
    fig, ax = style.figure(0.9 + 0.32 * len(found))
    frame = {"fc": "white", "ec": "none", "pad": 0.5}
    place = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
    for y, (mean, sd) in enumerate(found.to_numpy()):
        look = {"color": style.BLUE if y else style.GREY, "marker": "o", "capsize": 4, "ms": 7}
        ax.errorbar(mean, y, xerr=np.nan_to_num(sd), **look)
        ax.annotate(f"{mean:.2%}", (mean, y), bbox=frame, **place)
    first = found["mean"].iloc[0]
    ax.axvline(first, color=style.GREY, ls="--", lw=1)
    ax.set_yticks(range(len(found)), found.index)
    ax.set(ylim=(len(found) - 0.5, -0.8), xmargin=0.12)
    ax.set_xlabel("validation accuracy, with the standard deviation over seeds")
    style.in_percent(ax.xaxis)
    ax.grid(axis="x")
    best, gain = found["mean"].idxmax(), 100 * (found["mean"].max() - first)
    return fig, f"Best: {best},\n{gain:+.2f} points over {found.index[0]}"
