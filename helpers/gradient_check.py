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

import numpy as np

from helpers import network

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
    losses = _penalties(layers, alpha, step).astype(np.result_type(step, np.float64))
    every_weight = np.arange(len(losses))
    if chosen is None:
        chosen = every_weight
    is_chosen = np.isin(every_weight, chosen)
    activations, _ = network.forward(layers, images)
    above = layers
    for (W, b), h, positions in zip(layers, activations, _positions(layers), strict=True):
        above = above[1:]
        z = W @ h + b[:, None]
        inputs = np.vstack([h, np.ones_like(h[:1])])  # what a unit's weights and bias multiply
        for unit, of_unit in enumerate(positions):
            moves = is_chosen[of_unit]
            if moves.any():
                moved_z = z[unit] + step * inputs[moves]  # a row for each weight that moves
                losses[of_unit[moves]] += _losses_above(above, z, unit, moved_z, labels)
    return losses[chosen]


def _positions(layers):
    """Give the positions of each unit's weights, and last its bias, in the flat vector.

    Returns
    -------
    list of ndarray of int, shapes (n_out, n_in + 1)
    """
    flat = np.arange(len(network.pack(layers)))
    return [np.column_stack([of_W, of_b]) for of_W, of_b in _like(flat, layers)]


def _losses_above(above, z, unit, moved_z, labels):
    """Replace one unit's pre-activation in several ways, and evaluate the loss of each.

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
    """
    pushed = np.repeat(z[:, None].astype(moved_z.dtype), len(moved_z), axis=1)  # (units, M, n)
    pushed[unit] = moved_z
    logits = pushed.reshape(len(z), -1)  # the images of M networks side by side
    if above:
        h = np.maximum(logits, 0)
        _, logits = network.forward(above, h.T)
    side_by_side = logits.reshape(-1, *moved_z.shape)  # (n_classes, M, n)
    return network.log_loss(side_by_side.swapaxes(0, 1), labels)


def _penalties(layers, alpha, step):
    """Evaluate the L2 term with one weight moved, for each weight in turn, shape (P,)."""
    weights = network.pack(layers)
    ones_and_zeros = [(np.ones_like(W), np.zeros_like(b)) for W, b in layers]
    is_decayed = network.pack(ones_and_zeros)
    squares = is_decayed * weights**2
    moved_squares = is_decayed * (weights + step) ** 2
    return alpha / 2 * (squares.sum() - squares + moved_squares)


def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    """Differentiate by the complex step, Im f(x + ih) / h, one weight at a time, shape (C,)."""
    losses = losses_when_moved(layers, images, labels, alpha, 1j * step, chosen)
    return losses.imag / step


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


@np.errstate(over="ignore", invalid="ignore")  # what comes of it, NaN or infinity, says so
def relative_error(ours, theirs, norm=np.linalg.norm):
    """Measure the distance of two gradients, of any one shape, in units of the longer one.

    Returns
    -------
    float
        |ours - theirs| / max(|ours|, |theirs|), in 2-norms unless told otherwise; 0 if both are
        zero, and NaN if either holds one.
    """
    distance = norm(ours - theirs)
    longer = np.maximum(norm(ours), norm(theirs))  # unlike max, keeps a NaN
    return float(distance / longer) if longer else 0.0


def largest_entry(array):
    """Give the maximum norm of an array of any shape, max |x|."""
    return np.abs(array).max()


def rounding_error(value, step, num_weights):
    """Predict the 2-norm of the rounding in forward differences of a function near `value`.

    Each of two evaluations is wrong by about u |f|, so each difference by sqrt(2) u |f| / h.
    """
    unit_roundoff = np.finfo(float).eps / 2
    of_value = unit_roundoff * abs(value)
    return float(np.sqrt(2 * num_weights) * of_value / step)


@np.errstate(over="ignore", invalid="ignore")
def compare(gradient, derivatives, layers):
    """Compare a gradient, shape (P,), with those of `differentiate`, each W_l and b_l by itself.

    Returns
    -------
    list of dict
        For W1, b1, W2, ...: its name, shape, norm and exact zeros (weights to or from units that no
        image switches on); for each check the largest difference as a share of the largest entry
        of either side (0/0 counts as 0); and whether all are within `LIMITS`.
    """
    theirs = {check: _named(derivative, layers) for check, derivative in derivatives.items()}
    rows = []
    for name, ours in _named(gradient, layers).items():
        row = {
            "name": name,
            "shape": ours.shape,
            "norm": float(np.linalg.norm(ours)),
            "zeros": int((ours == 0).sum()),
        }
        failed = []
        for check, parts in theirs.items():
            row[check] = relative_error(ours, parts[name], largest_entry)
            if not row[check] <= LIMITS[check]:  # a NaN fails, too
                failed.append(check)
        row["verdict"] = f"DIFFERS: {', '.join(failed)}" if failed else "agrees"
        rows.append(row)
    return rows


def _like(weights, layers):
    """View flat weights as layers of the shapes of `layers`."""
    first_matrix, _ = layers[0]
    widths = [len(b) for _, b in layers]
    return network.unpack(weights, (first_matrix.shape[1], *widths))


def _named(gradient, layers):
    """Name the matrices and vectors of a flat gradient: W1, b1, W2, ..."""
    parts = {}
    for number, (dW, db) in enumerate(_like(gradient, layers), start=1):
        parts[f"W{number}"] = dW
        parts[f"b{number}"] = db
    return parts


def step_curve(layers, images, labels, steps, chosen):
    """Measure how wrong each check is at each of `steps`, shape (S,), without L2.

    Returns
    -------
    dict
        Name of a check -> relative errors, shape (S,): "2-point", "3-point" and "complex step" in
        float64, and "2-point, float32".
    """
    double = layers, images, labels
    single_layers = [(W.astype(np.float32), b.astype(np.float32)) for W, b in layers]
    single = single_layers, images.astype(np.float32), labels
    checks = {
        "2-point": (two_point, double),
        "3-point": (three_point, double),
        "complex step": (complex_step, double),
        "2-point, float32": (two_point, single),
    }
    gradient = network.pack(network.backprop(layers, images, labels))[chosen]
    curves = {}
    for name, (check, problem) in checks.items():
        derivatives = [check(*problem, step=step, chosen=chosen) for step in steps.tolist()]
        curves[name] = np.array([relative_error(each, gradient) for each in derivatives])
    return curves
