"""The figures of part D: the first layer's weights, and what its units respond to.

`W` is the matrix of a first layer, shape (units, 784). Red pixels excite a unit, blue ones inhibit
it. Colour scales are symmetric and end at the 99th percentile of a layer's absolute weights.
"""

from math import ceil

import numpy as np
from matplotlib.figure import Figure

from helpers.analysis import order_by_norm
from helpers.data import CLASS_NAMES
from helpers.figures import style

NUM_SHOWN = 10
"""Hidden units that are drawn of each first layer."""


def _limit(W):
    """Choose where the colour scale ends."""
    return np.percentile(np.abs(W), 99)


@style.picture(
    caption="""One tile for each unit, the longest weight vector first, all on one colour scale.
    Good: strokes and shapes, each unit with its own. Bad: tiles that all look alike. Speckle is
    the noise of the initial weights: plain SGD adds to it but never takes it away.""",
    alt="Weights of all first-layer units as 28 x 28 tiles on one symmetric colour scale.",
)
def show_W0(W):
    """Draw the weights of all first-layer units as images, in the order of their norms."""
    columns = ceil(np.sqrt(len(W)))
    lines = ceil(len(W) / columns)
    fig, ax = style.figure(0.9 + style.WIDTH / 1.5 * lines / columns)
    shown = style.show_tiles(ax, W[order_by_norm(W)], columns, "RdBu_r", _limit(W))
    bar = fig.colorbar(shown, extend="both", location="bottom", aspect=40, pad=0.02)
    bar.set_label("weight of a pixel (0 is white)")
    return fig, f"All {len(W)} units of the first layer, longest weight vector first"


@style.picture(
    caption="""Above, softmax regression: the weights of each class. Below, one column for each
    hidden unit and one line for each strength alpha of the L2 penalty, with the accuracy on
    validation images; all lines began with the same weights. Shown are the units that are longest
    in the last line, in this order; red excites, blue inhibits, and each line has its own colour
    scale. With alpha = 0 the noise of the start covers what was learned; with a larger alpha it
    fades, and so does some accuracy.""",
    alt="""Five lines of ten tiles. In the first, shapes of clothes in red and blue. In the second
    mostly speckle. From line to line the speckle fades, and in some tiles sleeves, collars,
    outlines or the gap between trouser legs appear.""",
)
def noise_to_clothes(templates, first_layers):
    """Draw the templates of softmax regression and a first layer under several penalties.

    Parameters
    ----------
    templates : (ndarray, float)
        Weights of softmax regression, shape (10, 784), and its validation accuracy.
    first_layers : dict
        alpha -> (W, validation accuracy) of a network with hidden layers, smallest alpha first;
        unit k is the same one in each.
    """
    fig = Figure(figsize=(style.WIDTH, 4.35))
    # each with a layout of its own, so that no column of units stands under the name of a class
    above, below = fig.subfigures(2, 1, height_ratios=(1, 0.6 * len(first_layers)))
    _draw_templates(above.subplots(), *templates)
    _draw_units(below.subplots(), first_layers)
    return fig, "L2 turns noise into outlines of clothes, and costs accuracy"


def _draw_templates(ax, W, accuracy):
    """Draw the weights of each class under its name."""
    style.show_tiles(ax, W, len(W), "RdBu_r", _limit(W))
    classes = [name.replace("/", "/\n").replace(" ", "\n") for name in CLASS_NAMES]
    _name_columns(ax, classes)
    ax.set_title(f"No hidden layer ({accuracy:.1%}): one template for each class")


def _draw_units(ax, first_layers):
    """Draw the same units in each network, a line for each, under their numbers."""
    *_, (W_last, _) = first_layers.values()
    longest = order_by_norm(W_last)[:NUM_SHOWN]
    tiles = []
    names = []
    for alpha, (W, accuracy) in first_layers.items():
        tiles.append(W[longest] / _limit(W))
        names.append(f"alpha = {alpha:g}\n{accuracy:.1%}")
    style.show_tiles(ax, np.concatenate(tiles), NUM_SHOWN, "RdBu_r", 1, names)
    _name_columns(ax, [f"unit {unit}" for unit in longest])
    ax.set_title(f"{NUM_SHOWN} of {len(W_last)} hidden units; no unit belongs to a class")


def _name_columns(ax, names):
    ax.set_xticks(style.tile_centres(len(names)), names)
    ax.xaxis.tick_top()


@style.picture(
    caption="""The number of each unit, its weights (colour), and the images with the largest
    w · x + b (grey). Good: a line of images with something in common. Bad: lines that repeat each
    other, or a jumble.""",
    alt="For each first-layer unit a tile of its weights and the images that excite it most.",
)
def exciting_images(W, images, units):
    """Draw units' weights with the images that excite each of them most.

    Parameters
    ----------
    W
    images : ndarray, shape (units, count, 784)
        For each unit in turn; see `helpers.analysis.most_exciting`.
    units : sequence of int
        Which units to draw, in this order.
    """
    num_units, num_images, num_pixels = images.shape
    tile = min((style.WIDTH - 0.7) / (num_images + 1), 0.65)
    widths = 28, 30 * num_images - 2
    fig, (weights, clothes) = style.figure(0.4 + tile * num_units, 1, 2, width_ratios=widths)
    names = [f"unit {unit}" for unit in units]
    style.show_tiles(weights, W[units], 1, "RdBu_r", _limit(W), names)
    style.show_tiles(clothes, images.reshape(-1, num_pixels), num_images, "gray_r", 0.5)
    return fig, "The weights of each unit (colour) and the images that excite it most"
