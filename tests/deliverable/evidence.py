"""What an output folder says, held against itself without training.

A check takes a `Deliverable` and asserts what must hold. `CHECKS` at the end names them all;
`test_evidence.py` asks that outputs/ passes them, and that each refuses what was doctored. Left
out: what only training again can show (`tests/tools/audit.py`).
"""

import base64
import filecmp
import json
import re
import tempfile
from functools import cache
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from scipy.optimize import approx_fprime

from helpers import analysis, data, figures, files, models, network, sgd
from helpers.grid import stack
from helpers.grid.table import FACTORS, ranked, read_table, sentences
from helpers.notebook import parameters
from helpers.notebook.records import VARIES, read_records
from helpers.report import results, runs
from tests.nbval_records import OTHER_PICTURE, picture_distance
from tests.tools.audit import ACCURACY

PARTS = tuple(parameters.PARTS)
INJECTED = "injected-parameters"
NAMES = models.BEST, models.RECIPE, models.WIDE
HERE = Path(__file__).parent
SPREAD = files.PROJECT / "tests" / "benchmarks" / "spread.json"
NUMBER = re.compile(r"\d+\.?\d*")
PERCENT = re.compile(r"-?\d+(?:\.\d+)?(?=\s*%)")
DECIMAL = re.compile(r"(?<![\d.])0\.\d{4,}(?![\de])")
"""A number with four decimals or more: an accuracy or a loss in a table."""


class Deliverable:
    """An output folder, read once."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.notebook = cache(lambda part: _read_notebook(self.folder, part))
        self.records = cache(lambda part: read_records(self.notebook(part)))
        self.model = cache(lambda name: models.load_model(self.folder, name))
        self.table = read_table(self.folder / "hyperparameter_tune.csv")
        self.curves = pd.read_csv(self.folder / "learning_curves.csv")

    def value(self, part, name):
        """Look up a recorded value."""
        return self.records(part)[name].value

    def text(self, name):
        """Read a text file."""
        return (self.folder / name).read_text("utf-8")

    def noise(self):
        """Tell what is chance in an accuracy: the images, the seeds, both together."""
        p, repeats = self.table.accuracy.max(), self.model(models.BEST).card["repeats"]
        images = np.sqrt(p * (1 - p) / data.NUM_VALIDATION)
        seeds = np.sqrt(np.mean([each["sd"] ** 2 for each in repeats]))
        return images, seeds, np.hypot(images, seeds)


def _read_notebook(folder, part):
    return nbformat.read(folder / f"part_{part}.ipynb", as_version=4)


def outputs(notebook, kind):
    """List the outputs of a notebook that have data of a kind."""
    found = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return [out for out in found if kind in out.get("data", {})]


# ---- notebooks


def pages(found):
    """Every page is what the other files make."""
    with tempfile.TemporaryDirectory() as target:
        names = [path.name for path in results.build_report(found.folder, target)]
        assert filecmp.cmpfiles(found.folder, target, names, shallow=False) == (names, [], [])


def sources(found):
    """Cells are those of notebooks/, but for the one with the run's parameters."""
    for part in PARTS:
        assert _sources(found.folder, part) == _sources(files.NOTEBOOKS, part)


def _sources(folder, part):
    cells = _read_notebook(folder, part).cells
    return [(cell.cell_type, cell.source) for cell in cells if cell.id != INJECTED]


def settings(found):
    """Each part was run with what a full run uses."""
    for part in PARTS:
        assert runs.PartRun(found.folder / f"part_{part}.ipynb").changes == {}, part


def tolerances(found):
    """Bound and limit of each recorded value are those of the list that gives their reasons."""
    listed = pd.read_csv(HERE / "tolerances.csv").set_index(["part", "value"])
    for part in PARTS:
        rows, recorded = listed.loc[part], found.records(part)
        committed = read_records(_read_notebook(files.NOTEBOOKS, part))
        for record in [*committed.values(), *recorded.values()]:
            row = rows.loc[record.name]
            assert row.bound == record.bound
            assert np.isclose(row.limit, record.limit, rtol=0.01, atol=0), record
        assert set(rows.index) == recorded.keys()
    spreads = json.loads(SPREAD.read_text("utf-8"))["machines"]["figures"]
    for row in listed.dropna(subset="measured").itertuples():
        assert 2 <= row.limit / spreads[row.measured]["spread"] <= 8, row


