"""The numbers behind the pictures, against counts by hand, brute force and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import a_problem
from sklearn.metrics import confusion_matrix

from helpers import analysis, network
from helpers.grid import effects

LABELS = np.array([0, 1, 2, 0, 1, 0])  # the third to the fifth prediction are wrong
PERCENT = [[95, 3, 2], [20, 45, 35], [55, 15, 30], [5, 92, 3], [58, 40, 2], [100, 0, 0]]
PROBABILITIES = np.array(PERCENT) / 100


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_confusions_as_scikit_learn_counts_them(pairs):
    labels, predicted = np.array(pairs).T
    expected = confusion_matrix(labels, predicted, labels=range(10))
    np.testing.assert_array_equal(analysis.confusion_counts(labels, predicted), expected)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [3, 4]), (9, [3, 4, 2])])
def test_mistakes_surest_first(count, expected):
    assert list(analysis.confident_mistakes(LABELS, PROBABILITIES, count)) == expected


def test_calibration_by_hand():
    # .45 is right; .55 and .58 are wrong; of .95, .92 and 1 two are right.
    found = analysis.calibration(LABELS, PROBABILITIES)
    assert list(found.counts) == [0, 0, 0, 0, 1, 2, 0, 0, 0, 3]
    full = found.counts > 0
    np.testing.assert_allclose(found.confidence[full], [0.45, 1.13 / 2, 2.87 / 3])
    np.testing.assert_allclose(found.accuracy[full], [1, 0, 2 / 3])
    assert np.isnan(found.confidence[~full]).all()
    assert np.isnan(found.accuracy[~full]).all()
    assert found.error == pytest.approx((0.55 + 1.13 + 0.87) / 6)
    assert found.bias == pytest.approx((4.45 - 3) / 6)


def test_probabilities_are_those_of_the_network():
    layers, images, labels, _ = a_problem()
    found = analysis.probabilities(layers, images)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = network.cross_entropy(layers, images, labels)
    assert -np.log(found[np.arange(5), labels]).mean() == pytest.approx(expected, rel=1e-12)


def test_dead_units_by_hand():
    W = np.array([[0.0], [1], [0]])
    b = np.array([1.0, 0, -1])  # active always, for positive x, never
    layers = [(W, b), (np.ones((1, 3)), np.zeros(1))]
    [share] = analysis.activity(layers, np.arange(-2.0, 8)[:, None])
    assert list(share) == [1, 0.7, 0]  # at x = 0 the second unit is 0, not active


def test_units_by_length():
    assert list(analysis.order_by_norm(np.array([[1.0, 0], [3, 4], [0, 2]]))) == [1, 2, 0]


def test_most_exciting_images_by_brute_force():
    rng = np.random.default_rng(1)
    matrix, biases, images = rng.normal(size=(4, 6)), rng.normal(size=4), rng.normal(size=(20, 6))
    found = analysis.most_exciting(matrix, biases, images, 3)
    for w, b, best in zip(matrix, biases, found, strict=True):
        assert list(best) == sorted(range(20), key=lambda i: -(w @ images[i] + b))[:3]


@pytest.mark.parametrize(("units", "columns", "lines"), [(50, 8, 7), (49, 7, 7), (1, 1, 1)])
def test_the_picture_of_the_weights_has_a_tile_for_every_unit(units, columns, lines):
    W = np.arange(units * 784.0).reshape(units, 784)
    picture = analysis.tile_W0(W)
    assert picture.shape == (30 * lines - 2, 30 * columns - 2)
    assert np.isfinite(picture).sum() == W.size
    for unit, weights in enumerate(W):
        top = 30 * (unit // columns)
        left = 30 * (unit % columns)
        np.testing.assert_array_equal(picture[top : top + 28, left : left + 28].ravel(), weights)


def test_neighbouring_pixels_of_a_ramp_a_chess_board_and_stripes():
    row, column = np.indices((28, 28))
    W = np.stack([row + column, (-1) ** (row + column), (-1) ** row]).reshape(3, 784)
    np.testing.assert_allclose(analysis.neighbour_correlation(W), [1, -1, 0], atol=1e-3)


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


def test_one_run_has_no_effects():
    assert effects.paired_effects(a_table({(30, 0.01, 50, 0): 0.8})).empty
