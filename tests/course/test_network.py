"""The mathematics: by hand, by complex steps, by finite differences, and its corner cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from problems import ANY_PROBLEM, ANY_SIZES, ANY_STACK, a_problem, moved
from scipy.special import log_softmax

from helpers import network, sgd

L = np.log(3)


def by_hand():
    """Give the tiny network 2-2-2 whose numbers are worked out in the tests below.

    W1 = [ 1 -1 ]  b1 = [  1 ]     W2 = [  0   L ]  b2 = [ -L ]     with L = ln 3,
         [ 2  1 ]       [ -1 ]          [ L/2  0 ]       [  L ]
    which makes every probability a quarter or three quarters. Two images, both of class 1.
    """
    first = np.array([[1.0, -1], [2, 1]]), np.array([1.0, -1])
    second = np.array([[0, L], [L / 2, 0]]), np.array([-L, L])
    return [first, second], np.array([[2.0, 1], [0, 2]]), np.array([1, 1])


GRADIENT_BY_HAND = [
    # delta2 = (p - one_hot)/2: image 1 (3/4, 1/4 - 1)/2 = (3/8, -3/8)
    #                           image 2 (1/4, 3/4 - 1)/2 = (1/8, -1/8)
    # dW2 = delta2 h1^T: first row 3/8 (2, 4) + 1/8 (0, 1) = (3/4, 13/8), second row its negative
    # db2 = (3/8 + 1/8, -3/8 - 1/8) = (1/2, -1/2)
    # W2^T delta2: image 1 (L/2 * -3/8, L * 3/8) = (-3L/16, 3L/8), both units active
    #              image 2 (L/2 * -1/8, L * 1/8) = (-L/16, L/8), first unit off: (0, L/8)
    # dW1 = delta1 x^T: first row -3L/16 (2, 1) = (-3L/8, -3L/16)
    #                   second row 3L/8 (2, 1) + L/8 (0, 2) = (3L/4, 5L/8)
    # db1 = (-3L/16 + 0, 3L/8 + L/8) = (-3L/16, L/2)
    (np.array([[-3 * L / 8, -3 * L / 16], [3 * L / 4, 5 * L / 8]]), np.array([-3 * L / 16, L / 2])),
    (np.array([[3 / 4, 13 / 8], [-3 / 4, -13 / 8]]), np.array([1 / 2, -1 / 2])),
]
# alpha = 0.5 adds half of each matrix entry, and nothing to the biases:
# dW1 += (1/2, -1/2; 1, 1/2), dW2 += (0, L/2; L/4, 0); the order is that of `pack`.
PENALTY_BY_HAND = np.array([1 / 2, -1 / 2, 1, 1 / 2, 0, L / 2, L / 4, 0, 0, 0, 0, 0])


def test_forward_by_hand():
    # Image (2, 1): z1 = (2 - 1 + 1, 4 + 1 - 1) = (2, 4), h1 = (2, 4);
    #               z2 = (4L - L, L/2 * 2 + L) = (3L, 2L)
    # Image (0, 2): z1 = (0 - 2 + 1, 0 + 2 - 1) = (-1, 1), h1 = (0, 1);
    #               z2 = (L - L, 0 + L) = (0, L)
    layers, images, _ = by_hand()
    (h0, h1), logits = network.forward(layers, images)
    np.testing.assert_array_equal(h0, images.T)
    np.testing.assert_allclose(h1, [[2, 0], [4, 1]], atol=1e-15)
    np.testing.assert_allclose(logits, [[3 * L, 0], [2 * L, L]], atol=1e-15)
    # Image 1: logits differ by 3L - 2L = ln 3, so p = (3/4, 1/4) and the prediction is 0.
    # Image 2: they differ by -ln 3, so p = (1/4, 3/4) and the prediction is 1.
    expected = [[3 / 4, 1 / 4], [1 / 4, 3 / 4]]
    np.testing.assert_allclose(network.softmax(logits), expected, rtol=1e-15)
    assert network.predict(layers, images).tolist() == [0, 1]


def test_loss_by_hand():
    # -ln(1/4) and -ln(3/4) have the mean ln 4 - L/2 = 0.836988.
    # Squares: W1 1 + 1 + 4 + 1 = 7, W2 L^2 + L^2/4 = 5/4 L^2; with alpha = 0.5 the penalty is
    # 0.25 * (7 + 1.25 L^2) = 2.127171. The biases do not count.
    loss = network.cross_entropy(*by_hand())
    penalised = network.cross_entropy(*by_hand(), alpha=0.5)
    assert loss == pytest.approx(0.836988, abs=1e-6)
    assert penalised - loss == pytest.approx(2.127171, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_gradient_by_hand(alpha):
    gradient = network.pack(network.backprop(*by_hand(), alpha))
    expected = network.pack(GRADIENT_BY_HAND) + 2 * alpha * PENALTY_BY_HAND
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


def test_one_sgd_step_by_hand():
    # E.g. the first entry of W1 goes from 1 to 1 - 0.8 * (-3L/8 + 1/2) = 0.6 + 0.3 L.
    layers, *rest = by_hand()
    expected = network.pack(layers) - 0.8 * (network.pack(GRADIENT_BY_HAND) + PENALTY_BY_HAND)
    sgd.step(layers, *rest, rate=0.8, alpha=0.5)
    np.testing.assert_allclose(network.pack(layers), expected, rtol=1e-14, atol=1e-15)


# ---- the layout of the weights


def test_order_of_the_weights():
    (W1, b1), (W2, b2) = network.unpack(np.arange(17), (2, 3, 2))
    assert W1.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert W2.tolist() == [[6, 7, 8], [9, 10, 11]]
    assert b1.tolist() == [12, 13, 14]
    assert b2.tolist() == [15, 16]


@given(ANY_SIZES, ANY_STACK)
def test_unpack_gives_views_and_pack_undoes_it(layer_sizes, stack):
    weights = np.random.default_rng(0).normal(size=(*stack, network.num_weights(layer_sizes)))
    layers = network.unpack(weights, layer_sizes)
    np.testing.assert_array_equal(network.pack(layers), weights)
    for W, b in layers:
        W[...] = b[...] = 9
    assert (weights == 9).all()


# ---- what does not fit is refused in one line that names both numbers


def test_wrong_number_of_weights_is_refused():
    for wrong in 0, 16, 18:
        with pytest.raises(ValueError, match=rf"^.*{wrong} entries.*\(2, 3, 2\).*needs 17$"):
            network.unpack(np.zeros(wrong), (2, 3, 2))


@pytest.mark.parametrize("call", [network.cross_entropy, network.backprop])
def test_images_and_labels_that_do_not_fit_are_refused(call):
    layers, images, *_ = a_problem(num_images=3)
    for wrong in images[:, 1:], images[0]:
        with pytest.raises(ValueError, match=r"^images: expected shape \(n, 7\), .* shape is \("):
            call(layers, wrong, [0, 1, 2])
    with pytest.raises(ValueError, match=r"^labels go from -1 to 2, .* 3 classes, 0 to 2$"):
        call(layers, images, [-1, 0, 2])
    for wrong in np.eye(3, dtype=int), [1], [0.0, 1, 2], [True] * 3:
        with pytest.raises(ValueError, match=r"^labels: expected 3 whole numbers, .* shape is"):
            call(layers, images, wrong)


# ---- initial weights


def test_initial_weights_follow_he():
    layer_sizes = (784, 64, 64, 10)
    for W, b in network.unpack(network.init_weights(layer_sizes, 1), layer_sizes):
        bound = np.sqrt(6 / W.shape[1])
        assert np.abs(W).max() <= bound
        # A uniform number on ±a has the variance a^2/3; sqrt(0.8/n) is 4 sd of its estimate.
        assert W.var() == pytest.approx(bound**2 / 3, rel=4 * np.sqrt(0.8 / W.size))
        assert (b == 0.01).all()


def test_initial_weights_depend_on_the_seed_and_are_rounded_last():
    double = network.init_weights((9, 5, 3), 7)
    other = network.init_weights((9, 5, 3), 8)
    assert (double != other)[:60].all()
    single = network.init_weights((9, 5, 3), 7, np.float32)
    np.testing.assert_array_equal(single, double.astype(np.float32), strict=True)


# ---- stacks and types


def results(layers, images, labels, alpha):
    """Give whatever is computed of a network, or of a stack of them."""
    gradient = network.backprop(layers, images, labels, alpha)
    loss = network.cross_entropy(layers, images, labels, alpha)
    _, logits = network.forward(layers, images)
    return logits, network.predict(layers, images), loss, network.pack(gradient)


@given(ANY_SIZES, st.integers(1, 7), ANY_STACK, st.sampled_from([np.float32, np.float64]))
def test_a_stack_equals_its_members_bit_for_bit(layer_sizes, num_images, stack, dtype):
    layers, *rest = a_problem(layer_sizes, num_images, 0.3, 1, stack, dtype)
    together = results(layers, *rest)
    assert [result.dtype for result in together] == [dtype, int, float, dtype]
    for k in np.ndindex(stack):
        alone = results([(W[k], b[k]) for W, b in layers], *rest)
        for of_stack, of_one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(of_stack[k], of_one)


# ---- cross-entropy from logits


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@given(logits=arrays(float, (4, 3), elements=st.floats(-1e4, 1e4)), label=st.integers(0, 3))
def test_cross_entropy_agrees_with_scipy(logits, label, dtype, tolerance):
    logits = logits.astype(dtype)
    logs = log_softmax(logits.astype(float), axis=0)
    loss = network.log_loss(logits, [label] * 3)
    assert loss == pytest.approx(-logs[label].mean(), rel=tolerance, abs=tolerance)
    np.testing.assert_allclose(network.softmax(logits), np.exp(logs), atol=tolerance)


# ---- the gradient of the objective


@given(**ANY_PROBLEM)
def test_gradient_against_complex_step_anywhere(layer_sizes, num_images, alpha, seed):
    layers, *rest = a_problem(layer_sizes, num_images, alpha, seed)
    gradient = network.pack(network.backprop(layers, *rest))
    losses = network.cross_entropy(moved(layers, 1e-30j), *rest)
    exact = losses.imag / 1e-30
    # p - 1 loses digits where an image is nearly certain: compare with 1, not only with the norm.
    distance = np.linalg.norm(gradient - exact)
    assert distance <= 1e-14 * (1 + np.linalg.norm(exact))
