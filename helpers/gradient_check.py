"""Finite differences and complex steps against backpropagation, for every single weight.

The plain way to check 59,210 weights runs 59,210 whole forward passes. But moving one weight
changes one unit of one layer; all below stays, and all above is a smaller network whose images
are the changed activations. `along_axes` pushes thousands of such changes at once through
`network.forward` of that smaller network: the code under examination is the one that trains.

A complex step reads a derivative off the imaginary part, f'(x) = Im f(x + ih) / h + O(h^2), with
no difference of nearly equal numbers: h may be so small that the result is exact to rounding
(Squire and Trapp 1998, SIAM Review 40, 110-112).

Left out on purpose: SciPy's check_grad and approx_fprime, which the notebook calls itself;
pictures (`helpers.figures`); gradients that are wrong on purpose (`helpers.broken_gradients`).
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from helpers import network
from helpers.sgd import one_blas_thread

COMPLEX_STEP = 1e-20
"""Its square vanishes beside 1, and is far from underflow."""
TWO_POINT_STEP = np.finfo(float).eps ** (1 / 2)
"""SciPy's default: balances truncation, of order h, against rounding, of order 1/h."""
THREE_POINT_STEP = np.finfo(float).eps ** (1 / 3)
"""Balances truncation, of order h^2, against rounding, of order 1/h."""
ROWS_AT_ONCE = 4_000
"""Images pushed through the upper layers in one block; larger ones leave the cache."""
TOLERANCES = {"2-point": 1e-4, "3-point": 1e-6, "complex step": 1e-13}
"""Largest difference allowed, as a share of the largest entry of the same W_l or b_l."""


class Objective:
    """`network.cross_entropy` of fixed images as a function of the weights alone, for SciPy.

    SciPy calls it 59,210 times, so the buffers are made once; the passes are those of
    `network.Passes`, and the value is the same to the last bit.

    Parameters
    ----------
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float
    """

    def __init__(self, layer_sizes, images, labels, alpha=0.0):
        self.layer_sizes, self.images, self.labels, self.alpha = layer_sizes, images, labels, alpha
        joined = np.empty(network.num_weights(layer_sizes))
        self._passes = network.Passes(joined, layer_sizes, len(images))
        self._passes.images[:, :-1] = images
        blocks = network.layers(joined, layer_sizes)
        places = [block[:, :-1] for block in blocks] + [block[:, -1] for block in blocks]
        matrices, biases = network.unpack(np.arange(len(joined)), layer_sizes)
        parts = [slice(each.flat[0], each.flat[-1] + 1) for each in (*matrices, *biases)]
        self._copies = list(zip(places, parts, strict=True))

    def __call__(self, weights):
        """Evaluate the objective.

        Parameters
        ----------
        weights : ndarray of float64, shape (P,)

        Returns
        -------
        float64
        """
        for place, part in self._copies:
            place[...] = weights[part].reshape(place.shape)
        loss = network.log_loss(self._passes.forward(), self.labels)
        if not self.alpha:
            return loss
        return loss + network.penalty(weights, self.layer_sizes, self.alpha)

    def gradient(self, weights):
        """Backpropagate.

        Parameters
        ----------
        weights : ndarray of float64, shape (P,)

        Returns
        -------
        ndarray, shape (P,)
        """
        return network.backprop(weights, self.layer_sizes, self.images, self.labels, self.alpha)


def along_axes(weights, layer_sizes, images, labels, alpha, step, chosen=None):
    """Evaluate the objective with one weight moved by `step`, for each weight in turn.

    Parameters
    ----------
    weights : ndarray, shape (P,)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float or ndarray, shape () or (A, 1)
        Several penalties share the work of pushing; the result then has shape (A, C).
    step : float or complex
    chosen : ndarray of int, shape (C,), optional
        Which weights to move, as positions in `weights`; all P if not given.

    Returns
    -------
    ndarray, shape (C,)
        ``network.cross_entropy(weights + step * e_p, ...)`` for each p.
    """
    chosen = np.arange(len(weights)) if chosen is None else np.asarray(chosen)
    losses = np.empty(len(chosen), np.result_type(weights, step, np.float64))
    with one_blas_thread():
        for where, _, activations in _pushed(weights, layer_sizes, images, step, chosen):
            logits = activations[-1].reshape(layer_sizes[-1], -1, len(images))
            losses[where] = network.log_loss(np.swapaxes(logits, 0, 1), labels)
    moved, unmoved = (_penalty_of_each(weights, layer_sizes, alpha, s, chosen) for s in (step, 0))
    return losses + network.penalty(weights, layer_sizes, alpha) + (moved - unmoved)


