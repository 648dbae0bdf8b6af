"""The mathematics: by hand, by complex steps, by finite differences, and its corner cases."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from helpers import network, sgd
from helpers.data import Images

L = np.log(3)
ANY_SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=8).map(tuple)
ANY_STACK = st.sampled_from([(), (1,), (3,), (2, 2)])
DEPTHS = [(5, *[4] * depth, 3) for depth in range(7)] + [(6, 3, 7, 2, 4), (1, 1, 1, 1), (3, 1)]


def by_hand():
    """Give the tiny network 2-2-2 whose numbers are worked out in the tests below.

    W1 = [ 1 -1 ]  b1 = [  1 ]     W2 = [  0   L ]  b2 = [ -L ]     with L = ln 3,
         [ 2  1 ]       [ -1 ]          [ L/2  0 ]       [  L ]
    which makes every probability a quarter or three quarters. Two images, both of class 1.
    """
    matrices = [np.array([[1.0, -1], [2, 1]]), np.array([[0, L], [L / 2, 0]])]
    biases = [np.array([1.0, -1]), np.array([-L, L])]
    images, labels = np.array([[2.0, 1], [0, 2]]), np.array([1, 1])
    return network.pack(matrices, biases), (2, 2, 2), images, labels


def a_problem(layer_sizes, seed=0, num_images=6, stack=()):
    """Draw weights (biases too, so that no mistake hides), images and labels."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.7, (*stack, network.num_weights(layer_sizes)))
    images = rng.uniform(-0.5, 0.5, (num_images, layer_sizes[0]))
    return weights, layer_sizes, images, rng.integers(0, layer_sizes[-1], num_images)


def complex_step_gradient(weights, layer_sizes, images, labels, alpha):
    """Differentiate `cross_entropy` exactly to rounding: Im f(w + ih) / h, no subtraction."""
    h = 1e-30
    perturbed = weights + 1j * h * np.eye(len(weights))  # one network a coordinate: a stack
    return network.cross_entropy(perturbed, layer_sizes, images, labels, alpha).imag / h


def relative_error(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a) + np.linalg.norm(b), 1e-300)


# ---- the network worked by hand


def test_forward_by_hand():
    # Image (2, 1): z1 = (2 - 1 + 1, 4 + 1 - 1) = (2, 4), h1 = (2, 4);
    #               z2 = (4L - L, L/2 * 2 + L) = (3L, 2L)
    # Image (0, 2): z1 = (0 - 2 + 1, 0 + 2 - 1) = (-1, 1), h1 = (0, 1);
    #               z2 = (L - L, 0 + L) = (0, L)
    weights, layer_sizes, images, _ = by_hand()
    hidden, logits = network.forward(weights, layer_sizes, images)
    np.testing.assert_allclose(hidden, [[2, 0], [4, 1]], atol=1e-15)
    np.testing.assert_allclose(logits, [[3 * L, 0], [2 * L, L]], atol=1e-15)


def test_probabilities_and_prediction_by_hand():
    # Image 1: logits differ by 3L - 2L = ln 3, so p = (3/4, 1/4) and the prediction is 0.
    # Image 2: they differ by -ln 3, so p = (1/4, 3/4) and the prediction is 1.
    weights, layer_sizes, images, labels = by_hand()
    logits = network.forward(weights, layer_sizes, images)[-1]
    np.testing.assert_allclose(
        network.softmax(logits), [[3 / 4, 1 / 4], [1 / 4, 3 / 4]], rtol=1e-15
    )
    assert network.predict(weights, layer_sizes, images).tolist() == [0, 1]
    assert network.accuracy(logits, labels) == 0.5


def test_loss_by_hand():
    # -ln(1/4) and -ln(3/4) have the mean ln 4 - L/2 = 0.836988.
    # Squares: W1 1 + 1 + 4 + 1 = 7, W2 L^2 + L^2/4 = 5/4 L^2; with alpha = 0.5 the penalty is
    # 0.25 * (7 + 1.25 L^2) = 2.127171. The biases do not count.
    problem = by_hand()
    loss = network.cross_entropy(*problem)
    assert loss == pytest.approx(np.log(4) - L / 2, rel=1e-15)
    assert loss == pytest.approx(0.836988, abs=1e-6)
    penalised = network.cross_entropy(*problem, alpha=0.5)
    assert penalised - loss == pytest.approx(0.25 * (7 + 1.25 * L**2), rel=1e-14)
    assert penalised - loss == pytest.approx(2.127171, abs=1e-6)


