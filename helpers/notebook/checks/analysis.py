"""Checks of exercise D1: the weights of a layer as tiles of a picture."""

import numpy as np

from helpers.notebook.checks.structure import Check, an_array, expect, recognise

SIDE, GAP = 28, 2


def checks_of_tile_W0(layer_sizes, rng):
    """Lay out several numbers of units, with and without a given number of columns."""
    checks = [
        Check(f"{units} units", {"W": draw_units(units, rng)}, judge_tiles)
        for units in (1, 4, 5, 7, 50)
    ]
    for columns in 3, 8:
        given = {"W": draw_units(7, rng), "columns": columns}
        checks.append(Check(f"7 units in {columns} columns", given, judge_tiles))
    return checks


def draw_units(units, rng):
    """Draw the weights of some units, shape (units, 784)."""
    return rng.normal(size=(units, SIDE * SIDE))


def judge_tiles(given, picture):
    """Every unit has its place, line by line, and NaN is everywhere else."""
    W = given["W"]
    units = len(W)
    columns = given.get("columns") or int(np.ceil(np.sqrt(units)))
    lines = -(-units // columns)
    shape = lines * (SIDE + GAP) - GAP, columns * (SIDE + GAP) - GAP
    picture = an_array(picture, shape, f"the picture of {units} units in {columns} columns")
    for number, tile in enumerate(W.reshape(units, SIDE, SIDE)):
        top, left = np.multiply(divmod(number, columns), SIDE + GAP).tolist()
        found = picture[top : top + SIDE, left : left + SIDE]
        name = f"the tile of unit {number}, from pixel [{top}, {left}] of the picture on,"
        recognise(found, tile, {"is transposed: pixels go row by row": tile.T}, name)
    is_complete = np.isfinite(picture).sum() == W.size
    expect(is_complete, "gaps and places without a tile are not all NaN")
