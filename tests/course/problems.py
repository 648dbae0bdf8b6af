"""Small networks and images for the tests of the mathematics, drawn at random."""

import numpy as np
from hypothesis import strategies as st

from helpers import network
from helpers.data import Images

SIZES = (7, 5, 4, 3)
ANY_SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=8).map(tuple)
ANY_STACK = st.sampled_from([(), (1,), (3,), (2, 2)])
ANY_PROBLEM = {
    "layer_sizes": ANY_SIZES,  # from no hidden layer to six
    "num_images": st.integers(1, 8),
    "alpha": st.sampled_from([0.0, 1e-3, 2.0]),
    "seed": st.integers(0, 10_000),
}


def a_problem(layer_sizes=SIZES, num_images=5, alpha=0.1, seed=0, stack=(), dtype=float):
    """Draw layers (biases too, so that no mistake hides), images and labels; add alpha."""
    rng = np.random.default_rng(seed)
    shape = (*stack, network.num_weights(layer_sizes))
    weights = rng.normal(0, 0.7, shape).astype(dtype)
    images = rng.uniform(-0.5, 0.5, (num_images, layer_sizes[0])).astype(dtype)
    labels = rng.integers(0, layer_sizes[-1], num_images)
    return network.unpack(weights, layer_sizes), images, labels, alpha


def moved(layers, step):
    """Make a stack of one network for each weight, with that weight moved by `step`."""
    layer_sizes = (layers[0][0].shape[1], *(len(b) for _, b in layers))
    weights = network.pack(layers)
    return network.unpack(weights + step * np.eye(len(weights)), layer_sizes)


def some_images(num_images=22, num_pixels=7, num_classes=3, seed=0):
    """Make images that can be learned: a blob a class, in float32 like the real ones."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_images)
    centres = rng.uniform(-0.4, 0.4, (num_classes, num_pixels))
    images = centres[labels] + rng.normal(0, 0.1, (num_images, num_pixels))
    return Images(images.astype(np.float32), labels)
