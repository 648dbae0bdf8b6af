"""The checks themselves: equal to plain forward passes, to SciPy, to numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, check_grad

from helpers import gradient_check, network

ANY_SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=8).map(tuple)
ANY_PROBLEM = {
    "layer_sizes": ANY_SIZES,  # from no hidden layer to six
    "num_images": st.integers(1, 4),
    "alpha": st.sampled_from([0.0, 1e-3, 2.0]),
    "seed": st.integers(0, 10_000),
}
SIZES = (7, 5, 4, 3)


def a_problem(layer_sizes=SIZES, num_images=5, alpha=0.1, seed=0, stack=()):
    """Draw weights (biases too, so that no mistake hides), images and labels."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.7, (*stack, network.num_weights(layer_sizes)))
    images = rng.uniform(-0.5, 0.5, (num_images, layer_sizes[0]))
    labels = rng.integers(0, layer_sizes[-1], num_images)
    return weights, layer_sizes, images, labels, alpha


def plainly(step, weights, layer_sizes, images, labels, alpha):
    """Evaluate the objective with each weight moved, by one whole forward pass each."""
    moved = weights + step * np.eye(len(weights))
    return np.array([network.cross_entropy(w, layer_sizes, images, labels, alpha) for w in moved])


def wrong_by(error):
    """Make a gradient function that is off by a fixed vector."""
    return lambda *problem: network.backprop(*problem) + error


# ---- the objective for SciPy


@pytest.mark.parametrize("layer_sizes", [(3, 2), (6, 4, 3), (5, 7, 1, 4, 2)])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_objective_is_the_cross_entropy_to_the_last_bit(layer_sizes, alpha):
    weights, *rest = a_problem(layer_sizes, alpha=alpha)
    objective = gradient_check.Objective(*rest)
    for w in (weights, 2 * weights, weights):
        assert objective(w) == network.cross_entropy(w, *rest)
        np.testing.assert_array_equal(objective.gradient(w), network.backprop(w, *rest))


def test_scipy_accepts_the_objective():
    weights, *rest = a_problem()
    objective = gradient_check.Objective(*rest)
    assert check_grad(objective, objective.gradient, weights) < 1e-6


# ---- pushing single changes up


@given(**ANY_PROBLEM)
@settings(max_examples=60)
def test_pushed_complex_steps_equal_plain_ones(layer_sizes, num_images, alpha, seed):
    problem = a_problem(layer_sizes, num_images, alpha, seed)
    pushed = gradient_check.complex_step(*problem)
    plain = plainly(1e-20j, *problem).imag / 1e-20
    np.testing.assert_allclose(pushed, plain, rtol=0, atol=1e-14 * (1 + np.abs(plain).max()))


