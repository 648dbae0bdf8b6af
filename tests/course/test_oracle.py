"""An outside oracle: scikit-learn's MLPClassifier after the same steps from the same weights.

Its loss divides alpha by the number of samples in the batch, ours does not; so it is given
alpha times the batch size. Everything else is the same mathematics: ReLU, softmax,
cross-entropy, plain SGD, here in float64.
"""

import numpy as np
import pytest
from problems import some_images
from sklearn.neural_network import MLPClassifier

from helpers import network, sgd
from helpers.data import Images

NUM_IMAGES, RATE = 53, 0.1


def their_network(layers, data):
    """Make their classifier, let it allocate its arrays, and write our weights into them."""
    *widths, num_classes = (len(b) for _, b in layers)
    plain = {"momentum": 0, "nesterovs_momentum": False, "shuffle": False}
    theirs = MLPClassifier(widths, solver="sgd", learning_rate_init=RATE, **plain)
    theirs.partial_fit(data.images, data.labels, classes=np.arange(num_classes))
    for W, b, (ours, bias) in zip(theirs.coefs_, theirs.intercepts_, layers, strict=True):
        W[...], b[...] = ours.T, bias
    return theirs


@pytest.mark.parametrize("batch_size", [1, 16, NUM_IMAGES + 1])
@pytest.mark.parametrize("alpha", [0, 0.05])
@pytest.mark.parametrize("layer_sizes", [(12, 3), (12, 9, 7, 4), (12, 6, 6, 6, 6, 6, 3)], ids=str)
def test_same_weights_as_scikit_learn(layer_sizes, alpha, batch_size):
    images, labels = some_images(NUM_IMAGES, layer_sizes[0], layer_sizes[-1])
    data = Images(images.astype(float), labels)
    start = network.init_weights(layer_sizes, seed=2)
    theirs = their_network(network.unpack(start, layer_sizes), data)
    for epoch in range(3):
        order = np.random.default_rng([5, epoch]).permutation(NUM_IMAGES)
        for first in range(0, NUM_IMAGES, batch_size):
            batch = order[first : first + batch_size]
            theirs.set_params(batch_size=len(batch), alpha=alpha * len(batch))
            theirs.partial_fit(data.images[batch], data.labels[batch])
    matrices = [W.T for W in theirs.coefs_]
    expected = network.pack(list(zip(matrices, theirs.intercepts_, strict=True)))
    recipe = sgd.Recipe(layer_sizes, 3, batch_size, RATE, alpha, seed=2, shuffle_seed=5)
    ours = sgd.train(recipe, data, data, dtype=np.float64).weights
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