GRADIENT_BY_HAND = network.pack(
    # delta2 = (p - one_hot)/2: image 1 (3/4, 1/4 - 1)/2 = (3/8, -3/8)
    #                           image 2 (1/4, 3/4 - 1)/2 = (1/8, -1/8)
    # dW2 = delta2 h1^T: first row 3/8 (2, 4) + 1/8 (0, 1) = (3/4, 13/8), second row its negative
    # db2 = (3/8 + 1/8, -3/8 - 1/8) = (1/2, -1/2)
    # W2^T delta2: image 1 (L/2 * -3/8, L * 3/8) = (-3L/16, 3L/8), both units active
    #              image 2 (L/2 * -1/8, L * 1/8) = (-L/16, L/8), first unit off: (0, L/8)
    # dW1 = delta1 x^T: first row -3L/16 (2, 1) = (-3L/8, -3L/16)
    #                   second row 3L/8 (2, 1) + L/8 (0, 2) = (3L/4, 5L/8)
    # db1 = (-3L/16 + 0, 3L/8 + L/8) = (-3L/16, L/2)
    [
        np.array([[-3 * L / 8, -3 * L / 16], [3 * L / 4, 5 * L / 8]]),
        np.array([[3 / 4, 13 / 8], [-3 / 4, -13 / 8]]),
    ],
    [np.array([-3 * L / 16, L / 2]), np.array([1 / 2, -1 / 2])],
)


def test_gradient_by_hand():
    np.testing.assert_allclose(network.backprop(*by_hand()), GRADIENT_BY_HAND, rtol=1e-14)


def test_gradient_with_penalty_by_hand():
    # alpha = 0.5 adds half of each matrix entry, and nothing to the biases:
    # dW1 += (1/2, -1/2; 1, 1/2), dW2 += (0, L/2; L/4, 0).
    extra = np.array([1 / 2, -1 / 2, 1, 1 / 2, 0, L / 2, L / 4, 0, 0, 0, 0, 0])
    gradient = network.backprop(*by_hand(), alpha=0.5)
    np.testing.assert_allclose(gradient, GRADIENT_BY_HAND + extra, rtol=1e-14)


def test_one_sgd_step_by_hand(monkeypatch):
    # Rate 0.8, alpha 0.5, one batch of both images; e.g. the first entry of W1 goes from 1 to
    # 1 - 0.8 * (-3L/8 + 1/2) = 0.6 + 0.3 L, the first of b2 from -L to -L - 0.8 * 1/2.
    weights, layer_sizes, images, labels = by_hand()
    monkeypatch.setattr(network, "init_weights", lambda sizes, seed, dtype: weights.astype(dtype))
    recipe = sgd.Recipe(layer_sizes, num_epochs=1, batch_size=2, learning_rate=0.8, alpha=0.5)
    trained = sgd.SGD(recipe, Images(images, labels), np.float64)
    trained.run_epoch()
    assert trained.weights[0] == pytest.approx(0.6 + 0.3 * L, rel=1e-14)
    assert trained.weights[-2] == pytest.approx(-L - 0.4, rel=1e-14)
    penalty = np.array([1 / 2, -1 / 2, 1, 1 / 2, 0, L / 2, L / 4, 0, 0, 0, 0, 0])
    expected = weights - 0.8 * (GRADIENT_BY_HAND + penalty)
    np.testing.assert_allclose(trained.weights, expected, rtol=1e-14, atol=1e-15)


def test_a_unit_at_exactly_zero_passes_nothing_back():
    # W1 = 1, b1 = -1, x = 1: z = 0. ReLU's derivative there is taken as 0, so that dW1 = db1 = 0
    # while dW2 = (p - one_hot) h = 0 and db2 = (1/2, -1/2).
    weights = network.pack(
        [np.ones((1, 1)), np.array([[1.0], [-1]])], [np.array([-1.0]), np.zeros(2)]
    )
    gradient = network.backprop(weights, (1, 1, 2), np.ones((1, 1)), np.array([1]))
    np.testing.assert_array_equal(gradient, [0, 0, 0, 0, 0.5, -0.5])


# ---- the layout of the weights


def test_canonical_order():
    (W1, W2), (b1, b2) = network.unpack(np.arange(17), (2, 3, 2))
    assert W1.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert W2.tolist() == [[6, 7, 8], [9, 10, 11]]
    assert b1.tolist() == [12, 13, 14]
    assert b2.tolist() == [15, 16]


def test_number_of_weights():
    # 64 * 784 + 2 * 64 * 64 + 10 * 64 = 59008 matrix entries, 3 * 64 + 10 = 202 biases
    assert network.num_weights((784, 64, 64, 64, 10)) == 59_008 + 202
    assert network.num_weights((784, 10)) == 7_850


