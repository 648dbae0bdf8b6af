"""The short float64 run that part A records sees a changed recipe and a fault in the training.

Accuracies of long float32 runs have wide tolerances (`tests/deliverable/spread.py`); this value
agrees to nine digits on every processor, so whatever changes the training shows in it.
"""

from dataclasses import replace

import nbformat
import numpy as np
import pytest

from helpers import data, network, sgd
from helpers.files import NOTEBOOKS
from helpers.notebook import parameters
from helpers.notebook.records import read_records

DEFAULTS = parameters.defaults("a")
RECIPE = sgd.Recipe(
    layer_sizes=(data.NUM_PIXELS, *DEFAULTS["hidden_layers"], data.NUM_CLASSES),
    num_epochs=2,
    batch_size=DEFAULTS["batch_size"],
    learning_rate=DEFAULTS["learning_rate"],
    alpha=DEFAULTS["alpha"],
    seed=DEFAULTS["seed"],
    shuffle_seed=DEFAULTS["seed"],
)


def short_run(recipe):
    """Train as part A's check 4 does."""
    training, validation = data.load_training()
    trained = sgd.train(recipe, training.first(2_001), validation, dtype=np.float64)
    return trained.history.validation_cross_entropy[-1]


@pytest.fixture(scope="module")
def recorded():
    notebook = nbformat.read(NOTEBOOKS / "part_a.ipynb", as_version=4)
    return read_records(notebook)["short run, cross-entropy"]


def test_the_recorded_value_comes_out(recorded):
    assert recorded.admits(short_run(RECIPE))


CHANGES = {
    "learning_rate": 0.0100001,
    "batch_size": 16,
    "alpha": 1e-6,
    "seed": 1,
    "shuffle_seed": 1,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_recipe_is_seen(recorded, name):
    assert not recorded.admits(short_run(replace(RECIPE, **{name: CHANGES[name]})))


draw, backprop = sgd.minibatches, network.backprop


def in_order(num_images, batch_size, seed):
    return np.split(np.arange(num_images), range(batch_size, num_images, batch_size))


def same_order(num_images, batch_size, seed):
    return draw(num_images, batch_size, 0)


def last_batch_lost(num_images, batch_size, seed):
    return draw(num_images, batch_size, seed)[:-1]


def short_batch_counts_as_full(layers, images, labels, alpha=0.0):
    share = len(images) / RECIPE.batch_size
    return [(share * dW, share * db) for dW, db in backprop(layers, images, labels, alpha)]


FAULTS = {
    "no shuffling": (sgd, "minibatches", in_order),
    "the same order in every epoch": (sgd, "minibatches", same_order),
    "a short last batch is lost": (sgd, "minibatches", last_batch_lost),
    "a short batch counts as full": (network, "backprop", short_batch_counts_as_full),
}


@pytest.mark.parametrize(("module", "name", "broken"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_the_training_is_seen(recorded, monkeypatch, module, name, broken):
    monkeypatch.setattr(module, name, broken)
    assert not recorded.admits(short_run(RECIPE))
