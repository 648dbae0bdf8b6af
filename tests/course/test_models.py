"""A network on disk: what is saved comes back, and what is not whole is refused in one line."""

import json
import pickle
import re

import numpy as np
import pytest

from helpers import files, models, network
from helpers.sgd import Recipe

RECIPE = Recipe((6, 5, 4), num_epochs=2, batch_size=3, learning_rate=0.1, seed=7, shuffle_seed=8)
WEIGHTS = network.init_weights(RECIPE.layer_sizes, RECIPE.seed, np.float32)
CARD = models.make_card(RECIPE, 0.5, 0.875, test={"accuracy": 0.85})


@pytest.fixture
def folder(tmp_path):
    models.save_model(tmp_path, WEIGHTS, CARD)
    return tmp_path


def replace_weights(folder, array, allow_pickle=False):
    """Put another array in place, with a card that holds its hash."""
    path = folder / "best_model_weights.npy"
    np.save(path, array, allow_pickle=allow_pickle)
    files.write_json(folder / "best_model.json", CARD | {"sha256": files.sha256(path)})


def refused(folder, pattern):
    """Load and return the one line of the refusal, which must name the remedy."""
    with pytest.raises(models.ModelError, match=pattern) as refusal:
        models.load_model(folder)
    line = str(refusal.value)
    assert "\n" not in line
    assert "python -m helpers c" in line
    return line


def test_what_is_saved_comes_back(folder):
    model = models.load_model(folder)
    np.testing.assert_array_equal(model.weights, WEIGHTS)
    assert model.weights.dtype == np.float32
    assert not model.weights.flags.writeable
    assert model.layer_sizes == RECIPE.layer_sizes
    assert {key: model.card[key] for key in CARD} == CARD
    assert sorted(path.name for path in folder.iterdir()) == [
        "best_model.json",
        "best_model_weights.npy",
    ]


def test_the_card_holds_the_whole_recipe():
    card = json.loads(json.dumps(CARD))
    assert Recipe(card["layer_sizes"], **card["hyperparameters"], **card["seeds"]) == RECIPE


def test_initial_weights_are_drawn_again(folder):
    np.testing.assert_array_equal(models.load_model(folder).initial_weights, WEIGHTS)


def test_two_networks_share_a_folder_under_two_names(folder):
    models.save_model(folder, 2 * WEIGHTS, CARD, models.WIDE)
    np.testing.assert_array_equal(models.load_model(folder).weights, WEIGHTS)
    np.testing.assert_array_equal(models.load_model(folder, models.WIDE).weights, 2 * WEIGHTS)


def test_shown_as_a_line_and_as_a_table(folder):
    model = models.load_model(folder)
    assert repr(model) == "Model 6-5-4: 59 weights, validation accuracy 87.50%"
    table = model._repr_html_()
    assert "<th>hyperparameters: learning_rate</th><td>0.1</td>" in table
    assert table.count("<tr>") == table.count("</tr>") == 2 + 6 + 2 + 2


@pytest.mark.parametrize("name", ["best_model.json", "best_model_weights.npy"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refused(folder, "missing").startswith(name)


@pytest.mark.parametrize("share", [0, 0.3, 0.95])
def test_json_cut_off(folder, share):
    path = folder / "best_model.json"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(folder, "best_model.json: not whole JSON")


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_json_that_is_no_card(folder, content):
    (folder / "best_model.json").write_text(content)
    refused(folder, "lacks layer_sizes")


@pytest.mark.parametrize("key", models.CARD_KEYS)
def test_a_missing_key_is_named(folder, key):
    path = folder / "best_model.json"
    card = json.loads(path.read_text())
    del card[key]
    path.write_text(json.dumps(card))
    refused(folder, f"lacks {key}")


@pytest.mark.parametrize("sizes", [[], [6], [6, -5, 4], [6, 5.0, 4], "6-5-4", None, [6, True]])
def test_layer_sizes_that_describe_no_network(folder, sizes):
    path = folder / "best_model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layer_sizes": sizes}))
    refused(folder, "layer_sizes")


@pytest.mark.parametrize(
    ("array", "pattern"),
    [
        (WEIGHTS[:-1], r"shape: expected \(59,\), found \(58,\)"),
        (WEIGHTS[None], r"shape: expected \(59,\), found \(1, 59\)"),
        (WEIGHTS.astype(np.float64), "type: expected float32, found float64"),
        (WEIGHTS.astype(np.int32), "type: expected float32, found int32"),
        (np.where(np.arange(59) == 3, np.float32(np.nan), WEIGHTS), "NaN"),
        (np.where(np.arange(59) == 3, np.float32(np.inf), WEIGHTS), "infinity"),
    ],
)
def test_an_array_that_is_not_this_network(folder, array, pattern):
    replace_weights(folder, array)
    refused(folder, pattern)


@pytest.mark.parametrize("kept", [0, 5, 60, 200, -1])
def test_truncated_weights(folder, kept):
    path = folder / "best_model_weights.npy"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, "not a whole array")


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("as_array", [True, False])
def test_a_pickle_is_never_opened(folder, tmp_path, as_array):
    trap = Trap(tmp_path / "trace")
    if as_array:
        replace_weights(folder, np.array([trap], object), allow_pickle=True)
    else:
        (folder / "best_model_weights.npy").write_bytes(pickle.dumps(trap))
    refused(folder, "not a whole array")
    assert not trap.path.exists()


def test_weights_and_card_of_different_runs(folder):
    np.save(folder / "best_model_weights.npy", 2 * WEIGHTS)
    refused(folder, "come from different runs")


def test_nothing_that_could_not_be_loaded_is_saved(tmp_path):
    broken = WEIGHTS.copy()
    broken[0] = np.nan
    for weights, card in (
        (WEIGHTS[1:], CARD),
        (broken, CARD),
        (WEIGHTS, {key: CARD[key] for key in CARD if key != "seeds"}),
    ):
        with pytest.raises(models.ModelError):
            models.save_model(tmp_path, weights, card)
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_is_not_finite_is_not_written(folder):
    before = (folder / "best_model.json").read_bytes()
    with pytest.raises(ValueError, match=re.escape("Out of range float")):
        models.save_model(folder, WEIGHTS, CARD | {"seconds": float("nan")})
    assert (folder / "best_model.json").read_bytes() == before
