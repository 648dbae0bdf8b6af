"""The numbers behind the pictures, against counts by hand, brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import a_problem
from sklearn.metrics import confusion_matrix

from helpers import analysis, network

LABELS = np.array([0, 1, 2, 0, 1, 0])  # the third to the fifth prediction are wrong
PERCENT = [[95, 3, 2], [20, 45, 35], [55, 15, 30], [5, 92, 3], [58, 40, 2], [100, 0, 0]]
PROBABILITIES = np.array(PERCENT) / 100


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_confusions_as_scikit_learn_counts_them(pairs):
    labels, predicted = np.array(pairs).T
    expected = confusion_matrix(labels, predicted, labels=range(10))
    np.testing.assert_array_equal(analysis.confusion_counts(labels, predicted), expected)


def test_mistakes_surest_first():
    found = [list(analysis.confident_mistakes(LABELS, PROBABILITIES, n)) for n in (0, 2, 9)]
    assert found == [[], [3, 4], [3, 4, 2]]


def test_calibration_by_hand():
    # .45 is right; .55 and .58 are wrong; of .95, .92 and 1 two are right.
    found = analysis.calibration(LABELS, PROBABILITIES)
    assert list(found.counts) == [0, 0, 0, 0, 1, 2, 0, 0, 0, 3]
    full = found.counts > 0
    np.testing.assert_allclose(found.confidence[full], [0.45, 1.13 / 2, 2.87 / 3])
    np.testing.assert_allclose(found.accuracy[full], [1, 0, 2 / 3])
    assert np.isnan([found.confidence, found.accuracy])[:, ~full].all()
    assert found.error == pytest.approx((0.55 + 1.13 + 0.87) / 6)
    assert found.bias == pytest.approx((4.45 - 3) / 6)


def test_probabilities_are_those_of_the_network():
    layers, images, labels, _ = a_problem()
    found = analysis.probabilities(layers, images)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = network.cross_entropy(layers, images, labels)
    assert -np.log(found[np.arange(5), labels]).mean() == pytest.approx(expected, rel=1e-12)


def test_dead_units_by_hand():
    # First layer: active always, for positive x, never. Second: never, always.
    layers = [
        (np.array([[0.0], [1], [0]]), np.array([1.0, 0, -1])),
        (np.zeros((2, 3)), np.array([-1.0, 1])),
        (np.ones((2, 2)), np.zeros(2)),
    ]
    images = np.arange(-2.0, 8)[:, None]
    first, second = analysis.activity(layers, images)
    assert list(first) == [1, 0.7, 0]  # at x = 0 the second unit is 0, not active
    assert list(second) == [0, 1]


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
    for unit, weights in enumerate(W):
        top, left = 30 * (unit // columns), 30 * (unit % columns)
        np.testing.assert_array_equal(picture[top : top + 28, left : left + 28].ravel(), weights)
    assert np.isfinite(picture).sum() == W.size


def test_neighbouring_pixels_by_hand():
    W = np.random.default_rng(0).normal(size=(2, 784)).cumsum(axis=1)
    for tile, found in zip(W.reshape(2, 28, 28), analysis.neighbour_correlation(W), strict=True):
        pairs = [(tile[i, j], tile[i, j + 1]) for i in range(28) for j in range(27)]
        pairs += [(tile[i, j], tile[i + 1, j]) for i in range(27) for j in range(28)]
        assert found == pytest.approx(np.corrcoef(*np.transpose(pairs))[0, 1])
