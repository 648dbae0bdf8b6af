"""The contenders: each trains a network of one shape and says how many steps it took.

A maker gets a `report.Shape` and the `Material` and returns a function. One call of it trains for
a while, an epoch or a fixed number of steps, and returns the number of steps times the number of
networks. Every network is 784-[h]*L-10, ReLU, softmax, plain SGD with a constant rate, float32
(notebook style: float64); each visits minibatches drawn from all 54,000 images.

Left out on purpose: clocks and tables (`benchmark_steps`, `report`), and accuracy: all of them
compute the same thing, which the tests of the project prove for its own part.
"""

import itertools
from collections import namedtuple
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from helpers import network, sgd
from helpers.grid.stack import Stack, networks_of
from helpers.recipe import Recipe

RATES = 0.01, 0.005, 0.05
NUM_CLASSES = 10


Material = namedtuple("Material", ["training", "float64", "jax_images", "jax_labels"])
"""The training images as the contenders want them, converted once, outside the clock."""


def prepare(training):
    """Convert the training images for all contenders."""
    labels = jnp.asarray(training.labels, jnp.int32)
    images = jnp.asarray(training.images)
    return Material(training, training.images.astype(np.float64), images, labels)


def layer_sizes(shape):
    """Name all widths, input first."""
    return (784, *[shape.num_units] * shape.num_hidden_layers, NUM_CLASSES)


def some_steps(shape):
    """Say how many steps a contender without whole epochs takes at a time: about 0.1 s."""
    return 400 if shape.batch_size < 64 else 250


def stack_of(shape, material, num_members=1, depths=None):
    """Make a stack: `num_members` networks of a shape, or of each of some depths instead."""
    recipes = [
        Recipe(layer_sizes(each), 100, shape.batch_size, RATES[k % len(RATES)], seed=k)
        for each in [shape._replace(num_hidden_layers=d) for d in depths or [shape[1]]]
        for k in range(num_members)
    ]
    stack = Stack(networks_of(recipes), material.training)
    stack.set_rates(0)
    return stack


def running(shape, draw, step, num_networks=1):
    """Make a function that draws an epoch's minibatches and takes the first steps."""
    epochs = itertools.count()

    def run():
        for batch in draw(next(epochs))[: some_steps(shape)]:
            step(batch)
        return some_steps(shape) * num_networks

    return run


def cut(order, shape):
    """Cut the minibatches that are used from a shuffled epoch."""
    starts = range(0, some_steps(shape) * shape.batch_size, shape.batch_size)
    return [order[start : start + shape.batch_size] for start in starts]


def this_project(shape, material, **members):
    """The project's fast step."""
    stack = stack_of(shape, material, **members)
    return running(shape, stack.minibatches, stack.step, len(stack.members))


def paper(shape, material):
    """The step that students read, `helpers.sgd.step`."""
    weights = network.init_weights(layer_sizes(shape), 0, np.float32)
    layers, (images, labels) = network.unpack(weights, layer_sizes(shape)), material.training

    def step(batch):
        sgd.step(layers, images[batch], labels[batch], np.float32(0.01))

    return running(shape, partial(sgd.minibatches, len(labels), shape.batch_size), step)


def blas_calls(shape, material, **members):
    """Nothing but the matrix products of one step, with the project's own arrays.

    One real step is watched: each np.matmul it makes is noted with its arguments, so the shapes,
    layouts and buffers are those of the stack, whatever they are. Products that BLAS adds to the
    weights itself are taken from the workspace.
    """
    stack = stack_of(shape, material, **members)
    matmul, calls = np.matmul, []

    def note(a, b, out):
        calls.append((a, b, out))
        return matmul(a, b, out=out)

    with mock.patch.object(np, "matmul", note):
        stack.step(np.arange(shape.batch_size))
    [workspace] = stack._workspaces.values()

    def run():
        for _ in range(some_steps(shape)):
            for a, b, out in calls:
                matmul(a, b, out=out)
            for _, images, delta, W in workspace._added_by_blas:
                workspace._gemm(1.0, images, delta, 1.0, W, 0, 0, 1)
        return some_steps(shape) * len(stack.members)

    return run


def notebook_style(shape, material):
    """What a good student hands in: clear NumPy, nothing preallocated, float64."""
    images, labels = material.float64, material.training.labels
    sizes = layer_sizes(shape)
    weights = network.init_weights(sizes, 0)
    rng = np.random.default_rng(0)

    def step(batch):
        nonlocal weights
        x, y = images[batch], np.eye(NUM_CLASSES)[labels[batch]]
        weights = weights - 0.01 * notebook_gradient(weights, sizes, x, y)

    return running(shape, lambda _: cut(rng.permutation(len(images)), shape), step)


def notebook_unpack(weights, sizes):
    """View all matrices, then all biases."""
    matrices, biases, start = [], [], 0
    for n_in, n_out in itertools.pairwise(sizes):
        matrices.append(weights[start : start + n_out * n_in].reshape(n_out, n_in))
        start += n_out * n_in
    for n_out in sizes[1:]:
        biases.append(weights[start : start + n_out])
        start += n_out
    return matrices, biases


