"""The checks themselves: equal to plain forward passes, to SciPy and to backprop."""

import numpy as np
import pytest
from hypothesis import given
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
def test_pushed_objective_equals_whole_forward_passes(step, layer_sizes, num_images, alpha, seed):
    problem = a_problem(layer_sizes, num_images, alpha, seed)
    layers, *rest = problem
    plain = network.cross_entropy(moved(layers, step), *rest)
    pushed = gradient_check.losses_when_moved(*problem, step)
    np.testing.assert_allclose(pushed, plain, rtol=1e-13, atol=1e-13)
    chosen = np.random.default_rng(seed).permutation(len(plain))[:5]
    some = gradient_check.losses_when_moved(*problem, step, chosen)
    np.testing.assert_allclose(some, plain[chosen], rtol=1e-13, atol=1e-13)


def test_two_point_is_what_scipy_computes():
    layers, *rest = a_problem()
    weights = network.pack(layers)

    def objective(weights):
        return network.cross_entropy(as_layers(weights), *rest)

    scipys = approx_fprime(weights, objective, 1e-6)
    ours = gradient_check.two_point(layers, *rest, step=1e-6)
    # Rounding is some 1e-16 / 1e-6; the truncation, which they share, is larger.
    np.testing.assert_allclose(ours, scipys, rtol=0, atol=1e-8)


def test_a_weight_without_effect_gives_exactly_zero():
    layers, images, labels, _ = a_problem()
    layers[0][1][2] = -100  # unit 2 of layer 1 never switches on
    for derivative in gradient_check.differentiate(layers, images, labels).values():
        (dW1, db1), (dW2, _), _ = as_layers(derivative)
        assert not dW1[2].any()
        assert db1[2] == 0
        assert not dW2[:, 2].any()


# ---- the report


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([3, 0], [3, 4], 4 / 5),
        ([0, 0], [0, 0], 0),
        ([0, 1], [0, 0], 1),
        ([np.inf, 0], [np.inf, 0], np.nan),
    ],
)
def test_relative_error_is_in_units_of_the_longer(ours, theirs, expected):
    error = gradient_check.relative_error(np.array(ours), np.array(theirs))
    assert error == pytest.approx(expected, nan_ok=True)


def test_report_has_a_row_for_each_matrix_and_bias():
    problem = a_problem()
    gradient = right_gradient(problem)
    rows = gradient_check.compare(gradient, {}, as_layers(gradient))
    assert [row["name"] for row in rows] == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert [row["shape"] for row in rows] == [(5, 7), (5,), (4, 5), (4,), (3, 4), (3,)]
    assert sum(row["norm"] ** 2 for row in rows) == pytest.approx(gradient @ gradient)


@pytest.mark.parametrize("wrong", range(6))
def test_report_names_the_layer_that_is_wrong(wrong):
    problem = a_problem()
    exact = gradient_check.complex_step(*problem)
    gradient = right_gradient(problem)
    layer, part_number = divmod(wrong, 2)
    part = as_layers(gradient)[layer][part_number]
    part.flat[-1] += 1e-9
    derivatives = {"complex step": exact, "3-point": exact}
    rows = gradient_check.compare(gradient, derivatives, as_layers(gradient))
    share = rows[wrong]["complex step"]
    assert share == pytest.approx(1e-9 / np.abs(part).max(), rel=1e-5)
    verdicts = [row["verdict"] for row in rows]
    assert verdicts.pop(wrong) == "DIFFERS: complex step"
    assert set(verdicts) == {"agrees"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("theirs", "share"), [(0, 0), (1e-300, 1), (np.nan, np.nan), (np.inf, np.nan)]
)
def test_zero_agrees_with_zero_alone(theirs, share):
    zero = np.zeros(network.num_weights(SIZES))
    for row in gradient_check.compare(zero, {"2-point": zero + theirs}, as_layers(zero)):
        assert row["zeros"] == np.prod(row["shape"])
        assert row["2-point"] == pytest.approx(share, nan_ok=True)
        assert row["verdict"] == ("agrees" if share == 0 else "DIFFERS: 2-point")


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
