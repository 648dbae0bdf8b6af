"""The checks themselves: equal to plain forward passes and to backprop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import ANY_PROBLEM, SIZES, a_problem, moved

from helpers import gradient_check, network


def as_layers(weights):
    return network.unpack(weights, SIZES)


def right_gradient(problem):
    return network.pack(network.backprop(*problem))


# ---- pushing single changes up


@given(step=st.sampled_from([0.5, -0.1, 1e-3, 0.1j]), **ANY_PROBLEM)
def test_pushed_objective_equals_whole_forward_passes(step, layer_sizes, num_images, alpha, seed):
    problem = a_problem(layer_sizes, num_images, alpha, seed)
    layers, *rest = problem
    plain = network.cross_entropy(moved(layers, step), *rest)
    pushed = gradient_check.losses_when_moved(*problem, step)
    np.testing.assert_allclose(pushed, plain, rtol=1e-13, atol=1e-13)
    chosen = np.random.default_rng(seed).permutation(len(plain))[:5]
    some = gradient_check.losses_when_moved(*problem, step, chosen)
    np.testing.assert_allclose(some, plain[chosen], rtol=1e-13, atol=1e-13)


# ---- the report


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([3, 4], [3, 0], 4 / 5),
        ([0, 0], [0, 0], 0),
        ([np.inf, 0], [np.inf, 0], np.nan),
    ],
)
def test_relative_error_is_in_units_of_the_longer(ours, theirs, expected):
    error = gradient_check.relative_error(np.array(ours), np.array(theirs))
    assert error == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("number", "name"), [*enumerate(["W1", "b1", "W2", "b2", "W3", "b3"])])
def test_report_names_the_matrix_or_bias_that_is_wrong(number, name):
    problem = a_problem()
    exact = gradient_check.complex_step(*problem)
    gradient = right_gradient(problem)
    layer, part_number = divmod(number, 2)
    part = as_layers(gradient)[layer][part_number]
    part.flat[-1] += 1e-9
    derivatives = {"complex step": exact, "3-point": exact}
    rows = gradient_check.compare(gradient, derivatives, as_layers(gradient))
    wrong = rows.pop(number)
    assert wrong["name"] == name
    assert wrong["shape"] == part.shape
    assert wrong["norm"] == pytest.approx(np.linalg.norm(part))
    assert wrong["complex step"] == pytest.approx(1e-9 / np.abs(part).max(), rel=1e-5)
    assert wrong["verdict"] == "DIFFERS: complex step"
    assert {row["verdict"] for row in rows} == {"agrees"}


DIFFERS = "DIFFERS: 2-point"


@pytest.mark.parametrize(
    ("theirs", "verdict"), [(0, "agrees"), (1e-300, DIFFERS), (np.nan, DIFFERS)]
)
def test_zero_agrees_with_zero_alone(theirs, verdict):
    zero = np.zeros(network.num_weights(SIZES))
    for row in gradient_check.compare(zero, {"2-point": zero + theirs}, as_layers(zero)):
        assert row["zeros"] == np.prod(row["shape"])
        assert row["verdict"] == verdict


# ---- the error against the step


def test_errors_rise_with_truncation_and_with_rounding():
    *problem, _ = a_problem((9, 8, 6, 4))
    steps = np.array([1e-12, 1e-5, 1e-4])
    errors = gradient_check.step_curve(*problem, steps, chosen=np.arange(100))
    # Ten times the step: truncation of order h is ten times as large, that of order h^2 a hundred.
    for check, factor in ("2-point", 10), ("complex step", 100):
        assert errors[check][2] == pytest.approx(factor * errors[check][1], rel=0.05)
    norm = np.linalg.norm(right_gradient(problem)[:100])
    value = network.cross_entropy(*problem)
    predicted = gradient_check.rounding_error(value, 1e-12, 100) / norm
    assert predicted / 5 < errors["2-point"][0] < predicted * 5  # of an error, not of a bound
    assert errors["complex step"][0] < 1e-14 < errors["3-point"][0] < errors["2-point"][0]
    assert errors["2-point, float32"][0] > 0.5
