"""What an output folder says, compared with itself, with the code and with notebooks/.

A check takes a `Deliverable` and asserts what must hold; `CHECKS` names them all. Data is compared
with data: files, recorded values, saved networks and recipes. Nothing trains here but the one row
of the grid in `one_row`. Left out: what only training everything again can show
(`tests/tools/audit.py`), and the wording of prose.
"""

import base64
import filecmp
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from scipy.optimize import approx_fprime

from helpers import analysis, data, files, models, network, sgd
from helpers.grid import beyond, stack
from helpers.grid.table import FACTORS, ranked, read_table, recipe_of, sentences
from helpers.notebook import parameters
from helpers.notebook.cells import outputs, parameters_of
from helpers.notebook.records import read_records
from helpers.report import results, runs
from tests.deliverable import spread

PARTS = tuple(parameters.PARTS)
CHOSEN = models.BEST, models.RECIPE, models.WIDE
"""The networks that part C tests, in its order."""
NAMES = *CHOSEN, *beyond.first_layers().values()
"""All saved networks."""
INJECTED = "injected-parameters"
SAME_SETTINGS = tuple(p for p in PARTS if parameters.full(p) == parameters.defaults(p))
"""Parts whose full run uses the parameters with which notebooks/ are recorded."""
ONE_IMAGE = 5e-4
"""Accuracies of the same weights may differ by this much: other kernels round a few logits
differently, and an image or two at the edge between two classes falls to the other side."""


class Deliverable:
    """An output folder; each file is read once, when it is asked for."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.notebook = cache(lambda part: read_notebook(self.folder, part))
        self.records = cache(lambda part: read_records(self.notebook(part)))
        self.model = cache(lambda name: models.load_model(self.folder, name))
        self.table = read_table(self.folder / "hyperparameter_tune.csv")
        self.curves = pd.read_csv(self.folder / "learning_curves.csv")

    def value(self, part, name):
        """Look up a recorded value."""
        return self.records(part)[name].value

    def tested(self):
        """Look up what each chosen network reaches on the test images, by part C's names."""
        tested = self.model(models.BEST).card["beyond_grid"]["test"]
        return {name: scores["accuracy"] for name, scores in tested.items()}


def read_notebook(folder, part):
    return nbformat.read(folder / f"part_{part}.ipynb", as_version=4)


# ---- notebooks


def pages(found):
    """Every page is what the other files make."""
    with tempfile.TemporaryDirectory() as target:
        names = [path.name for path in results.build_report(found.folder, target)]
        assert filecmp.cmpfiles(found.folder, target, names, shallow=False) == (names, [], [])


def sources(found):
    """Cells are those of notebooks/, except the one with the run's parameters."""
    for part in PARTS:
        assert _sources(found.folder, part) == _sources(files.NOTEBOOKS, part)


def _sources(folder, part):
    cells = read_notebook(folder, part).cells
    return [(cell.cell_type, cell.source) for cell in cells if cell.id != INJECTED]


def settings(found):
    """Each part was run with the parameters of a full run."""
    for part in PARTS:
        used = parameters_of(found.notebook(part))
        assert runs.differing(used, parameters.full(part)) == {}, part


def tolerances(found):
    """Recorded values have the bound and limit that tolerances.csv gives a reason for."""
    listed = spread.tolerances()
    for part in PARTS:
        rows = listed.loc[part]
        committed = read_records(read_notebook(files.NOTEBOOKS, part))
        for record in [*committed.values(), *found.records(part).values()]:
            row = rows.loc[record.name]
            assert row.bound == record.bound
            assert np.isclose(row.limit, record.limit, rtol=0.01, atol=0), record
        assert set(rows.index) == found.records(part).keys()


def same_values(found):
    """Values of parts with the same parameters agree with those in notebooks/."""
    for part in SAME_SETTINGS:
        committed = read_records(read_notebook(files.NOTEBOOKS, part))
        for name, record in found.records(part).items():
            assert committed[name].admits(record.value), (committed[name], record)


# ---- tables and cards


