"""The figures of part C: what each hyperparameter does, and every combination of them.

Each function takes a table, a DataFrame with one row a run and the columns of
`helpers.grid.table`; the accuracy of a run that diverged is not a number.
"""

import numpy as np

from helpers.figures import style
from helpers.grid.effects import paired_effects, side_by_side
from helpers.grid.table import FACTORS


@style.picture(
    caption="""Above, each grey line joins the validation accuracies of runs that differ in this
    hyperparameter alone (a shorter run is the first part of the longer one, so outside the last
    panel their mean counts once); orange is the mean. Below, the differences of these pairs from
    the first value: mean and standard deviation. A hyperparameter matters if most lines rise, or
    most fall. Where they cross, chance and the other hyperparameters decide: choose what is
    cheaper.""",
    alt="""For each hyperparameter a panel of crossing grey lines with their mean, and under it the
    mean difference from the first value with its standard deviation.""",
)
def grid_main_effects(table):
    """Draw what each hyperparameter does, in pairs of runs that differ in it alone."""
    tables = [side_by_side(table, factor) for factor in FACTORS]
    fig, axes = style.figure(
        4.4,
        rows=2,
        columns=len(FACTORS),
        sharex="col",
        sharey="row",
        height_ratios=(3, 2),
        width_ratios=[1 + accuracies.shape[1] for accuracies in tables],
    )
    for (above, below), accuracies in zip(axes.T, tables, strict=True):
        _draw_pairs(above, below, accuracies.dropna())
    first_above, first_below = axes[:, 0]
    first_above.set_ylabel("validation accuracy")
    first_below.set_ylabel("difference, points")
    first_above.yaxis.set_major_formatter("{x:.2%}")
    return fig, _effects_title(paired_effects(table))


def _draw_pairs(above, below, accuracies):
    """Draw one hyperparameter: its runs, joined in pairs, and the paired differences."""
    values = [f"{value:g}" for value in accuracies]
    pairs = accuracies.T
    above.plot(values, pairs, ".-", color=style.GREY, lw=0.5, ms=2)
    above.plot(values, accuracies.mean(), "o-", color=style.ORANGE)
    first = accuracies.iloc[:, 0]
    differences = 100 * accuracies.sub(first, axis=0)
    spread = differences.std().fillna(0)
    below.errorbar(values, differences.mean(), spread, color=style.ORANGE, fmt="o")
    below.set_xlim(-0.6, len(values) - 0.4)
    below.set_xlabel(_words(accuracies.columns.name))


def _words(factor):
    return factor.removeprefix("num_").replace("_", " ")


def _effects_title(effects):
    """Name the largest mean of paired differences."""
    if effects.empty:
        return "No two values to compare"
    position = effects["mean"].abs().idxmax()
    largest = effects.loc[position]
    values = f"{_words(largest.factor)} {largest.low:g} to {largest.high:g}"
    points = f"{100 * largest['mean']:+.2f} points"
    return f"Largest effect: {values}, {points} (pairs: {largest.num_pairs})"


@style.picture(
    caption="""Validation accuracy in percent of each combination. Good: broad bright regions, so
    that the choice is not a lucky cell. Bad: single bright cells among dark ones.""",
    alt="Heat map of the validation accuracy over the five hyperparameters.",
)
def grid_heat_map(table):
    """Draw the validation accuracy of every combination, averaged over seeds."""
    means = table.groupby(FACTORS).accuracy.mean()
    cells = means.unstack(["batch_size", "learning_rate"]).sort_index(axis=1)
    fig, ax = style.figure(1.2 + 0.24 * len(cells))
    highest = means.max()
    # one colour for the lowest twentieth, so that a bad run leaves the rest distinct
    lowest = means.quantile(0.05) - 1e-3
    _show_cells(ax, cells, lowest, highest)
    _name_cells(ax, cells)
    depth, units, rate, batch, epochs = means.idxmax()
    recipe = f"{depth} × {units} units, rate {rate:g}, batch {batch}, {epochs} epochs"
    return fig, f"Best, {highest:.2%}: {recipe}"


def _show_cells(ax, cells, low, high):
    """Draw a matrix, its numbers in percent and a dash where there is none."""
    ax.imshow(cells, vmin=low, vmax=high, aspect="auto")
    style.without_frame(ax)
    for (row, column), value in np.ndenumerate(cells):
        text = "–" if np.isnan(value) else f"{100 * value:.2f}"
        is_dark = value < (low + high) / 2
        style.write_cell(ax, row, column, text, is_dark)


def _name_cells(ax, cells):
    rows = [f"{depth} × {units} units, {epochs} epochs" for depth, units, epochs in cells.index]
    columns = [f"{rate:g}\n{batch}" for batch, rate in cells]
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_xlabel("learning rate, and batch size under it")