def notebook_gradient(weights, sizes, x, y):
    """Backpropagate as the exercise sheet says it."""
    matrices, biases = notebook_unpack(weights, sizes)
    zs, hs = [], [x]
    for W, b in zip(matrices, biases, strict=True):
        zs.append(hs[-1] @ W.T + b)
        hs.append(np.maximum(zs[-1], 0))
    exponentials = np.exp(zs[-1] - zs[-1].max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    g = (probabilities - y) / len(x)
    dWs, dbs = [], []
    for i in reversed(range(len(matrices))):
        dWs.insert(0, g.T @ hs[i])
        dbs.insert(0, g.sum(axis=0))
        if i > 0:
            g = (g @ matrices[i]) * (zs[i - 1] > 0)
    return np.concatenate([dW.ravel() for dW in dWs] + dbs)


def pytorch(shape, material):
    """PyTorch, eager: nn.Sequential, CrossEntropyLoss, SGD, minibatches by index_select."""
    import torch

    images, labels = map(torch.from_numpy, material.training)
    layers = []
    for n_in, n_out in itertools.pairwise(layer_sizes(shape)):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        optimizer.zero_grad()
        loss(model(images.index_select(0, batch)), labels.index_select(0, batch)).backward()
        optimizer.step()

    return running(shape, lambda _: cut(torch.randperm(len(labels)), shape), step)


def scikit_learn(shape, material):
    """scikit-learn's MLPClassifier: its own loop over minibatches, plain SGD.

    `partial_fit` on many images is one pass over them in minibatches. Called for each minibatch,
    it checks its arguments each time and takes two to five times longer.
    """
    images, labels = material.training
    options = {"batch_size": shape.batch_size, "learning_rate_init": 0.01, "momentum": 0}
    options |= {"solver": "sgd", "alpha": 0, "nesterovs_momentum": False, "random_state": 0}
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((shape.num_units,) * shape.num_hidden_layers, **options)
    count, calls = some_steps(shape) * shape.batch_size, itertools.count()
    model.partial_fit(images[:64], labels[:64], classes=np.arange(NUM_CLASSES))

    def run():
        # another part of the images each time; views, not copies
        start = next(calls) * count % (len(labels) - count)
        part = slice(start, start + count)
        model.partial_fit(images[part], labels[part])
        return some_steps(shape)

    return run


def jax_scan(shape, material):
    """JAX: one compiled scan over an epoch's minibatches, compiled before the clock starts.

    Written for speed: activations with the features first (10 to 20 % faster than images first),
    minibatches gathered inside the scan without bounds checks, the weights' buffers donated.
    """
    images, labels = material.jax_images, material.jax_labels
    sizes = layer_sizes(shape)
    layers = network.unpack(network.init_weights(sizes, 0, np.float32), sizes)
    weights = [(jnp.asarray(W), jnp.asarray(b[:, None])) for W, b in layers]

    rng, num_steps = np.random.default_rng(0), len(labels) // shape.batch_size

    def draw():
        order = rng.permutation(len(labels))[: num_steps * shape.batch_size]
        return jnp.asarray(order.reshape(num_steps, -1), jnp.int32)

    jitted = jax.jit(jax_epoch, donate_argnums=0)
    compiled = jitted.lower(weights, images, labels, draw()).compile()

    def run():
        nonlocal weights
        weights = jax.block_until_ready(compiled(weights, images, labels, draw()))
        return num_steps

    return run


def jax_rates(shape, material):
    """JAX: the same scan, with the networks of the three rates side by side (vmap)."""
    images, labels = material.jax_images, material.jax_labels
    sizes = layer_sizes(shape)
    layers = network.unpack(network.init_weights(sizes, 0, np.float32), sizes)
    weights = [(jnp.stack([W] * 3), jnp.stack([b[:, None]] * 3)) for W, b in layers]
    rates = jnp.asarray(RATES, jnp.float32)[:, None, None]
    rng, num_steps = np.random.default_rng(0), len(labels) // shape.batch_size

    def epoch(weights, order):
        def step(weights, batch):
            x = images.at[batch].get(mode="promise_in_bounds")
            y = labels.at[batch].get(mode="promise_in_bounds")
            gradient = jax.vmap(jax.grad(jax_loss), (0, None, None))(weights, x, y)
            return jax.tree.map(lambda w, g: w - rates * g, weights, gradient), None

        return jax.lax.scan(step, weights, order)[0]

    compiled = jax.jit(epoch, donate_argnums=0)

    def run():
        nonlocal weights
        order = rng.permutation(len(labels))[: num_steps * shape.batch_size]
        batches = jnp.asarray(order.reshape(num_steps, -1), jnp.int32)
        weights = jax.block_until_ready(compiled(weights, batches))
        return num_steps * len(RATES)

    run()  # compiles
    return run


def jax_loss(weights, x, y):
    """Average the cross-entropy over a minibatch."""
    h = x.T
    for W, b in weights[:-1]:
        h = jax.nn.relu(W @ h + b)
    W, b = weights[-1]
    log_probabilities = jax.nn.log_softmax(W @ h + b, axis=0)
    return -(log_probabilities * jax.nn.one_hot(y, NUM_CLASSES, axis=0)).sum() / len(y)


def jax_epoch(weights, images, labels, order):
    """Take all the steps of an epoch."""

    def step(weights, batch):
        x = images.at[batch].get(mode="promise_in_bounds")
        y = labels.at[batch].get(mode="promise_in_bounds")
        gradient = jax.grad(jax_loss)(weights, x, y)
        return jax.tree.map(lambda w, g: w - 0.01 * g, weights, gradient), None

    return jax.lax.scan(step, weights, order)[0]


MAKERS = {
    "blas": blas_calls,
    "blas_9": partial(blas_calls, num_members=9),
    "alone": this_project,
    "stack_9": partial(this_project, num_members=9),
    "grid_stack": partial(this_project, num_members=3, depths=(3, 4, 5)),
    "paper": paper,
    "jax": jax_scan,
    "jax_rates": jax_rates,
    "notebook": notebook_style,
    "torch": pytorch,
    "sklearn": scikit_learn,
}
"""By name; `report` says which are measured on which shape."""
