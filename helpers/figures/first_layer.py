"""The figures of part D: the first layer's weights, and what its units respond to.

`W` is the matrix of a first layer, shape (units, 784). Colour scales of weights are symmetric and
end at the 99.9th percentile of the absolute weights; the arrows of a bar stand for the rest.
"""

import numpy as np

from helpers.analysis import neighbour_correlation, order_by_norm
from helpers.figures import style


@style.picture
def weight_tiles(W):
    """Draw the weights of all first-layer units as images, sorted by norm, on one scale."""
    title = f"All {len(W)} units of the first layer, longest weight vector first"
    return _panels({"": W[order_by_norm(W)]}), title


@style.picture
def learned_tiles(W, W_0, recipe_W=None):
    """Draw what training added to the first layer, beside one without noise; 25 units of each.

    Parameters
    ----------
    W, W_0
        Trained and initial weights of one network.
    recipe_W : optional
        Trained weights of a network whose training wiped out the initial noise.
    """
    panels = {}
    for name, X in ("change since the start", W - W_0), ("best recipe, with L2", recipe_W):
        if X is not None:
            r = neighbour_correlation(X)
            panels[f"{name}: r = {np.median(r):.2f}"] = X[np.argsort(-r)[:25]]
    shown = max(map(len, panels.values()))
    return _panels(panels), f"The {shown} smoothest units, without the noise of the start"


def _limit(W):
    """Choose where the colour scale ends."""
    return np.percentile(np.abs(W), 99.9)


def _panels(panels):
    """Draw first layers beside each other, each in its order and on its own scale."""
    most = max(map(len, panels.values()))
    columns = int(np.ceil(np.sqrt(most)))
    rows = -(-most // columns)
    width = style.WIDTH / (1.5 if len(panels) == 1 else len(panels))
    fig, axes = style.figure(0.9 + width * rows / columns, 1, len(panels), squeeze=False)
    for ax, (name, W) in zip(axes.flat, panels.items(), strict=True):
        shown = style.show_tiles(ax, W, columns, "RdBu_r", _limit(W))
        ax.set_title(name)
        bar = fig.colorbar(shown, ax=ax, extend="both", location="bottom", aspect=40, pad=0.02)
        bar.set_label("weight of a pixel (0 is white)")
    return fig


@style.picture
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
    columns = images.shape[1] + 1
    blocks = min(max(1, int(22 // (columns + 1.2))), len(units))
    rows = -(-len(units) // blocks)
    tile = min(style.WIDTH / blocks / (columns + 1.2), 0.6)
    fig, axes = style.figure(0.5 + tile * 1.08 * rows, 1, blocks, squeeze=False)
    weights, clothes = np.full((2, blocks * rows, columns, W.shape[1]), np.nan)
    weights[: len(units), 0], clothes[: len(units), 1:] = W[units], images[units]
    for block, ax in enumerate(axes.flat):
        here = slice(block * rows, (block + 1) * rows)
        for lines, cmap, limit in (weights, "RdBu_r", _limit(W)), (clothes, "gray_r", 0.5):
            tiles = lines[here].reshape(-1, W.shape[1])
            style.show_tiles(ax, tiles, columns, cmap, limit, units[here])
    return fig, "Each unit's weights (colour) and the images that excite it most"
