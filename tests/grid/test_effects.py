"""The effects of a grid's factors, paired by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers.grid import effects


def a_table(accuracies):
    """Make a table of runs from {(units, rate, epochs, seed): accuracy}."""
    names = ["num_units", "learning_rate", "num_epochs", "seed"]
    accuracy = pd.Series(accuracies).rename_axis(names).rename("accuracy")
    return accuracy.reset_index().assign(num_hidden_layers=3, batch_size=64, alpha=0.0)


def test_paired_effects_by_hand():
    table = a_table({
        (50, 0.01, 50, 0): 0.86,
        (50, 0.01, 100, 0): 0.84,  # mean of the trajectory 0.85, 0.04 above 30 units
        (30, 0.01, 50, 0): 0.80,
        (30, 0.01, 100, 0): 0.82,
        (30, 0.01, 50, 1): 0.90,  # another seed is compared with its own
        (50, 0.01, 50, 1): 0.88,
        (30, 0.05, 50, 0): 0.10,
        (30, 0.05, 100, 0): np.nan,  # diverged: this trajectory has no rival
        (50, 0.05, 50, 0): 0.87,
        (50, 0.05, 100, 0): 0.87,
    })  # fmt: skip
    units, rates, epochs = effects.paired_effects(table).itertuples(index=False)
    assert units[:4] == ("num_units", 30, 50, 2)
    assert units[4:] == pytest.approx((0.01, 0.06 / np.sqrt(2), 1))
    assert rates[:4] == ("learning_rate", 0.01, 0.05, 1)
    assert rates[4:] == pytest.approx((0.02, np.nan, 1), nan_ok=True)
    assert epochs[:4] == ("num_epochs", 50, 100, 3)
    assert epochs[4:] == pytest.approx((0, 0.02, 1))
