"""A network on disk: what is saved comes back, and what is not whole is refused in one line."""

import hashlib
import io
import json
import os
import pickle

import numpy as np
import pytest

from helpers import files, models, network
from helpers.sgd import Recipe

RECIPE = Recipe((784, 3, 10), num_epochs=2, batch_size=3, learning_rate=0.1, seed=7, shuffle_seed=8)
WEIGHTS = network.init_weights(RECIPE.layer_sizes, RECIPE.seed, np.float32)
SCORES = {"cross_entropy": 0.5, "accuracy": 0.875}
CARD = models.make_card(RECIPE, **SCORES, test={"cross_entropy": 0.6, "accuracy": 0.85})
NAMES = "best_model.json", "best_model_weights.npy"


@pytest.fixture
def folder(tmp_path):
    models.save_model(tmp_path, WEIGHTS, CARD)
    return tmp_path


def rewrite_card(folder, **changes):
    """Change entries of the card; None takes one out."""
    path = folder / "best_model.json"
    card = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


def replace_weights(folder, content):
    """Put other bytes in the place of the weights, with a card that holds their hash."""
    (folder / "best_model_weights.npy").write_bytes(content)
    rewrite_card(folder, sha256=hashlib.sha256(content).hexdigest())


def npy(array):
    """Make the bytes of a .npy file, of arrays that would not be saved as well."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def header(text):
    """Make the beginning of a .npy file of format 2 that holds this text as its header."""
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text.encode()


def refused(folder, *words):
    """Load; the refusal must be one line with these words and the remedy for this folder."""
    with pytest.raises(models.ModelError) as refusal:
        models.load_model(folder)
    line = str(refusal.value)
    assert [
        word for word in (*words, f"python -m helpers c --output {folder}") if word not in line
    ] == []
    assert "\n" not in line and len(line) < 400
    return line


def test_what_is_saved_comes_back(folder):
    model = models.load_model(folder)
    np.testing.assert_array_equal(model.weights, WEIGHTS)
    assert model.weights.dtype == np.float32
    assert model.layer_sizes == RECIPE.layer_sizes
    np.testing.assert_array_equal(network.pack(model.layers), WEIGHTS)
    np.testing.assert_array_equal(network.pack(model.initial_layers), WEIGHTS)
    assert not model.layers[0][0].flags.writeable
    assert {key: model.card[key] for key in CARD} == CARD
    assert repr(model) == "Model 784-3-10: 2,395 weights, validation accuracy 87.50%"
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_the_card_holds_the_whole_recipe():
    card = json.loads(json.dumps(CARD))
    settings = card["hyperparameters"] | card["seeds"]
    assert Recipe(tuple(card["layer_sizes"]), **settings) == RECIPE


def test_networks_share_a_folder_under_their_names(folder):
    models.save_model(folder, 2 * WEIGHTS, CARD, models.WIDE)
    np.testing.assert_array_equal(models.load_model(folder).weights, WEIGHTS)
    np.testing.assert_array_equal(models.load_model(folder, models.WIDE).weights, 2 * WEIGHTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (os.unlink, "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
    ],
    ids=["missing", "a folder", "a FIFO"],
)
def test_what_is_no_file_is_named(folder, name, spoil, words):
    spoil(folder / name)
    assert refused(folder, words).startswith(f"{name}: ")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "best_model.json: cannot be read")


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        (files.OUTPUTS, "python -m helpers c"),
        (files.OUTPUTS / "quick", "python -m helpers c --quick"),
        (files.PROJECT / "my runs", "python -m helpers c --output 'my runs'"),
    ],
)
def test_the_remedy_carries_the_folder(folder, command):
    with pytest.raises(models.ModelError) as refusal:
        models.load_model(folder, "no_model")
    assert str(refusal.value).endswith(f"; run part C first: {command}")


@pytest.mark.parametrize("share", [0, 0.3, 0.95])
def test_json_cut_off(folder, share):
    path = folder / "best_model.json"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(folder, "best_model.json: not whole JSON")


@pytest.mark.parametrize("content", ["[]", "3", "null", "[" * 100_000, '{"a":' * 100_000, "\\"])
def test_json_that_is_no_card(folder, content):
    (folder / "best_model.json").write_text(content)
    assert refused(folder).startswith("best_model.json: ")


@pytest.mark.parametrize("key", models.Card.model_fields)
def test_a_missing_entry_is_named(folder, key):
    rewrite_card(folder, **{key: None})
    refused(folder, f"{key}: Field required")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(
            ({"layer_sizes": sizes}, "layer_sizes")
            for sizes in ([], [784], [784, -5, 10], [784, 5.0, 10], [784, True, 10], "784-3-10")
        ),
        ({"layer_sizes": [785, 3, 10]}, "expected 784 first and 10 last, found [785, 3, 10]"),
        ({"layer_sizes": [784, 3, 9]}, "expected 784 first and 10 last"),
        ({"seeds": {"seed": "7", "shuffle_seed": 8}}, "seeds.seed: "),
        ({"seeds": {"seed": -7, "shuffle_seed": 8}}, "found -7"),
        ({"seeds": {"shuffle_seed": 8}}, "seeds.seed: Field required"),
        ({"seeds": [7, 8]}, "seeds: "),
        ({"validation": SCORES | {"accuracy": 1.5}}, "validation.accuracy: "),
        ({"validation": SCORES | {"accuracy": float("nan")}}, "not whole JSON"),
        ({"test": SCORES | {"accuracy": "87 %"}}, "test.accuracy: "),
        ({"test": {"accuracy": 0.8}}, "test.cross_entropy: Field required"),
        ({"hyperparameters": {"alpha": [1]}}, "hyperparameters.alpha"),
    ],
)
def test_an_entry_that_cannot_be_is_named(folder, changes, words):
    rewrite_card(folder, **changes)
    assert refused(folder, words).startswith("best_model.json: ")


def test_a_number_beyond_all_numbers(folder):
    path = folder / "best_model.json"
    path.write_text(path.read_text().replace("0.875", "1e999"))
    refused(folder, "validation.accuracy: ", "finite")


@pytest.mark.parametrize(
    "array",
    [
        WEIGHTS[:-1],
        WEIGHTS[None],
        WEIGHTS.astype(np.float64),
        WEIGHTS.view(np.int32),
    ],
    ids=["short", "a stack", "float64", "int32"],
)
def test_an_array_that_is_not_this_network(folder, array):
    replace_weights(folder, npy(array))
    refused(folder, "best_model_weights.npy: expected an array of 2,395 float32 numbers")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite(folder, number):
    replace_weights(folder, npy(np.where(np.arange(2_395) == 3, np.float32(number), WEIGHTS)))
    refused(folder, "best_model_weights.npy: ", "NaN or infinity")


@pytest.mark.parametrize(
    "content",
    [
        *(npy(WEIGHTS)[:kept] for kept in (0, 5, 60, 200, -1)),
        npy(WEIGHTS.astype(">f4")),
        header(" " * 200_000) + WEIGHTS.tobytes(),
        header("(" * 9_000) + WEIGHTS.tobytes(),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 30 + ",)}"),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_bytes_that_are_no_array(folder, content):
    replace_weights(folder, content)
    refused(folder, "best_model_weights.npy: ")


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("make", [lambda trap: npy(np.array([trap], object)), pickle.dumps])
def test_a_pickle_is_never_opened(folder, tmp_path, make):
    trap = Trap(tmp_path / "trace")
    replace_weights(folder, make(trap))
    refused(folder, "best_model_weights.npy: ")
    assert not trap.path.exists()


def test_weights_and_card_of_different_runs(folder):
    np.save(folder / "best_model_weights.npy", 2 * WEIGHTS)
    refused(folder, "not the weights that best_model.json describes (SHA-256 differs)")


@pytest.mark.parametrize(
    ("weights", "card"),
    [
        (WEIGHTS[1:], CARD),
        (np.where(np.arange(2_395) == 3, np.nan, WEIGHTS), CARD),
        (WEIGHTS, {key: CARD[key] for key in CARD if key != "test"}),
        (WEIGHTS, CARD | {"validation": SCORES | {"accuracy": float("nan")}}),
        (WEIGHTS, CARD | {"repeats": [float("nan")]}),
    ],
)
def test_nothing_that_could_not_be_loaded_is_saved(tmp_path, weights, card):
    with pytest.raises(ValueError):
        models.save_model(tmp_path, weights, card)
    assert list(tmp_path.iterdir()) == []
