"""Checks of exercise B1: derivatives by the complex step, beside those of the plain definition."""

import numpy as np

from helpers.notebook.checks.network import TINY, draw_problem, slopes_of
from helpers.notebook.checks.structure import Check, an_array, expect, recognise


def checks_of_complex_step(layer_sizes, rng):
    """Differentiate by all weights, without and with L2, by chosen ones, and with a large step."""
    problem = draw_problem(layer_sizes, rng) | {"alpha": 0.0, "step": TINY}
    num_weights = sum(W.size + b.size for W, b in problem["layers"])
    everything = problem | {"chosen": None}
    some = problem | {"chosen": rng.permutation(num_weights)[:5]}
    return [
        Check("all weights", everything, judge_derivatives, beside_plain),
        Check("with L2", everything | {"alpha": 0.3}, judge_derivatives, beside_plain),
        Check("chosen weights", some, judge_derivatives, beside_plain),
        Check("a step of 0.1", everything | {"step": 0.1}, judge_derivatives, beside_plain),
    ]


def beside_plain(complex_step, layers, images, labels, alpha, step, chosen):
    """Give the student's derivatives, and those of the plain definition, a pair a layer."""
    found = complex_step(layers, images, labels, alpha, step, chosen)
    return {"found": found, "slopes": slopes_of(layers, images, labels, alpha, step)}


def judge_derivatives(given, result):
    """Compare the derivatives with slopes of the same objective, one weight at a time."""
    matrices = [np.ravel(dW) for dW, _ in result["slopes"]]
    biases = [db for _, db in result["slopes"]]
    expected = np.concatenate([*matrices, *biases])
    if given["chosen"] is not None:
        expected = expected[given["chosen"]]
    found = an_array(result["found"], expected.shape, "the result, one derivative for each weight,")
    expect(found.any(), "all derivatives are 0: the step has to be imaginary, 1j * step")
    is_complex = found.dtype.kind == "c"
    expect(not is_complex, "the derivatives are complex, expected the imaginary part alone")
    error = np.abs(found - expected).max() / np.abs(expected).max()
    is_difference = 1e-12 < error < 1e-4
    line = f"the error is {error:.0e}, that of a finite difference; a complex step has none"
    expect(not is_difference, line)
    mistakes = {"is not divided by the step": expected * given["step"]}
    why = " by the plain definition with this step"
    recognise(found, expected, mistakes, "the derivative", why)
