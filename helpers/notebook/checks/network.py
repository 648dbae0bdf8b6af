"""Checks of exercises A1 to A4: layers as views, the forward pass, the loss, the gradient.

Layers are drawn here as arrays of their own, so that no check of one exercise leans on another one,
but for the gradient: its complex steps differentiate the student's own objective.
"""

from itertools import pairwise

import numpy as np

from helpers import network
from helpers.notebook.checks.structure import (
    Check,
    Fault,
    a_list,
    an_array,
    expect,
    expect_close,
    is_close,
    recognise,
)

MEAN = "the mean over n images divides delta by n"
NUM_IMAGES = 6
TINY = 1e-20
"""Imaginary step: its square vanishes beside 1."""


def draw_layers(layer_sizes, rng):
    """Draw layers with random biases, so that no mistake can hide behind equal ones."""
    shapes = [(n_out, n_in) for n_in, n_out in pairwise(layer_sizes)]
    return [(rng.normal(size=shape), rng.normal(size=shape[0])) for shape in shapes]


def draw_problem(layer_sizes, rng, num_images=NUM_IMAGES):
    """Draw the arguments of a loss: layers, images, labels."""
    return {
        "layers": draw_layers(layer_sizes, rng),
        "images": rng.normal(size=(num_images, layer_sizes[0])),
        "labels": rng.integers(0, layer_sizes[-1], num_images),
    }


def is_refused(function, **given):
    """Tell whether a call ends with ValueError."""
    try:
        function(*given.values())
    except ValueError:
        return True
    return False


def expect_pairs(layers, given, name, symbols=("W", "b")):
    """Read a list of pairs with the shapes of given layers."""
    pairs = []
    a_list(layers, len(given), name)
    for number, (pair, (W, b)) in enumerate(zip(layers, given, strict=True), start=1):
        first, second = a_list(pair, 2, f"entry {number - 1} of {name}")
        matrix = an_array(first, W.shape, f"{symbols[0]}{number}")
        vector = an_array(second, b.shape, f"{symbols[1]}{number}")
        pairs.append((matrix, vector))
    return pairs


# ---- A1: unpack


def checks_of_unpack(layer_sizes, rng):
    num_weights = network.num_weights(layer_sizes)
    weights = np.arange(float(num_weights))
    given = {"weights": weights, "layer_sizes": tuple(layer_sizes)}
    longer = given | {"weights": np.arange(num_weights + 1.0)}
    return [
        Check("shapes and order", given, judge_order),
        Check("writing to the views", given, judge_views, write_to_views, ("weights",)),
        Check("a weight too many", longer, judge_refusal_of_weights, is_refused),
    ]


def expect_layers(layers, layer_sizes):
    """Read layers of the shapes that sizes ask for."""
    shapes = [(n_out, n_in) for n_in, n_out in pairwise(layer_sizes)]
    expected = [(np.empty(shape), np.empty(shape[0])) for shape in shapes]
    return expect_pairs(layers, expected, "layers")


def judge_order(given, layers):
    """Each entry of the weights is its own position, so the layers tell where each came from."""
    layers = expect_layers(layers, given["layer_sizes"])
    matrices = [W for W, _ in layers]
    biases = [b for _, b in layers]
    layer_by_layer = [array for pair in layers for array in pair]
    if is_running([*matrices, *biases]):
        return
    by_columns = is_running([W.T for W in matrices] + biases)
    expect(not by_columns, "the matrices are filled column by column, expected row by row")
    mixed = "expected all matrices first, then all biases"
    expect(not is_running(layer_by_layer), f"the order is W1, b1, W2, b2, ...; {mixed}")
    expect(not is_running([*biases, *matrices]), f"the biases come first; {mixed}")
    names = [f"W{k}" for k in range(1, len(layers) + 1)] + [
        f"b{k}" for k in range(1, len(layers) + 1)
    ]
    start = 0
    for name, array in zip(names, [*matrices, *biases], strict=True):
        positions = start + np.arange(array.size).reshape(array.shape)
        expect_close(array, positions, name, why=" (here each weight is its own position)")
        start += array.size


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
    copy = "writing to it does not change weights: it is a copy, not a view"
    for number, (n_in, n_out) in enumerate(pairwise(given["layer_sizes"]), start=1):
        expect((weights == number).sum() == n_out * n_in, f"W{number}: {copy}")
        expect((weights == -number).sum() == n_out, f"b{number}: {copy}")