def kinks_crossed(weights, layer_sizes, images, step, chosen=None):
    """Count the ReLUs that moving one weight switches on or off, for each weight in turn.

    Parameters
    ----------
    weights : ndarray, shape (P,)
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    step : float
    chosen : ndarray of int, shape (C,), optional

    Returns
    -------
    ndarray of int, shape (C,)
        Pairs of a unit and an image whose pre-activation changes sign.
    """
    chosen = np.arange(len(weights)) if chosen is None else np.asarray(chosen)
    before = [h > 0 for h in network.forward(weights, layer_sizes, images)[:-1]]
    counts = np.zeros(len(chosen), int)
    with one_blas_thread():
        for where, layer, activations in _pushed(weights, layer_sizes, images, step, chosen):
            for h, active in zip(activations[:-1], before[layer:], strict=True):
                switched = (h > 0).reshape(len(h), -1, len(images)) != active[:, None]
                counts[where] += switched.sum(axis=(0, 2))
    return counts


def _pushed(weights, layer_sizes, images, step, chosen):
    """Push single moved weights upwards, block by block.

    Yields positions in `chosen`, their layer, and the activations from that layer on, each of
    shape (n_l, M * n) for M weights and n images.
    """
    num_layers = len(layer_sizes) - 1
    inputs = [images.T, *network.forward(weights, layer_sizes, images)[:-1]]
    homes = _homes(tuple(layer_sizes))[:, chosen]
    for layer in range(num_layers):
        z = network.forward(*_cut(weights, layer_sizes, 0, layer + 1), images)[-1]
        above = _cut(weights.astype(np.result_type(weights, step)), layer_sizes, layer + 1)
        h = np.vstack([inputs[layer], np.ones_like(inputs[layer][:1])])
        here = np.flatnonzero(homes[0] == layer)
        for where in np.array_split(here, -(-len(here) * len(images) // ROWS_AT_ONCE) or 1):
            _, unit, source = homes[:, where]
            moved = z[unit] + np.asarray(step, above[0].dtype) * h[source]
            if layer == num_layers - 1:
                yield where, layer, [_replace_unit(z, unit, moved)]
                continue
            lowest = _replace_unit(np.maximum(z, 0), unit, np.maximum(moved, 0))
            yield where, layer, [lowest, *network.forward(*above, lowest.T)]


def _replace_unit(units, unit, values):
    """Repeat (n_l, n) columns M times, each time with row ``unit[m]`` replaced by ``values[m]``."""
    repeated = np.empty((*values.shape, len(units)), values.dtype)
    repeated[...] = units.T
    repeated[np.arange(len(unit)), :, unit] = values
    return repeated.reshape(-1, len(units)).T


def _cut(weights, layer_sizes, start, stop=None):
    """Cut some consecutive layers out: a network of its own, as (weights, layer_sizes)."""
    matrices, biases = network.unpack(weights, layer_sizes)
    if not matrices[start:stop]:
        return weights[:0], layer_sizes[-1:]
    sizes = layer_sizes[start:] if stop is None else layer_sizes[start : stop + 1]
    return network.pack(matrices[start:stop], biases[start:stop]), sizes


@cache
def _homes(layer_sizes):
    """Tell for each weight its layer, its unit and its input (n_in for a bias), shape (3, P)."""
    shapes = [(n_out, n_in + 1) for n_in, n_out in pairwise(layer_sizes)]
    homes = [np.stack([np.full(s, layer), *np.indices(s)]) for layer, s in enumerate(shapes)]
    joined = np.concatenate([home.reshape(3, -1) for home in homes], axis=1)
    homes = network.split_biases(joined, layer_sizes)
    homes.flags.writeable = False
    return homes


def _penalty_of_each(weights, layer_sizes, alpha, step, chosen):
    """Ask `network.penalty` for each moved weight alone: a 1-1 network with nothing else in it."""
    layer, _, source = _homes(tuple(layer_sizes))[:, chosen]
    is_bias = source == np.take(layer_sizes, layer)
    moved = weights[chosen] + step
    alone = np.stack([np.where(is_bias, 0, moved), np.where(is_bias, moved, 0)], axis=-1)
    return network.penalty(alone, (1, 1), alpha)


def complex_step(weights, layer_sizes, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    """Differentiate the objective by the complex step, one weight at a time.

    Parameters
    ----------
    weights, layer_sizes, images, labels, alpha, chosen
        See `along_axes`.
    step : float

    Returns
    -------
    ndarray, shape (C,)
    """
    losses = along_axes(weights, layer_sizes, images, labels, alpha, 1j * step, chosen)
    return losses.imag / step


def two_point(weights, layer_sizes, images, labels, alpha=0.0, step=TWO_POINT_STEP, chosen=None):
    """Differentiate the objective by forward differences, (f(x + h) - f(x)) / h.

    Parameters
    ----------
    weights, layer_sizes, images, labels, alpha, chosen
        See `along_axes`.
    step : float

    Returns
    -------
    ndarray, shape (C,)
        f(x) is pushed through as well, so a weight without effect gives exactly 0.
    """
    ahead, here = (
        along_axes(weights, layer_sizes, images, labels, alpha, s, chosen) for s in (step, 0.0)
    )
    return (ahead - here) / step


def three_point(
    weights, layer_sizes, images, labels, alpha=0.0, step=THREE_POINT_STEP, chosen=None
):
    """Differentiate the objective by central differences, (f(x + h) - f(x - h)) / 2h.

    Parameters
    ----------
    weights, layer_sizes, images, labels, alpha, chosen
        See `along_axes`.
    step : float

    Returns
    -------
    ndarray, shape (C,)
    """
    ahead, behind = (
        along_axes(weights, layer_sizes, images, labels, alpha, s, chosen) for s in (step, -step)
    )
    return (ahead - behind) / (2 * step)


def relative_error(found, expected):
    """Measure the distance of two gradients in units of the longer one.

    Parameters
    ----------
    found, expected : ndarray, shape (..., P)

    Returns
    -------
    ndarray, shape (...)
        |found - expected| / max(|found|, |expected|), with 2-norms; 0 where both are zero, and
        NaN where either holds one.
    """
    distance = np.linalg.norm(found - expected, axis=-1)
    longer = np.maximum(np.linalg.norm(found, axis=-1), np.linalg.norm(expected, axis=-1))
    return np.divide(distance, longer, out=np.zeros_like(distance), where=longer != 0)


def check_directions(
    weights,
    layer_sizes,
    images,
    labels,
    alpha=0.0,
    gradient=network.backprop,
    num_directions=4,
    seed=0,
):
    """Compare a gradient with complex steps along random directions; takes milliseconds.

    Along a standard normal direction d, an error e of the gradient shows as e.d, whose mean
    square is |e|^2: a few directions estimate the relative error of all weights together.

    Parameters
    ----------
    weights : ndarray of float64, shape (..., P)
        Leading axes are a stack; each member gets directions of its own.
    layer_sizes : sequence of int
    images : ndarray, shape (n, n_0)
    labels : ndarray of int, shape (n,)
    alpha : float or ndarray, shape () or (...)
    gradient : callable
        With the arguments and result of `network.backprop`.
    num_directions : int
    seed : int

    Returns
    -------
    ndarray, shape (...)
        Root mean square of e.d in units of the gradient's norm; about 1e-15 if it is right.
    """
    found = gradient(weights, layer_sizes, images, labels, alpha)
    directions = np.random.default_rng(seed).standard_normal((num_directions, *weights.shape))
    slopes = np.stack(
        [
            network.cross_entropy(
                weights + 1j * COMPLEX_STEP * d, layer_sizes, images, labels, alpha
            ).imag
            for d in directions
        ]
    )
    slopes /= COMPLEX_STEP
    error = _root_mean_square(slopes - (directions * found).sum(axis=-1))
    longer = np.maximum(np.linalg.norm(found, axis=-1), _root_mean_square(slopes))
    return np.divide(error, longer, out=np.zeros_like(error), where=longer != 0)


def _root_mean_square(numbers):
    return np.sqrt(np.mean(numbers**2, axis=0))


def differentiate(weights, layer_sizes, images, labels, alpha=0.0):
    """Differentiate by all three checks, each with its own best step.

    Parameters
    ----------
    weights, layer_sizes, images, labels, alpha
        See `along_axes`.

    Returns
    -------
    dict of str to ndarray, shape (P,) or (A, P)
        The keys are those of `TOLERANCES`.
    """
    checks = two_point, three_point, complex_step
    return {
        name: check(weights, layer_sizes, images, labels, alpha)
        for name, check in zip(TOLERANCES, checks, strict=True)
    }


@dataclass(frozen=True)
class Agreement:
    """How a gradient agrees with other derivatives on one W_l or b_l.

    Attributes
    ----------
    name : str
        E.g. ``"W1"``; the first layer is 1.
    shape : tuple of int
    norm : float
        2-norm of this part of the gradient.
    num_zeros : int
        Coordinates that are exactly 0: weights to or from units that no image switches on.
    differences : dict of str to (float, float)
        For each check, the largest absolute difference; and the same as a share of the largest
        entry of either side, where 0/0 counts as 0.
    """

    name: str
    shape: tuple
    norm: float
    num_zeros: int
    differences: dict

    @property
    def failed(self):
        """list of str : the checks whose share is above its entry in `TOLERANCES`."""
        return [
            name for name, (_, share) in self.differences.items() if not share <= TOLERANCES[name]
        ]

    @property
    def verdict(self):
        """str : "agrees", or which checks differ."""
        return f"DIFFERS: {', '.join(self.failed)}" if self.failed else "agrees"


def compare(gradient, derivatives, layer_sizes):
    """Compare a gradient with other derivatives, layer by layer.

    Parameters
    ----------
    gradient : ndarray, shape (P,)
    derivatives : dict of str to ndarray, shape (P,)
        As `differentiate` gives them; keys from `TOLERANCES`.
    layer_sizes : sequence of int

    Returns
    -------
    list of Agreement
        W_1, b_1, W_2, b_2, ...
    """
    parts = _by_layer(gradient, layer_sizes)
    others = {name: _by_layer(d, layer_sizes) for name, d in derivatives.items()}
    return [
        Agreement(
            name,
            part.shape,
            float(np.linalg.norm(part)),
            int((part == 0).sum()),
            {check: _largest_difference(part, d[name]) for check, d in others.items()},
        )
        for name, part in parts.items()
    ]


def worst_share(gradient, derivative, layer_sizes):
    """Find the largest difference as a share of its W_l's or b_l's largest entry.

    Parameters
    ----------
    gradient, derivative : ndarray, shape (P,)
    layer_sizes : sequence of int

    Returns
    -------
    float
    """
    ours, theirs = _by_layer(gradient, layer_sizes), _by_layer(derivative, layer_sizes)
    return max(_largest_difference(ours[name], theirs[name])[1] for name in ours)


def _by_layer(gradient, layer_sizes):
    parts = {}
    for layer, (W, b) in enumerate(zip(*network.unpack(gradient, layer_sizes), strict=True), 1):
        parts |= {f"W{layer}": W, f"b{layer}": b}
    return parts


def _largest_difference(ours, theirs):
    """Return the largest |difference|, and its share of the largest entry; 0/0 is agreement."""
    largest = float(np.abs(ours - theirs).max())
    scale = float(max(np.abs(ours).max(), np.abs(theirs).max()))
    return largest, largest / scale if scale else 0.0


def table(agreements):
    """Write a report, one aligned line for each W_l and b_l.

    Parameters
    ----------
    agreements : list of Agreement

    Returns
    -------
    str
        Two numbers a check: largest difference, and its share of the largest entry.
    """
    checks = list(agreements[0].differences)
    head = f"{'':4}{'shape':>11}{'|gradient|':>12}{'zeros':>8}"
    lines = [head + "".join(f"{check:>20}" for check in checks) + "  verdict"]
    for row in agreements:
        shape = " x ".join(map(str, row.shape))
        line = f"{row.name:4}{shape:>11}{row.norm:12.5f}{row.num_zeros:8,}"
        pairs = "".join(f"{d:11.1e}{share:9.1e}" for d, share in row.differences.values())
        lines.append(f"{line}{pairs}  {row.verdict}")
    return "\n".join(lines)


@dataclass(frozen=True)
class StepCurve:
    """How the error of a derivative depends on the step.

    Attributes
    ----------
    steps : ndarray, shape (S,)
    errors : dict of str to ndarray, shape (S,)
        Relative error over the chosen weights, for each check in float64 and for
        "2-point, float32".
    truncation, rounding : dict of str to ndarray, shape (S,)
        What theory predicts for the checks in float64; a complex step has no rounding term.
    kinks : ndarray of int, shape (S,)
        ReLUs switched by a step forward or back, all chosen weights together.
    num_chosen : int
    """

    steps: np.ndarray
    errors: dict
    truncation: dict
    rounding: dict
    kinks: np.ndarray
    num_chosen: int


def step_curve(weights, layer_sizes, images, labels, alpha, steps, chosen):
    """Measure and predict the error of each check at each step size.

    Parameters
    ----------
    weights : ndarray of float64, shape (P,)
    layer_sizes, images, labels, alpha, chosen
        See `along_axes`.
    steps : ndarray, shape (S,)

    Returns
    -------
    StepCurve
    """
    problem = weights, layer_sizes, images, labels, alpha
    single = weights.astype(np.float32), layer_sizes, images.astype(np.float32), labels, alpha
    gradient = network.backprop(*problem)[chosen]
    runs = {
        "2-point": (two_point, problem),
        "3-point": (three_point, problem),
        "complex step": (complex_step, problem),
        "2-point, float32": (two_point, single),
    }
    errors = {
        name: np.array([relative_error(check(*of, step, chosen), gradient) for step in steps])
        for name, (check, of) in runs.items()
    }
    kinks = [
        sum(kinks_crossed(weights, layer_sizes, images, h, chosen).sum() for h in (step, -step))
        for step in steps
    ]
    truncation, rounding = _predict(problem, steps, chosen, np.linalg.norm(gradient))
    return StepCurve(steps, errors, truncation, rounding, np.array(kinks), len(chosen))


def _predict(problem, steps, chosen, norm):
    """Predict the errors: Taylor's next term, and two evaluations that are each u |f| off.

    The complex step gives the second and third derivative along each weight as well, without
    crossing a kink: f(x + ih) = f + ih f' - h^2 f^(2)/2 - i h^3 f^(3)/6 + ...
    """
    far, near = (along_axes(*problem, 1j * h, chosen) for h in (1e-3, COMPLEX_STEP))
    second = np.linalg.norm(2 * (near.real - far.real) / 1e-3**2) / norm
    third = np.linalg.norm(6 * (near.imag / COMPLEX_STEP - far.imag / 1e-3) / 1e-3**2) / norm
    truncation = {
        "2-point": steps / 2 * second,
        "3-point": steps**2 / 6 * third,
        "complex step": steps**2 / 6 * third,
    }
    unit_roundoff = np.finfo(float).eps / 2
    both = np.sqrt(2 * len(chosen)) * unit_roundoff * abs(network.cross_entropy(*problem)) / norm
    rounding = {"2-point": both / steps, "3-point": both / (2 * steps)}
    return truncation, rounding
