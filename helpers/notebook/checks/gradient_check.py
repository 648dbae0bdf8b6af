"""Checks of exercise B1: derivatives by the complex step."""

import cmath

import numpy as np

from helpers.notebook.checks.network import differentiate, draw_problem
from helpers.notebook.checks.structure import Check, an_array, expect, expect_close, recognise


def checks_of_complex_step(layer_sizes, rng):
    one = {
        "layers": [(np.array([[0.7], [0.0]]), np.zeros(2))],
        "images": np.ones((1, 1)),
        "labels": np.array([0]),
        "alpha": 0.0,
        "step": 1e-20,
    }
    problem = draw_problem(layer_sizes, rng) | {"alpha": 0.0}
    num_weights = sum(W.size + b.size for W, b in problem["layers"])
    chosen = rng.permutation(num_weights)[:5]
    some = problem | {"step": 1e-20, "chosen": chosen}
    return [
        Check("one weight by hand", one, judge_one_weight),
        Check("a large step", one | {"step": 0.5}, judge_one_weight),
        Check("L2", one | {"alpha": 0.3}, judge_one_weight),
        Check("all weights", problem, judge_all, beside_the_plain_way),
        Check("all weights, L2", problem | {"alpha": 0.3}, judge_all, beside_the_plain_way),
        Check("chosen weights", some, judge_chosen, beside_all),
    ]


def judge_one_weight(given, found):
    """The loss of logits (w, 0) and label 0 is log(1 + exp(-w)); its complex step is known."""
    w = 0.7
    h, alpha = given["step"], given["alpha"]
    found = an_array(found, (4,), "the result (two weights, two biases)")
    without_l2 = -1 / (1 + np.exp(w))
    if h > 1e-9:
        without_l2 = cmath.log(1 + cmath.exp(-(w + 1j * h))).imag / h
    expected = without_l2 + alpha * w
    mistakes = {
        "is not divided by the step": expected * h,
        "is 0: is the step imaginary, 1j * step?": 0.0,
        "does not hold alpha w: hand alpha on": without_l2,
        f"is that of a tiny step: step = {h} is not used": -1 / (1 + np.exp(w)) + alpha * w,
    }
    name = "the derivative of log(1 + exp(-w)) + alpha/2 w^2 at w = 0.7"
    recognise(found[0], expected, mistakes, name)


def beside_the_plain_way(complex_step, layers, images, labels, alpha):
    """Give the student's derivatives, and those of the plain definition, a pair a layer."""
    found = complex_step(layers, images, labels, alpha)
    plain = differentiate(lambda *problem: None, layers, images, labels, alpha)["derivative"]
    return {"found": found, "plain": plain}


def judge_all(given, result):
    plain = [np.ravel(dW) for dW, _ in result["plain"]] + [db for _, db in result["plain"]]
    expected = np.concatenate(plain)
    found = an_array(result["found"], expected.shape, "the result, one derivative a weight,")
    line = "the derivatives are complex, expected the imaginary part alone"
    expect(found.dtype.kind == "f", line)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if 1e-12 < error < 1e-3:
        line = f"the error is {error:.0e}, that of a difference; a complex step has none"
        expect(False, line)
    expect_close(found, expected, "the derivative", " by the plain definition")


def beside_all(complex_step, layers, images, labels, alpha, step, chosen):
    """Give the derivatives of the chosen weights, and of all of them."""
    problem = layers, images, labels, alpha, step
    return {"chosen": complex_step(*problem, chosen), "all": complex_step(*problem)}


def judge_chosen(given, result):
    everything = np.ravel(result["all"])
    chosen = given["chosen"]
    found = np.ravel(result["chosen"])
    line = f"chosen holds {len(chosen)} positions, but {found.size} derivatives come back"
    expect(found.size == len(chosen), f"{line}: hand chosen on")
    expect_close(found, everything[chosen], f"of chosen = {chosen.tolist()}, the derivative")