def judge_refusal_of_weights(given, refused):
    needed = network.num_weights(given["layer_sizes"])
    found = len(given["weights"])
    line = f"{found} weights for layers that need {needed} are taken; expected a ValueError"
    expect(refused, line)


# ---- A2: forward


def checks_of_forward(layer_sizes, rng):
    layer = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, -1.0]]), np.array([10.0, 20.0, 30.0])
    one = {"layers": [layer], "images": np.array([[1.0, 1.0], [2.0, 0.0]])}
    below = np.array([[1.0], [-1.0]]), np.array([0.0, 0.5])
    above = np.array([[1.0, 10.0], [-1.0, 0.0]]), np.array([0.0, 1.0])
    two = {"layers": [below, above], "images": np.array([[2.0], [-3.0], [0.0]])}
    several = draw_problem(layer_sizes, rng)
    del several["labels"]
    wide = several | {"images": rng.normal(size=(NUM_IMAGES, layer_sizes[0] + 1))}
    return [
        Check("one layer by hand", one, judge_one_layer),
        Check("a hidden layer by hand", two, judge_hidden_layer),
        Check("every layer, a unit at a time", several, judge_layers),
        Check("complex weights", several, judge_complex_weights, move_weights),
        Check("images of the wrong width", wide, judge_refusal_of_images, is_refused),
    ]


def read_forward(given, result):
    """Read what `forward` gives back: activations and logits of the right shapes."""
    activations, logits = a_list(result, 2, "the result (activations, logits)")
    num_layers = len(given["layers"])
    expect(isinstance(activations, list), "activations is no list, expected one array a layer")
    expect(
        len(activations) == num_layers,
        f"activations has {len(activations)} entries, expected {num_layers}: what each layer "
        "reads, so the images are the first and the logits are not among them",
    )
    num_images = len(given["images"])
    for number, ((W, _), h) in enumerate(zip(given["layers"], activations, strict=True)):
        an_array(h, (W.shape[1], num_images), f"h_{number}")
    top, _ = given["layers"][-1]
    an_array(logits, (len(top), num_images), "logits")
    expect_close(activations[0], given["images"].T, "h_0, the transpose of the images,")
    return activations, logits


def judge_one_layer(given, result):
    _, logits = read_forward(given, result)
    expect_close(logits, [[13, 12], [27, 26], [29, 30]], "logits")


def judge_hidden_layer(given, result):
    activations, logits = read_forward(given, result)
    expect_close(activations[1], [[2, 0, 0], [0, 3.5, 0.5]], "h_1")
    why = ": logits may be negative, only hidden layers have a ReLU" if np.min(logits) >= 0 else ""
    expect_close(logits, [[2, 35, 5], [-1, 1, 1]], "logits", why)


def judge_layers(given, result):
    """Compute each unit of each layer from what the student's own layer reads."""
    activations, logits = read_forward(given, result)
    top = len(given["layers"])
    for number, (W, b) in enumerate(given["layers"], start=1):
        found = logits if number == top else activations[number]
        name = "logits" if number == top else f"h_{number}"
        for unit in range(len(b)):
            for image in range(len(given["images"])):
                z = np.dot(W[unit], activations[number - 1][:, image]) + b[unit]
                expected = z if number == top else max(z, 0)
                expect_close(found[unit, image], expected, f"{name}[{unit}, {image}]")


def move_weights(forward, layers, images):
    """Move all weights a little: along the imaginary axis, and both ways along the real one."""
    found = []
    for step in 1j * TINY, 1e-6, -1e-6:
        _, logits = forward([(W + step, b + step) for W, b in layers], images)
        found.append(np.array(logits))
    return found