@given(ANY_SIZES, ANY_STACK)
def test_pack_undoes_unpack(layer_sizes, stack):
    weights = a_problem(layer_sizes, stack=stack)[0]
    matrices, biases = network.unpack(weights, layer_sizes)
    assert [W.shape for W in matrices] == [
        (*stack, n_out, n_in) for n_in, n_out in pairwise(layer_sizes)
    ]
    assert [b.shape for b in biases] == [(*stack, n) for n in layer_sizes[1:]]
    np.testing.assert_array_equal(network.pack(matrices, biases), weights)


@given(ANY_SIZES, ANY_STACK)
def test_unpack_gives_views(layer_sizes, stack):
    weights = np.zeros((*stack, network.num_weights(layer_sizes)))
    for number, view in enumerate(chain(*network.unpack(weights, layer_sizes)), start=1):
        view[...] = number
    assert (weights > 0).all()
    assert weights.max() == 2 * (len(layer_sizes) - 1)


@given(ANY_SIZES, ANY_STACK)
def test_working_order_and_back(layer_sizes, stack):
    weights = a_problem(layer_sizes, stack=stack)[0]
    joined = network.join_biases(weights, layer_sizes)
    matrices, biases = network.unpack(weights, layer_sizes)
    for layer, W, b in zip(network.layers(joined, layer_sizes), matrices, biases, strict=True):
        np.testing.assert_array_equal(layer, np.concatenate([W, b[..., None]], axis=-1))
    np.testing.assert_array_equal(network.split_biases(joined, layer_sizes), weights)


@pytest.mark.parametrize("wrong", [0, 16, 18])
def test_wrong_number_of_weights_is_refused(wrong):
    with pytest.raises(ValueError, match=rf"{wrong} entries.*\(2, 3, 2\).*needs 17"):
        network.unpack(np.zeros(wrong), (2, 3, 2))


# ---- initial weights


def test_initial_weights_follow_he():
    layer_sizes = (784, 64, 64, 10)
    matrices, biases = network.unpack(network.init_weights(layer_sizes, 1), layer_sizes)
    for W in matrices:
        bound = np.sqrt(6 / W.shape[1])
        assert np.abs(W).max() <= bound
        # A uniform number on ±a has the variance a^2/3; sqrt(0.8/n) is 4 sd of its estimate.
        assert W.var() == pytest.approx(bound**2 / 3, rel=4 * np.sqrt(0.8 / W.size))
        assert abs(W.mean()) < 4 * bound / np.sqrt(3 * W.size)
    assert all((b == 0.01).all() for b in biases)