def tables(found):
    """A table's two forms, HTML and plain, hold the same numbers."""
    for output in [out for part in PARTS for out in outputs(found.notebook(part), VARIES)]:
        if "text/html" in output.data:
            page = re.sub(r"<[^>]*>", " ", output.data["text/html"])
            both = [sorted(NUMBER.findall(text)) for text in (page, output.data["text/plain"])]
            assert both[0] == both[1]


def percentages(found):
    """Shares and losses that no tolerance guards are among the numbers of the folder."""
    for part in PARTS:
        known = np.array([*_known(found), *(r.value for r in found.records(part).values())])
        for said in [out.data["text/plain"] for out in outputs(found.notebook(part), VARIES)]:
            for text in [*PERCENT.findall(said), *DECIMAL.findall(said)]:
                factor = 1 if DECIMAL.fullmatch(text) else 100
                digits = len(text.partition(".")[2])
                far = np.abs(factor * known - float(text)).min()
                assert far <= 0.5001 * 10.0**-digits, f"{text} comes from no file: {said}"


@cache
def _known(found):
    """Collect the shares and losses that the files of a folder hold, or that follow from them."""
    names = "hyperparameter_tune.csv", "learning_curves.csv", *(f"{name}.json" for name in NAMES)
    known = [float(text) for name in names for text in re.findall(r"\d+\.\d+", found.text(name))]
    images = data.load_training()[0].images
    known += map(np.median, analysis.activity(found.model(models.BEST).layers, images))
    how = found.model(models.RECIPE).card["hyperparameters"]
    steps = how["num_epochs"] * np.ceil(54_000 / how["batch_size"])
    return [*known, *found.noise(), (1 - how["learning_rate"] * how["alpha"]) ** steps]


# ---- files


def epochs(found):
    """Part A's curves are those of its lines and of its recorded values."""
    lines = [out.data["text/plain"] for out in outputs(found.notebook("a"), VARIES)]
    said = [NUMBER.findall(line) for line in lines if line.startswith("epoch  ")]
    units = 1, 1, 0.01, 1, 0.01
    assert np.allclose(np.array(said, float) * units, found.curves, rtol=0, atol=5.1e-5)
    for name in "cross-entropy", "accuracy":
        last = found.curves[f"validation_{name.replace('-', '_')}"].iloc[-1]
        assert abs(found.value("a", f"validation {name}") - last) <= 1e-6


def told(found):
    """The text file says the table in the assignment's words."""
    assert found.text("hyperparameter_tune.txt") == sentences(found.table)


def grid(found):
    """The table holds the combinations that a full run trains, in the assignment's order."""
    full = parameters.full("c")
    wanted = list(product(*(full[name] for name in FACTORS)))
    assert list(found.table[FACTORS].itertuples(index=False, name=None)) == wanted
    assert found.value("c", "grid rows") == len(wanted)


def card(found):
    """The best network's card tells of the table's best row, and so does part C."""
    card, best = found.model(models.BEST).card, next(ranked(found.table).itertuples())
    assert card["layer_sizes"] == [784, *[best.num_units] * best.num_hidden_layers, 10]
    said = card["hyperparameters"] | card["validation"]
    for name in "num_epochs", "batch_size", "learning_rate", "alpha", "cross_entropy", "accuracy":
        assert said[name] == getattr(best, name), name
    assert found.value("c", "best validation accuracy") == best.accuracy
    assert {each["first_accuracy"] for each in card["repeats"]} <= {*found.table.accuracy}


def scores(found):
    """Cards and notebooks say the same of what the networks reach on test images."""
    tested = found.model(models.BEST).card["beyond_grid"]["test"]
    reached = [each["accuracy"] for each in tested.values()]
    assert reached == [found.value("c", f"test accuracy, {words}") for words in tested]
    assert reached[:3] == [found.model(name).card["test"]["accuracy"] for name in NAMES]
    assert abs(found.value("d", "test accuracy") - reached[0]) <= 5e-4


