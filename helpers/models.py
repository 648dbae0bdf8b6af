"""A trained network on disk: its weights as NAME_weights.npy, and its card, NAME.json.

The card is a dict that holds the recipe, what the network reaches, and the SHA-256 of the weights,
which says whether two files are of one network. Nothing is pickled, and a pickle is never opened.
`folder` is a str or Path.

Left out: choosing the network (`helpers.grid.search`) and running it (`helpers.network`).
"""

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers import files, network
from helpers.errors import OneLineError
from helpers.recipe import Recipe, RecipeError

BEST, RECIPE, WIDE = "best_model", "recipe_model", "wide_model"
"""The best network of the grid, the best recipe on the grid's widths, and the wider network."""


class ModelError(OneLineError):
    """A saved network is missing or not whole; the message names file and remedy in one line."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network."""

    weights: np.ndarray
    """float32, shape (P,), in the order of `helpers.network.unpack`; read-only."""
    card: dict
    """What NAME.json holds; see `make_card`."""

    @property
    def recipe(self):
        """helpers.recipe.Recipe : how it was trained."""
        return Recipe(**self.card["recipe"])

    @property
    def layers(self):
        """list of (ndarray, ndarray) : (W, b) of each layer, views of the weights."""
        return network.unpack(self.weights, self.recipe.layer_sizes)

    @property
    def initial_layers(self):
        """list of (ndarray, ndarray) : what training began with, drawn again."""
        layer_sizes = self.recipe.layer_sizes
        weights = network.init_weights(layer_sizes, self.recipe.seed, np.float32)
        return network.unpack(weights, layer_sizes)

    def __repr__(self):
        sizes = "-".join(map(str, self.recipe.layer_sizes))
        accuracy = self.card["validation"]["accuracy"]
        return f"Model {sizes}: {len(self.weights):,} weights, validation accuracy {accuracy:.2%}"


def make_card(recipe, cross_entropy, accuracy, **more):
    """Write down how a network was trained.

    Parameters
    ----------
    recipe : helpers.recipe.Recipe
    cross_entropy, accuracy : float
        On the validation images.
    **more
        Further entries; ``test={"cross_entropy": ..., "accuracy": ...}`` is needed to save it.

    Returns
    -------
    dict
        Ready for JSON.
    """
    validation = {"cross_entropy": float(cross_entropy), "accuracy": float(accuracy)}
    return {"recipe": asdict(recipe), "validation": validation, **more}


def save_model(folder, weights, card, name=BEST):
    """Write NAME_weights.npy and NAME.json, each atomically, into a folder that exists.

    Parameters
    ----------
    weights : ndarray, shape (P,)
        Stored as float32.
    card : dict
        See `make_card`; the SHA-256 of the weights is added.

    Raises
    ------
    ValueError
        If the card lacks an entry or is of another network, or if a number is not finite.
    RecipeError
        If the card's recipe is none.
    """
    weights_path, card_path = _paths(folder, name)
    content = files.array_bytes(np.asarray(weights, np.float32))
    card = card | {"sha256": hashlib.sha256(content).hexdigest()}
    network.unpack(weights, _layer_sizes(card))  # refuses weights of another network
    files.write_json(card_path, card)
    files.write_bytes(weights_path, content)


def load_model(folder, name=BEST):
    """Read a network that `save_model` wrote, as a Model.

    Raises
    ------
    ModelError
        If a file is missing, is not what `save_model` writes, or does not belong to the other.
    """
    weights_path, card_path = _paths(folder, name)
    reading = card_path
    try:
        card = json.loads(card_path.read_bytes())
        layer_sizes = _layer_sizes(card)
        reading = weights_path
        content = weights_path.read_bytes()
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            raise ValueError(f"not the weights that {card_path.name} describes (SHA-256 differs)")
        weights = np.load(io.BytesIO(content), allow_pickle=False)
        weights.flags.writeable = False
        network.unpack(weights, layer_sizes)  # refuses a card that is of another network
        return Model(weights, card)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except (ValueError, RecipeError) as error:
        reason = str(error)
    raise ModelError(
        f"{reading.name}: {reason}; part C writes it into its output folder, here {folder}"
    )


def _paths(folder, name):
    return Path(folder) / f"{name}_weights.npy", Path(folder) / f"{name}.json"


def _layer_sizes(card):
    """Give the layer sizes of a card, which has to be whole."""
    try:
        missing = {"recipe", "validation", "test", "sha256"} - card.keys()
        if missing:
            raise ValueError(f"no entry {', '.join(sorted(missing))}")
        return Recipe(**card["recipe"]).layer_sizes
    except (AttributeError, TypeError) as error:  # no dict, or not the fields of a recipe
        raise ValueError(f"not the card of a network ({error})") from None
