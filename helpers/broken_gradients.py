"""Gradients that are wrong on purpose: a check that has never been seen to fail proves little.

Each fault is a change to the source text of `helpers.network` itself, run as a module of its own,
so that what is broken is the real code with one mistake in it. The objective stays as it is. A
fault that does not fit the code (any more), or does not run in it, gets a row that says so.

Left out: faults of the forward pass and the objective. They move function and gradient together,
which no gradient check can see; the tests compare those with numbers worked by hand.
"""

import inspect
import tomllib
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from helpers import gradient_check, network

FAULTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
"""Name of a mistake -> [right, wrong]: a text found once in the source, and what it becomes."""
LIMITS = {"check_grad": 1e-5, "directions": 1e-12, **gradient_check.LIMITS}
"""What is usually accepted of check_grad, an absolute number; relative errors of the others."""


class Trial(NamedTuple):
    """What the checks say of one gradient.

    Attributes
    ----------
    name : str
    note : str
        Why the fault could not be tried; empty if it was.
    errors : dict of str to float
        What each check measures; empty if the fault could not be tried.
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
    problem = layers, images, labels, alpha
    derivatives = gradient_check.differentiate(*problem)
    right = network.pack(network.backprop(*problem))
    trials = [Trial("none: the code as it is", "", _errors(network.backprop, problem, derivatives))]
    for name in FAULTS:
        try:
            backprop = break_network(name).backprop
            gradient = network.pack(backprop(*problem))
            note = "changes nothing in this network" if np.array_equal(gradient, right) else ""
        except LookupError as misfit:
            note = str(misfit)
        except Exception as error:  # e.g. the fault uses a name that the code no longer has
            note = f"does not run in the present code: {error}"
        errors = {} if note else _errors(backprop, problem, derivatives)
        trials.append(Trial(name, note, errors))
    return trials


def _errors(backprop, problem, derivatives):
    """Measure one gradient by every check."""
    gradient, layers = network.pack(backprop(*problem)), problem[0]
    distance = float(np.linalg.norm(gradient - derivatives["2-point"]))
    along = float(gradient_check.check_directions(*problem, gradient=backprop))
    shares = {c: gradient_check.worst_share(gradient, d, layers) for c, d in derivatives.items()}
    return {"check_grad": distance, "directions": along} | shares


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