def test_initial_weights_depend_on_the_seed_alone():
    first, again, other = (network.init_weights((9, 5, 3), seed) for seed in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert (first != other)[:60].all()
    single = network.init_weights((9, 5, 3), 7, np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, first.astype(np.float32))


def test_initial_loss_is_near_the_loss_of_guessing():
    # A network that knows nothing gives each of 10 classes about 1/10: ln 10 = 2.303.
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(-0.5, 0.5, (500, 784)), rng.integers(0, 10, 500)
    layer_sizes = (784, 64, 64, 64, 10)
    losses = [
        network.cross_entropy(network.init_weights(layer_sizes, s), layer_sizes, images, labels)
        for s in range(3)
    ]
    assert np.mean(losses) == pytest.approx(np.log(10), abs=0.4)


# ---- passes: shapes, stacks, types


@pytest.mark.parametrize("layer_sizes", DEPTHS, ids=str)
@pytest.mark.parametrize("stack", [(), (1,), (3,)], ids=str)
def test_shapes(layer_sizes, stack):
    weights, _, images, labels = a_problem(layer_sizes, stack=stack)
    activations = network.forward(weights, layer_sizes, images)
    assert [a.shape for a in activations] == [(*stack, n, 6) for n in layer_sizes[1:]]
    assert all((a >= 0).all() for a in activations[:-1])
    assert network.cross_entropy(weights, layer_sizes, images, labels).shape == stack
    assert network.backprop(weights, layer_sizes, images, labels).shape == weights.shape
    assert network.predict(weights, layer_sizes, images).shape == (*stack, 6)
    assert network.accuracy(activations[-1], labels).shape == stack


@given(ANY_SIZES, st.integers(1, 7), st.sampled_from([np.float32, np.float64]))
def test_a_stack_equals_its_members_bit_for_bit(layer_sizes, num_images, dtype):
    weights, _, images, labels = a_problem(layer_sizes, 1, num_images, (3,))
    weights, alphas = weights.astype(dtype), np.array([0, 0.3, 5])
    losses = network.cross_entropy(weights, layer_sizes, images, labels, alphas)
    gradients = network.backprop(weights, layer_sizes, images, labels, alphas)
    for k, alpha in enumerate(alphas):
        alone = weights[k], layer_sizes, images, labels, alpha
        assert losses[k] == network.cross_entropy(*alone)
        np.testing.assert_array_equal(gradients[k], network.backprop(*alone))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_passes_keep_the_type_of_the_weights(dtype):
    weights, layer_sizes, images, labels = a_problem((5, 4, 3))
    weights = weights.astype(dtype)
    assert network.backprop(weights, layer_sizes, images, labels, 0.1).dtype == dtype
    assert {a.dtype for a in network.forward(weights, layer_sizes, images)} == {np.dtype(dtype)}
    assert network.cross_entropy(weights, layer_sizes, images, labels).dtype == np.float64


def test_inputs_are_left_alone():
    problem = a_problem((5, 4, 3))
    copies = [np.array(each) for each in problem]
    network.backprop(*problem, alpha=0.5)
    network.cross_entropy(*problem, alpha=0.5)
    for each, copy in zip(problem, copies, strict=True):
        np.testing.assert_array_equal(each, copy)


# ---- cross-entropy from logits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_at_huge_logits(dtype):
    # Columns: right with certainty, wrong by 20,000 nats, undecided between two: ln 2.
    logits = np.array([[1e4, 1e4, 3e4], [0, 0, 3e4], [-1e4, -1e4, 0]], dtype)
    losses = [network.log_loss(logits[:, [i]], np.array([y])) for i, y in enumerate((0, 2, 1))]
    assert losses == pytest.approx([0, 20_000, np.log(2)], rel=1e-6, abs=0)
    assert np.isfinite(network.softmax(logits)).all()


def test_cross_entropy_where_probabilities_round_to_zero_or_one():
    logits = np.array([[800.0, 40], [0, 0]])
    assert network.log_loss(logits[:, [0]], np.array([1])) == 800  # p = 1e-347 rounds to 0
    assert network.log_loss(logits[:, [1]], np.array([1])) == pytest.approx(40, rel=1e-15)
    assert network.log_loss(logits[:, [1]], np.array([0])) == pytest.approx(0, abs=1e-15)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_cross_entropy_agrees_with_scipy(columns, label):
    logits = np.array(columns).T
    labels = np.full(len(columns), label)
    expected = -log_softmax(logits, axis=0)[label].mean()
    assert network.log_loss(logits, labels) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    probabilities = network.softmax(logits)
    np.testing.assert_allclose(probabilities, np.exp(log_softmax(logits, axis=0)), atol=1e-13)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-14)


def test_gradient_at_huge_logits_is_finite():
    weights, layer_sizes, images, labels = a_problem((5, 4, 3))
    gradient = network.backprop(1e3 * weights, layer_sizes, images, labels)
    assert np.isfinite(gradient).all()
    assert gradient.any()


# ---- the gradient of the objective


@pytest.mark.parametrize("alpha", [0, 1e-3, 10], ids="alpha={}".format)
@pytest.mark.parametrize("layer_sizes", DEPTHS, ids=str)
def test_gradient_against_complex_step(layer_sizes, alpha):
    problem = a_problem(layer_sizes, seed=3)
    exact = complex_step_gradient(*problem, alpha)
    assert relative_error(network.backprop(*problem, alpha), exact) < 1e-14


@given(ANY_SIZES, st.integers(0, 10_000), st.integers(1, 8), st.sampled_from([0, 1e-4, 1, 1e3]))
def test_gradient_against_complex_step_anywhere(layer_sizes, seed, num_images, alpha):
    problem = a_problem(layer_sizes, seed, num_images)
    exact = complex_step_gradient(*problem, alpha)
    # A softmax over one class has no gradient: then both are 0, to rounding of the penalty.
    np.testing.assert_allclose(
        network.backprop(*problem, alpha), exact, rtol=1e-11, atol=1e-14 * (1 + alpha)
    )


@pytest.mark.parametrize("alpha", [0, 10], ids="alpha={}".format)
@pytest.mark.parametrize("layer_sizes", [(5, 3), (5, 4, 3), (6, 3, 7, 2, 4)], ids=str)
def test_gradient_against_central_differences(layer_sizes, alpha):
    problem = a_problem(layer_sizes, seed=4)
    weights, rest = problem[0], (*problem[1:], alpha)
    step = 1e-6 * np.eye(len(weights))
    ahead, behind = (network.cross_entropy(weights + s, *rest) for s in (step, -step))
    gradient = network.backprop(weights, *rest)
    assert relative_error((ahead - behind) / 2e-6, gradient) < 1e-8


