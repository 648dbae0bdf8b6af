"""Finite differences and complex steps against backpropagation, for every single weight.

The plain way to check 59,210 weights evaluates the whole objective 59,210 times. But moving one
weight changes one unit of one layer; all below stays, and all above is the smaller network
``layers[l + 1:]``, whose images are the changed activations. `along_axes` pushes thousands of such
changes at once through `network.forward` of that smaller network.

A complex step reads a derivative off the imaginary part, f'(x) = Im f(x + ih) / h + O(h^2), with
no difference of nearly equal numbers: h may be so small that the result is exact to rounding
(Squire and Trapp 1998, SIAM Review 40, 110-112).

What the functions share: `layers`, `images`, `labels` and `alpha` are those of `helpers.network`;
`step` is a distance along one weight; `chosen`, shape (C,), says which weights to move, as
positions in the flat vector (all if not given); results are flat, in the order of `network.pack`.

Left out on purpose: SciPy's check_grad and approx_fprime, which the notebook calls itself;
pictures (`helpers.figures`); gradients that are wrong on purpose (`helpers.broken_gradients`).
"""

from collections import namedtuple

import numpy as np

from helpers import network
from helpers.sgd import one_blas_thread

COMPLEX_STEP = 1e-20
"""Its square vanishes beside 1, and is far from underflow."""
TWO_POINT_STEP = float(np.finfo(float).eps ** (1 / 2))
"""SciPy's default: balances truncation, of order h, against rounding, of order 1/h."""
THREE_POINT_STEP = float(np.finfo(float).eps ** (1 / 3))
"""Balances truncation, of order h^2, against rounding, of order 1/h."""
COLUMNS_AT_ONCE = 4_000
"""Images pushed through the upper layers in one block; larger ones leave the cache."""
LIMITS = {"2-point": 1e-4, "3-point": 1e-6, "complex step": 1e-13}
"""Largest difference allowed, as a share of the largest entry of the same W_l or b_l."""


def along_axes(layers, images, labels, alpha, step, chosen=None):
    """Evaluate the objective with one weight moved by `step`, for each weight in turn, shape (C,).

    Complex if `step` is.
    """
    weights, (layer, _, source) = network.pack(layers), _homes(layers)
    chosen = np.arange(len(weights)) if chosen is None else chosen
    losses = np.empty(len(chosen), np.result_type(step, np.float64))
    for where, _, _, logits in _pushed(layers, images, step, chosen):
        each = logits.reshape(len(logits), -1, len(images)).swapaxes(0, 1)
        losses[where] = network.log_loss(each, labels)
    in_matrix = source < np.array([W.shape[1] for W, _ in layers])[layer]
    squares = np.where(in_matrix, weights**2, 0)
    moved = np.where(in_matrix, (weights + step) ** 2, 0) - squares
    return losses + alpha / 2 * (squares.sum() + moved[chosen])


def kinks_crossed(layers, images, step, chosen=None):
    """Count the ReLUs that moving one weight switches on or off, for each weight in turn."""
    chosen = np.arange(len(network.pack(layers))) if chosen is None else chosen
    before, _ = network.forward(layers, images)
    counts = np.zeros(len(chosen), int)
    for where, layer, after, _ in _pushed(layers, images, step, chosen):
        for h, moved in zip(before[layer + 1 :], after, strict=True):
            moved = moved.reshape(len(h), -1, len(images))
            counts[where] += ((moved > 0) != (h > 0)[:, None]).sum(axis=(0, 2))
    return counts


