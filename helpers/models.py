"""A trained network on disk: its weights as .npy, everything else about it as JSON.

The JSON card holds the hash of the weights, so that two files of different runs are never taken
for one network. Nothing is pickled, and a pickle is never opened. Left out: choosing the network
(`helpers.grid.search`) and running it (`helpers.network`).
"""

import hashlib
import html
import io
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import numpy as np

from helpers import files, network

BEST, WIDE = "best_model", "wide_model"
"""Names of the two networks that are kept: the best of the grid, and the wider one."""
CARD_KEYS = "layer_sizes", "hyperparameters", "seeds", "validation", "versions", "sha256"
REMEDY = "run part C first: python -m helpers c"


class ModelError(ValueError):
    """A saved network is missing or not whole; the message names file and remedy."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network.

    Attributes
    ----------
    weights : ndarray of float32, shape (P,)
        In the canonical order of `helpers.network.unpack`; read-only.
    layer_sizes : tuple of int
    card : dict
        What `best_model.json` holds; see `make_card`.
    """

    weights: np.ndarray
    layer_sizes: tuple
    card: dict

    @property
    def initial_weights(self):
        """ndarray of float32, shape (P,) : the weights before training, drawn again."""
        return network.init_weights(self.layer_sizes, self.card["seeds"]["seed"], np.float32)

    def __repr__(self):
        return (
            f"Model {'-'.join(map(str, self.layer_sizes))}: {len(self.weights):,} weights, "
            f"validation accuracy {self.card['validation']['accuracy']:.2%}"
        )

    def _repr_html_(self):
        facts = {
            "layers": "-".join(map(str, self.layer_sizes)),
            "weights": f"{len(self.weights):,}",
        }
        for key in "hyperparameters", "seeds", "validation":
            facts |= {f"{key}: {name}": value for name, value in self.card[key].items()}
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(_short(value))}</td></tr>"
            for name, value in facts.items()
        )
        return f"<table>{rows}</table>"


def make_card(recipe, cross_entropy, accuracy, **more):
    """Write down how a network was trained.

    Parameters
    ----------
    recipe : helpers.sgd.Recipe
    cross_entropy, accuracy : float
        On the validation images.
    **more
        Further entries, e.g. ``test={"accuracy": 0.87}``.

    Returns
    -------
    dict
        Ready for JSON.
    """
    settings = asdict(recipe)
    layer_sizes = list(settings.pop("layer_sizes"))
    seeds = {name: settings.pop(name) for name in ("seed", "shuffle_seed")}
    return {
        "layer_sizes": layer_sizes,
        "hyperparameters": settings,
        "seeds": seeds,
        "validation": {"cross_entropy": float(cross_entropy), "accuracy": float(accuracy)},
        "versions": {"python": python_version(), "numpy": version("numpy")},
        **more,
    }


def save_model(folder, weights, card, name=BEST):
    """Write NAME_weights.npy and NAME.json, each atomically: the weights, then their card.

    Parameters
    ----------
    folder : str or Path
        Must exist.
    weights : ndarray, shape (P,)
        In the canonical order; stored as float32.
    card : dict
        See `make_card`; the hash of the weights is added.
    name : str

    Raises
    ------
    ModelError
        If the card lacks a key or does not describe these weights.
    ValueError
        If a weight or a number of the card is not finite.
    """
    folder = Path(folder)
    weights = np.asarray(weights, np.float32)
    path = folder / f"{name}_weights.npy"
    _check_card(card | {"sha256": ""}, f"{name}.json")
    _check_weights(weights, card["layer_sizes"], path.name)
    files.write_array(path, weights)
    files.write_json(folder / f"{name}.json", card | {"sha256": files.sha256(path)})


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
        If a file is missing, cut off, of another shape or type, holds NaN or pickled objects, or
        does not belong to the other file.
    """
    folder = Path(folder)
    card_file, weights_file = f"{name}.json", f"{name}_weights.npy"
    card = _read_card(_read(folder / card_file), card_file)
    content = _read(folder / weights_file)
    weights = _parse_array(content, weights_file)
    _check_weights(weights, card["layer_sizes"], weights_file)
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ModelError(
            f"{weights_file} and {card_file} come from different runs (SHA-256 differs); {REMEDY}"
        )
    weights.flags.writeable = False
    return Model(weights, tuple(card["layer_sizes"]), card)


def _read(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path.name}: missing in {path.parent.name}; {REMEDY}") from None


def _read_card(content, file):
    try:
        card = json.loads(content)
    except ValueError as error:
        raise ModelError(f"{file}: not whole JSON ({error}); {REMEDY}") from None
    _check_card(card, file)
    return card


def _check_card(card, file):
    missing = [key for key in CARD_KEYS if not isinstance(card, dict) or key not in card]
    if missing:
        raise ModelError(f"{file}: lacks {', '.join(missing)}; {REMEDY}")
    sizes = card["layer_sizes"]
    fine = isinstance(sizes, list) and all(type(n) is int and n > 0 for n in sizes)
    if not fine or len(sizes) < 2:
        raise ModelError(f"{file}: layer_sizes = {sizes}: expected two or more; {REMEDY}")
    for key, name in ("seeds", "seed"), ("validation", "accuracy"):
        if not isinstance(card[key], dict) or name not in card[key]:
            raise ModelError(f"{file}: lacks {name} in {key}; {REMEDY}")


def _parse_array(content, file):
    """Read the bytes of a .npy file, and of nothing else: a pickle is refused unopened."""
    try:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise ModelError(f"{file}: not a whole array ({error}); {REMEDY}") from None


def _check_weights(weights, layer_sizes, file):
    expected = (network.num_weights(layer_sizes),)
    if weights.dtype != np.float32:
        found = f"type: expected float32, found {weights.dtype}"
    elif weights.shape != expected:
        found = f"shape: expected {expected}, found {weights.shape}"
    elif not np.isfinite(weights).all():
        found = "holds NaN or infinity"
    else:
        return
    raise ModelError(f"{file}: {found}; {REMEDY}")


def _short(value):
    return f"{value:.6g}" if isinstance(value, float) else str(value)