def judge_complex_weights(given, logits):
    along, ahead, behind = logits
    slopes = np.imag(along) / TINY
    line = "complex weights lose their imaginary part: new arrays need the dtype of what goes in"
    expect(np.any(slopes), line)
    difference = np.abs(slopes - (ahead - behind).real / 2e-6).max()
    expect(
        difference < 1e-4 * np.abs(slopes).max(),
        "complex weights give another slope than real ones",
    )


def judge_refusal_of_images(given, refused):
    found = given["images"].shape[1]
    reads = given["layers"][0][0].shape[1]
    line = f"images of {found} pixels are taken by a layer that reads {reads}"
    expect(refused, f"{line}; expected a ValueError (check_width raises it)")


# ---- A3: softmax and log_loss


def checks_of_softmax(layer_sizes, rng):
    by_hand = np.log([[1.0, 3.0, 1.0], [1.0, 1.0, 4.0]])
    large = np.array([[1000.0, 0.0, -1000.0], [999.0, 1.0, -1001.0], [-1000.0, 0.0, -3000.0]])
    drawn = rng.normal(size=(layer_sizes[-1], NUM_IMAGES))
    return [
        Check("by hand", {"logits": by_hand}, judge_softmax_by_hand),
        Check("columns and ratios", {"logits": drawn}, judge_softmax),
        Check("large logits", {"logits": large}, judge_softmax),
    ]


def judge_softmax_by_hand(given, p):
    judge_sums(given, p)
    expect_close(p, [[1 / 2, 3 / 4, 1 / 5], [1 / 2, 1 / 4, 4 / 5]], "p")


def judge_softmax(given, p):
    """The ratios p_i / p_j = exp(z_i - z_j) and the sum determine a column."""
    judge_sums(given, p)
    logits = given["logits"]
    largest = logits.argmax(axis=0)
    for image, top in enumerate(largest):
        for k in range(len(logits)):
            expected = p[top, image] * np.exp(logits[k, image] - logits[top, image])
            expect_close(p[k, image], expected, f"p[{k}, {image}]")


def judge_sums(given, p):
    p = an_array(p, given["logits"].shape, "p")
    expect(
        np.isfinite(p).all(),
        f"p is not finite for logits up to {np.abs(given['logits']).max():.4g}: "
        "subtract each column's largest logit first",
    )
    if is_close(p.sum(axis=0), np.ones(p.shape[1])):
        return
    expect(
        not is_close(p.sum(axis=1), np.ones(p.shape[0])),
        "the rows of p sum to 1, expected the columns: an image is a column",
    )
    raise Fault(f"the first column of p sums to {p[:, 0].sum():.6g}, expected 1")


def checks_of_log_loss(layer_sizes, rng):
    num_classes = layer_sizes[-1]
    zeros = np.zeros((num_classes, NUM_IMAGES))
    labels = rng.integers(0, num_classes, NUM_IMAGES)
    logits = rng.normal(size=(num_classes, NUM_IMAGES))
    large = np.array([[1000.0, 0.0, 0.0, -2000.0], [0.0, 0.0, 1000.0, -1000.0]])
    moved = np.array([[1000.0, 0.0], [0.0, 0.0]])
    return [
        Check("equal logits", {"logits": zeros, "labels": labels}, judge_equal_logits),
        Check("every label", {"logits": logits, "labels": labels}, judge_labels, each_label),
        Check(
            "large logits",
            {"logits": large, "labels": np.array([1, 0, 1, 0])},
            judge_large_logits,
        ),
        Check(
            "complex logits",
            {"logits": moved, "labels": np.array([1, 0])},
            judge_complex_logits,
            move_logits,
        ),
    ]


