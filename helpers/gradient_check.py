"""Finite differences and complex steps against backpropagation, for every single weight.

The plain way to check 59,210 weights evaluates the whole objective 59,210 times. But moving one
weight changes one unit of one layer: everything below stays as it is, and everything above is the
smaller network ``layers[l + 1:]``, which reads the changed activations as its images. So
`losses_when_moved` pushes all weights of a unit through that smaller network at once.

A complex step reads a derivative off the imaginary part, f'(x) = Im f(x + ih) / h + O(h^2), with
no difference of nearly equal numbers: h may be so small that the result is exact to rounding
(Squire and Trapp 1998, SIAM Review 40, 110-112).

What the functions share: `layers`, `images`, `labels` and `alpha` are those of `helpers.network`;
`step` is a distance along one weight; `chosen`, shape (C,), says which weights to move, as
positions in the flat vector (all if not given); results are flat, in the order of `network.pack`.

Left out on purpose: SciPy's check_grad and approx_fprime, which the notebook calls itself;
pictures (`helpers.figures`); gradients that are wrong on purpose (`helpers.broken_gradients`).
"""

from dataclasses import dataclass

import numpy as np

from helpers import network
from helpers.threads import one_blas_thread

COMPLEX_STEP = 1e-20
"""Its square vanishes beside 1, and is far from underflow."""
TWO_POINT_STEP = float(np.finfo(float).eps ** (1 / 2))
"""SciPy's default: balances truncation, of order h, against rounding, of order 1/h."""
THREE_POINT_STEP = float(np.finfo(float).eps ** (1 / 3))
"""Balances truncation, of order h^2, against rounding, of order 1/h."""
LIMITS = {"2-point": 1e-4, "3-point": 1e-6, "complex step": 1e-13}
"""Largest difference allowed, as a share of the largest entry of the same W_l or b_l."""


def losses_when_moved(layers, images, labels, alpha, step, chosen=None):
    """Evaluate the objective with one weight moved by `step`, for each weight in turn.

    Returns
    -------
    ndarray, shape (C,)
        Complex if `step` is.
    """
    weights = network.pack(layers)
    chosen = np.arange(len(weights)) if chosen is None else chosen
    is_chosen = np.isin(np.arange(len(weights)), chosen)
    places = _like(np.arange(len(weights)), layers)  # where each weight is in the flat vector
    losses = np.zeros(len(weights), np.result_type(step, np.float64))
    with one_blas_thread():
        activations, _ = network.forward(layers, images)
        for number, ((W, b), h) in enumerate(zip(layers, activations, strict=True)):
            z = W @ h + b[:, None]
            inputs = np.vstack([h, np.ones_like(h[:1])])  # what the weights of a unit multiply
            above = layers[number + 1 :]
            for unit, place in enumerate(np.column_stack(places[number])):
                moves = is_chosen[place]
                if not moves.any():
                    continue
                moved_z = z[unit] + step * inputs[moves]  # a row for each weight of this unit
                losses[place[moves]] = _losses_above(above, z, unit, moved_z, labels)
    return (losses + _penalties(layers, alpha, step))[chosen]


def _losses_above(above, z, unit, moved_z, labels):
    """Replace one unit's pre-activation in several ways, and find the loss of each.

    Parameters
    ----------
    above : list of (ndarray, ndarray)
        The layers above that unit; none if it is a logit.
    z : ndarray, shape (units, n)
        Pre-activations of the unit's layer.
    moved_z : ndarray, shape (M, n)

    Returns
    -------
    ndarray, shape (M,)
        As `network.log_loss`, but for M networks at once: their images stand side by side.
    """
    pushed = np.repeat(z[:, None].astype(moved_z.dtype), len(moved_z), axis=1)  # (units, M, n)
    pushed[unit] = moved_z
    logits = pushed.reshape(len(z), -1)
    if above:
        _, logits = network.forward(above, np.maximum(logits, 0).T)
    shifted = logits - logits.real.max(axis=0)
    at_label = shifted[np.tile(labels, len(moved_z)), np.arange(shifted.shape[1])]
    losses = np.log(np.exp(shifted).sum(axis=0)) - at_label
    each_network = losses.reshape(len(moved_z), -1)
    return each_network.mean(axis=1, dtype=np.result_type(losses, np.float64))


