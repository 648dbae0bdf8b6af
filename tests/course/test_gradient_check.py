"""The checks themselves: equal to plain forward passes, to SciPy, to numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ANY_PROBLEM, SIZES, a_problem, moved
from scipy.optimize import approx_fprime

from helpers import gradient_check, network


def as_layers(weights):
    return network.unpack(weights, SIZES)


def right_gradient(problem):
    return network.pack(network.backprop(*problem))


# ---- pushing single changes up


@given(step=st.sampled_from([0.5, -0.1, 1e-3, 0.1j]), **ANY_PROBLEM)
@settings(max_examples=60)
def test_pushed_objective_equals_whole_forward_passes(step, layer_sizes, num_images, alpha, seed):
    layers, *rest = problem = a_problem(layer_sizes, num_images, alpha, seed)
    plain = network.cross_entropy(moved(layers, step), *rest)
    pushed = gradient_check.losses_when_moved(*problem, step)
    np.testing.assert_allclose(pushed, plain, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("chosen", [[78, 3, 41, 0, 3], [78]], ids=str)
def test_chosen_weights_alone_are_moved(chosen):
    expected = gradient_check.losses_when_moved(*a_problem(), 0.1)[chosen]
    losses = gradient_check.losses_when_moved(*a_problem(), 0.1, np.array(chosen))
    np.testing.assert_allclose(losses, expected, rtol=1e-14)


def test_each_check_by_hand():
    # One input 1, two classes, equal logits: both probabilities 1/2, label 0, so delta is
    # (-1/2, 1/2) for matrix and biases; L2 adds alpha * 3 to each matrix entry, nothing to biases.
    layers = network.unpack(np.array([3.0, 3, 0.2, 0.2]), (1, 2))
    derivatives = gradient_check.differentiate(layers, np.ones((1, 1)), np.array([0]), 0.1)
    for check, atol in (("2-point", 1e-7), ("3-point", 1e-9), ("complex step", 1e-16)):
        np.testing.assert_allclose(derivatives[check], [-0.2, 0.8, -0.5, 0.5], atol=atol)


def test_two_point_is_what_scipy_computes():
    layers, *rest = a_problem()
    weights = network.pack(layers)
    scipys = approx_fprime(weights, lambda w: network.cross_entropy(as_layers(w), *rest), 1e-6)
    ours = gradient_check.two_point(layers, *rest, step=1e-6)
    np.testing.assert_allclose(ours, scipys, rtol=0, atol=1e-8)  # rounding: some 1e-16 / 1e-6
    right = right_gradient((layers, *rest))
    assert np.abs(scipys - right).max() > 1e-8  # so they share their truncation error


def test_a_weight_without_effect_gives_exactly_zero():
    problem = layers, *_ = a_problem(alpha=0.0)
    layers[0][1][2] = -100  # unit 2 of layer 1 never switches on
    dead = np.zeros(network.num_weights(SIZES))
    (W1, b1), (W2, _), _ = as_layers(dead)
    W1[2] = b1[2] = W2[:, 2] = 1
    for derivative in gradient_check.differentiate(*problem).values():
        assert not derivative[dead == 1].any()


# ---- the report


def test_relative_error_is_in_units_of_the_longer():
    for ours, theirs, error in ([3, 0], [3, 4], 4 / 5), ([0, 0], [0, 0], 0), ([0, 1], [0, 0], 1):
        assert gradient_check.relative_error(np.array(ours), np.array(theirs)) == error


def test_report_has_a_row_for_each_matrix_and_bias():
    problem = layers, *_ = a_problem()
    gradient = right_gradient(problem)
    rows = gradient_check.compare(gradient, gradient_check.differentiate(*problem), layers)
    assert [row["name"] for row in rows] == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert [row["shape"] for row in rows] == [(5, 7), (5,), (4, 5), (4,), (3, 4), (3,)]
    assert {row["verdict"] for row in rows} == {"agrees"}
    assert np.hypot.reduce([row["norm"] for row in rows]) == pytest.approx(np.linalg.norm(gradient))


@pytest.mark.parametrize("wrong", range(6))
def test_report_names_the_layer_that_is_wrong(wrong):
    problem = layers, *_ = a_problem()
    exact = gradient_check.complex_step(*problem)
    gradient = right_gradient(problem)
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
    for theirs, verdict in (zero, "agrees"), (zero + 1e-300, "DIFFERS: complex step"):
        for row in gradient_check.compare(zero, {"complex step": theirs}, as_layers(zero)):
            assert row["zeros"] == np.prod(row["shape"])
            assert row["verdict"] == verdict


def test_a_gradient_with_nan_is_not_agreed_with():
    problem = layers, *_ = a_problem()
    right = right_gradient(problem)
    broken = right.copy()
    broken[4] = np.nan
    assert np.isnan(gradient_check.relative_error(broken, right))
    assert np.isnan(gradient_check.worst_share(broken, right, layers))
    [first, *_] = gradient_check.compare(broken, {"complex step": right}, layers)
    assert first["verdict"] == "DIFFERS: complex step"


# ---- the error against the step


def test_errors_fall_with_truncation_and_rise_with_rounding():
    *problem, _ = a_problem((9, 8, 6, 4))
    steps = np.array([1e-12, 1e-11, 1e-5, 1e-4])
    errors = gradient_check.step_curve(*problem, steps, np.arange(100))
    # Ten times the step: ten times the truncation of 2-point, a hundred times that of the others.
    for check, factor in ("2-point", 10), ("complex step", 100):
        assert errors[check][3] / errors[check][2] == pytest.approx(factor, rel=0.05)
    gradient = right_gradient(problem)[:100]
    value = network.cross_entropy(*problem)
    for check, share in ("2-point", 1), ("3-point", 1 / 2):
        noise = [gradient_check.rounding_error(value, step, 100) for step in steps[:2]]
        ratio = errors[check][:2] * np.linalg.norm(gradient) / (share * np.array(noise))
        assert ((ratio > 1 / 5) & (ratio < 5)).all()  # of an error, not of a bound
    assert (errors["complex step"][:2] < 1e-14).all()
    assert (errors["2-point, float32"][:2] > 0.5).all()
