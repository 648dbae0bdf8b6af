"""The ten functions written three ways, each from the notebooks' texts alone.

`SOLUTIONS` maps the name of a style to {function: source}; `compile_in` makes a function of a
source in a copy of its module, so that it finds the others and the imports there.
"""

import importlib
from types import ModuleType

PLAIN = {
    "unpack": """
def unpack(weights, layer_sizes):
    if len(weights) != num_weights(layer_sizes):
        raise ValueError("wrong number of weights")
    Ws = []
    bs = []
    position = 0
    for n_in, n_out in zip(layer_sizes[:-1], layer_sizes[1:]):
        Ws.append(weights[position:position + n_in * n_out].reshape(n_out, n_in))
        position += n_in * n_out
    for n_out in layer_sizes[1:]:
        bs.append(weights[position:position + n_out])
        position += n_out
    return list(zip(Ws, bs))
""",
    "forward": """
def forward(layers, images):
    check_images(layers, images)
    h = images.T
    activations = [h]
    for W, b in layers[:-1]:
        h = np.maximum(W @ h + b[:, None], 0)
        activations.append(h)
    W, b = layers[-1]
    return activations, W @ h + b[:, None]
""",
    "softmax": """
def softmax(logits):
    e = np.exp(logits - logits.max(axis=0))
    return e / e.sum(axis=0)
""",
    "log_loss": """
def log_loss(logits, labels):
    top = logits.max(axis=0)
    lse = top + np.log(np.exp(logits - top).sum(axis=0))
    return np.mean(lse - logits[labels, np.arange(len(labels))])
""",
    "backprop": """
def backprop(layers, images, labels, alpha=0.0):
    activations, logits = forward(layers, images)
    n = len(labels)
    delta = softmax(logits)
    delta[labels, np.arange(n)] -= 1
    delta /= n
    gradient = []
    for l in range(len(layers) - 1, -1, -1):
        W, b = layers[l]
        gradient.insert(0, (delta @ activations[l].T + alpha * W, delta.sum(axis=1)))
        if l > 0:
            delta = W.T @ delta
            delta[activations[l] <= 0] = 0
    return gradient
""",
    "minibatches": """
def minibatches(num_images, batch_size, seed):
    rng = np.random.default_rng(seed)
    order = np.arange(num_images)
    rng.shuffle(order)
    return [order[k:k + batch_size] for k in range(0, num_images, batch_size)]
""",
    "step": """
def step(layers, images, labels, rate, alpha=0.0):
    gradient = network.backprop(layers, images, labels, alpha)
    for l in range(len(layers)):
        layers[l][0][...] = layers[l][0] - rate * gradient[l][0]
        layers[l][1][...] = layers[l][1] - rate * gradient[l][1]
    return layers
""",
    "complex_step": """
def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    values = losses_when_moved(layers, images, labels, alpha, 1j * step, chosen)
    return np.imag(values) / step
""",
    "list_runs": """
def list_runs(
    num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, alpha, seed, num_seeds
):
    runs = []
    for depth in num_hidden_layers:
        for units in num_units:
            for rate in learning_rate:
                for size in batch_size:
                    for epochs in num_epochs:
                        for s in range(seed, seed + num_seeds):
                            runs.append(Recipe((784,) + (units,) * depth + (10,), epochs, size,
                                               rate, alpha, seed=s, shuffle_seed=s))
    return runs
""",
    "tile_W0": """
def tile_W0(W, columns=None):
    units = len(W)
    if columns is None:
        columns = int(np.ceil(np.sqrt(units)))
    lines = int(np.ceil(units / columns))
    picture = np.full((lines * 30 - 2, columns * 30 - 2), np.nan)
    for k in range(units):
        y, x = 30 * (k // columns), 30 * (k % columns)
        picture[y:y + 28, x:x + 28] = W[k].reshape(28, 28)
    return picture
""",
}