def judge_equal_logits(given, loss):
    num_classes, num_images = given["logits"].shape
    expected = np.log(num_classes)
    loss = an_array(loss, (), "the loss")
    mistakes = {
        f"is the sum over {num_images} images, expected their mean": num_images * expected,
        "has the wrong sign: a loss is above 0": -expected,
        "is in bits, expected the natural logarithm": np.log2(num_classes),
    }
    recognise(loss, expected, mistakes, "the loss of equal logits", f" = ln {num_classes}")


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
    mean = an_array(losses["mean"], (), "the loss")
    alone = an_array(losses["alone"], logits.T.shape, "the loss of each image and label")
    for image, each in enumerate(alone):
        steps = logits[0, image] - logits[:, image]
        expect_close(each - each[0], steps, "the loss of one image: its change with the label")
        total = np.exp(-each).sum()
        expect_close(total, 1, "the sum of exp(-loss) over all labels of one image")
    expected = np.mean([alone[image, label] for image, label in enumerate(labels)])
    expect_close(mean, expected, "the mean loss of several images")


def judge_large_logits(given, loss):
    """By hand: 1000, ln 2, 0 and 1000."""
    loss = an_array(loss, (), "the loss")
    line = f"the loss of logits of 1000 is {loss}: take the largest logit out before exp"
    expect(np.isfinite(loss), line)
    expect_close(loss, (2000 + np.log(2)) / 4, "the loss of logits of 1000")


def move_logits(log_loss, logits, labels):
    """Move the first logit of all images along the imaginary axis: the slopes of the loss."""
    direction = np.zeros(logits.shape, complex)
    direction[0] = 1j * TINY
    return np.imag(log_loss(logits + direction, labels)) / TINY


def judge_complex_logits(given, slope):
    """By hand: the first image's slope is 1 - 0, the second one's 1/2 - 1; their mean is 1/4."""
    slope = an_array(slope, (), "the slope")
    line = "complex logits lose their imaginary part (abs, .real and float do that)"
    expect(np.isfinite(slope) and slope != 0, line)
    expect_close(slope, 0.25, "the slope of the loss along one logit, by a complex step,")


# ---- A4: backprop


def checks_of_backprop(layer_sizes, rng):
    one = draw_problem(layer_sizes, rng, num_images=1) | {"alpha": 0.0}
    several = draw_problem(layer_sizes, rng) | {"alpha": 0.0}
    with_l2 = draw_problem(layer_sizes, rng) | {"alpha": 0.3}
    checks = [
        Check("one image", one, judge_one_image, differentiate),
        Check("several images", several, judge_gradient, differentiate),
        Check("with L2", with_l2, judge_gradient, differentiate),
    ]
    if len(layer_sizes) > 2:
        closed = draw_problem(layer_sizes, rng)
        for array in closed["layers"][0]:
            array[...] = 0
        checks.append(Check("units at exactly 0", closed | {"alpha": 0.0}, judge_closed_units))
    return checks


def differentiate(backprop, layers, images, labels, alpha):
    """Give the student's gradient, and complex steps of the objective along each weight."""
    gradient = backprop(layers, images, labels, alpha)
    moved = [(W.astype(complex), b.astype(complex)) for W, b in layers]
    derivative = []
    for pair in moved:
        slopes = []
        for array in pair:
            slope = np.empty(array.shape)
            for place in np.ndindex(array.shape):
                array[place] += 1j * TINY
                loss = network.cross_entropy(moved, images, labels, alpha)
                slope[place] = np.imag(loss) / TINY
                array[place] = array[place].real
            slopes.append(slope)
        derivative.append(slopes)
    return {"gradient": gradient, "derivative": derivative}


def read_gradient(given, result):
    """Read a gradient of the right shapes, and the derivative that it is compared with."""
    layers = given["layers"]
    gradient = a_list(result["gradient"], len(layers), "the gradient")
    shapes = [W.shape for W, _ in layers]
    found = [np.shape(pair[0]) for pair in gradient if isinstance(pair, list) and pair]
    if found != shapes:
        line = "the gradient begins with the last layer, expected the first one"
        expect(found != shapes[::-1], line)
    return expect_pairs(gradient, layers, "the gradient", ("dW", "db")), result["derivative"]


