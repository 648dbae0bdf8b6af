"""The contenders: each trains a network of one shape and says how many steps it took.

A maker gets a shape (units, hidden layers, batch size) and the training images and returns a
function. One call of it trains for a while and returns the number of steps, of all its networks
together. Every network is 784-[h]*L-10 with ReLU and softmax, trained by plain SGD with a constant
rate in float32, on minibatches drawn from all 54,000 images. That all compute the same thing is
what the project's tests prove for its own part.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

from helpers import network, sgd
from helpers.grid.stack import Stack, networks_of
from helpers.recipe import Recipe

RATES = 0.01, 0.005, 0.05
NUM_CLASSES = 10
NUM_STEPS = 300
"""What a contender that need not train for whole epochs does at a time: about 0.1 s."""


def layer_sizes(shape):
    """Name all widths, input first."""
    num_units, num_hidden_layers, _ = shape
    return (784, *[num_units] * num_hidden_layers, NUM_CLASSES)


def running(draw, step, num_networks=1):
    """Make a function that draws an epoch's minibatches and takes the first steps."""

    def run():
        for batch in draw()[:NUM_STEPS]:
            step(batch)
        return NUM_STEPS * num_networks

    return run


def fast_step(shape, training, depths=(), rates=RATES[:1]):
    """This project's fast step: one network, or several depths and rates at once."""
    num_units, num_hidden_layers, batch_size = shape
    recipes = []
    for depth in depths or [num_hidden_layers]:
        sizes = layer_sizes((num_units, depth, batch_size))
        for rate in rates:
            recipes.append(Recipe(sizes, 100, batch_size, rate))
    stack = Stack(networks_of(recipes), training)
    stack.set_rates(0)
    epochs = itertools.count()
    return running(lambda: stack.minibatches(next(epochs)), stack.step, len(recipes))


def course_step(shape, training):
    """The step that students read, `helpers.sgd.step`."""
    sizes = layer_sizes(shape)
    layers = network.unpack(network.init_weights(sizes, 0, np.float32), sizes)
    images, labels = training
    epochs = itertools.count()

    def draw():
        return sgd.minibatches(len(labels), shape[-1], next(epochs))

    def step(batch):
        sgd.step(layers, images[batch], labels[batch], np.float32(0.01))

    return running(draw, step)


def pytorch(shape, training):
    """PyTorch, eager: nn.Sequential, cross_entropy, SGD, minibatches by index_select."""
    images, labels = map(torch.from_numpy, training)
    layers = []
    for n_in, n_out in itertools.pairwise(layer_sizes(shape)):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(batch):
        optimizer.zero_grad()
        logits = model(images.index_select(0, batch))
        torch.nn.functional.cross_entropy(logits, labels.index_select(0, batch)).backward()
        optimizer.step()

    return running(lambda: torch.randperm(len(labels)).split(shape[-1]), step)


def scikit_learn(shape, training):
    """scikit-learn's MLPClassifier: one pass of `partial_fit` over many images.

    It cuts the minibatches itself. Called for each minibatch, it checks its arguments each time
    and takes two to five times longer.
    """
    images, labels = training
    num_units, num_hidden_layers, batch_size = shape
    model = MLPClassifier(
        (num_units,) * num_hidden_layers,
        solver="sgd",
        batch_size=batch_size,
        learning_rate_init=0.01,
        momentum=0,
        nesterovs_momentum=False,
        alpha=0,
    )
    model.partial_fit(images[:64], labels[:64], classes=np.arange(NUM_CLASSES))
    count = NUM_STEPS * batch_size
    starts = itertools.cycle(range(0, len(labels) - count, count))

    def run():
        start = next(starts)
        part = slice(start, start + count)
        model.partial_fit(images[part], labels[part])
        return NUM_STEPS

    return run


def jax_scan(shape, training, num_networks=1):
    """JAX: one compiled scan over an epoch of networks side by side (vmap), be it only one.

    Written for speed: activations with the features first (10 to 20 % faster than images first),
    minibatches gathered inside the scan without bounds checks, the weights' buffers donated.
    """
    batch_size = shape[-1]
    weights = jax_weights(shape, num_networks)
    epoch = jax_epoch(training, num_networks)
    rng = np.random.default_rng(0)
    num_images = len(training.labels)
    num_steps = num_images // batch_size

    def run():
        nonlocal weights
        order = rng.permutation(num_images)[: num_steps * batch_size]
        batches = jnp.asarray(order.reshape(num_steps, -1), jnp.int32)
        weights = jax.block_until_ready(epoch(weights, batches))
        return num_steps * num_networks

    run()  # compiles
    return run


def jax_weights(shape, num_networks):
    """Draw weights as JAX's arrays, with a leading axis of networks."""
    sizes = layer_sizes(shape)
    layers = network.unpack(network.init_weights(sizes, 0, np.float32), sizes)
    columns = [(W, b[:, None]) for W, b in layers]
    return jax.tree.map(lambda array: jnp.stack([array] * num_networks), columns)


def jax_epoch(training, num_networks):
    """Make the function that takes all the steps of an epoch."""
    images = jnp.asarray(training.images)
    labels = jnp.asarray(training.labels, jnp.int32)
    gradient_of = jax.vmap(jax.grad(jax_loss), (0, None, None))
    rates = jnp.resize(jnp.asarray(RATES, jnp.float32), num_networks)[:, None, None]

    def step(weights, batch):
        x = images.at[batch].get(mode="promise_in_bounds")
        y = labels.at[batch].get(mode="promise_in_bounds")
        gradient = gradient_of(weights, x, y)
        return jax.tree.map(lambda w, g: w - rates * g, weights, gradient), None

    @partial(jax.jit, donate_argnums=0)
    def epoch(weights, order):
        return jax.lax.scan(step, weights, order)[0]

    return epoch


def jax_loss(weights, x, y):
    """Average the cross-entropy over a minibatch."""
    h = x.T
    for W, b in weights[:-1]:
        h = jax.nn.relu(W @ h + b)
    W, b = weights[-1]
    log_probabilities = jax.nn.log_softmax(W @ h + b, axis=0)
    return -(log_probabilities * jax.nn.one_hot(y, NUM_CLASSES, axis=0)).sum() / len(y)


MAKERS = {
    "stack": partial(fast_step, depths=(3, 4, 5), rates=RATES),
    "alone": fast_step,
    "course": course_step,
    "jax": jax_scan,
    "jax, 3 at once": partial(jax_scan, num_networks=3),
    "jax, 9 at once": partial(jax_scan, num_networks=9),
    "torch": pytorch,
    "sklearn": scikit_learn,
}
"""By name; the time of "stack" is that of what the grid trains at once, for each network of it."""