def curves(found):
    """Part A's curves have a row for each epoch and end with its recorded values."""
    last = found.curves.iloc[-1]
    assert list(found.curves.epoch) == [*range(parameters.full("a")["num_epochs"] + 1)]
    assert abs(found.value("a", "validation cross-entropy") - last.validation_cross_entropy) <= 1e-6
    assert abs(found.value("a", "validation accuracy") - last.validation_accuracy) <= 1e-6


def sentences_of_the_table(found):
    """The text file holds the table in the assignment's words."""
    text = (found.folder / "hyperparameter_tune.txt").read_text("utf-8")
    assert text == sentences(found.table)


def grid(found):
    """The table holds the combinations that a full run trains, in the assignment's order."""
    full = parameters.full("c")
    wanted = list(product(*(full[name] for name in FACTORS)))
    assert list(found.table[FACTORS].itertuples(index=False, name=None)) == wanted
    assert found.value("c", "grid rows") == found.value("c", "rows written") == len(wanted)


def recipes(found):
    """Every saved card holds the recipe of the code that made it."""
    best = next(ranked(found.table).itertuples())
    assert found.model(models.BEST).recipe == recipe_of(best)
    assert found.model(models.RECIPE).recipe in beyond.options()
    assert found.model(models.WIDE).recipe in beyond.members()
    for recipe, name in beyond.first_layers().items():
        assert found.model(name).recipe == recipe, name


def best_row(found):
    """The best network's card and part C say what the table's best row says."""
    best = next(ranked(found.table).itertuples())
    validation = {"cross_entropy": best.cross_entropy, "accuracy": best.accuracy}
    assert found.model(models.BEST).card["validation"] == validation
    assert found.value("c", "best validation accuracy") == best.accuracy


def repeats(found):
    """The best runs trained again: each begins with a row of the table, and the means are means."""
    card = found.model(models.BEST).card
    assert {each["first_accuracy"] for each in card["repeats"]} <= {*found.table.accuracy}
    for each in [*card["repeats"], *card["beyond_grid"]["options"]]:
        assert each["first_accuracy"] in each["accuracies"]
        assert each["num_seeds"] == len(each["accuracies"])
        assert np.isclose(each["mean"], np.mean(each["accuracies"]), rtol=1e-12)
        assert np.isclose(each["sd"], np.std(each["accuracies"], ddof=1), rtol=1e-9)


def scores(found):
    """Cards, parts C and D say the same of what the networks reach on test images."""
    tested = found.tested()
    for words, accuracy in tested.items():
        assert accuracy == found.value("c", f"test accuracy, {words}")
    cards = [found.model(name).card["test"]["accuracy"] for name in CHOSEN]
    assert cards == list(tested.values())[: len(CHOSEN)]
    assert abs(found.value("d", "test accuracy") - cards[0]) <= ONE_IMAGE


# ---- saved networks


def weights(found):
    """The saved networks reach what their cards say."""
    for name in NAMES:
        model = found.model(name)
        for split, images in ("validation", data.load_training()[1]), ("test", data.load_test()):
            loss, accuracy = sgd.evaluate(model.layers, images)
            said = model.card[split]
            assert abs(loss / said["cross_entropy"] - 1) <= 1e-4, (name, split)
            assert abs(accuracy - said["accuracy"]) <= ONE_IMAGE, (name, split)


def ensemble(found):
    """The ensemble's mean probabilities are distributions, with the wide network among them."""
    mean = np.load(found.folder / "ensemble_test_probabilities.npy")
    test = data.load_test()
    num_members = len(beyond.members())
    assert mean.dtype == np.float32 and mean.shape == (10_000, 10)
    assert mean.min() >= 0 and np.abs(mean.sum(axis=1) - 1).max() <= 1e-5
    accuracy = (mean.argmax(axis=1) == test.labels).mean()
    said = found.tested()[f"ensemble of {num_members} x 512-256"]
    assert abs(accuracy - said) <= 1e-9
    wide = analysis.probabilities(found.model(models.WIDE).layers, test.images)
    assert (num_members * mean - wide).min() >= -1e-4, "the wide network is no member"


def one_row(found):
    """One of the shortest runs comes out again; the best network's hash decides which."""
    short = "num_hidden_layers == 3 & num_units == 30 & batch_size == 64 & num_epochs == 50"
    rows = list(found.table.query(short).itertuples())
    row = rows[int(found.model(models.BEST).card["sha256"], 16) % len(rows)]
    limit = spread.three_deviations("network of the grid", "validation accuracy")
    assert abs(_accuracy_of(recipe_of(row)) - row.accuracy) <= limit, row


