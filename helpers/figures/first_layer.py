"""The figures of part D: the first layer's weights, and what its units respond to.

`W` is the matrix of a first layer, shape (units, 784). Red pixels excite a unit, blue ones inhibit
it. Colour scales are symmetric and end at the 99th percentile of a layer's absolute weights.
"""

from math import ceil

import numpy as np

from helpers.analysis import order_by_norm
from helpers.data import CLASS_NAMES
from helpers.figures import style

NUM_SHOWN = 10
"""Hidden units of each first layer: as many as there are class templates above them."""


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
    hidden unit and one line for each strength alpha of the L2 penalty, with the validation
    accuracy; all lines began with the same weights. Shown are the units that are longest in the
    last line, in this order; red excites, blue inhibits, and each line has its own colour scale.
    With alpha = 0 the noise of the start covers what was learned; with a larger alpha it fades,
    and so does some accuracy.""",
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
    fig, (above, below) = style.figure(3.95, 2, 1, height_ratios=(1, len(first_layers)))
    _draw_templates(above, *templates)
    *_, (W_last, _) = first_layers.values()
    longest = order_by_norm(W_last)[:NUM_SHOWN]
    tiles = []
    names = []
    for alpha, (W, accuracy) in first_layers.items():
        tiles.append(W[longest] / _limit(W))
        names.append(f"alpha = {alpha:g}\n{accuracy:.1%}")
    style.show_tiles(below, np.concatenate(tiles), NUM_SHOWN, "RdBu_r", 1, names)
    below.set_title(f"{NUM_SHOWN} of {len(W_last)} hidden units, a column each")
    return fig, _cost_title(first_layers)


def _cost_title(first_layers):
    accuracies = [accuracy for _, accuracy in first_layers.values()]
    cost = 100 * (accuracies[0] - accuracies[-1])
    penalty = f"alpha = {max(first_layers):g}"
    return f"L2 turns noise into outlines of clothes; {penalty} costs {cost:.1f} points"


def _draw_templates(ax, W, accuracy):
    """Draw the weights of each class under its name."""
    name = f"no hidden layer\n{accuracy:.1%}"
    style.show_tiles(ax, W, len(W), "RdBu_r", _limit(W), [name])
    classes = [name.replace("/", "/\n").replace(" ", "\n") for name in CLASS_NAMES]
    ax.set_xticks(style.tile_centres(len(W)), classes)
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
    columns = 1 + num_images
    weights = np.full((num_units, columns, num_pixels), np.nan)
    clothes = weights.copy()
    weights[:, 0] = W[units]
    clothes[:, 1:] = images
    tile = min(style.WIDTH / (columns + 1), 0.6)
    fig, ax = style.figure(0.5 + 1.08 * tile * num_units)
    style.show_tiles(ax, weights.reshape(-1, num_pixels), columns, "RdBu_r", _limit(W))
    style.show_tiles(ax, clothes.reshape(-1, num_pixels), columns, "gray_r", 0.5, units)
    return fig, "Each unit's weights (colour) and the images that excite it most"