def _pushed(layers, images, step, chosen):
    """Push moved weights upwards, block by block.

    Yields positions in `chosen`, their layer, the activations above it, and the logits, all with
    M * n columns for M weights and n images.
    """
    homes = _homes(layers)[:, chosen]
    with one_blas_thread():
        activations, _ = network.forward(layers, images)
        for layer, ((W, b), h) in enumerate(zip(layers, activations, strict=True)):
            z, inputs = W @ h + b[:, None], np.vstack([h, np.ones_like(h[:1])])
            here = np.flatnonzero(homes[0] == layer)
            num_blocks = max(1, -(-len(here) * len(images) // COLUMNS_AT_ONCE))
            for where in np.array_split(here, num_blocks):
                _, unit, source = homes[:, where]
                moved = z[unit] + step * inputs[source]
                pushed = np.repeat(z[:, None].astype(moved.dtype), len(where), axis=1)
                pushed[unit, np.arange(len(where))] = moved
                yield where, layer, *_push(layers[layer + 1 :], pushed.reshape(len(z), -1))


def _push(above, z):
    """Run pre-activations through the layers above them; at the top they are the logits."""
    return network.forward(above, np.maximum(z, 0).T) if above else ([], z)


def _homes(layers):
    """Tell for each weight its layer, its unit and its input (n_in for a bias), shape (3, P)."""
    grids = [np.indices((len(W), W.shape[1] + 1)) for W, _ in layers]
    homes = [np.stack([np.full_like(g[0], layer), *g]) for layer, g in enumerate(grids)]
    return network.pack([(home[..., :-1], home[..., -1]) for home in homes])


def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    """Differentiate by the complex step, Im f(x + ih) / h, one weight at a time, shape (C,)."""
    return along_axes(layers, images, labels, alpha, 1j * step, chosen).imag / step


def two_point(layers, images, labels, alpha=0.0, step=TWO_POINT_STEP, chosen=None):
    """Differentiate by forward differences, (f(x + h) - f(x)) / h, shape (C,).

    f(x) is pushed as well, so a weight without effect gives exactly 0.
    """
    ahead, here = (along_axes(layers, images, labels, alpha, s, chosen) for s in (step, 0.0))
    return (ahead - here) / step


def three_point(layers, images, labels, alpha=0.0, step=THREE_POINT_STEP, chosen=None):
    """Differentiate by central differences, (f(x + h) - f(x - h)) / 2h, shape (C,)."""
    ahead, behind = (along_axes(layers, images, labels, alpha, s, chosen) for s in (step, -step))
    return (ahead - behind) / (2 * step)


def differentiate(layers, images, labels, alpha=0.0):
    """Differentiate by all three checks, each with its own best step: a dict with keys `LIMITS`."""
    checks = two_point, three_point, complex_step
    found = (check(layers, images, labels, alpha) for check in checks)
    return dict(zip(LIMITS, found, strict=True))


def relative_error(found, expected):
    """Measure the distance of two gradients, shape (..., P), in units of the longer one.

    Returns
    -------
    ndarray, shape (...)
        |found - expected| / max(|found|, |expected|), with 2-norms; 0 where both are zero, and
        NaN where either holds one.
    """
    distance, *lengths = (np.linalg.norm(g, axis=-1) for g in (found - expected, found, expected))
    longer = np.maximum(*lengths)
    return np.divide(distance, longer, out=np.zeros_like(distance), where=longer != 0)


def rounding_error(value, step, num_weights):
    """Foretell the 2-norm of the rounding in forward differences of a function near `value`.

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
    ndarray, shape (...)
        For each member of a stack the root mean square of e.d, in units of the gradient's norm;
        about 1e-15 if it is right.
    """
    found = network.pack(gradient(layers, images, labels, alpha))
    directions = np.random.default_rng(seed).normal(size=(4, found.shape[-1]))
    moved = network.pack(layers)[..., None, :] + 1j * COMPLEX_STEP * directions
    losses = network.cross_entropy(_unpack(moved, layers), images, labels, alpha)
    slopes = losses.imag / COMPLEX_STEP
    error, length = (
        np.linalg.norm(v, axis=-1) / 2 for v in (slopes - found @ directions.T, slopes)
    )
    longer = np.maximum(np.linalg.norm(found, axis=-1), length)
    return np.divide(error, longer, out=np.zeros_like(error), where=longer != 0)


def compare(gradient, derivatives, layers):
    """Compare a gradient, shape (P,), with those of `differentiate`, each W_l and b_l by itself.

    Returns
    -------
    list of dict
        For W1, b1, W2, ...: its name, shape, norm and exact zeros (weights to or from units that no
        image switches on); for each check the largest difference as a share of the largest entry
        of either side (0/0 counts as 0); and whether all are within `LIMITS`.
    """
    parts = _parts(gradient, layers)
    others = {name: _parts(d, layers) for name, d in derivatives.items()}
    rows = []
    for name, part in parts.items():
        shares = {check: _share(part, other[name]) for check, other in others.items()}
        failed = [check for check, share in shares.items() if not share <= LIMITS[check]]
        zeros, norm = int((part == 0).sum()), float(np.linalg.norm(part))
        verdict = f"DIFFERS: {', '.join(failed)}" if failed else "agrees"
        row = {"name": name, "shape": part.shape, "norm": norm, "zeros": zeros}
        rows.append(row | shares | {"verdict": verdict})
    return rows


def worst_share(gradient, derivative, layers):
    """Find the largest difference as a share of its W_l's or b_l's largest entry."""
    pairs = zip(*(_parts(g, layers).values() for g in (gradient, derivative)), strict=True)
    return float(np.max([_share(*pair) for pair in pairs]))  # unlike max(), keeps a NaN


def _parts(gradient, layers):
    """Name the matrices and vectors of a flat gradient: W1, b1, W2, ..."""
    parts = {}
    for layer, (dW, db) in enumerate(_unpack(gradient, layers), start=1):
        parts |= {f"W{layer}": dW, f"b{layer}": db}
    return parts


def _unpack(weights, layers):
    """View flat weights as layers of the shapes of others."""
    return network.unpack(weights, (layers[0][0].shape[-1], *(b.shape[-1] for _, b in layers)))


def _share(ours, theirs):
    largest = max(np.abs(ours).max(), np.abs(theirs).max())
    return float(np.abs(ours - theirs).max() / largest) if largest else 0.0


StepCurve = namedtuple("StepCurve", ["steps", "errors", "truncation", "rounding", "kinks"])
"""How the relative error of a derivative depends on the step: arrays of shape (S,).

``errors``, by name, are measured, for each check in float64 and for "2-point, float32";
``truncation`` and ``rounding`` are what theory predicts for the checks in float64 (a complex step
has no rounding term); ``kinks`` counts the ReLUs that a step forward or back switches, all chosen
weights together.
"""


def step_curve(layers, images, labels, steps, chosen):
    """Measure and predict the error of each check at each of `steps`, in float64, without L2."""
    single = [(W.astype(np.float32), b.astype(np.float32)) for W, b in layers]
    runs = {
        "2-point": (two_point, layers, images),
        "3-point": (three_point, layers, images),
        "complex step": (complex_step, layers, images),
        "2-point, float32": (two_point, single, images.astype(np.float32)),
    }
    gradient = network.pack(network.backprop(layers, images, labels))[chosen]
    errors = {name: np.empty(len(steps)) for name in runs}
    for name, (check, *problem) in runs.items():
        for s, h in enumerate(steps.tolist()):
            found = check(*problem, labels, step=h, chosen=chosen)
            errors[name][s] = relative_error(found, gradient)
    both_ways = [(kinks_crossed(layers, images, s, chosen).sum() for s in (h, -h)) for h in steps]
    kinks = np.array([sum(pair) for pair in both_ways])
    return StepCurve(steps, errors, *_predict(layers, images, labels, steps, chosen), kinks)


def _predict(layers, images, labels, steps, chosen):
    """Predict relative errors: Taylor's next term, and the rounding of two evaluations.

    Complex steps give the second and third derivative along each weight as well, without crossing
    a kink: f(x + ih) = f(x) + ih f' - h^2 f''/2 - i h^3 f'''/6 + ...
    """
    h, tiny = 1e-3, COMPLEX_STEP
    far, near = (along_axes(layers, images, labels, 0, 1j * s, chosen) for s in (h, tiny))
    slope, norm = near.imag / tiny, np.linalg.norm(near.imag / tiny)
    second = np.linalg.norm(2 * (near.real - far.real) / h**2) / norm
    third = np.linalg.norm(6 * (slope - far.imag / h) / h**2) / norm
    cubic = steps**2 / 6 * third
    truncation = {"2-point": steps / 2 * second, "3-point": cubic, "complex step": cubic}
    value = network.cross_entropy(layers, images, labels)
    noise = np.array([rounding_error(value, step, len(chosen)) for step in steps]) / norm
    return truncation, {"2-point": noise, "3-point": noise / 2}
