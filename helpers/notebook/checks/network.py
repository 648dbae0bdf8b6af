"""Checks of exercises A1 to A4: layers as views, the forward pass, the loss, the gradient.

Layers are drawn here as arrays of their own, so that no check leans on another exercise; but the
gradient is compared with complex steps of the student's own objective.
"""

from itertools import pairwise

import numpy as np

from helpers import network
from helpers.notebook.checks.structure import (
    Check,
    a_list,
    an_array,
    expect,
    expect_close,
    is_close,
    is_refused,
    judge_refusal,
    recognise,
)

NUM_IMAGES = 6
TINY = 1e-20
"""Imaginary step: its square vanishes beside 1."""
MEAN = "the mean over n images divides delta by n"


def draw_problem(layer_sizes, rng, num_images=NUM_IMAGES):
    """Draw layers, images, labels; biases too, so that no mistake hides behind equal ones."""
    shapes = shapes_for(layer_sizes)
    return {
        "layers": [(rng.normal(size=shape), rng.normal(size=shape[0])) for shape in shapes],
        "images": rng.normal(size=(num_images, layer_sizes[0])),
        "labels": rng.integers(0, layer_sizes[-1], num_images),
    }


def read_pairs(pairs, shapes, name, symbols="Wb"):
    """Read a list of (matrix, vector), the matrices of given shapes."""
    found = []
    a_list(pairs, len(shapes), name)
    for number, (pair, shape) in enumerate(zip(pairs, shapes, strict=True), start=1):
        W, b = a_list(pair, 2, f"entry {number - 1} of {name}")
        W = an_array(W, shape, f"{symbols[:-1]}{number}")
        b = an_array(b, shape[:1], f"{symbols[:-2]}{symbols[-1]}{number}")
        found.append((W, b))
    return found


def shapes_for(layer_sizes):
    """List the shapes that matrices of these sizes have."""
    return [(above, below) for below, above in pairwise(layer_sizes)]


def shapes_of(layers):
    """List the shapes of the matrices."""
    return [W.shape for W, _ in layers]


# ---- A1: unpack


def checks_of_unpack(layer_sizes, rng):
    """Unpack numbered weights, write to the views, and hand in a weight too many."""
    num_weights = network.num_weights(layer_sizes)
    given = {"weights": np.arange(float(num_weights)), "layer_sizes": tuple(layer_sizes)}
    longer = given | {"weights": np.arange(num_weights + 1.0)}
    return [
        Check("shapes and order", given, judge_order),
        Check("writing to the views", given, judge_views, write_to_views, ("weights",)),
        Check("a weight too many", longer, judge_refusal, is_refused),
    ]


def judge_order(given, layers):
    """Each weight is its own position, so the layers tell where each came from."""
    layers = read_pairs(layers, shapes_for(given["layer_sizes"]), "layers")
    matrices = [W for W, _ in layers]
    biases = [b for _, b in layers]
    by_columns = [W.T for W in matrices]
    layer_by_layer = [array for pair in layers for array in pair]
    orders = {
        "the matrices are filled by columns, expected row by row": [*by_columns, *biases],
        "the order is W1, b1, W2, b2; expected all matrices, then all biases": layer_by_layer,
        "the biases come first, expected all matrices, then all biases": [*biases, *matrices],
    }
    right = [*matrices, *biases]
    for line, arrays in orders.items():
        expect(is_running(right) or not is_running(arrays), line)
    found = np.concatenate([array.ravel() for array in right])
    why = " (each weight is its own position here)"
    expect_close(found, given["weights"], "of all matrices and then all biases, entry ", why)


def is_running(arrays):
    """Tell whether arrays hold 0, 1, 2, ... in this order."""
    entries = np.concatenate([array.ravel() for array in arrays])
    return np.array_equal(entries, np.arange(len(entries)))


def write_to_views(unpack, weights, layer_sizes):
    """Fill each array with a number of its own and look at the flat vector."""
    for number, (W, b) in enumerate(unpack(weights, layer_sizes), start=1):
        W[...] = number
        b[...] = -number
    return weights