@pytest.mark.parametrize("wrong", ["without L2", "half the L2", "decayed biases", "one entry"])
def test_the_comparison_sees_a_wrong_gradient(wrong):
    problem, alpha = a_problem((5, 4, 4, 3), seed=5), 0.1
    weights = problem[0]
    broken = network.backprop(
        *problem, alpha={"without L2": 0, "half the L2": 0.05}.get(wrong, 0.1)
    )
    if wrong == "decayed biases":
        for g, b in zip(
            *(network.unpack(w, problem[1])[1] for w in (broken, weights)), strict=True
        ):
            g += alpha * b
    if wrong == "one entry":
        broken[7] += 1e-9
    assert relative_error(broken, complex_step_gradient(*problem, alpha)) > 1e-11


def test_penalty_takes_one_alpha_a_member():
    weights = a_problem((5, 4, 3), stack=(3,))[0]
    alphas = np.array([0, 0.5, 2])
    expected = [0.5 * a * (w[:32] ** 2).sum() for a, w in zip(alphas, weights, strict=True)]
    np.testing.assert_allclose(network.penalty(weights, (5, 4, 3), alphas), expected, rtol=1e-14)


def test_the_earlier_class_wins_a_tie():
    weights = np.zeros(network.num_weights((4, 3)))
    assert network.predict(weights, (4, 3), np.ones((2, 4))).tolist() == [0, 0]


def test_one_hot():
    columns = network.one_hot(np.array([2, 0]), 3, np.float32)
    assert columns.dtype == np.float32
    assert columns.tolist() == [[0, 1], [0, 0], [1, 0]]


def patched_kernels(monkeypatch, name):
    monkeypatch.setattr(network, "blas_kernels", lambda: name)


def test_pieces_are_the_fewest_equal_ones_that_are_small(monkeypatch):
    patched_kernels(monkeypatch, "SkylakeX")
    A, B = np.ones((50, 785), np.float32), np.ones((785, 64), np.float32)
    # 50 * 785 * 64 = 2,512,000 multiply-adds. Of the divisors of 64, halves are too large
    # (1,256,000), quarters are not; of those of 50, fifths are the first below a million.
    assert network.num_pieces(A, B, 64) == 4
    assert network.num_pieces(A, B, 50) == 5
    assert network.num_pieces(A[:25], B[:, :32], 32) == 1  # 628,000: small already
    assert network.num_pieces(np.ones((512, 785), np.float32), B, 64) == 1  # large anyhow
    assert network.num_pieces(A.astype(np.float64), B, 64) == 1
    patched_kernels(monkeypatch, "Haswell")
    assert network.num_pieces(A, B, 64) == 1


@pytest.mark.parametrize("stack", [(), (3,)])
def test_cut_products_are_the_same_products(monkeypatch, stack):
    rng = np.random.default_rng(0)
    layer_sizes = (784, 50, 20, 10)
    shape = (*stack, network.num_weights(layer_sizes))
    weights = rng.normal(0, 0.05, shape).astype(np.float32)
    images, labels = rng.uniform(-0.5, 0.5, (64, 784)), rng.integers(0, 10, 64)
    found = []
    for kernels in ("Haswell", "SkylakeX"):
        patched_kernels(monkeypatch, kernels)
        logits = network.forward(weights, layer_sizes, images)[-1]
        found.append((logits, network.backprop(weights, layer_sizes, images, labels)))
    for whole, cut in zip(*found, strict=True):
        # Sums of 785 products in float32: rounding differs, nothing else does.
        np.testing.assert_allclose(cut, whole, rtol=1e-4, atol=1e-5)


def test_cut_products_keep_a_stack_equal_to_its_members(monkeypatch):
    patched_kernels(monkeypatch, "SkylakeX")
    rng = np.random.default_rng(1)
    layer_sizes = (784, 50, 20, 10)
    weights = rng.normal(0, 0.05, (3, network.num_weights(layer_sizes))).astype(np.float32)
    images, labels = rng.uniform(-0.5, 0.5, (64, 784)), rng.integers(0, 10, 64)
    together = network.backprop(weights, layer_sizes, images, labels)
    for member, gradient in zip(weights, together, strict=True):
        alone = network.backprop(member, layer_sizes, images, labels)
        assert alone.tobytes() == gradient.tobytes()