def _penalties(layers, alpha, step):
    """Evaluate the L2 term with one weight moved, for each weight in turn, shape (P,)."""
    weights = network.pack(layers)
    is_decayed = network.pack([(np.ones_like(W), np.zeros_like(b)) for W, b in layers])
    squares = is_decayed * weights**2
    moved_squares = is_decayed * (weights + step) ** 2
    return alpha / 2 * (squares.sum() - squares + moved_squares)


def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    """Differentiate by the complex step, Im f(x + ih) / h, one weight at a time, shape (C,)."""
    return losses_when_moved(layers, images, labels, alpha, 1j * step, chosen).imag / step


def two_point(layers, images, labels, alpha=0.0, step=TWO_POINT_STEP, chosen=None):
    """Differentiate by forward differences, (f(x + h) - f(x)) / h, shape (C,).

    f(x) is pushed up as well, so a weight without effect gives exactly 0.
    """
    ahead = losses_when_moved(layers, images, labels, alpha, step, chosen)
    here = losses_when_moved(layers, images, labels, alpha, 0.0, chosen)
    return (ahead - here) / step


def three_point(layers, images, labels, alpha=0.0, step=THREE_POINT_STEP, chosen=None):
    """Differentiate by central differences, (f(x + h) - f(x - h)) / 2h, shape (C,)."""
    ahead = losses_when_moved(layers, images, labels, alpha, step, chosen)
    behind = losses_when_moved(layers, images, labels, alpha, -step, chosen)
    return (ahead - behind) / (2 * step)


def differentiate(layers, images, labels, alpha=0.0):
    """Differentiate by all three checks, each with its own best step: a dict with keys `LIMITS`."""
    problem = layers, images, labels, alpha
    return {
        "2-point": two_point(*problem),
        "3-point": three_point(*problem),
        "complex step": complex_step(*problem),
    }


def relative_error(found, expected):
    """Measure the distance of two gradients, shape (P,), in units of the longer one.

    Returns
    -------
    float
        |found - expected| / max(|found|, |expected|), with 2-norms; 0 if both are zero, and NaN
        if either holds one.
    """
    longer = np.maximum(np.linalg.norm(found), np.linalg.norm(expected))
    return float(np.linalg.norm(found - expected) / longer) if longer else 0.0


def rounding_error(value, step, num_weights):
    """Predict the 2-norm of the rounding in forward differences of a function near `value`.

    Each of two evaluations is wrong by about u |f|, so each difference by sqrt(2) u |f| / h.
    """
    unit_roundoff = np.finfo(float).eps / 2
    return float(np.sqrt(2 * num_weights) * unit_roundoff * abs(value) / step)


def check_directions(layers, images, labels, alpha=0.0, gradient=network.backprop, seed=0):
    """Compare a gradient with complex steps along four random directions; takes milliseconds.

    Along a standard normal direction d, an error e of the gradient shows as e.d, whose mean
    square is |e|^2: a few directions estimate the relative error of all weights together.
    `gradient` has the arguments and the result of `network.backprop`.

    Returns
    -------
    float
        The root mean square of e.d, in units of the gradient's norm; about 1e-15 if it is right.
    """
    found = network.pack(gradient(layers, images, labels, alpha))
    directions = np.random.default_rng(seed).normal(size=(4, len(found)))
    slopes = []
    for direction in directions:
        moved = network.pack(layers) + 1j * COMPLEX_STEP * direction
        loss = network.cross_entropy(_like(moved, layers), images, labels, alpha)
        slopes.append(loss.imag / COMPLEX_STEP)
    error = _root_mean_square(slopes - directions @ found)
    longer = np.maximum(np.linalg.norm(found), _root_mean_square(slopes))
    return float(error / longer) if longer else 0.0


def _root_mean_square(values):
    return np.sqrt(np.mean(np.square(values)))


