"""The checks themselves: equal to plain forward passes, to SciPy, to numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ANY_PROBLEM, SIZES, a_problem, moved
from scipy.optimize import approx_fprime

from helpers import gradient_check, network


def wrong_by(error):
    """Make a gradient function that is off by a fixed flat vector."""

    def gradient(layers, *problem):
        return as_layers(network.pack(network.backprop(layers, *problem)) + error)

    return gradient


def as_layers(weights):
    return network.unpack(weights, SIZES)


# ---- pushing single changes up


@given(step=st.sampled_from([0.5, -0.1, 1e-3, 0.1j]), **ANY_PROBLEM)
@settings(max_examples=60)
def test_pushed_objective_equals_whole_forward_passes(step, layer_sizes, num_images, alpha, seed):
    layers, *rest = problem = a_problem(layer_sizes, num_images, alpha, seed)
    plain = network.cross_entropy(moved(layers, step), *rest)
    pushed = gradient_check.losses_when_moved(*problem, step)
    np.testing.assert_allclose(pushed, plain, rtol=1e-13, atol=1e-13)
    plain = network.cross_entropy(moved(layers, 1e-20j), *rest).imag / 1e-20
    pushed = gradient_check.complex_step(*problem)
    np.testing.assert_allclose(pushed, plain, rtol=0, atol=1e-14 * (1 + np.abs(plain).max()))


@pytest.mark.parametrize("chosen", [[78, 3, 41, 0, 3], [0], [78], range(79)], ids=str)
def test_chosen_weights_alone_are_moved(chosen):
    expected = gradient_check.losses_when_moved(*a_problem(), 0.1)[chosen]
    found = gradient_check.losses_when_moved(*a_problem(), 0.1, np.array(chosen))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_each_check_by_hand():
    # One input 1, two classes, equal logits: both probabilities 1/2, label 0, so delta is
    # (-1/2, 1/2) for matrix and biases; L2 adds alpha * 3 to each matrix entry, nothing to biases.
    layers = network.unpack(np.array([3.0, 3, 0.2, 0.2]), (1, 2))
    found = gradient_check.differentiate(layers, np.ones((1, 1)), np.array([0]), 0.1)
    for check, atol in (("2-point", 1e-7), ("3-point", 1e-9), ("complex step", 1e-16)):
        np.testing.assert_allclose(found[check], [-0.2, 0.8, -0.5, 0.5], atol=atol)


def test_two_point_is_what_scipy_computes():
    layers, *rest = a_problem()
    weights = network.pack(layers)
    scipys = approx_fprime(weights, lambda w: network.cross_entropy(as_layers(w), *rest), 1e-6)
    ours = gradient_check.two_point(layers, *rest, step=1e-6)
    np.testing.assert_allclose(ours, scipys, rtol=0, atol=1e-8)  # rounding: some 1e-16 / 1e-6
    right = network.pack(network.backprop(layers, *rest))
    assert np.abs(scipys - right).max() > 1e-8  # so they share their truncation error


def test_a_weight_without_effect_gives_exactly_zero():
    layers, *rest = a_problem(alpha=0.0)
    layers[0][1][2] = -100  # unit 2 of layer 1 never switches on
    dead = np.zeros(network.num_weights(SIZES))
    (W1, b1), (W2, _), _ = as_layers(dead)
    W1[2] = b1[2] = W2[:, 2] = 1
    for derivative in gradient_check.differentiate(layers, *rest).values():
        assert not derivative[dead == 1].any()


# ---- random directions


@given(**ANY_PROBLEM)
@settings(max_examples=60)
def test_random_directions_agree_for_any_shape(**problem):
    assert gradient_check.check_directions(*a_problem(**problem)) <= 1e-12


def test_random_directions_estimate_the_relative_error():
    layers, *rest = a_problem()
    gradient = network.pack(network.backprop(layers, *rest))
    error = np.random.default_rng(1).normal(size=gradient.shape)
    error *= 1e-7 * np.linalg.norm(gradient) / np.linalg.norm(error)
    found = [
        gradient_check.check_directions(layers, *rest, gradient=wrong_by(error), seed=seed)
        for seed in range(50)
    ]
    # 200 squares, four a seed: standard deviation 5 %
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(1e-7, rel=0.2)


# ---- the report


def test_relative_error_is_in_units_of_the_longer():
    for found, expected, error in ([3, 0], [3, 4], 4 / 5), ([0, 0], [0, 0], 0), ([0, 1], [0, 0], 1):
        assert gradient_check.relative_error(np.array(found), np.array(expected)) == error


def test_report_has_a_row_for_each_matrix_and_bias():
    layers, *rest = a_problem()
    gradient = network.pack(network.backprop(layers, *rest))
    derivatives = gradient_check.differentiate(layers, *rest)
    rows = gradient_check.compare(gradient, derivatives, layers)
    assert [row["name"] for row in rows] == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert [row["shape"] for row in rows] == [(5, 7), (5,), (4, 5), (4,), (3, 4), (3,)]
    assert {row["verdict"] for row in rows} == {"agrees"}
    assert np.hypot.reduce([row["norm"] for row in rows]) == pytest.approx(np.linalg.norm(gradient))
    assert all(row[check] <= gradient_check.LIMITS[check] for row in rows for check in derivatives)


@pytest.mark.parametrize("wrong", range(6))
def test_report_names_the_layer_that_is_wrong(wrong):
    layers, *rest = a_problem()
    exact = gradient_check.complex_step(layers, *rest)
    gradient = network.pack(network.backprop(layers, *rest))
    part = as_layers(gradient)[wrong // 2][wrong % 2]
    part.flat[-1] += 1e-9
    rows = gradient_check.compare(gradient, {"complex step": exact, "3-point": exact}, layers)
    verdicts = [row["verdict"] for row in rows]
    assert verdicts.pop(wrong) == "DIFFERS: complex step"
    assert set(verdicts) == {"agrees"}
    share = rows[wrong]["complex step"]
    assert share == pytest.approx(1e-9 / np.abs(part).max(), rel=1e-5)
    assert gradient_check.worst_share(gradient, exact, layers) == share


def test_zero_beside_zero_is_agreement_and_beside_anything_else_is_not():
    zero = np.zeros(network.num_weights(SIZES))
    rows = gradient_check.compare(zero, {"complex step": zero}, as_layers(zero))
    assert [row["zeros"] for row in rows] == [35, 5, 20, 4, 12, 3]
    assert {row["verdict"] for row in rows} == {"agrees"}
    for ours, theirs in ((zero, zero + 1e-300), (zero + 1e-300, zero)):
        for row in gradient_check.compare(ours, {"complex step": theirs}, as_layers(zero)):
            assert (row["complex step"], row["verdict"]) == (1, "DIFFERS: complex step")


def test_a_gradient_with_nan_is_not_agreed_with():
    layers, *rest = a_problem()
    right = network.pack(network.backprop(layers, *rest))
    error = np.zeros_like(right)
    error[4] = np.nan
    directions = gradient_check.check_directions(layers, *rest, gradient=wrong_by(error))
    assert not directions <= 1e-12
    assert not gradient_check.relative_error(right + error, right) <= 1e-12
    assert not gradient_check.worst_share(right + error, right, layers) <= 1e-12
    [first, *_] = gradient_check.compare(right + error, {"complex step": right}, layers)
    assert first["verdict"] == "DIFFERS: complex step"


# ---- the error against the step


def test_predicted_errors_are_those_measured():
    *problem, _ = a_problem((9, 8, 6, 4))
    steps = np.array([1e-12, 1e-10, 1e-6, 1e-5, 1e-4])
    curve = gradient_check.step_curve(*problem, steps, np.arange(162))
    errors, truncation = curve.errors, curve.truncation
    np.testing.assert_allclose(errors["2-point"][2:], truncation["2-point"][2:], 0.01)
    assert errors["3-point"][-1] == pytest.approx(truncation["3-point"][-1], rel=0.05)
    np.testing.assert_allclose(errors["complex step"][3:], truncation["complex step"][3:], 0.01)
    for check in ("2-point", "3-point"):
        ratio = errors[check][:2] / curve.rounding[check][:2]
        assert ((ratio > 1 / 5) & (ratio < 5)).all()  # of an error, not of a bound
    assert (errors["complex step"][:2] < 1e-14).all()
    assert (errors["2-point, float32"][:2] > 0.5).all()