LOOPS = {
    "unpack": """
def unpack(weights, layer_sizes):
    depth = len(layer_sizes) - 1
    layers = []
    for l in range(depth):
        start = sum(layer_sizes[k] * layer_sizes[k + 1] for k in range(l))
        W = weights[start:start + layer_sizes[l] * layer_sizes[l + 1]]
        W = W.reshape((layer_sizes[l + 1], layer_sizes[l]))
        first = sum(layer_sizes[k] * layer_sizes[k + 1] for k in range(depth))
        first += sum(layer_sizes[1:l + 1])
        layers.append([W, weights[first:first + layer_sizes[l + 1]]])
    if first + layer_sizes[-1] != weights.size:
        raise ValueError(f"{weights.size} weights do not fit")
    return layers
""",
    "forward": """
def forward(layers, images):
    check_images(layers, images)
    activations = [images.T]
    for number, (W, b) in enumerate(layers):
        h = activations[number]
        z = np.zeros((len(b), len(images)), dtype=np.result_type(W, b, h))
        for i in range(len(b)):
            for k in range(len(images)):
                z[i, k] = np.dot(W[i], h[:, k]) + b[i]
        if number < len(layers) - 1:
            activations.append(np.where(z.real > 0, z, 0))
    return [activations, z]
""",
    "softmax": """
def softmax(logits):
    p = np.empty_like(logits)
    for k in range(logits.shape[1]):
        column = np.exp(logits[:, k] - max(logits[:, k]))
        p[:, k] = column / sum(column)
    return p
""",
    "log_loss": """
def log_loss(logits, labels):
    total = 0
    for k, label in enumerate(labels):
        z = logits[:, k] - logits[:, k].real.max()
        total += np.log(sum(np.exp(z))) - z[label]
    return total / len(labels)
""",
    "backprop": """
def backprop(layers, images, labels, alpha=0.0):
    total = [[alpha * W, 0 * b] for W, b in layers]
    n = len(images)
    for k in range(n):
        activations, logits = forward(layers, images[k:k + 1])
        delta = softmax(logits)[:, 0]
        delta[labels[k]] -= 1
        for l in reversed(range(len(layers))):
            h = activations[l][:, 0]
            total[l][0] = total[l][0] + np.outer(delta, h) / n
            total[l][1] = total[l][1] + delta / n
            delta = np.array([
                sum(layers[l][0][i, j] * delta[i] for i in range(len(delta))) if h[j] > 0 else 0.0
                for j in range(len(h))
            ])
    return [(dW, db) for dW, db in total]
""",
    "minibatches": """
def minibatches(num_images, batch_size, seed):
    import random

    order = list(range(num_images))
    random.Random(str(seed)).shuffle(order)
    batches = []
    while order:
        batches.append(order[:batch_size])
        order = order[batch_size:]
    return batches
""",
    "step": """
def step(layers, images, labels, rate, alpha=0.0):
    grad = network.backprop(layers, images, labels, alpha)
    for l, (dW, db) in enumerate(grad):
        W, b = layers[l]
        for i in range(len(b)):
            b[i] -= rate * db[i]
            for j in range(W.shape[1]):
                W[i, j] -= rate * dW[i, j]
""",
    "complex_step": """
def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    f = losses_when_moved(layers, images, labels, alpha, complex(0, step), chosen)
    return np.array([value.imag / step for value in f])
""",
    "list_runs": """
def list_runs(
    num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, alpha, seed, num_seeds
):
    return [
        Recipe([784] + [u] * d + [10], e, m, r, alpha, "constant", 0, seed + k, seed + k)
        for d in num_hidden_layers for u in num_units for r in learning_rate
        for m in batch_size for e in num_epochs for k in range(num_seeds)
    ]
""",
    "tile_W0": """
def tile_W0(W, columns=None):
    if not columns:
        columns = 1
        while columns * columns < len(W):
            columns += 1
    rows = []
    for start in range(0, len(W), columns):
        tiles = [w.reshape(28, 28) for w in W[start:start + columns]]
        tiles += [np.full((28, 28), np.nan)] * (columns - len(tiles))
        line = tiles[0]
        for tile in tiles[1:]:
            line = np.hstack([line, np.full((28, 2), np.nan), tile])
        if rows:
            rows.append(np.full((2, line.shape[1]), np.nan))
        rows.append(line)
    return np.vstack(rows)
""",
}