def judge_views(given, weights):
    """Each array was filled with a number of its own: the flat vector has to hold them all."""
    for number, (n_in, n_out) in enumerate(pairwise(given["layer_sizes"]), start=1):
        for name, value, size in ("W", number, n_out * n_in), ("b", -number, n_out):
            line = f"writing to {name}{number} does not change weights: a copy, not a view"
            expect((weights == value).sum() == size, line)


# ---- A2: forward


def checks_of_forward(layer_sizes, rng):
    """Evaluate real and complex weights, and images of the wrong width."""
    problem = draw_problem(layer_sizes, rng)
    del problem["labels"]
    moved = [(W + 0.1j * rng.normal(size=W.shape), b + 0.1j) for W, b in problem["layers"]]
    wide = rng.normal(size=(NUM_IMAGES, layer_sizes[0] + 1))
    return [
        Check("a unit at a time", problem, judge_units),
        Check("complex weights", problem | {"layers": moved}, judge_units),
        Check("images of the wrong width", problem | {"images": wide}, judge_refusal, is_refused),
    ]


def judge_units(given, result):
    """Compute each unit from what the student's own layer reads: the first wrong layer shows."""
    activations, logits = a_list(result, 2, "the result (activations, logits)")
    layers, images = given["layers"], given["images"]
    name = "activations (what each layer reads: the images first, and no logits)"
    outputs = [*a_list(activations, len(layers), name)[1:], logits]
    expect_close(an_array(activations[0], images.T.shape, "h_0"), images.T, "h_0, images.T,")
    for number, layer in enumerate(layers, start=1):
        name = "logits" if number == len(layers) else f"h_{number}"
        shape = len(layer[1]), len(images)
        found = an_array(outputs[number - 1], shape, name)
        expect_units(found, layer, activations[number - 1], name)


def expect_units(found, layer, h, name):
    """Compare what a layer gives, a unit and an image at a time, with what it read."""
    W, b = layer
    is_top = name == "logits"
    why = " (z itself, without ReLU)" if is_top else " (max(z, 0))"
    for unit, image in np.ndindex(found.shape):
        z = np.dot(W[unit], h[:, image]) + b[unit]
        passed_on = z if is_top or z.real > 0 else 0
        expect_close(found[unit, image], passed_on, f"{name}[{unit}, {image}]", why)


# ---- A3: softmax and log_loss


def checks_of_softmax(layer_sizes, rng):
    """Turn ordinary logits and very large ones into probabilities."""
    large = np.array([[1000.0, 0.0, -1000.0], [999.0, 1.0, -1001.0], [-1000.0, 0.0, -3000.0]])
    logits = rng.normal(size=(layer_sizes[-1], NUM_IMAGES))
    return [
        Check("sums and ratios", {"logits": logits}, judge_softmax),
        Check("logits of 1000", {"logits": large}, judge_softmax),
    ]


def judge_softmax(given, p):
    """The ratios p_k / p_j = exp(z_k - z_j) and the sum determine a column."""
    logits = given["logits"]
    p = an_array(p, logits.shape, "p")
    is_finite = np.isfinite(p).all()
    expect(is_finite, "p is not finite: subtract the largest logit of each column first")
    ones = np.ones(len(p))
    line = "the rows of p sum to 1, expected the columns: an image is a column"
    expect(is_close(p[:, 0].sum(), 1) or not is_close(p.sum(axis=1), ones), line)
    for image, z in enumerate(logits.T):
        expect_close(p[:, image].sum(), 1, f"the sum of column {image} of p")
        top = z.argmax()
        ratios = p[:, image] / p[top, image]
        expect_close(ratios, np.exp(z - z[top]), f"p[:, {image}] / its largest entry:")


def checks_of_log_loss(layer_sizes, rng):
    """Evaluate ordinary, equal, very large and complex logits."""
    num_classes = layer_sizes[-1]
    logits = rng.normal(size=(num_classes, NUM_IMAGES))
    labels = rng.integers(0, num_classes, NUM_IMAGES)
    equal = {"logits": np.zeros(logits.shape), "labels": labels}
    drawn = {"logits": logits, "labels": labels}
    moved = {"logits": logits + 0.1j * logits**2, "labels": labels}
    large = np.array([[1000.0, 0.0, 0.0, -2000.0], [0.0, 0.0, 1000.0, -1000.0]])
    by_hand = {"logits": large, "labels": np.array([1, 0, 1, 0])}
    return [
        Check("equal logits", equal, judge_equal_logits),
        Check("every label", drawn, judge_labels, each_label),
        Check("logits of 1000", by_hand, judge_large_logits),
        Check("complex logits", moved, judge_labels, each_label),
    ]


