"""A trained network on disk: its weights as NAME_weights.npy, all else about it as NAME.json.

The JSON card holds the recipe, what the network reaches, and the SHA-256 of the weights, which
alone decides whether two files are of one network. Nothing is pickled, and a pickle is never
opened. `folder` is a str or Path.

Left out: choosing the network (`helpers.grid.search`) and running it (`helpers.network`).
"""

import hashlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from platform import python_version
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, ValidationError
from pydantic_core import from_json

from helpers import data, files, network
from helpers.errors import OneLineError
from helpers.recipe import Recipe

BEST, RECIPE, WIDE = "best_model", "recipe_model", "wide_model"
"""The best network of the grid, the best recipe on the grid's widths, and the wider network."""


class ModelError(OneLineError):
    """A saved network is missing or not whole; the message names file and remedy in one line."""


class RecipeEntry(BaseModel, strict=True, extra="forbid", allow_inf_nan=False):
    """The fields of a `helpers.sgd.Recipe`, with the values that they may have in a card."""

    layer_sizes: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(min_length=2, max_length=100)
    num_epochs: NonNegativeInt
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: NonNegativeFloat
    alpha: NonNegativeFloat
    schedule: Literal["constant", "cosine"]
    average_epochs: NonNegativeInt
    seed: NonNegativeInt
    shuffle_seed: NonNegativeInt


class Scores(BaseModel, strict=True, allow_inf_nan=False):
    """What a network reaches on images that it was not trained on."""

    cross_entropy: NonNegativeFloat
    accuracy: Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel, strict=True, extra="allow", allow_inf_nan=False):
    """The entries that every card has; part C adds more."""

    recipe: RecipeEntry
    validation: Scores
    test: Scores
    versions: dict[str, str]
    sha256: str


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network."""

    weights: np.ndarray
    """float32, shape (P,), in the order of `helpers.network.unpack`; read-only."""
    card: dict
    """What NAME.json holds; see `make_card`."""

    @property
    def recipe(self):
        """helpers.sgd.Recipe : how it was trained."""
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
    recipe : helpers.sgd.Recipe
    cross_entropy, accuracy : float
        On the validation images.
    **more
        Further entries; ``test={"cross_entropy": ..., "accuracy": ...}`` is needed to save it.

    Returns
    -------
    dict
        Ready for JSON.
    """
    settings = asdict(recipe)
    settings["layer_sizes"] = list(recipe.layer_sizes)  # JSON has no tuples
    return {
        "recipe": settings,
        "validation": {"cross_entropy": float(cross_entropy), "accuracy": float(accuracy)},
        "versions": {"python": python_version(), "numpy": np.__version__},
        **more,
    }


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
        If the card is not one or does not fit the weights, or a number is not finite.
    """
    weights_path, card_path = _paths(folder, name)
    content = files.array_bytes(np.asarray(weights, np.float32))
    card = card | {"sha256": hashlib.sha256(content).hexdigest()}
    _check(card)
    network.unpack(weights, card["recipe"]["layer_sizes"])  # refuses weights of another network
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
    with _explained(card_path):
        card = _parse(files.read_bytes(card_path))
        _check(card)
    with _explained(weights_path):
        content = files.read_bytes(weights_path)
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            raise ValueError(f"not the weights that {card_path.name} describes (SHA-256 differs)")
        num_weights = network.num_weights(card["recipe"]["layer_sizes"])
        weights = np.frombuffer(content[-4 * num_weights :], np.float32)
        if files.array_bytes(weights) != content:  # so that no header is ever interpreted
            raise ValueError(f"expected an array of {num_weights:,} float32 numbers")
    return Model(weights, card)


def _paths(folder, name):
    return Path(folder) / f"{name}_weights.npy", Path(folder) / f"{name}.json"


def _parse(content):
    """Read JSON, in which NaN and infinity are not allowed."""
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"not whole JSON ({error})") from None


def _check(card):
    """Refuse, by a ValueError, what is no card of a network for this data."""
    layer_sizes = Card.model_validate(card).recipe.layer_sizes
    if (layer_sizes[0], layer_sizes[-1]) != (data.NUM_PIXELS, data.NUM_CLASSES):
        raise ValueError(f"layer_sizes: expected 784 first and 10 last, found {layer_sizes}")


@contextmanager
def _explained(path):
    """Say in one line what is wrong with a file, and what writes it anew."""
    try:
        yield
    except OSError as error:
        raise ModelError(_explain(path, f"cannot be read ({error.strerror})")) from None
    except ValidationError as error:
        raise ModelError(_explain(path, _first_mistake(error))) from None
    except ValueError as error:
        raise ModelError(_explain(path, str(error))) from None


def _explain(path, reason):
    return f"{path.name}: {reason}; part C writes it into its output folder, here {path.parent}"


def _first_mistake(error):
    """Say the first thing that pydantic found wrong with a card."""
    found = error.errors()[0]
    where = ".".join(map(str, found["loc"])) or "the card"
    if found["type"] == "missing":
        return f"{where}: {found['msg']}"
    return f"{where}: {found['msg']}, found {found['input']!r:.80}"
