"""An outside oracle: scikit-learn's MLPClassifier after the same steps from the same weights.

Its loss divides alpha by the number of samples in the batch, ours does not; so it is given
alpha times the batch size. Everything else is the same mathematics: ReLU, softmax,
cross-entropy, plain SGD, here in float64.
"""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from helpers import network, sgd
from helpers.data import Images

NUM_IMAGES, NUM_EPOCHS, RATE, SHUFFLE_SEED = 53, 3, 0.1, 5


def some_images(num_pixels, num_classes):
    rng = np.random.default_rng(1)
    images = rng.uniform(-0.5, 0.5, (NUM_IMAGES, num_pixels))
    return Images(images, rng.integers(0, num_classes, NUM_IMAGES))


def their_network(weights, layer_sizes, data):
    """Make their classifier, let it allocate its arrays, and write our weights into them."""
    theirs = MLPClassifier(
        layer_sizes[1:-1],
        activation="relu",
        solver="sgd",
        momentum=0,
        nesterovs_momentum=False,
        learning_rate="constant",
        learning_rate_init=RATE,
        batch_size=NUM_IMAGES,
        shuffle=False,
    )
    theirs.partial_fit(data.images, data.labels, classes=np.arange(layer_sizes[-1]))
    for parameters, ours in zip(
        (theirs.coefs_, theirs.intercepts_), network.unpack(weights, layer_sizes), strict=True
    ):
        for array, values in zip(parameters, ours, strict=True):
            assert array.dtype == np.float64
            array[...] = values.T
    return theirs


def their_weights(theirs):
    return network.pack([W.T for W in theirs.coefs_], theirs.intercepts_)


@pytest.mark.parametrize("batch_size", [4, 16, NUM_IMAGES], ids="batch={}".format)
@pytest.mark.parametrize("alpha", [0, 0.05], ids="alpha={}".format)
@pytest.mark.parametrize(
    "layer_sizes", [(12, 3), (12, 8, 3), (12, 9, 7, 4), (12, 6, 6, 6, 6, 6, 3)], ids=str
)
def test_same_weights_as_scikit_learn(layer_sizes, alpha, batch_size):
    data = some_images(layer_sizes[0], layer_sizes[-1])
    recipe = sgd.Recipe(
        layer_sizes, NUM_EPOCHS, batch_size, RATE, alpha, seed=2, shuffle_seed=SHUFFLE_SEED
    )
    ours = sgd.SGD(recipe, data, np.float64)
    theirs = their_network(ours.weights, layer_sizes, data)
    start = ours.weights
    for epoch in range(NUM_EPOCHS):
        order = np.random.default_rng([SHUFFLE_SEED, epoch]).permutation(NUM_IMAGES)
        for first in range(0, NUM_IMAGES, batch_size):
            batch = order[first : first + batch_size]
            theirs.set_params(batch_size=len(batch), alpha=alpha * len(batch))
            before = their_weights(theirs)
            theirs.partial_fit(data.images[batch], data.labels[batch])
        ours.run_epoch()
    assert np.abs(ours.weights - start).max() > 0.01
    np.testing.assert_allclose(ours.weights, their_weights(theirs), rtol=0, atol=1e-10)
    loss = network.cross_entropy(before, layer_sizes, data.images[batch], data.labels[batch], alpha)
    assert theirs.loss_ == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("layer_sizes", [(12, 3), (12, 9, 7, 4)], ids=str)
def test_same_probabilities_and_predictions_as_scikit_learn(layer_sizes):
    data = some_images(layer_sizes[0], layer_sizes[-1])
    weights = network.init_weights(layer_sizes, seed=3)
    theirs = their_network(weights, layer_sizes, data)
    ours = network.softmax(network.forward(weights, layer_sizes, data.images)[-1])
    np.testing.assert_allclose(ours.T, theirs.predict_proba(data.images), rtol=1e-12)
    predictions = network.predict(weights, layer_sizes, data.images)
    np.testing.assert_array_equal(predictions, theirs.predict(data.images))