def judge_equal_logits(given, loss):
    """Equal logits give each class the same probability: the loss is ln of their number."""
    num_classes, num_images = given["logits"].shape
    loss = an_array(loss, (), "the loss")
    mistakes = {
        "is the sum over the images, expected their mean": num_images * np.log(num_classes),
        "has the wrong sign: a loss is above 0": -np.log(num_classes),
        "is in bits, expected the natural logarithm": np.log2(num_classes),
    }
    recognise(loss, np.log(num_classes), mistakes, "the loss of equal logits", ", ln of classes")


def each_label(log_loss, logits, labels):
    """The loss of all images, and that of each image by itself with each label there is."""
    alone = [
        [log_loss(logits[:, [image]], np.array([label])) for label in range(len(logits))]
        for image in range(logits.shape[1])
    ]
    return {"mean": log_loss(logits, labels), "alone": alone}


def judge_labels(given, losses):
    """The probabilities exp(-loss) of all labels sum to 1, and their ratios are known."""
    logits, labels = given["logits"], given["labels"]
    alone = an_array(losses["alone"], logits.T.shape, "the loss of each image and label")
    for image, z in enumerate(logits.T):
        steps = alone[image] - alone[image, 0]
        expect_close(steps, z[0] - z, "one image: the change of its loss with the label")
        total = np.exp(-alone[image]).sum()
        expect_close(total, 1, "one image: the sum of exp(-loss) over all labels")
    expected = alone[np.arange(len(labels)), labels].mean()
    expect_close(an_array(losses["mean"], (), "the loss"), expected, "the mean over the images")


def judge_large_logits(given, loss):
    """By hand: 1000, ln 2, 0 and 1000."""
    loss = an_array(loss, (), "the loss")
    expect(np.isfinite(loss), f"the loss is {loss}: take the largest logit out before exp")
    expect_close(loss, (2000 + np.log(2)) / 4, "the loss")


# ---- A4: backprop


def checks_of_backprop(layer_sizes, rng):
    """Differentiate for single images, for several, with closed units and with L2."""
    alone = [draw_problem(layer_sizes, rng, num_images=1) for _ in range(3)]
    several = draw_problem(layer_sizes, rng)
    closed = draw_problem(layer_sizes, rng)
    for array in closed["layers"][0]:
        array[...] = 0
    checks = [
        Check(f"image {k} alone", one | {"alpha": 0.0}, judge_one_image, differentiate)
        for k, one in enumerate(alone)
    ]
    checks += [
        Check("several images", several | {"alpha": 0.0}, judge_gradient, differentiate),
        Check("with L2", several | {"alpha": 0.3}, judge_gradient, differentiate),
    ]
    if len(layer_sizes) > 2:
        closed = closed | {"alpha": 0.0}
        checks.append(Check("units at exactly 0", closed, judge_closed_units))
    return checks


def differentiate(backprop, layers, images, labels, alpha):
    """Give the student's gradient beside the slopes of the objective."""
    gradient = backprop(layers, images, labels, alpha)
    return {"gradient": gradient, "slopes": slopes_of(layers, images, labels, alpha)}


def slopes_of(layers, images, labels, alpha, step=TINY):
    """Take complex steps of the objective, a weight at a time: pairs of the shapes of layers."""
    moved = [(W.astype(complex), b.astype(complex)) for W, b in layers]
    slopes = [(np.empty(W.shape), np.empty(b.shape)) for W, b in layers]
    for arrays, results in zip(moved, slopes, strict=True):
        for array, slope in zip(arrays, results, strict=True):
            for place in np.ndindex(array.shape):
                array[place] += 1j * step
                loss = network.cross_entropy(moved, images, labels, alpha)
                slope[place] = np.imag(loss) / step
                array[place] = array[place].real
    return slopes