@cache
def _accuracy_of(recipe):
    training, validation = data.load_training()
    [weights] = stack.train([recipe], training).values()
    return sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)[1]


# ---- part B's text file

TRUNCATION = 1e-6
"""A difference is wrong by half the step, 1e-6, times the second derivative; 3.5e-7 was the
largest found."""
ROUNDING = 1e-8
"""Other kernels round the objective differently by some 1e-15, divided by the step; 1e-9 found."""
EVERY = 100
"""Of the finite differences, every so many are computed again."""


def differences(found):
    """All finite differences are backprop's slopes; every hundredth is computed again."""
    path = found.folder / "Part_B_grad_weight.txt"
    check_value = found.value("b", "check_grad")
    values = np.loadtxt(path, skiprows=3, usecols=2)
    lines = [
        f"Gradient check using check_grad: {check_value!r}",
        "",
        "Gradient check using approx_fprime:",
        *(f"Value {i}: {value!r}" for i, value in enumerate(values.tolist())),
    ]
    is_whole = path.read_text("utf-8").splitlines() == lines
    assert is_whole, "not part B's value, or not in the assignment's form"

    weights, gradient, objective = checked_network()
    assert np.abs(values - gradient).max() <= TRUNCATION
    some = np.arange(0, len(weights), EVERY)
    with sgd.one_blas_thread():
        again = approx_fprime(weights[some], lambda few: objective(few, some), 1e-6)
    assert np.abs(values[some] - again).max() <= ROUNDING

    error = np.linalg.norm(values - gradient) / np.linalg.norm(gradient)
    assert np.isclose(found.value("b", "approx_fprime: relative error"), error, rtol=1e-3)


def noise(found):
    """check_grad shows the rounding that its step of 1.5e-8 must make, not less."""
    weights, gradient, objective = checked_network()
    unit = np.finfo(float).eps / 2
    step = np.sqrt(np.finfo(float).eps)
    predicted = np.sqrt(2 * len(weights)) * unit * objective(weights[:1], [0]) / step
    check_value = found.value("b", "check_grad")
    assert check_value >= predicted / 10, "far below the rounding of a finite difference"
    share = found.value("b", "check_grad / gradient norm")
    assert np.isclose(share, check_value / np.linalg.norm(gradient), rtol=1e-6)


@cache
def checked_network():
    """Build what part B differentiates: weights, gradient, and the loss when some weights move."""
    settings = parameters.full("b")
    sizes = (data.NUM_PIXELS, *settings["hidden_layers"], data.NUM_CLASSES)
    rng = np.random.default_rng(settings["seed"])
    training, _ = data.load_training()
    chosen = rng.choice(len(training.labels), settings["num_examples"], replace=False)
    images, labels = training.images[chosen].astype(np.float64), training.labels[chosen]
    weights = network.init_weights(sizes, settings["seed"])
    layers = network.unpack(weights, sizes)
    for _, b in layers:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)

    def objective(values, positions):
        moved = weights.copy()
        moved[positions] = values
        return network.cross_entropy(network.unpack(moved, sizes), images, labels)

    gradient = network.pack(network.backprop(layers, images, labels))
    return weights, gradient, objective


# ---- pictures

PICTURES = {"hyperparameter_tune": "c", "weight_photo": "d", "weight_photo_learned": "d"}
"""Picture file -> the part whose notebook shows it."""


def picture_files(found):
    """The picture files are those in the notebooks that made them."""
    for name, part in PICTURES.items():
        png = (found.folder / f"{name}.png").read_bytes()
        shown = outputs(found.notebook(part), "image/png")
        assert png in map(base64.b64decode, shown), name


CHECKS = {
    check.__name__: check
    for check in (
        pages,
        sources,
        settings,
        tolerances,
        same_values,
        curves,
        sentences_of_the_table,
        grid,
        recipes,
        best_row,
        repeats,
        scores,
        weights,
        ensemble,
        one_row,
        differences,
        noise,
        picture_files,
    )
}