def weights(found):
    """The saved networks reach what is said; another BLAS may move an image or two."""
    for name in NAMES:
        model = found.model(name)
        for split, images in ("validation", data.load_training()[1]), ("test", data.load_test()):
            loss, accuracy = sgd.evaluate(model.layers, images)
            said = model.card[split]
            assert abs(loss / said["cross_entropy"] - 1) <= 1e-4, (name, split)
            assert abs(accuracy - said["accuracy"]) <= 5e-4, (name, split)


def ensemble(found):
    """The ensemble's mean probabilities are distributions, a share of the wide network's."""
    mean, test = np.load(found.folder / "ensemble_test_probabilities.npy"), data.load_test()
    assert mean.dtype == np.float32 and mean.shape == (10_000, 10)
    assert mean.min() >= 0 and np.abs(mean.sum(axis=1) - 1).max() <= 1e-5
    [name] = [name for name in found.records("c") if name.startswith("test accuracy, ensemble of ")]
    accuracy = (mean.argmax(axis=1) == test.labels).mean()
    assert abs(accuracy - found.value("c", name)) <= 5e-4
    wide = analysis.probabilities(found.model(models.WIDE).layers, test.images)
    assert (int(name.split()[4]) * mean - wide).min() >= -1e-4, "the wide network is no member"


def one_row(found):
    """One of the shortest runs comes out again; the best network's hash decides which."""
    short = "num_hidden_layers == 3 & num_units == 30 & batch_size == 64 & num_epochs == 50"
    rows = list(found.table.query(short).itertuples())
    row = rows[int(found.model(models.BEST).card["sha256"], 16) % len(rows)]
    seeds = {"seed": row.seed, "shuffle_seed": row.seed}
    recipe = sgd.Recipe((784, 30, 30, 30, 10), 50, 64, row.learning_rate, row.alpha, **seeds)
    assert abs(_accuracy_of(recipe) - row.accuracy) <= ACCURACY, row


@cache
def _accuracy_of(recipe):
    training, validation = data.load_training()
    [weights] = stack.train([recipe], training).values()
    return sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)[1]


# ---- part B's text file

DIFFERENCE = 1e-6
"""Truncation: half the step, 1e-6, times the second derivative. The largest found is 3.5e-7."""
ROUNDING = 1e-8
"""Other kernels round the objective differently by some 1e-15, divided by the step: 1e-9 found."""


def differences(found):
    """All 59,210 values are backprop's slopes; every hundredth difference comes out again."""
    path, value = found.folder / "Part_B_grad_weight.txt", found.value("b", "check_grad")
    values = np.loadtxt(path, skiprows=3, usecols=2)
    head = f"Gradient check using check_grad: {value!r}\n\nGradient check using approx_fprime:\n"
    lines = [f"Value {i}: {x!r}\n" for i, x in enumerate(values.tolist())]
    is_whole = path.read_text("utf-8") == head + "".join(lines)
    assert is_whole, "not part B's value, or not in the assignment's form"
    weights, gradient, objective = checked_network()
    assert np.abs(values - gradient).max() <= DIFFERENCE
    with sgd.one_blas_thread():
        again = approx_fprime(weights[::100], objective, 1e-6)
    assert np.abs(values[::100] - again).max() <= ROUNDING


def checked_network():
    """Build again what part B differentiates: weights, gradient, the loss of every hundredth."""
    settings = parameters.full("b")
    sizes = (784, *settings["hidden_layers"], 10)
    rng = np.random.default_rng(settings["seed"])
    training, _ = data.load_training()
    chosen = rng.choice(len(training.labels), settings["num_examples"], replace=False)
    images, labels = training.images[chosen].astype(np.float64), training.labels[chosen]
    weights = network.init_weights(sizes, settings["seed"])
    layers = network.unpack(weights, sizes)
    for _, b in layers:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)

    def objective(some):
        moved = weights.copy()
        moved[::100] = some
        return network.cross_entropy(network.unpack(moved, sizes), images, labels)

    return weights, network.pack(network.backprop(layers, images, labels)), objective


