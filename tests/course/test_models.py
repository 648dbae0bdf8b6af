"""A network on disk: what is saved comes back, and what is not whole is refused in one line."""

import numpy as np
import pytest

from helpers import models, network
from helpers.recipe import Recipe

RECIPE = Recipe((784, 3, 10), num_epochs=2, batch_size=3, learning_rate=0.1, seed=7, shuffle_seed=8)
WEIGHTS = network.init_weights(RECIPE.layer_sizes, RECIPE.seed, np.float32)
CARD = models.make_card(RECIPE, 0.5, 0.875, test={"cross_entropy": 0.6, "accuracy": 0.85})


@pytest.fixture
def folder(tmp_path):
    models.save_model(tmp_path, WEIGHTS, CARD)
    models.save_model(tmp_path, 2 * WEIGHTS, CARD, models.WIDE)
    return tmp_path


def refused(folder, words):
    """Load; the refusal must be one line with these words and the remedy for this folder."""
    with pytest.raises(models.ModelError) as refusal:
        models.load_model(folder)
    line = str(refusal.value)
    assert words in line and "\n" not in line
    assert line.endswith(f"; part C writes it into its output folder, here {folder}")


def test_what_is_saved_comes_back(folder):
    model = models.load_model(folder)
    assert model.recipe == RECIPE
    np.testing.assert_array_equal(model.weights, WEIGHTS, strict=True)
    np.testing.assert_array_equal(network.pack(model.layers), WEIGHTS)
    np.testing.assert_array_equal(network.pack(model.initial_layers), WEIGHTS)
    assert not model.layers[0][0].flags.writeable
    np.testing.assert_array_equal(models.load_model(folder, models.WIDE).weights, 2 * WEIGHTS)
    assert repr(model) == "Model 784-3-10: 2,395 weights, validation accuracy 87.50%"


@pytest.mark.parametrize("name", ["best_model.json", "best_model_weights.npy"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, f"{name}: cannot be read (No such file or directory)")


NO_CARDS = {
    "cut off": (lambda text: text[:100], "best_model.json: "),
    "no scores": (lambda text: text.replace('"test"', '"tests"'), "no entry test"),
    "a width of 0": (lambda text: text.replace("3,", "0,"), "layer_sizes[1] = 0 is not allowed"),
    "no rate": (lambda text: text.replace("learning_rate", "rate"), "not the card of a network ("),
    "another network": (lambda text: text.replace("3,", "4,"), "weights have 2395 entries"),
}


@pytest.mark.parametrize(("change", "words"), NO_CARDS.values(), ids=NO_CARDS)
def test_what_is_no_card_is_refused(folder, change, words):
    path = folder / "best_model.json"
    path.write_text(change(path.read_text()))
    refused(folder, words)


def test_weights_of_another_run_are_refused(folder):
    (folder / "wide_model_weights.npy").replace(folder / "best_model_weights.npy")
    refused(folder, "not the weights that best_model.json describes (SHA-256 differs)")


@pytest.mark.parametrize(
    ("weights", "card"),
    [
        (WEIGHTS[1:], CARD),
        (WEIGHTS, {key: CARD[key] for key in CARD if key != "test"}),
        (WEIGHTS, CARD | {"repeats": [float("nan")]}),
    ],
    ids=["weights of another network", "no test scores", "not a number"],
)
def test_nothing_that_could_not_be_loaded_is_saved(tmp_path, weights, card):
    with pytest.raises(ValueError):
        models.save_model(tmp_path, weights, card)
    assert list(tmp_path.iterdir()) == []