def judge_one_image(given, result):
    """With one image db is delta itself, so what is carried down can be named."""
    gradient, derivative = read_gradient(given, result)
    deltas = [db for _, db in derivative]
    for place in reversed(range(len(gradient) - 1)):
        db = gradient[place][1]
        W = given["layers"][place + 1][0]
        if is_close(gradient[place + 1][1], deltas[place + 1]):
            expect_masked(db, W, deltas, place)
    judge_gradient(given, result)


def expect_masked(db, W, deltas, place):
    """Recognise mistakes in the delta of a hidden layer, given the right one above it."""
    above, right = deltas[place + 1], deltas[place]
    carried = W.T @ above
    mistakes = {"is not 0 where ReLU was closed: delta passes only where h > 0": carried}
    if W.shape[0] == W.shape[1]:
        line = "comes from W delta, expected W.T delta: the product is transposed"
        mistakes[line] = (W @ above) * (right != 0)
        mistakes[f"{line}, and lacks its mask"] = W @ above
    for other, delta in enumerate(deltas[:-1], start=1):
        if other != place + 1 and delta.shape == right.shape:
            line = f"is masked by h_{other}, expected h_{place + 1}, of the layer that it reaches"
            mistakes[line] = carried * (delta != 0)
    why = " by a complex step; all above it is right, so look at how delta is carried down"
    recognise(db, right, mistakes, f"db{place + 1}", why)


def judge_gradient(given, result):
    """From the top down, as delta goes: the first layer that is wrong, and the likely mistake."""
    gradient, derivative = read_gradient(given, result)
    num_images, alpha = len(given["images"]), given["alpha"]
    for place in reversed(range(len(gradient))):
        (dW, db), (right_dW, right_db) = gradient[place], derivative[place]
        W, b = given["layers"][place]
        name = place + 1
        expect_bias(db, right_db, b, num_images, alpha, f"db{name}")
        expect_matrix(dW, right_dW, W, num_images, alpha, f"dW{name}")


def expect_bias(db, right, b, num_images, alpha, name):
    """Compare db_l, which is delta summed over images, and name the likely mistake."""
    mistakes = {
        "has the wrong sign: delta = softmax(z) - y": -right,
        f"is {num_images} times too large: {MEAN}": num_images * right,
        f"is {num_images} times too small: {MEAN}, once": right / num_images,
        "holds a penalty: biases are free of L2": right + alpha * b,
    }
    why = " by a complex step; all above it is right, so look at how delta is carried down"
    recognise(db, right, mistakes, name, why)


def expect_matrix(dW, right, W, num_images, alpha, name):
    """Compare dW_l, the product of delta and h with L2 added, and name the likely mistake."""
    penalty = alpha * W
    data = right - penalty
    mistakes = {
        "lacks L2: alpha W has to be added": data,
        "has L2 twice: the gradient of alpha/2 W^2 is alpha W": data + 2 * penalty,
        "has half of L2: the gradient of alpha/2 W^2 is alpha W": data + penalty / 2,
        "has L2 divided by n: only the loss is a mean": data + penalty / num_images,
        "has L2 with the wrong sign": data - penalty,
        "has the wrong sign: delta = softmax(z) - y": penalty - data,
        f"is {num_images} times too large: {MEAN}": num_images * data + penalty,
        f"is {num_images} times too small: {MEAN}, once": data / num_images + penalty,
    }
    if W.shape[0] == W.shape[1]:
        mistakes["is transposed: dW = delta h.T"] = data.T + penalty
    why = f" by a complex step; db{name[2:]} is right, so look at the product with h"
    recognise(dW, right, mistakes, name, why)


def judge_closed_units(given, gradient):
    """All units of the first layer give exactly 0, so nothing passes down to its weights."""
    gradient = expect_pairs(gradient, given["layers"], "the gradient", ("dW", "db"))
    line = (
        "is not 0 although z = 0 and h = 0 in all its units: ReLU is closed at 0, so > and not >="
    )
    for name, array in zip(("dW1", "db1"), gradient[0], strict=True):
        expect(not np.any(array), f"{name} {line}")
