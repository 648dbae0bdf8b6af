"""Gradients that are wrong on purpose: a check that has never been seen to fail proves little.

Each fault is a change to the source text of `helpers.network` itself, run as a module of its own,
so that what is broken is the real code with one mistake in it. The objective stays as it is. A
fault that does not fit the code (any more), or does not run in it, gets a row that says so.

Left out: faults of the forward pass and the objective. They move function and gradient together,
which no gradient check can see; the tests compare those with numbers worked by hand.
"""

import inspect
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from helpers import gradient_check, network

MEAN, OUTER, PUSH = "/ len(images)", "delta @ h.mT", "(W.mT @ delta)"
DECAY, BIASES = " + alpha * W", "delta.sum(axis=-1)"
ERROR, LABELS = "(softmax(logits) -", "one_hot(labels, logits.shape[-2])) /"
TOTAL = "e.sum(axis=-2, keepdims=True)"
RESULT = "return gradient[::-1]"

FAULTS = {
    "mask h >= 0 instead of h > 0": ("* (h > 0)", "* (h >= 0)"),
    "mean over images forgotten (no 1/n)": (MEAN, ""),
    "1/n taken twice": (MEAN, "/ len(images) ** 2"),
    "L2 left out": (DECAY, ""),
    "L2 doubled": (DECAY, " + 2 * alpha * W"),
    "L2 on the biases, too": (
        RESULT,
        "return [(dW, db + alpha * b) for (dW, db), (_, b) in zip(gradient[::-1], layers)]",
    ),
    "gradient of square layers transposed": (OUTER, "swapped(delta @ h.mT)"),
    "delta sent down through W, not its transpose": (PUSH, "(swapped(W.mT) @ delta)"),
    "gradient of the biases forgotten": (BIASES, "0 * delta.sum(axis=-1)"),
    "derivative of softmax applied twice": (
        ERROR,
        f"softmax(logits) * (1 - softmax(logits)) * {ERROR}",
    ),
    "labels off by one": (LABELS, "np.roll(one_hot(labels, logits.shape[-2]), 1, axis=0)) /"),
    "last image left out of the first layer": (
        OUTER,
        "(delta * (np.arange(len(images)) < len(images) - (len(gradient) == len(layers) - 1))) "
        "@ h.mT",
    ),
    "one entry off by 1e-6": (RESULT, f"gradient[-1][0][..., 0, 0] += 1e-6; {RESULT}"),
    "1e-8 added under the softmax, for safety": (TOTAL, f"({TOTAL} + 1e-8)"),
    "rounded to float32 on the way out": (
        RESULT,
        "return [[g.astype('f').astype(float) for g in pair] for pair in gradient[::-1]]",
    ),
}
"""Name of a mistake -> (right, wrong): a text found once in the source, and what it becomes."""
LIMITS = {"check_grad": 1e-5, "directions": 1e-12, **gradient_check.LIMITS}
"""What is usually accepted of check_grad, an absolute number; relative errors of the others."""


@dataclass(frozen=True)
class Trial:
    """What the checks say of one gradient.

    Attributes
    ----------
    name : str
    note : str
        Why the fault could not be tried; empty if it was.
    errors : dict of str to float
        What each check measures.
    caught : dict of str to bool
        Whether that is above its limit.
    """

    name: str
    note: str = ""
    errors: dict = field(default_factory=dict)
    caught: dict = field(default_factory=dict)


def break_network(name):
    """Run the source of `helpers.network` with a mistake in it.

    Parameters
    ----------
    name : str
        A key of `FAULTS`.

    Returns
    -------
    module
        Its ``backprop`` is wrong; `helpers.network` is untouched.

    Raises
    ------
    LookupError
        If the text to be changed is not found exactly once.
    """
    right, wrong = FAULTS[name]
    source = inspect.getsource(network)
    if source.count(right) != 1:
        raise LookupError(f"does not fit the present code: {right!r} is not in it once")
    broken = ModuleType("broken_network", name)
    broken.swapped = lambda M: M.mT if M.shape[-1] == M.shape[-2] else M
    exec(compile(source.replace(right, wrong), f"<{name}>", "exec"), broken.__dict__)
    return broken


def try_all(layers, images, labels, alpha):
    """Put the right gradient and every broken one to every check.

    Parameters
    ----------
    layers, images, labels, alpha
        As in `helpers.network`, in float64.

    Returns
    -------
    list of Trial
        The right gradient first. "check_grad" is the 2-norm of the difference to forward
        differences, as SciPy computes it.
    """
    problem = images, labels, alpha
    derivatives = gradient_check.differentiate(layers, *problem)
    right = network.pack(network.backprop(layers, *problem))
    trials = [_attempt("none: the code as it is", network.backprop, layers, problem, derivatives)]
    for name in FAULTS:
        try:
            backprop = break_network(name).backprop
            gradient = network.pack(backprop(layers, *problem))
        except LookupError as misfit:
            trials.append(Trial(name, str(misfit)))
            continue
        except Exception as error:  # e.g. the fault uses a name that the code no longer has
            trials.append(Trial(name, f"does not run in the present code: {error}"))
            continue
        if np.array_equal(gradient, right):
            trials.append(Trial(name, "changes nothing in this network"))
        else:
            trials.append(_attempt(name, backprop, layers, problem, derivatives))
    return trials


def _attempt(name, backprop, layers, problem, derivatives):
    """Measure one gradient by every check."""
    gradient = network.pack(backprop(layers, *problem))
    distance = float(np.linalg.norm(gradient - derivatives["2-point"]))
    along = float(gradient_check.check_directions(layers, *problem, gradient=backprop))
    errors = {"check_grad": distance, "directions": along}
    for check, derivative in derivatives.items():
        errors[check] = gradient_check.worst_share(gradient, derivative, layers)
    caught = {check: not error <= LIMITS[check] for check, error in errors.items()}
    return Trial(name, "", errors, caught)


def table(trials):
    """Say which check catches which fault: one dict per trial; a value in brackets passed."""
    rows = []
    for trial in trials:
        name = f"{trial.name}: {trial.note}" if trial.note else trial.name
        row = {"fault": name} | dict.fromkeys(LIMITS, "–")
        for check, error in trial.errors.items():
            row[check] = f"{error:.1e}" if trial.caught[check] else f"({error:.1e})"
        rows.append(row)
    return rows
