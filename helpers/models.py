"""A trained network on disk: its weights as NAME_weights.npy, all else about it as NAME.json.

The JSON card holds the SHA-256 of the weights, which alone decides whether two files are of one
network. Nothing is pickled, and a pickle is never opened. Left out: choosing the network
(`helpers.grid.search`) and running it (`helpers.network`).
"""

import hashlib
import shlex
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, ValidationError
from pydantic_core import from_json

from helpers import data, files, network

BEST, RECIPE, WIDE = "best_model", "recipe_model", "wide_model"
"""The best network of the grid, the best recipe on the grid's widths, and the wider network."""

Width = Annotated[int, Field(ge=1, le=10_000)]


class ModelError(ValueError):
    """A saved network is missing or not whole; the message names file and remedy in one line."""


class Seeds(BaseModel, strict=True, allow_inf_nan=False):
    """The seeds of a recipe."""

    seed: NonNegativeInt
    shuffle_seed: NonNegativeInt


class Scores(BaseModel, strict=True, allow_inf_nan=False):
    """What a network reaches on images that it was not trained on."""

    cross_entropy: NonNegativeFloat
    accuracy: Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel, strict=True, extra="allow", allow_inf_nan=False):
    """The entries that every card has; part C adds more."""

    layer_sizes: Annotated[list[Width], Field(min_length=2, max_length=100)]
    hyperparameters: dict[str, NonNegativeFloat | str]
    seeds: Seeds
    validation: Scores
    test: Scores
    versions: dict[str, str]
    sha256: str


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network.

    Attributes
    ----------
    weights : ndarray of float32, shape (P,)
        In the order of `helpers.network.unpack`; read-only.
    layers : list of (ndarray, ndarray)
        Views of them.
    layer_sizes : tuple of int
    card : dict
        What NAME.json holds; see `make_card`.
    """

    weights: np.ndarray
    layers: list
    layer_sizes: tuple
    card: dict

    @property
    def initial_layers(self):
        """List of (ndarray, ndarray) : what training began with, drawn again."""
        seed = self.card["seeds"]["seed"]
        weights = network.init_weights(self.layer_sizes, seed, np.float32)
        return network.unpack(weights, self.layer_sizes)

    def __repr__(self):
        return (
            f"Model {'-'.join(map(str, self.layer_sizes))}: {len(self.weights):,} weights, "
            f"validation accuracy {self.card['validation']['accuracy']:.2%}"
        )


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
    return {
        "layer_sizes": list(settings.pop("layer_sizes")),
        "hyperparameters": settings,
        "seeds": {name: settings.pop(name) for name in ("seed", "shuffle_seed")},
        "validation": {"cross_entropy": float(cross_entropy), "accuracy": float(accuracy)},
        "versions": {"python": python_version(), "numpy": version("numpy")},
        **more,
    }


def save_model(folder, weights, card, name=BEST):
    """Write NAME_weights.npy and NAME.json, each atomically.

    Parameters
    ----------
    folder : str or Path
        Must exist.
    weights : ndarray, shape (P,)
        Stored as float32.
    card : dict
        See `make_card`; the SHA-256 of the weights is added.
    name : str

    Raises
    ------
    ValueError
        If the card is not one (ModelError), does not fit the weights, or a number is not finite.
    """
    path, card_path = _paths(folder, name)
    content = files.array_bytes(np.asarray(weights, np.float32))
    card = card | {"sha256": hashlib.sha256(content).hexdigest()}
    _check_card(card, card_path)
    network.unpack(weights, card["layer_sizes"])
    files.write_json(card_path, card)
    files.write_bytes(path, content)


def load_model(folder, name=BEST):
    """Read a network that `save_model` wrote.

    Parameters
    ----------
    folder : str or Path
    name : str

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If a file is missing, is not what `save_model` writes, or does not belong to the other.
    """
    path, card_path = _paths(folder, name)
    card, content = read_card(card_path), _read(path)
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise _refusal(path, f"not the weights that {card_path.name} describes (SHA-256 differs)")
    layer_sizes = tuple(card["layer_sizes"])
    try:
        weights = _parse_weights(content, network.num_weights(layer_sizes))
    except ValueError as error:
        raise _refusal(path, error) from None
    return Model(weights, network.unpack(weights, layer_sizes), layer_sizes, card)


def read_card(path):
    """Read and check a card; returns a dict, raises ModelError."""
    content = _read(path)
    try:
        card = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise _refusal(path, f"not whole JSON ({error})") from None
    _check_card(card, path)
    return card


def _paths(folder, name):
    return Path(folder) / f"{name}_weights.npy", Path(folder) / f"{name}.json"


def _read(path):
    try:
        return files.read_bytes(path)
    except OSError as error:
        raise _refusal(path, f"cannot be read ({error.strerror})") from None


def _check_card(card, path):
    try:
        sizes = Card.model_validate(card).layer_sizes
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "the card"
        value = "" if found["type"] == "missing" else f", found {found['input']!r:.80}"
        raise _refusal(path, f"{where}: {found['msg']}{value}") from None
    if (sizes[0], sizes[-1]) != (data.NUM_PIXELS, data.NUM_CLASSES):
        raise _refusal(path, f"layer_sizes: expected 784 first and 10 last, found {sizes}")


def _parse_weights(content, num_weights):
    """View the bytes of the one array that fits; no header is ever interpreted."""
    weights = np.frombuffer(content[-4 * num_weights :], np.float32)
    if files.array_bytes(weights) != content:
        raise ValueError(f"expected an array of {num_weights:,} float32 numbers")
    return weights


def _refusal(path, what):
    """Make the error for a file, with the command that writes it anew."""
    folder = path.parent.resolve()
    shown = folder.relative_to(files.PROJECT) if files.PROJECT in folder.parents else folder
    options = {files.OUTPUTS: "", files.OUTPUTS / "quick": " --quick"}
    option = options.get(folder, f" --output {shlex.quote(str(shown))}")
    return ModelError(f"{path.name}: {what}; run part C first: python -m helpers c{option}")
