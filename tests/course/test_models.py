"""A network on disk: what is saved comes back, and what is not whole is refused in one line."""

import hashlib
import io
import json
import os

import numpy as np
import pytest

from helpers import models, network
from helpers.recipe import Recipe

RECIPE = Recipe((784, 3, 10), num_epochs=2, batch_size=3, learning_rate=0.1, seed=7, shuffle_seed=8)
WEIGHTS = network.init_weights(RECIPE.layer_sizes, RECIPE.seed, np.float32)
SCORES = {"cross_entropy": 0.5, "accuracy": 0.875}
CARD = models.make_card(RECIPE, **SCORES, test={"cross_entropy": 0.6, "accuracy": 0.85})
NAMES = "best_model.json", "best_model_weights.npy"


@pytest.fixture
def folder(tmp_path):
    models.save_model(tmp_path, WEIGHTS, CARD)
    return tmp_path


def rewrite_card(folder, recipe=(), **changes):
    """Change entries of the card, and of its recipe."""
    path = folder / "best_model.json"
    card = json.loads(path.read_text())
    card["recipe"] |= recipe
    card |= changes
    path.write_text(json.dumps(card))


def refused(folder, *words):
    """Load; the refusal must be one line with these words and the remedy for this folder."""
    with pytest.raises(models.ModelError) as refusal:
        models.load_model(folder)
    line = str(refusal.value)
    remedy = f"part C writes it into its output folder, here {folder}"
    assert [word for word in (*words, remedy) if word not in line] == []
    assert "\n" not in line and len(line) < 400
    return line


def test_what_is_saved_comes_back(folder):
    model = models.load_model(folder)
    np.testing.assert_array_equal(model.weights, WEIGHTS, strict=True)
    np.testing.assert_array_equal(network.pack(model.layers), WEIGHTS)
    np.testing.assert_array_equal(network.pack(model.initial_layers), WEIGHTS)
    assert not model.layers[0][0].flags.writeable
    assert {key: model.card[key] for key in CARD} == CARD
    assert repr(model) == "Model 784-3-10: 2,395 weights, validation accuracy 87.50%"
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_the_card_holds_the_whole_recipe():
    card = json.loads(json.dumps(CARD))
    assert Recipe(**card["recipe"]) == RECIPE


def test_networks_share_a_folder_under_their_names(folder):
    models.save_model(folder, 2 * WEIGHTS, CARD, models.WIDE)
    np.testing.assert_array_equal(models.load_model(folder).weights, WEIGHTS)
    np.testing.assert_array_equal(models.load_model(folder, models.WIDE).weights, 2 * WEIGHTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("make", "words"), [(lambda path: None, "No such file"), (os.mkfifo, "not a regular file")]
)
def test_what_is_no_file_is_named(folder, name, make, words):
    (folder / name).unlink()
    make(folder / name)
    assert refused(folder, words).startswith(f"{name}: ")


@pytest.mark.parametrize("content", ["", '{"recipe": {', "\\", "[" * 100_000, "[]", "null"])
def test_json_that_is_no_card(folder, content):
    (folder / "best_model.json").write_text(content)
    words = "the card: " if content in ("[]", "null") else "not whole JSON"
    refused(folder, f"best_model.json: {words}")


@pytest.mark.parametrize("key", models.Card.model_fields)
def test_a_missing_entry_is_named(folder, key):
    path = folder / "best_model.json"
    card = json.loads(path.read_text())
    del card[key]
    path.write_text(json.dumps(card))
    refused(folder, f"{key}: Field required")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": {"layer_sizes": []}}, "layer_sizes"),
        ({"recipe": {"layer_sizes": [784, -5, 10]}}, "recipe.layer_sizes.1: "),
        ({"recipe": {"layer_sizes": [784, 5.0, 10]}}, "recipe.layer_sizes.1: "),
        (
            {"recipe": {"layer_sizes": [785, 3, 10]}},
            "expected 784 first and 10 last, found [785, 3, 10]",
        ),
        ({"recipe": {"layer_sizes": [784, 3, 9]}}, "expected 784 first and 10 last"),
        ({"recipe": {"seed": "7"}}, "recipe.seed: "),
        ({"recipe": {"seed": -7}}, "found -7"),
        ({"recipe": {"momentum": 0.9}}, "recipe.momentum: "),
        ({"validation": SCORES | {"accuracy": 1.5}}, "validation.accuracy: "),
        ({"repeats": [float("nan")]}, "not whole JSON"),
        ({"test": SCORES | {"accuracy": "87 %"}}, "test.accuracy: "),
        ({"recipe": {"alpha": [1] * 1_000}}, "recipe.alpha"),
    ],
)
def test_an_entry_that_cannot_be_is_named(folder, changes, words):
    rewrite_card(folder, **changes)
    assert refused(folder, words).startswith("best_model.json: ")


def test_a_number_beyond_all_numbers(folder):
    path = folder / "best_model.json"
    path.write_text(path.read_text().replace("0.5", "1e999"))
    refused(folder, "validation.cross_entropy: ", "finite")


def npy(array):
    """Make the bytes of a .npy file, of arrays that would not be saved as well."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


class Trap:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trace",)


NOT_WEIGHTS = {
    "too few": (npy(WEIGHTS[:-1]), "expected an array of 2,395 float32 numbers"),
    "a stack": (npy(WEIGHTS[None]), "expected an array"),
    "float64": (npy(WEIGHTS.astype(np.float64)), "expected an array"),
    "int32": (npy(WEIGHTS.view(np.int32)), "expected an array"),
    "big-endian": (npy(WEIGHTS.astype(">f4")), ""),
    "not finite": (npy(np.where(WEIGHTS > 0, np.float32(np.inf), WEIGHTS)), "NaN or infinity"),
    "empty": (b"", ""),
    "cut off": (npy(WEIGHTS)[:-1], ""),
    "deep header": (b"\x93NUMPY\x02\x00\x28\x23\x00\x00" + b"(" * 9_000 + WEIGHTS.tobytes(), ""),
    "a pickle": (npy(np.array([Trap()])), ""),
}


@pytest.mark.parametrize(("content", "words"), NOT_WEIGHTS.values(), ids=NOT_WEIGHTS)
def test_bytes_that_are_not_this_networks_weights(folder, monkeypatch, content, words):
    monkeypatch.chdir(folder)
    (folder / "best_model_weights.npy").write_bytes(content)
    rewrite_card(folder, sha256=hashlib.sha256(content).hexdigest())
    refused(folder, "best_model_weights.npy: ", words)
    assert not (folder / "trace").exists()


def test_weights_and_card_of_different_runs(folder):
    np.save(folder / "best_model_weights.npy", 2 * WEIGHTS)
    refused(folder, "not the weights that best_model.json describes (SHA-256 differs)")


@pytest.mark.parametrize(
    ("weights", "card"),
    [
        (WEIGHTS[1:], CARD),
        (np.where(np.arange(2_395) == 3, np.nan, WEIGHTS), CARD),
        (WEIGHTS, {key: CARD[key] for key in CARD if key != "test"}),
        (WEIGHTS, CARD | {"repeats": [float("nan")]}),
    ],
)
def test_nothing_that_could_not_be_loaded_is_saved(tmp_path, weights, card):
    with pytest.raises(ValueError):
        models.save_model(tmp_path, weights, card)
    assert list(tmp_path.iterdir()) == []
