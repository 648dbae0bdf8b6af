"""Gradients that are wrong on purpose: a check that has never been seen to fail proves little.

Each fault is a change to the source text of `helpers.network` itself, run as a module of its own,
so that what is broken is the real code with one mistake in it. The objective stays as it is. A
fault that does not fit the code (any more) gets a row that says so.

Left out: faults of the forward pass and the objective. They move function and gradient together,
which no gradient check can see; the tests compare those with numbers worked by hand.
"""

import inspect
from types import ModuleType
from typing import NamedTuple

import numpy as np

from helpers import gradient_check, network

FAULTS = {
    "mask h >= 0 instead of h > 0": ("* (h > 0)", "* (h >= 0)"),
    "mean over images forgotten (no 1/n)": ("/ len(images)", ""),
    "1/n taken twice": ("/ len(images)", "/ len(images) ** 2"),
    "L2 left out": (" + alpha * W", ""),
    "L2 doubled": (" + alpha * W", " + 2 * alpha * W"),
    "L2 on the biases, too": (
        "return gradient[::-1]",
        "return [(dW, db + alpha * b) for (dW, db), (_, b) in zip(gradient[::-1], layers)]",
    ),
    "gradient of square layers transposed": ("delta @ h.mT", "swapped(delta @ h.mT)"),
    "delta sent down through W, not its transpose": ("(W.mT @ delta)", "(swapped(W.mT) @ delta)"),
    "gradient of the biases forgotten": ("delta.sum(axis=-1)", "0 * delta.sum(axis=-1)"),
    "derivative of softmax applied twice": (
        "(softmax(logits) -",
        "softmax(logits) * (1 - softmax(logits)) * (softmax(logits) -",
    ),
    "labels off by one": (
        "- one_hot(labels, logits))",
        "- np.roll(one_hot(labels, logits), 1, axis=0))",
    ),
    "last image left out of the first layer": (
        "delta @ h.mT",
        "(delta[:, :-1] @ h[:, :-1].mT if len(gradient) == len(layers) - 1 else delta @ h.mT)",
    ),
    "one entry off by 1e-6": (
        "return gradient[::-1]",
        "gradient[-1][0][..., 0, 0] += 1e-6; return gradient[::-1]",
    ),
    "1e-8 added under the softmax, for safety": (
        "e.sum(axis=-2, keepdims=True)",
        "(e.sum(axis=-2, keepdims=True) + 1e-8)",
    ),
    "rounded to float32 on the way out": (
        "return gradient[::-1]",
        "return [[g.astype('f').astype(float) for g in pair] for pair in gradient[::-1]]",
    ),
}
"""Name of a mistake -> a text that the source of `helpers.network` has once, and its replacement.

`swapped` transposes a square matrix and leaves others alone."""
LIMITS = {"check_grad": 1e-5, **gradient_check.LIMITS}
"""What is usually accepted of check_grad, an absolute number; relative errors of the others."""


class Trial(NamedTuple):
    """What the checks say of one gradient.

    Attributes
    ----------
    name : str
    note : str
        Why the fault was not tried; empty if it was.
    errors : dict of str to float
        What each check measures; empty if the fault was not tried.
    """

    name: str
    note: str
    errors: dict

    @property
    def caught(self):
        """dict of str to bool : whether each error is above its limit."""
        return {check: not error <= LIMITS[check] for check, error in self.errors.items()}


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
        If the text to be changed is not there exactly once.
    """
    right, wrong = FAULTS[name]
    source = inspect.getsource(network)
    if source.count(right) != 1:
        raise LookupError(f"{right!r} is not in it once")
    broken = ModuleType("broken_network", name)
    broken.swapped = _swapped
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
    problem = layers, images, labels, alpha
    derivatives = gradient_check.differentiate(*problem)
    right = network.pack(network.backprop(*problem))
    trials = [Trial("none: the code as it is", "", _errors(right, derivatives, layers))]
    for name in FAULTS:
        note, errors = "", {}
        try:
            gradient = network.pack(break_network(name).backprop(*problem))
        except Exception as error:  # e.g. the fault uses a name that the code no longer has
            note = f"does not fit the present code: {error}"
        else:
            if np.array_equal(gradient, right):
                note = "changes nothing in this network"
            else:
                errors = _errors(gradient, derivatives, layers)
        trials.append(Trial(name, note, errors))
    return trials


def _swapped(M):
    return M.mT if M.shape[-1] == M.shape[-2] else M


def _errors(gradient, derivatives, layers):
    """Measure one gradient, shape (P,), by every check."""
    errors = {"check_grad": float(np.linalg.norm(gradient - derivatives["2-point"]))}
    rows = gradient_check.compare(gradient, derivatives, layers)
    for check in derivatives:
        errors[check] = float(np.max([row[check] for row in rows]))  # unlike max, keeps a NaN
    return errors


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
