"""Some of what is recorded, computed once more with the kernels of the record.

Where the processor has them, every number must come out to the last bit. Elsewhere other kernels
round differently: little in one pass through a network, much in a long training.
"""

import json
import math
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from helpers import analysis, data, models, network, sgd
from helpers.grid import beyond, machine, stack
from helpers.grid.table import recipe_of
from helpers.notebook import parameters
from tests.deliverable.recorded import FOLDER, NETWORKS, model, table, value
from tests.tools import audit

ANOTHER_TRAINING = 0.03
"""Two trainings with other kernels: the largest of 162 differences in accuracy was 0.018."""


@pytest.fixture(scope="module")
def again():
    """Give a function that calls a function in a process that computes as the record's machine.

    It returns the result, and whether this has to be the recorded one to the last bit.
    """
    timing = json.loads((FOLDER / "timing.json").read_text("utf-8"))
    recorded = timing["machine"]
    with pytest.MonkeyPatch.context() as environment:
        for name, text in audit.like(recorded).items():
            environment.setenv(name, text)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            here = pool.submit(machine.machine).result()
            is_exact = audit.computes_alike(here, recorded)
            yield lambda *call: (pool.submit(*call).result(), is_exact)


# ---- one run of the grid


def train(recipe):
    """Train a network; give its cross-entropy and accuracy on the validation images."""
    training, validation = data.load_training()
    [weights] = stack.train([recipe], training).values()
    return sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)


def test_a_row_of_the_table_comes_out_again(again):
    cheapest = "num_hidden_layers == 3 & num_units == 30 & batch_size == 64 & num_epochs == 50"
    row = next(table().query(cheapest).itertuples())
    (loss, accuracy), is_exact = again(train, recipe_of(row))
    if is_exact:
        assert (loss, accuracy) == (row.cross_entropy, row.accuracy)
    assert abs(accuracy - row.accuracy) <= ANOTHER_TRAINING


# ---- saved networks


def scores_of(name):
    """Run a saved network on both sets of images that it was not trained on."""
    _, validation = data.load_training()
    layers = model(name).layers
    return [sgd.evaluate(layers, images) for images in (validation, data.load_test())]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_reaches_what_its_card_says(again, name):
    scores, is_exact = again(scores_of, name)
    for split, (loss, accuracy) in zip(["validation", "test"], scores, strict=True):
        said = model(name).card[split]
        if is_exact:
            assert (loss, accuracy) == (said["cross_entropy"], said["accuracy"])
        assert math.isclose(loss, said["cross_entropy"], rel_tol=1e-6)
        assert abs(accuracy - said["accuracy"]) <= 5e-4  # images between two classes


def test_the_ensemble_is_right_as_often_as_said_and_the_wide_network_is_in_it():
    mean = np.load(FOLDER / "ensemble_test_probabilities.npy")
    assert mean.dtype == np.float32
    images, labels = data.load_test()
    accuracy = (mean.argmax(axis=1) == labels).mean()
    assert value("c", f"test accuracy, ensemble of {beyond.NUM_MEMBERS} x 512-256") == accuracy
    wide = analysis.probabilities(model(models.WIDE).layers, images)
    assert (beyond.NUM_MEMBERS * mean - wide).min() >= -1e-4


# ---- part B's finite differences

TRUNCATION = 1e-6
"""A difference is wrong by half the step, 1e-6, times the second derivative."""
ROUNDING = 1e-7
"""Other kernels move the loss by some 1e-15, which is divided by the step."""


@cache
def checked_network():
    """Make what part B differentiates: the layers and a few images with their labels."""
    settings = parameters.full("b")
    rng = np.random.default_rng(settings["seed"])
    training, _ = data.load_training()
    chosen = rng.choice(len(training.labels), settings["num_examples"], replace=False)
    sizes = (data.NUM_PIXELS, *settings["hidden_layers"], data.NUM_CLASSES)
    layers = network.unpack(network.init_weights(sizes, settings["seed"]), sizes)
    for _, b in layers:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)
    return layers, training.images[chosen].astype(np.float64), training.labels[chosen]


def slopes(positions):
    """Compute SciPy's finite differences for some of the weights."""
    layers, images, labels = checked_network()
    sizes = (data.NUM_PIXELS, *(len(b) for _, b in layers))
    weights = network.pack(layers)

    def objective(values):
        moved = weights.copy()
        moved[positions] = values
        return network.cross_entropy(network.unpack(moved, sizes), images, labels)

    return approx_fprime(weights[positions], objective, parameters.full("b")["step"])


def saved_slopes():
    return np.loadtxt(FOLDER / "Part_B_grad_weight.txt", skiprows=3, usecols=2)


def test_the_text_file_has_the_assignments_form():
    lines = [
        f"Gradient check using check_grad: {value('b', 'check_grad')!r}",
        "",
        "Gradient check using approx_fprime:",
    ]
    lines += [f"Value {i}: {slope!r}" for i, slope in enumerate(saved_slopes().tolist())]
    text = (FOLDER / "Part_B_grad_weight.txt").read_text("utf-8")
    assert text.splitlines() == lines


def test_all_finite_differences_are_the_gradient():
    gradient = network.pack(network.backprop(*checked_network()))
    assert np.abs(saved_slopes() - gradient).max() <= TRUNCATION


def test_a_hundred_finite_differences_come_out_again(again):
    positions = np.random.default_rng().choice(len(saved_slopes()), 100, replace=False)
    found, is_exact = again(slopes, positions)
    saved = saved_slopes()[positions]
    if is_exact:
        assert found.tolist() == saved.tolist()
    assert np.abs(found - saved).max() <= ROUNDING
