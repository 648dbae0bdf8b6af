"""The numbers behind the pictures, against counts by hand, brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from helpers import analysis, network

LABELS = np.array([0, 1, 2, 0, 1])
PROBABILITIES = np.array(
    [
        [0.95, 0.03, 0.02],  # right
        [0.20, 0.45, 0.35],  # right
        [0.55, 0.15, 0.30],  # wrong
        [0.05, 0.92, 0.03],  # wrong
        [0.58, 0.40, 0.02],  # wrong
    ]
)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50))
def test_confusions_as_scikit_learn_counts_them(pairs):
    labels, predicted = np.array(pairs).T
    expected = confusion_matrix(labels, predicted, labels=range(10))
    np.testing.assert_array_equal(analysis.confusion_counts(labels, predicted), expected)


def test_mistakes_surest_first():
    found = [list(analysis.confident_mistakes(LABELS, PROBABILITIES, n)) for n in (0, 2, 9)]
    assert found == [[], [3, 4], [3, 4, 2]]


def test_calibration_by_hand():
    # 0.4 to 0.6: confidences .45, .55, .58, one right of three; 0.8 to 1: .95, .92, one of two.
    found = analysis.calibration(LABELS, PROBABILITIES, num_bins=5)
    assert list(found.counts) == [0, 0, 3, 0, 2]
    nan = np.nan
    np.testing.assert_allclose(found.confidence, [nan, nan, 1.58 / 3, nan, 0.935])
    np.testing.assert_allclose(found.accuracy, [nan, nan, 1 / 3, nan, 0.5])
    # (|1 - 1.58| + |1 - 1.87|) / 5
    assert found.error == pytest.approx(1.45 / 5)
    assert found.bias == pytest.approx(1.45 / 5)


def test_certainty_falls_into_the_last_bin():
    found = analysis.calibration(np.array([0, 1]), np.eye(2))
    assert list(found.counts) == [0] * 9 + [2]
    assert (found.error, found.bias) == (0, 0)


def test_probabilities_are_those_of_the_network():
    layer_sizes = (6, 5, 4)
    layers = network.unpack(network.init_weights(layer_sizes, 0), layer_sizes)
    images = np.random.default_rng(0).normal(size=(7, 6))
    found = analysis.probabilities(layers, images)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    labels = np.arange(7) % 4
    expected = network.cross_entropy(layers, images, labels)
    assert -np.log(found[np.arange(7), labels]).mean() == pytest.approx(expected, rel=1e-12)


def test_dead_units_by_hand():
    # First layer: active always, for positive x, never. Second: never, always.
    layers = [
        (np.array([[0.0], [1], [0]]), np.array([1.0, 0, -1])),
        (np.zeros((2, 3)), np.array([-1.0, 1])),
        (np.ones((2, 2)), np.zeros(2)),
    ]
    images = np.array([[-2.0], [-1], [0], [1], [2], [3], [4], [5], [6], [7]])
    first, second = analysis.activity(layers, images)
    assert list(first) == [1, 0.7, 0]  # at x = 0 the second unit is 0, not active
    assert list(second) == [0, 1]
    assert analysis.activity(layers[:1], images) == []


def test_units_by_length():
    matrix = np.array([[1.0, 0], [3, 4], [0, 2]])
    assert list(analysis.order_by_norm(matrix)) == [1, 2, 0]


def test_most_exciting_images_by_brute_force():
    rng = np.random.default_rng(1)
    matrix, biases, images = rng.normal(size=(4, 6)), rng.normal(size=4), rng.normal(size=(20, 6))
    found = analysis.most_exciting(matrix, biases, images, 3)
    for w, b, best in zip(matrix, biases, found, strict=True):
        ranked = sorted(range(20), key=lambda i: -(w @ images[i] + b))
        assert list(best) == ranked[:3]


@pytest.mark.parametrize(("units", "columns", "lines"), [(50, 8, 7), (49, 7, 7), (1, 1, 1)])
def test_the_picture_of_the_weights_has_a_tile_for_every_unit(units, columns, lines):
    W = np.arange(units * 784.0).reshape(units, 784)
    picture = analysis.tile_W0(W)
    assert picture.shape == (30 * lines - 2, 30 * columns - 2)
    for unit, weights in enumerate(W):
        top, left = 30 * (unit // columns), 30 * (unit % columns)
        np.testing.assert_array_equal(picture[top : top + 28, left : left + 28].ravel(), weights)
    assert np.isfinite(picture).sum() == W.size


def test_neighbours_of_a_slope_go_together_and_of_a_chessboard_against_each_other():
    y, x = np.indices((28, 28))
    noise = np.random.default_rng(0).normal(size=(28, 28))
    W = np.array([y + x, (y + x) % 2, noise], dtype=float).reshape(3, 784)
    slope, chessboard, random = analysis.neighbour_correlation(W)
    assert slope == pytest.approx(1, abs=0.01)
    assert chessboard == pytest.approx(-1)
    assert abs(random) < 0.1
    # By hand: each pixel with its right and with its lower neighbour.
    pairs = [(noise[i, j], noise[i, j + 1]) for i in range(28) for j in range(27)]
    pairs += [(noise[i, j], noise[i + 1, j]) for i in range(27) for j in range(28)]
    assert random == pytest.approx(np.corrcoef(*np.transpose(pairs))[0, 1])