def compare(gradient, derivatives, layers):
    """Compare a gradient, shape (P,), with those of `differentiate`, each W_l and b_l by itself.

    Returns
    -------
    list of dict
        For W1, b1, W2, ...: its name, shape, norm and exact zeros (weights to or from units that no
        image switches on); for each check the largest difference as a share of the largest entry
        of either side (0/0 counts as 0); and whether all are within `LIMITS`.
    """
    others = {check: _named(derivative, layers) for check, derivative in derivatives.items()}
    rows = []
    for name, part in _named(gradient, layers).items():
        shares = {check: _share(part, other[name]) for check, other in others.items()}
        failed = [check for check, share in shares.items() if not share <= LIMITS[check]]
        row = {"name": name, "shape": part.shape, "norm": float(np.linalg.norm(part))}
        row["zeros"] = int((part == 0).sum())
        row |= shares
        row["verdict"] = f"DIFFERS: {', '.join(failed)}" if failed else "agrees"
        rows.append(row)
    return rows


def worst_share(gradient, derivative, layers):
    """Find the largest difference as a share of its W_l's or b_l's largest entry."""
    ours, theirs = _named(gradient, layers), _named(derivative, layers)
    return float(np.max([_share(ours[name], theirs[name]) for name in ours]))  # keeps a NaN


def _like(weights, layers):
    """View flat weights as layers of the shapes of `layers`."""
    widths = [len(b) for _, b in layers]
    return network.unpack(weights, (layers[0][0].shape[1], *widths))


def _named(gradient, layers):
    """Name the matrices and vectors of a flat gradient: W1, b1, W2, ..."""
    parts = {}
    for number, (dW, db) in enumerate(_like(gradient, layers), start=1):
        parts[f"W{number}"] = dW
        parts[f"b{number}"] = db
    return parts


def _share(ours, theirs):
    largest = max(np.abs(ours).max(), np.abs(theirs).max())
    return float(np.abs(ours - theirs).max() / largest) if largest else 0.0


@dataclass(frozen=True, eq=False)
class StepCurve:
    """How the relative error of a derivative depends on the step.

    Attributes
    ----------
    steps : ndarray, shape (S,)
    errors : dict of str to ndarray, shape (S,)
        Measured, for each check in float64 and for "2-point, float32".
    truncation, rounding : dict of str to ndarray, shape (S,)
        What theory predicts for the checks in float64; a complex step has no rounding term.
    """

    steps: np.ndarray
    errors: dict
    truncation: dict
    rounding: dict


def step_curve(layers, images, labels, steps, chosen):
    """Measure and predict the error of each check at each of `steps`, without L2: a `StepCurve`."""
    single_layers = [(W.astype(np.float32), b.astype(np.float32)) for W, b in layers]
    double, single = (layers, images), (single_layers, images.astype(np.float32))
    runs = {
        "2-point": (two_point, double),
        "3-point": (three_point, double),
        "complex step": (complex_step, double),
        "2-point, float32": (two_point, single),
    }
    gradient = network.pack(network.backprop(layers, images, labels))[chosen]
    errors = {}
    for name, (check, problem) in runs.items():
        found = [check(*problem, labels, step=h, chosen=chosen) for h in steps.tolist()]
        errors[name] = np.array([relative_error(each, gradient) for each in found])
    return StepCurve(steps, errors, *_predict(layers, images, labels, steps, chosen))


def _predict(layers, images, labels, steps, chosen):
    """Predict relative errors: Taylor's next term, and the rounding of two evaluations.

    Complex steps give the second and third derivative along each weight as well, without crossing
    a kink: f(x + ih) = f(x) + ih f' - h^2 f''/2 - i h^3 f'''/6 + ...
    """
    h = 1e-3
    far = losses_when_moved(layers, images, labels, 0, 1j * h, chosen)
    near = losses_when_moved(layers, images, labels, 0, 1j * COMPLEX_STEP, chosen)
    slope = near.imag / COMPLEX_STEP
    norm = np.linalg.norm(slope)
    second = np.linalg.norm(2 * (near.real - far.real) / h**2) / norm
    third = np.linalg.norm(6 * (slope - far.imag / h) / h**2) / norm
    linear, cubic = steps / 2 * second, steps**2 / 6 * third
    truncation = {"2-point": linear, "3-point": cubic, "complex step": cubic}
    value = network.cross_entropy(layers, images, labels)
    noise = np.array([rounding_error(value, step, len(chosen)) for step in steps]) / norm
    return truncation, {"2-point": noise, "3-point": noise / 2}
