"""A trained network on disk: its weights as NAME_weights.npy, all else about it as NAME.json.

The JSON card holds the SHA-256 of the weights, which alone decides whether two files are of one
network. Nothing is pickled, and a pickle is never opened. `folder` is a str or Path. Left out:
choosing the network (`helpers.grid.search`) and running it (`helpers.network`).
"""

import hashlib
import shlex
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from platform import python_version
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, ValidationError
from pydantic_core import from_json

from helpers import data, files, network

BEST, RECIPE, WIDE = "best_model", "recipe_model", "wide_model"
"""The best network of the grid, the best recipe on the grid's widths, and the wider network."""


class ModelError(ValueError):
    """A saved network is missing or not whole; the message names file and remedy in one line."""


class Seeds(BaseModel, strict=True):
    """The seeds of a recipe."""

    seed: NonNegativeInt
    shuffle_seed: NonNegativeInt


class Scores(BaseModel, strict=True, allow_inf_nan=False):
    """What a network reaches on images that it was not trained on."""

    cross_entropy: NonNegativeFloat
    accuracy: Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel, strict=True, extra="allow", allow_inf_nan=False):
    """The entries that every card has; part C adds more."""

    layer_sizes: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(min_length=2, max_length=100)
    hyperparameters: dict[str, NonNegativeFloat | str]
    seeds: Seeds
    validation: Scores
    test: Scores
    versions: dict[str, str]
    sha256: str


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network."""

    weights: np.ndarray
    """float32, shape (P,), in the order of `helpers.network.unpack`; read-only."""
    layers: list
    """(W, b) of each layer, views of the weights."""
    card: dict
    """What NAME.json holds; see `make_card`."""

    @property
    def initial_layers(self):
        """list of (ndarray, ndarray) : what training began with, drawn again."""
        sizes, seed = self.card["layer_sizes"], self.card["seeds"]["seed"]
        return network.unpack(network.init_weights(sizes, seed, np.float32), sizes)

    def __repr__(self):
        sizes = "-".join(map(str, self.card["layer_sizes"]))
        accuracy = f"validation accuracy {self.card['validation']['accuracy']:.2%}"
        return f"Model {sizes}: {len(self.weights):,} weights, {accuracy}"


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
        If the card is not one (ModelError), does not fit the weights, or a number is not finite.
    """
    path, card_path = _paths(folder, name)
    content = files.array_bytes(np.asarray(weights, np.float32))
    card = card | {"sha256": hashlib.sha256(content).hexdigest()}
    with _refusing(card_path):
        _check(card)
    network.unpack(weights, card["layer_sizes"])
    files.write_json(card_path, card)
    files.write_bytes(path, content)


def load_model(folder, name=BEST):
    """Read a network that `save_model` wrote, as a Model.

    Raises
    ------
    ModelError
        If a file is missing, is not what `save_model` writes, or does not belong to the other.
    """
    path, card_path = _paths(folder, name)
    with _refusing(card_path, "not whole JSON ({})"):
        card = from_json(files.read_bytes(card_path), allow_inf_nan=False)
    with _refusing(card_path):
        _check(card)
    sizes = card["layer_sizes"]
    with _refusing(path):
        content = files.read_bytes(path)
        if hashlib.sha256(content).hexdigest() != card["sha256"]:
            raise ValueError(f"not the weights that {card_path.name} describes (SHA-256 differs)")
        num_weights = network.num_weights(sizes)
        weights = np.frombuffer(content[-4 * num_weights :], np.float32)
        if files.array_bytes(weights) != content:  # so that no header is ever interpreted
            raise ValueError(f"expected an array of {num_weights:,} float32 numbers")
    return Model(weights, network.unpack(weights, sizes), card)


def _paths(folder, name):
    return Path(folder) / f"{name}_weights.npy", Path(folder) / f"{name}.json"


def _check(card):
    sizes = Card.model_validate(card).layer_sizes
    if (sizes[0], sizes[-1]) != (data.NUM_PIXELS, data.NUM_CLASSES):
        raise ValueError(f"layer_sizes: expected 784 first and 10 last, found {sizes}")


@contextmanager
def _refusing(path, said="{}"):
    """Say in one line what is wrong with a file, and the command that writes it anew."""
    try:
        yield
        return
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"])) or "the card"
        value = "" if found["type"] == "missing" else f", found {found['input']!r:.80}"
        reason = f"{where}: {found['msg']}{value}"
    except ValueError as error:
        reason = said.format(error)
    folder = path.parent.resolve()
    shown = folder.relative_to(files.PROJECT) if files.PROJECT in folder.parents else folder
    options = {files.OUTPUTS: "", files.OUTPUTS / "quick": " --quick"}
    option = options.get(folder, f" --output {shlex.quote(str(shown))}")
    raise ModelError(f"{path.name}: {reason}; run part C first: python -m helpers c{option}")
