"""The numbers behind the pictures, against counts by hand, brute force and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from helpers import analysis


def test_confusions_as_scikit_learn_counts_them():
    labels, predicted = np.random.default_rng(0).integers(0, 10, (2, 300))
    expected = confusion_matrix(labels, predicted, labels=range(10))
    np.testing.assert_array_equal(analysis.confusion_counts(labels, predicted), expected)


def test_mistakes_surest_first():
    labels = np.array([0, 1, 0, 1, 1])  # the first and the fourth prediction are right
    of_class_1 = np.array([0.1, 0.4, 0.8, 0.9, 0.05])
    probabilities = np.column_stack([1 - of_class_1, of_class_1])
    for count, expected in (2, [4, 2]), (9, [4, 2, 1]):
        assert list(analysis.confident_mistakes(labels, probabilities, count)) == expected


def test_probabilities_by_hand():
    layers = [(np.zeros((2, 1)), np.log([1, 3]))]
    probabilities = analysis.probabilities(layers, np.zeros((3, 1)))
    np.testing.assert_allclose(probabilities, [[1 / 4, 3 / 4]] * 3)


def test_dead_units_by_hand():
    W = np.array([[0.0], [1], [0]])
    b = np.array([1.0, 0, -1])  # active always, for positive x, never
    layers = [(W, b), (np.ones((1, 3)), np.zeros(1))]
    [share] = analysis.activity(layers, np.arange(-2.0, 8)[:, None])
    assert list(share) == [1, 0.7, 0]  # at x = 0 the second unit is 0, not active


def test_units_by_length():
    assert list(analysis.order_by_norm(np.array([[1.0, 0], [3, 4], [0, 2]]))) == [1, 2, 0]


def test_most_exciting_images_by_hand():
    images = np.array([[1.0, 0], [0, 2], [3, 1]])
    W = np.array([[1.0, 0], [0, -1]])  # W x is 1, 0, 3 for the first unit, 0, -2, -1 for the other
    exciting = analysis.most_exciting(W, np.ones(2), images, 2)
    assert exciting.tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize(("units", "columns", "lines"), [(50, 8, 7), (49, 7, 7)])
def test_the_picture_of_the_weights_has_a_tile_for_every_unit(units, columns, lines):
    W = np.arange(units * 784.0).reshape(units, 784)
    picture = analysis.tile_W0(W)
    assert picture.shape == (30 * lines - 2, 30 * columns - 2)
    assert np.isfinite(picture).sum() == W.size
    for unit, weights in enumerate(W):
        line, column = divmod(unit, columns)
        top = 30 * line
        left = 30 * column
        tile = picture[top : top + 28, left : left + 28]
        np.testing.assert_array_equal(tile.ravel(), weights)


@pytest.mark.filterwarnings("error")
def test_what_is_not_defined_is_nan_without_a_warning():
    W = np.ones((1, 784))
    assert np.isnan(analysis.neighbour_correlation(W)).all()
    layers = [(1e308 * W, np.zeros(1)), (np.ones((2, 1)), np.zeros(2))]
    assert np.isnan(analysis.probabilities(layers, W)).all()


def test_neighbouring_pixels_of_a_ramp_a_chess_board_and_stripes():
    row, column = np.indices((28, 28))
    ramp = row + column
    chess_board = (-1) ** ramp
    stripes = (-1) ** row
    W = np.stack([ramp, chess_board, stripes]).reshape(3, 784)
    np.testing.assert_allclose(analysis.neighbour_correlation(W), [1, -1, 0], atol=1e-3)