@given(step=st.sampled_from([0.5, -0.1, 1e-3, 0.1j]), **ANY_PROBLEM)
@settings(max_examples=60)
def test_pushed_objective_equals_whole_forward_passes(step, layer_sizes, num_images, alpha, seed):
    problem = a_problem(layer_sizes, num_images, alpha, seed)
    pushed = gradient_check.along_axes(*problem, step)
    np.testing.assert_allclose(pushed, plainly(step, *problem), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("chosen", [[78, 3, 41, 0, 3], [0], [78]])
def test_only_chosen_weights_are_moved(chosen):
    problem = a_problem()
    np.testing.assert_allclose(
        gradient_check.along_axes(*problem, 0.1, np.array(chosen)),
        gradient_check.along_axes(*problem, 0.1)[chosen],
        rtol=1e-14,
    )


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_blocks_of_any_size_give_the_same(monkeypatch, rows):
    problem = a_problem()
    expected = gradient_check.along_axes(*problem, 0.1)
    monkeypatch.setattr(gradient_check, "ROWS_AT_ONCE", rows)
    np.testing.assert_allclose(gradient_check.along_axes(*problem, 0.1), expected, rtol=1e-14)


def test_several_penalties_share_one_push():
    *problem, _ = a_problem()
    together = gradient_check.complex_step(*problem, np.array([[0.0], [0.5]]))
    for row, alpha in zip(together, (0.0, 0.5), strict=True):
        np.testing.assert_array_equal(row, gradient_check.complex_step(*problem, alpha))


def test_complex_step_by_hand():
    # One input 1, two classes, equal logits: both probabilities 1/2, label 0, so delta is
    # (-1/2, 1/2) for matrix and biases; L2 adds alpha * 3 to each matrix entry, nothing to biases.
    problem = np.array([3.0, 3, 0.2, 0.2]), (1, 2), np.ones((1, 1)), np.array([0]), 0.1
    expected = [-0.2, 0.8, -0.5, 0.5]
    np.testing.assert_allclose(gradient_check.complex_step(*problem), expected, atol=1e-16)
    np.testing.assert_allclose(gradient_check.three_point(*problem), expected, atol=1e-9)
    np.testing.assert_allclose(gradient_check.two_point(*problem), expected, atol=1e-7)


def test_two_point_is_what_scipy_computes():
    weights, *rest = a_problem()
    scipys = approx_fprime(weights, gradient_check.Objective(*rest), 1e-6)
    ours = gradient_check.two_point(weights, *rest, step=1e-6)
    np.testing.assert_allclose(ours, scipys, rtol=0, atol=1e-8)  # rounding: some 1e-16 / 1e-6
    right = network.backprop(weights, *rest)
    assert np.abs(scipys - right).max() > 1e-8  # so they share their truncation error


def test_a_weight_without_effect_gives_exactly_zero():
    weights, layer_sizes, *rest = a_problem(alpha=0.0)
    network.unpack(weights, layer_sizes)[1][0][2] = -100  # unit 2 of layer 1 never switches on
    dead = np.zeros_like(weights)
    matrices, biases = network.unpack(dead, layer_sizes)
    matrices[0][2] = biases[0][2] = matrices[1][:, 2] = 1
    for derivative in gradient_check.differentiate(weights, layer_sizes, *rest).values():
        assert not derivative[dead == 1].any()


# ---- kinks


def test_kinks_by_hand():
    # x = 2, z = 1 * 2 - 1 = 1: the unit switches off once 2 dW or db is below -1.
    problem = np.array([1.0, 5, 7, -1, 0, 0]), (1, 1, 2), np.array([[2.0]])
    assert gradient_check.kinks_crossed(*problem, -0.4).tolist() == [0, 0, 0, 0, 0, 0]
    assert gradient_check.kinks_crossed(*problem, -0.6).tolist() == [1, 0, 0, 0, 0, 0]
    assert gradient_check.kinks_crossed(*problem, -1.1).tolist() == [1, 0, 0, 1, 0, 0]


@given(**ANY_PROBLEM)
@settings(max_examples=30)
def test_kinks_are_counted_in_all_layers(layer_sizes, num_images, alpha, seed):
    weights, _, images, _, _ = a_problem(layer_sizes, num_images, alpha, seed)
    moved = weights + 0.7 * np.eye(len(weights))
    before = network.forward(weights, layer_sizes, images)[:-1]
    expected = [
        sum(
            ((h > 0) != (h_before > 0)).sum()
            for h, h_before in zip(
                network.forward(w, layer_sizes, images)[:-1], before, strict=True
            )
        )
        for w in moved
    ]
    assert gradient_check.kinks_crossed(weights, layer_sizes, images, 0.7).tolist() == expected


# ---- the gradient under check


@given(**ANY_PROBLEM)
@settings(max_examples=60)
def test_backprop_agrees_with_every_weights_complex_step(layer_sizes, num_images, alpha, seed):
    problem = a_problem(layer_sizes, num_images, alpha, seed)
    exact = gradient_check.complex_step(*problem)
    # p - 1 loses digits where an image is nearly certain: compare with 1, not only with the norm.
    assert np.linalg.norm(network.backprop(*problem) - exact) <= 1e-13 * (1 + np.linalg.norm(exact))


@given(
    layer_sizes=ANY_SIZES,
    stack=st.sampled_from([(), (1,), (3,), (2, 2)]),
    num_images=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60)
def test_random_directions_agree_for_any_shape_and_stack(layer_sizes, stack, num_images, seed):
    problem = a_problem(layer_sizes, num_images, 0.0, seed, stack)
    alpha = np.random.default_rng(seed).uniform(0.1, 2, stack)  # one of its own for each member
    error = gradient_check.check_directions(*problem[:-1], alpha)
    assert error.shape == stack
    assert (error <= 1e-12).all()


def test_random_directions_estimate_the_relative_error():
    problem = a_problem()
    gradient = network.backprop(*problem)
    error = np.random.default_rng(1).normal(size=gradient.shape)
    error *= 1e-7 * np.linalg.norm(gradient) / np.linalg.norm(error)
    found = gradient_check.check_directions(*problem, gradient=wrong_by(error), num_directions=200)
    assert found == pytest.approx(1e-7, rel=0.2)  # 200 squares: standard deviation 5 %


def test_random_directions_name_the_broken_member_of_a_stack():
    problem = a_problem(stack=(3,))
    error = np.zeros_like(problem[0])
    error[1, 4] = 1e-6
    found = gradient_check.check_directions(*problem, gradient=wrong_by(error))
    assert (found > 1e-9).tolist() == [False, True, False]


def test_a_gradient_with_nan_is_not_agreed_with():
    problem = a_problem()
    error = np.zeros_like(problem[0])
    error[4] = np.nan
    broken = network.backprop(*problem) + error
    right = network.backprop(*problem)
    assert not gradient_check.check_directions(*problem, gradient=wrong_by(error)) <= 1e-12
    assert not gradient_check.relative_error(broken, right) <= 1e-12
    assert not gradient_check.worst_share(broken, right, SIZES) <= 1e-12
    [first, *_] = gradient_check.compare(broken, {"complex step": right}, SIZES)
    assert first.verdict == "DIFFERS: complex step"


# ---- the report


def test_relative_error_is_in_units_of_the_longer():
    found, expected = np.array([[3.0, 0], [0, 0], [0, 1]]), np.array([[3.0, 4], [0, 0], [0, 0]])
    assert gradient_check.relative_error(found, expected).tolist() == [4 / 5, 0, 1]


def test_report_has_a_line_for_each_matrix_and_bias():
    problem = a_problem()
    gradient = network.backprop(*problem)
    rows = gradient_check.compare(gradient, gradient_check.differentiate(*problem), SIZES)
    assert [row.name for row in rows] == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert [row.shape for row in rows] == [(5, 7), (5,), (4, 5), (4,), (3, 4), (3,)]
    assert {row.verdict for row in rows} == {"agrees"}
    assert np.hypot.reduce([row.norm for row in rows]) == pytest.approx(np.linalg.norm(gradient))
    assert (
        len(
            {len(line.split("  agrees")[0]) for line in gradient_check.table(rows).splitlines()[1:]}
        )
        == 1
    )


def test_report_finds_the_layer_that_is_wrong():
    problem = a_problem()
    exact = gradient_check.complex_step(*problem)
    gradient = network.backprop(*problem)
    b2 = network.unpack(gradient, SIZES)[1][1]
    b2[3] += 1e-9
    rows = gradient_check.compare(gradient, {"complex step": exact, "3-point": exact}, SIZES)
    verdicts = {row.name: row.verdict for row in rows}
    assert verdicts.pop("b2") == "DIFFERS: complex step"
    assert set(verdicts.values()) == {"agrees"}
    largest, share = rows[3].differences["complex step"]
    assert largest == pytest.approx(1e-9, rel=1e-5)
    assert share == pytest.approx(1e-9 / np.abs(b2).max(), rel=1e-5)
    assert gradient_check.worst_share(gradient, exact, SIZES) == share


def test_zero_beside_zero_is_agreement_and_beside_anything_else_is_not():
    zero = np.zeros(network.num_weights((2, 3)))
    [W, b] = gradient_check.compare(zero, {"complex step": zero}, (2, 3))
    assert (W.verdict, W.num_zeros, b.num_zeros) == ("agrees", 6, 3)
    [W, b] = gradient_check.compare(zero, {"complex step": zero + 1e-300}, (2, 3))
    assert W.differences["complex step"][1] == 1
    assert W.verdict == b.verdict == "DIFFERS: complex step"


# ---- the error against the step


def test_predicted_errors_are_those_measured():
    problem = a_problem((9, 8, 6, 4), alpha=0.0)
    steps = np.array([1e-12, 1e-10, 1e-6, 1e-5, 1e-4])
    chosen = np.arange(network.num_weights((9, 8, 6, 4)))
    curve = gradient_check.step_curve(*problem, steps, chosen)
    assert not curve.kinks.any()
    np.testing.assert_allclose(curve.errors["2-point"][2:], curve.truncation["2-point"][2:], 0.01)
    assert curve.errors["3-point"][-1] == pytest.approx(curve.truncation["3-point"][-1], rel=0.05)
    np.testing.assert_allclose(
        curve.errors["complex step"][3:], curve.truncation["complex step"][3:], 0.01
    )
    for check in ("2-point", "3-point"):
        ratio = curve.errors[check][:2] / curve.rounding[check][:2]
        assert ((ratio > 1 / 5) & (ratio < 5)).all()  # of an error, not of a bound
    assert (curve.errors["complex step"][:2] < 1e-14).all()
    assert (curve.errors["2-point, float32"][:2] > 0.5).all()


def test_long_steps_cross_kinks():
    problem = a_problem((9, 8, 6, 4))
    curve = gradient_check.step_curve(*problem, np.array([1e-9, 1.0]), np.arange(60))
    assert curve.kinks[0] == 0 < curve.kinks[1]
    assert curve.num_chosen == 60