def judge_gradient(given, result):
    """From the top down, as delta goes: the first layer that is wrong, and the likely mistake."""
    layers, n, alpha = given["layers"], len(given["images"]), given["alpha"]
    gradient = read_pairs(result["gradient"], shapes_of(layers), "the gradient", "dWb")
    for place in reversed(range(len(layers))):
        dW, db = gradient[place]
        right_dW, right_db = result["slopes"][place]
        W, b = layers[place]
        mistakes = general_mistakes(right_db, n, 0) | {
            "holds a penalty: biases are free of L2": right_db + alpha * b
        }
        why = "; all above it is right, so look at how delta is carried down"
        if place == len(layers) - 1:
            why = "; at the top delta is (softmax(z) - y) / n"
        recognise(db, right_db, mistakes, f"db{place + 1}", why)
        why = f"; db{place + 1} is right, so look at the product with h"
        mistakes = general_mistakes(right_dW, n, alpha * W) | l2_mistakes(right_dW, n, alpha * W)
        recognise(dW, right_dW, mistakes, f"dW{place + 1}", why)


def general_mistakes(right, n, penalty):
    """What wrong signs and factors would give, and a transposed product where it fits."""
    data = right - penalty
    mistakes = {
        "has the wrong sign: delta = softmax(z) - y": penalty - data,
        f"is {n} times too large: {MEAN}": n * data + penalty,
        f"is {n} times too small: {MEAN}, once": data / n + penalty,
    }
    if data.ndim == 2 and data.shape[0] == data.shape[1]:
        mistakes["is transposed: dW = delta h.T"] = data.T + penalty
    return mistakes


def l2_mistakes(right, n, penalty):
    """What mistakes in the penalty would give."""
    return {
        "lacks L2: alpha W has to be added": right - penalty,
        "has L2 twice: the gradient of alpha/2 W^2 is alpha W": right + penalty,
        "has half of L2: the gradient of alpha/2 W^2 is alpha W": right - penalty / 2,
        "has L2 divided by n: only the loss is a mean": right - penalty + penalty / n,
        "has L2 with the wrong sign": right - 2 * penalty,
    }


def judge_one_image(given, result):
    """With one image db is delta itself, so mistakes in what is carried down can be named."""
    layers, slopes = given["layers"], result["slopes"]
    shapes = shapes_of(layers)
    found = [np.shape(pair[0]) for pair in result["gradient"] or [] if isinstance(pair, list)]
    line = "the gradient begins with the last layer, expected the first one"
    expect(found == shapes or found != shapes[::-1], line)
    gradient = read_pairs(result["gradient"], shapes, "the gradient", "dWb")
    deltas = [delta for _, delta in slopes]
    for place in reversed(range(len(layers) - 1)):
        W_above, _ = layers[place + 1]
        _, db_above = gradient[place + 1]
        if is_close(db_above, deltas[place + 1]):
            _, db = gradient[place]
            mistakes = delta_mistakes(W_above, deltas, place)
            recognise(db, deltas[place], mistakes, f"db{place + 1}")
    judge_gradient(given, result)


def delta_mistakes(W, deltas, place):
    """What mistakes in carrying delta down through W would give."""
    above, right = deltas[place + 1], deltas[place]
    mistakes = {"is not 0 where ReLU was closed: delta passes only where h > 0": W.T @ above}
    if W.shape[0] == W.shape[1]:
        line = "comes from W delta, expected W.T delta: the product is transposed"
        mistakes[line] = (W @ above) * (right != 0)
    for other, delta in enumerate(deltas[:-1]):
        if other != place and delta.shape == right.shape:
            line = f"is masked by h_{other + 1}, expected h_{place + 1}, where it arrives"
            mistakes[line] = (W.T @ above) * (delta != 0)
    return mistakes


def judge_closed_units(given, gradient):
    """All units of the first layer give exactly 0, so nothing passes down to its weights."""
    shapes = shapes_of(given["layers"])
    dW, db = read_pairs(gradient, shapes, "the gradient", "dWb")[0]
    line = "dW1 or db1 is not 0 although h_1 is: ReLU is closed at 0, so h > 0 and not >="
    expect(not dW.any() and not db.any(), line)