EINSUM = {
    "unpack": """
def unpack(weights, layer_sizes):
    sizes = list(layer_sizes)
    cuts = np.cumsum([a * b for a, b in zip(sizes, sizes[1:])] + sizes[1:])
    if cuts[-1] != len(weights):
        raise ValueError(len(weights))
    parts = np.split(weights, cuts[:-1])
    depth = len(sizes) - 1
    return [(parts[l].reshape(-1, sizes[l]), parts[depth + l]) for l in range(depth)]
""",
    "forward": """
def forward(layers, images):
    check_images(layers, images)
    activations, z = [], images.T
    for number, (W, b) in enumerate(layers):
        h = z * (z.real > 0) if number else z
        activations.append(h)
        z = np.einsum("ij,jk->ik", W, h) + b.reshape(-1, 1)
    return activations, z
""",
    "softmax": """
def softmax(logits):
    from scipy.special import softmax as of_scipy

    return of_scipy(logits, axis=0)
""",
    "log_loss": """
def log_loss(logits, labels):
    y = np.eye(len(logits))[labels]
    z = logits - logits.real.max(axis=0, keepdims=True)
    return (np.log(np.einsum("kn->n", np.exp(z))) - np.einsum("nk,kn->n", y, z)).mean()
""",
    "backprop": """
def backprop(layers, images, labels, alpha=0.0):
    activations, logits = forward(layers, images)
    delta = (softmax(logits) - np.eye(len(logits))[labels].T) / len(images)
    gradient = [None] * len(layers)
    for l in range(len(layers))[::-1]:
        W, _ = layers[l]
        dW = np.einsum("in,jn->ij", delta, activations[l]) + alpha * W
        gradient[l] = dW, np.einsum("in->i", delta)
        delta = np.einsum("ij,in,jn->jn", W, delta, activations[l] > 0)
    return gradient
""",
    "minibatches": """
def minibatches(num_images, batch_size, seed):
    order = np.argsort(np.random.default_rng(seed).random(num_images))
    return np.split(order, range(batch_size, num_images, batch_size))
""",
    "step": """
def step(layers, images, labels, rate, alpha=0.0):
    for pair, slopes in zip(layers, network.backprop(layers, images, labels, alpha)):
        for array, slope in zip(pair, slopes):
            np.subtract(array, rate * slope, out=array)
""",
    "complex_step": """
def complex_step(layers, images, labels, alpha=0.0, step=COMPLEX_STEP, chosen=None):
    return (losses_when_moved(layers, images, labels, alpha, step * 1j, chosen) / step).imag
""",
    "list_runs": """
def list_runs(
    num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, alpha, seed, num_seeds
):
    from itertools import product

    seeds = range(seed, seed + num_seeds)
    every = product(
        num_hidden_layers, num_units, learning_rate, batch_size, num_epochs, seeds
    )
    runs = []
    for depth, units, rate, size, epochs, s in every:
        sizes = (data.NUM_PIXELS, *[units] * depth, data.NUM_CLASSES)
        runs.append(Recipe(sizes, epochs, size, rate, alpha=alpha, seed=s, shuffle_seed=s))
    return runs
""",
    "tile_W0": """
def tile_W0(W, columns=None):
    columns = columns or -(-len(W) ** 0.5 // 1)
    columns = int(columns)
    lines = -(-len(W) // columns)
    padded = np.full((lines * columns, 28 * 28), np.nan)
    padded[:len(W)] = W
    tiles = np.pad(padded.reshape(-1, 28, 28), ((0, 0), (0, 2), (0, 2)), constant_values=np.nan)
    picture = np.einsum("lcyx->lycx", tiles.reshape(lines, columns, 30, 30))
    return picture.reshape(lines * 30, columns * 30)[:-2, :-2]
""",
}

SOLUTIONS = {"plain NumPy": PLAIN, "loops": LOOPS, "einsum": EINSUM}


def compile_in(module, source, function):
    """Make a function of a source, in a namespace like that of its module in helpers."""
    original = importlib.import_module(f"helpers.{module}")
    copy = ModuleType(original.__name__)
    copy.__dict__.update(original.__dict__)
    exec(compile(source, f"<{function}>", "exec"), copy.__dict__)
    return getattr(copy, function)
