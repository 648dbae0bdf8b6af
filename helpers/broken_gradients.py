"""Gradients that are wrong on purpose: a check that has never been seen to fail proves little.

Each fault is a change to the source text of `helpers.network` itself, run as a module of its own,
so that what is broken is the real code with one mistake in it. The objective stays as it is.

Left out: faults of the forward pass and the objective. They move function and gradient together,
which no gradient check can see; the tests compare those with numbers worked by hand.
"""

import inspect
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from helpers import network
from helpers.gradient_check import (
    TOLERANCES,
    check_directions,
    differentiate,
    worst_share,
)


@dataclass(frozen=True)
class Fault:
    """A mistake: `right`, found exactly once in the source of `helpers.network`, becomes `wrong`.

    Attributes
    ----------
    name : str
        The mistake in a few words.
    right, wrong : str
    """

    name: str
    right: str
    wrong: str


MASK = "np.sign(h, out=active)"
PUSH = "np.matmul(W_transposed, delta, out=below)"
OUTER = "np.matmul(delta, h_transposed, out=gradient)"
START = "np.subtract(delta, one_hot, out=delta)"
DECAY = "        g += alpha * W\n"
SQUARE = "W_transposed.shape[-2] == W_transposed.shape[-1] + 1"

FAULTS = (
    Fault("mask h >= 0 instead of h > 0", MASK, "np.greater_equal(h, 0, out=active)"),
    Fault("mean over images forgotten (no 1/n)", "np.asarray(1 / len(images)", "np.asarray(1"),
    Fault("1/n taken twice", "np.asarray(1 / len(images)", "np.asarray(1 / len(images) ** 2"),
    Fault("L2 left out", DECAY, "        g += 0 * W\n"),
    Fault("L2 doubled", DECAY, "        g += 2 * alpha * W\n"),
    Fault(
        "L2 on the biases, too",
        DECAY + "    return gradient",
        DECAY + "    return gradient + alpha[0, 0] * pack("
        "[0 * W for W in unpack(weights, layer_sizes)[0]], unpack(weights, layer_sizes)[1])",
    ),
    Fault(
        "gradient of square layers transposed",
        OUTER,
        f"{OUTER}\n            if {SQUARE}:\n                "
        "gradient[..., :-1] = transpose(gradient[..., :-1]).copy()",
    ),
    Fault(
        "delta sent down through W, not its transpose",
        PUSH,
        f"{PUSH}\n            if {SQUARE}:\n                "
        "below[..., :-1, :] = transpose(without_ones(W_transposed)) @ delta",
    ),
    Fault("gradient of the biases forgotten", "[block[..., -1] for", "[0 * block[..., -1] for"),
    Fault(
        "derivative of softmax applied twice",
        START,
        f"p = delta.copy()\n        {START}\n        delta *= p * (1 - p)",
    ),
    Fault("labels off by one", "one_hot(labels, layer", "one_hot(labels - 1, layer"),
    Fault(
        "last image left out of the first layer",
        "np.matmul(delta, images, out=gradient)",
        "np.matmul(delta[..., :-1], images[:-1], out=gradient)",
    ),
    Fault(
        "one entry off by 1e-6",
        "    return gradient\n",
        "    gradient[..., 0] += 1e-6\n    return gradient\n",
    ),
    Fault(
        "1e-8 added under the softmax, for safety",
        "np.divide(out, column, out=out)",
        "np.divide(out, column + 1e-8, out=out)",
    ),
    Fault(
        "rounded to float32 on the way out",
        "    return gradient\n",
        "    return gradient.astype(np.float32).astype(np.float64)\n",
    ),
)


def break_network(fault):
    """Run the source of `helpers.network` with a mistake in it.

    Parameters
    ----------
    fault : Fault

    Returns
    -------
    module
        Its ``backprop`` is wrong; `helpers.network` is untouched.

    Raises
    ------
    LookupError
        If the text to be changed is not found exactly once: the gallery must follow the code.
    """
    source = inspect.getsource(network)
    count = source.count(fault.right)
    if count != 1:
        raise LookupError(
            f"fault {fault.name!r}: expected its text once in helpers.network, found it "
            f"{count} times: {fault.right!r}"
        )
    broken = ModuleType("broken_network", fault.name)
    code = compile(source.replace(fault.right, fault.wrong), f"<{fault.name}>", "exec")
    exec(code, broken.__dict__)
    return broken


CHECK_GRAD_LIMIT = 1e-5
"""What is usually accepted of check_grad, an absolute number."""
DIRECTIONS_LIMIT = 1e-12
"""On the relative error along random directions; rounding gives about 1e-15."""


@dataclass(frozen=True)
class Trial:
    """What the checks say of one gradient.

    Attributes
    ----------
    name : str
    changed : bool
        Whether any entry differs from the right gradient. Some faults need hidden layers of equal
        widths, several images or a penalty to show at all.
    errors : dict of str to float
        What each check measures.
    caught : dict of str to bool
        Whether that is above its limit.
    """

    name: str
    changed: bool
    errors: dict
    caught: dict


def try_all(weights, layer_sizes, images, labels, alpha):
    """Put the right gradient and every broken one to every check.

    Parameters
    ----------
    weights : ndarray of float64, shape (P,)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float

    Returns
    -------
    list of Trial
        The right gradient first. "check_grad" is the 2-norm of the difference to forward
        differences, as SciPy computes it.
    """
    problem = weights, layer_sizes, images, labels, alpha
    derivatives = differentiate(*problem)
    right = network.backprop(*problem)
    gradients = {"none: the code as it is": network.backprop}
    gradients |= {fault.name: break_network(fault).backprop for fault in FAULTS}
    limits = {"check_grad": CHECK_GRAD_LIMIT, "directions": DIRECTIONS_LIMIT, **TOLERANCES}
    trials = []
    for name, backprop in gradients.items():
        gradient = backprop(*problem)
        errors = {
            "check_grad": float(np.linalg.norm(gradient - derivatives["2-point"])),
            "directions": float(check_directions(*problem, gradient=backprop)),
        }
        errors |= {
            check: worst_share(gradient, derivatives[check], layer_sizes) for check in TOLERANCES
        }
        caught = {check: not error <= limits[check] for check, error in errors.items()}
        trials.append(Trial(name, not np.array_equal(gradient, right), errors, caught))
    return trials


def table(trials):
    """Write which check catches which fault, one aligned line a fault.

    Parameters
    ----------
    trials : list of Trial

    Returns
    -------
    str
        A number in brackets passed its check.
    """
    checks = list(trials[0].errors)
    lines = [f"{'fault':46}" + "".join(f"{check:>14}" for check in checks)]
    for trial in trials:
        if trial is not trials[0] and not trial.changed:
            lines.append(f"{trial.name:46}  changes nothing in this network")
            continue
        cells = [
            f"{error:.1e} " if trial.caught[check] else f"({error:.1e})"
            for check, error in trial.errors.items()
        ]
        lines.append(f"{trial.name:46}" + "".join(f"{cell:>14}" for cell in cells).rstrip())
    return "\n".join(lines)