# ---- pictures

PICTURES = {"hyperparameter_tune": "c", "weight_photo": "d", "weight_photo_learned": "d"}
"""File -> the part whose notebook shows it."""
SAME_PICTURE = 0.002
"""Mean difference in grey that a rounded number or another release of a library may make."""


def pictures_in(notebook):
    """Map the alternative texts of a notebook's pictures to the pictures."""
    return {
        out.metadata["image/png"]["alt"]: base64.b64decode(out.data["image/png"])
        for out in outputs(notebook, "image/png")
    }


def picture_files(found):
    """The picture files are those in the notebooks that made them."""
    for name, part in PICTURES.items():
        png = (found.folder / f"{name}.png").read_bytes()
        assert png in pictures_in(found.notebook(part)).values(), name


def drawn_tables(found):
    """Part A's curves and part C's pictures come out again, drawn from the files."""
    history = sgd.History(*(found.curves[name].tolist() for name in vars(sgd.History())))
    samples, table = figures.samples(data.load_training()[0]), found.table
    _drawn(found, "a", samples, figures.learning_curves(history))
    scatter = figures.accuracy_against_cross_entropy(table, found.noise()[-1])
    _drawn(found, "c", figures.grid_main_effects(table), figures.grid_heat_maps(table), scatter)


def drawn_weights(found):
    """Part D's pictures come out again, drawn from the saved networks."""
    best, recipe = (found.model(name) for name in (models.BEST, models.RECIPE))
    (W, b), (W_0, _) = best.layers[0], best.initial_layers[0]
    images = data.load_training()[1].images
    exciting = analysis.most_exciting(W, b, images, parameters.full("d")["num_images"])
    shown = figures.exciting_images(W, images[exciting], analysis.order_by_norm(W)[:60])
    learned = figures.learned_tiles(W, W_0, recipe.layers[0][0])
    _drawn(found, "d", figures.weight_tiles(W), learned, shown)


def _drawn(found, part, *pictures):
    recorded = pictures_in(found.notebook(part))
    for picture in pictures:
        far = picture_distance(recorded.get(picture.alt, b""), picture.png)
        assert far <= SAME_PICTURE, picture.alt


def all_pictures(found):
    """Pictures are those of notebooks/, in the parts that have the same parameters."""
    for part in "abd":
        committed = pictures_in(_read_notebook(files.NOTEBOOKS, part))
        recorded = pictures_in(found.notebook(part))
        assert committed.keys() == recorded.keys()
        for alt, png in committed.items():
            assert picture_distance(png, recorded[alt]) <= OTHER_PICTURE, alt


# ---- claims


def claims(found):
    """Each percentage in prose has a line in claims.csv, and what it says is so."""
    claims = pd.read_csv(HERE / "claims.csv")
    for name, text in _prose().items():
        rest = text
        for claim in claims[claims.file == name].itertuples():
            assert claim.text in text
            value = eval(claim.value, {"np": np, **vars(found), "found": found})
            assert claim.low <= value <= claim.high, claim
            rest = rest.replace(claim.text, "")
        assert PERCENT.findall(rest) == [], f"{name}: nothing checks these"


def _prose():
    """Join the Markdown of each notebook, and of README.md outside its generated tables."""
    texts = {}
    for part in PARTS:
        cells = _read_notebook(files.NOTEBOOKS, part).cells
        sources = [cell.source for cell in cells if cell.cell_type == "markdown"]
        texts[f"part_{part}"] = " ".join(sources)
    readme = (files.PROJECT / "README.md").read_text("utf-8")
    texts["README"] = re.sub(r"<!-- (\w+): .*?<!-- end of \1 -->", "", readme, flags=re.DOTALL)
    return {name: " ".join(text.split()) for name, text in texts.items()}


NAMES_OF_CHECKS = """
pages sources settings tolerances tables percentages epochs told grid card scores weights
ensemble one_row differences picture_files drawn_tables drawn_weights all_pictures claims"""
CHECKS = {name: globals()[name] for name in NAMES_OF_CHECKS.split()}
