"""What an output folder says, held against itself without training: each check lists what is wrong.

A check takes a `Deliverable` and yields one line for each thing that does not fit. `CHECKS` at the
end names them all; `test_evidence.py` asks that they find nothing in outputs/, and that each finds
what was doctored. Left out: what only training again can show (`tests/tools/audit.py`).
"""

import base64
import json
import re
import tempfile
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from helpers import analysis, data, figures, files, models, network, sgd
from helpers.grid import lanes
from helpers.notebook import parameters
from helpers.notebook.records import VARIES, read_records
from helpers.report import results, runs
from tests.nbval_records import OTHER_PICTURE, picture_distance
from tests.tools.audit import ACCURACY

PARTS = tuple(parameters.PARTS)
NAMES = models.BEST, models.RECIPE, models.WIDE
TOLERANCES = Path(__file__).with_name("tolerances.csv")
CLAIMS = Path(__file__).with_name("claims.csv")
SPREAD = files.PROJECT / "tests" / "benchmarks" / "spread.json"
PERCENT = re.compile(r"-?\d+(?:\.\d+)?(?=\s*%)")
DECIMAL = re.compile(r"(?<![\d.])0\.\d{4,}(?![\de])")
"""A number with four decimals or more: an accuracy or a loss in a table."""
EPOCH = re.compile(r"epoch +(\d+) +training: (\S+), +(\S+)% +validation: (\S+), +(\S+)%")


class Deliverable:
    """An output folder, read once."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.notebook = cache(lambda part: _read_notebook(self.folder / f"part_{part}.ipynb"))
        self.records = cache(lambda part: read_records(self.notebook(part)))
        self.model = cache(lambda name: models.load_model(self.folder, name))
        self.table = pd.read_csv(self.folder / "hyperparameter_tune.csv", keep_default_na=True)
        self.curves = pd.read_csv(self.folder / "learning_curves.csv")

    def value(self, part, name):
        """Look up a recorded value."""
        return self.records(part)[name].value

    def text(self, name):
        """Read a text file."""
        return (self.folder / name).read_text("utf-8")


def _read_notebook(path):
    return nbformat.read(path, as_version=4)


def _committed(part):
    return _read_notebook(files.NOTEBOOKS / f"part_{part}.ipynb")


def outputs(notebook):
    """List all outputs of a notebook."""
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


def shown(output):
    """Join what an output says in words."""
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")


# ---- notebooks


def pages(found):
    """Build every page again: they are a function of the other files."""
    with tempfile.TemporaryDirectory() as target:
        for path in results.build_report(found.folder, target):
            page = found.folder / path.name
            if not page.exists() or page.read_bytes() != path.read_bytes():
                yield f"{path.name} is not the page that the folder makes"


def sources(found):
    """Compare sources, cell by cell, leaving out the cell with the run's parameters."""
    for part in PARTS:
        committed, recorded = (
            [(cell.cell_type, cell.source) for cell in notebook.cells if not _is_injected(cell)]
            for notebook in (_committed(part), found.notebook(part))
        )
        if committed != recorded:
            yield f"part_{part}.ipynb: cells differ from notebooks/part_{part}.ipynb"


def _is_injected(cell):
    return "injected-parameters" in cell.metadata.get("tags", ())


def settings(found):
    """Compare what each run used with what a full run uses."""
    for part in PARTS:
        changes = runs.PartRun(found.folder / f"part_{part}.ipynb").changes
        if changes:
            yield f"part_{part}.ipynb: not the parameters of a full run: {changes}"


def tolerances(found):
    """Hold bound and limit of every recorded value against the list that gives their reasons."""
    listed = {(row.part, row.value): row for row in pd.read_csv(TOLERANCES).itertuples()}
    spreads = json.loads(SPREAD.read_text("utf-8"))["machines"]["figures"]
    for part in PARTS:
        committed = read_records(_committed(part))
        for record in [*committed.values(), *found.records(part).values()]:
            row = listed.get((part, record.name))
            same_bound = row is not None and row.bound == record.bound
            if not same_bound or not np.isclose(row.limit, record.limit, rtol=0.01, atol=0):
                yield f"part {part}: {record}: not the tolerance of tolerances.csv"
    for part, name in listed:
        if name not in found.records(part):
            yield f"part {part}: {name} is listed in tolerances.csv, but was not recorded"
    for row in listed.values():
        if isinstance(row.measured, str):
            spread = spreads[row.measured]["spread"]
            if not 2 * spread <= row.limit <= 8 * spread:
                yield f"part {row.part}: {row.value}: {row.limit} for a spread of {spread:.2g}"


def tables(found):
    """Compare the numbers of each table's two forms, HTML and plain."""
    for part in PARTS:
        for output in outputs(found.notebook(part)):
            page = re.sub(r"<[^>]*>", " ", output.get("data", {}).get("text/html", ""))
            if VARIES in output.get("data", {}) and page:
                both = [sorted(re.findall(r"[\d.]+", text)) for text in (page, shown(output))]
                if both[0] != both[1]:
                    yield f"part_{part}.ipynb: a table's HTML and its text differ"


def percentages(found):
    """Look for each share and loss that no tolerance guards among the numbers of the folder."""
    for part in PARTS:
        known = np.array([*_known(found), *(r.value for r in found.records(part).values())])
        varying = [o for o in outputs(found.notebook(part)) if VARIES in o.get("data", {})]
        for said in map(shown, varying):
            for text in [*PERCENT.findall(said), *DECIMAL.findall(said)]:
                factor = 1 if DECIMAL.fullmatch(text) else 100
                digits = len(text.partition(".")[2])
                if np.abs(factor * known - float(text)).min() > 0.5001 * 10.0**-digits:
                    yield f"part_{part}.ipynb: {text} comes from no file: {said}"


@cache
def _known(found):
    """Collect the shares and losses that the files of a folder hold, or that follow from them."""
    cards = [found.model(name).card for name in NAMES]
    best = found.model(models.BEST)
    p, noise = found.table.accuracy.max(), _noise(found)
    shares = [_numbers(card) for card in cards]
    tables = found.table[["accuracy", "cross_entropy"]].stack(), found.curves.stack()
    shares += [table.dropna() for table in tables]
    active = analysis.activity(best.layers, data.load_training()[0].images)
    shares.append([float(np.median(share)) for share in active])
    shares.append([p, noise, _seed_sd(found), np.sqrt(p * (1 - p) / data.NUM_VALIDATION)])
    how = found.model(models.RECIPE).card["hyperparameters"]
    steps = how["num_epochs"] * np.ceil(54_000 / how["batch_size"])
    shares.append([(1 - how["learning_rate"] * how["alpha"]) ** steps])
    return [share for group in shares for share in group]


def _numbers(entry):
    """Collect all numbers in a JSON object."""
    if isinstance(entry, dict | list):
        inside = entry.values() if isinstance(entry, dict) else entry
        return [number for each in inside for number in _numbers(each)]
    return [entry] if isinstance(entry, float) else []


def _seed_sd(found):
    """Pool the standard deviations over the seeds of the repeated runs."""
    repeats = found.model(models.BEST).card["repeats"]
    return np.sqrt(np.mean([each["sd"] ** 2 for each in repeats]))


def _noise(found):
    best = found.table.accuracy.max()
    return np.hypot(np.sqrt(best * (1 - best) / data.NUM_VALIDATION), _seed_sd(found))


# ---- files


def epochs(found):
    """Compare part A's curves with the lines of its notebook and with its recorded values."""
    rows = found.curves.to_numpy()
    lines = [EPOCH.search(shown(out)) for out in outputs(found.notebook("a"))]
    said = np.array([[float(text) for text in line.groups()] for line in lines if line])
    units = 1, 1, 0.01, 1, 0.01
    if said.shape != rows.shape or not np.allclose(said * units, rows, rtol=0, atol=5.1e-5):
        yield "learning_curves.csv: rows differ from the lines of part A"
    last = found.curves.iloc[-1]
    for name in "cross_entropy", "accuracy":
        recorded = found.value("a", f"validation {name.replace('_', '-')}")
        if abs(recorded - last[f"validation_{name}"]) > 1e-6:
            yield f"learning_curves.csv: its last {name} is not part A's"


def sentences(found):
    """Look for the numbers of each row in its sentence, one sentence a row."""
    sentences = found.text("hyperparameter_tune.txt").splitlines()
    if len(sentences) != len(found.table):
        yield "hyperparameter_tune.txt: not one sentence a row"
    for row, sentence in zip(found.table.itertuples(), sentences, strict=False):
        factors = [row.num_hidden_layers, row.num_units, row.num_epochs, row.batch_size]
        said = [float(text) for text in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", sentence)]
        wanted = [*factors, row.learning_rate]
        if not row.diverged:
            wanted += [round(row.cross_entropy, 5), round(100 * row.accuracy, 2)]
        off = [number for number in wanted if min(abs(number - each) for each in said) > 1e-9]
        if off or len(said) != len(wanted):
            yield f"hyperparameter_tune.txt, line {row.Index + 1}: {sentence} is not {wanted}"


def grid(found):
    """Compare the table's combinations and order with the grid that a full run trains."""
    grid = parameters.full("c")
    factors = list(figures.grid.FACTORS)
    wanted = pd.MultiIndex.from_product([grid[name] for name in factors])
    if list(found.table[factors].itertuples(index=False, name=None)) != list(wanted):
        yield "hyperparameter_tune.csv: not each combination once, in the assignment's order"
    if found.value("c", "grid rows") != len(found.table):
        yield "hyperparameter_tune.csv: not the number of rows that part C recorded"


def card(found):
    """Compare the best network's card with the table, part C and part D."""
    card = found.model(models.BEST).card
    best = found.table.sort_values(["accuracy", "cross_entropy"], ascending=[False, True]).iloc[0]
    if card["layer_sizes"] != [784, *[int(best.num_units)] * int(best.num_hidden_layers), 10]:
        yield "best_model.json: not the layers of the best row"
    settings = "num_epochs", "batch_size", "learning_rate", "alpha"
    said = {name: card["hyperparameters"][name] for name in settings} | card["validation"]
    for name, value in said.items():
        if value != best[name]:
            yield f"best_model.json: {name} is not the best row's"
    if found.value("c", "best validation accuracy") != best.accuracy:
        yield "part_c.ipynb: the best validation accuracy is not the best row's"
    for each in card["repeats"]:
        if each["first_seed"] not in found.table.accuracy.to_numpy():
            yield f"best_model.json: a repeated run began with {each['first_seed']}, no row did"


def scores(found):
    """Compare what the networks reach on test images between cards and notebooks."""
    networks = "best of the grid", "grid's widths, best recipe", "512-256"
    said = [found.value("c", f"test accuracy, {words}") for words in networks]
    for accuracy, name in zip(said, NAMES, strict=True):
        if accuracy != found.model(name).card["test"]["accuracy"]:
            yield f"{name}.json: its test accuracy is not part C's"
    if abs(found.value("d", "test accuracy") - said[0]) > 5e-4:
        yield "part_d.ipynb: its test accuracy is not part C's"
    for words, scores in found.model(models.BEST).card["beyond_grid"]["test"].items():
        if scores["accuracy"] != found.value("c", f"test accuracy, {words}"):
            yield f"best_model.json: the test accuracy of {words} is not part C's"


def weights(found):
    """Evaluate the saved networks; another BLAS may move an image or two to the other side."""
    for name in NAMES:
        model = found.model(name)
        for split, images in ("validation", data.load_training()[1]), ("test", data.load_test()):
            loss, accuracy = sgd.evaluate(model.layers, images)
            said = model.card[split]
            far = abs(loss / said["cross_entropy"] - 1) > 1e-4
            if far or abs(accuracy - said["accuracy"]) > 5e-4:
                yield f"{name}_weights.npy reaches {accuracy:.2%} on {split}, its card says {said}"


def ensemble(found):
    """Check the ensemble's mean probabilities: distributions, a share of the wide network's."""
    mean, test = np.load(found.folder / "ensemble_test_probabilities.npy"), data.load_test()
    [name] = [name for name in found.records("c") if name.startswith("test accuracy, ensemble of ")]
    members = int(name.split()[4])
    if mean.dtype != np.float32 or mean.shape != (10_000, 10):
        yield "ensemble_test_probabilities.npy: not 10,000 x 10 float32 numbers"
        return
    if mean.min() < 0 or np.abs(mean.sum(axis=1) - 1).max() > 1e-5:
        yield "ensemble_test_probabilities.npy: its rows are no distributions"
    accuracy = (mean.argmax(axis=1) == test.labels).mean()
    if abs(accuracy - found.value("c", name)) > 5e-4:
        yield f"ensemble_test_probabilities.npy reaches {accuracy:.2%}, part C says otherwise"
    wide = analysis.probabilities(found.model(models.WIDE).layers, test.images)
    if (members * mean - wide).min() < -1e-4:
        yield "ensemble_test_probabilities.npy: the wide network is no member"


def one_row(found):
    """Train one of the shortest runs again; the best network's hash decides which."""
    short = found.table.query("num_hidden_layers == 3 & num_units == 30 & batch_size == 64")
    short = short[short.num_epochs == short.num_epochs.min()]
    row = short.iloc[int(found.model(models.BEST).card["sha256"], 16) % len(short)]
    sizes = (784, *[int(row.num_units)] * int(row.num_hidden_layers), 10)
    counts, seed = (int(row.num_epochs), int(row.batch_size)), int(row.seed)
    recipe = sgd.Recipe(sizes, *counts, row.learning_rate, row.alpha, seed=seed, shuffle_seed=seed)
    accuracy = _accuracy_of(recipe)
    if abs(accuracy - row.accuracy) > ACCURACY:
        yield f"hyperparameter_tune.csv: {dict(row)} comes out with accuracy {accuracy:.4f}"


@cache
def _accuracy_of(recipe):
    training, validation = data.load_training()
    [weights] = lanes.train([recipe], training).values()
    return sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)[1]


# ---- part B's text file


def differences(found):
    """Compare all 59,210 values with backprop, and a sample with the same differences again."""
    first, empty, second, *lines = found.text("Part_B_grad_weight.txt").splitlines()
    if first != f"Gradient check using check_grad: {found.value('b', 'check_grad')!r}":
        yield f"Part_B_grad_weight.txt: {first!r} is not part B's value"
    if (empty, second) != ("", "Gradient check using approx_fprime:"):
        yield "Part_B_grad_weight.txt: its head is not the assignment's"
    weights, objective, gradient = checked_network()
    values = np.array([float(line.split(": ")[1]) for line in lines])
    if [line.split(": ")[0] for line in lines] != [f"Value {i}" for i in range(len(weights))]:
        yield "Part_B_grad_weight.txt: not each weight once, in order"
        return
    for position in np.flatnonzero(np.abs(values - gradient) > DIFFERENCE)[:5]:
        yield f"Part_B_grad_weight.txt: value {position} is not the slope {gradient[position]}"
    with sgd.one_blas_thread():
        again = [moved_by_one(objective, weights, position) for position in range(0, 59_210, 100)]
    for position in np.flatnonzero(np.abs(values[::100] - again) > ROUNDING)[:5]:
        yield f"Part_B_grad_weight.txt: value {100 * position} comes out as {again[position]}"


DIFFERENCE = 1e-6
"""Truncation: half the step, 1e-6, times the second derivative. The largest found is 3.5e-7."""
ROUNDING = 1e-8
"""Other kernels round the objective differently by some 1e-15, divided by the step: 1e-9 found."""


def moved_by_one(objective, weights, position, step=1e-6):
    """Take the forward difference of one weight, as SciPy does."""
    moved = weights.copy()
    moved[position] += step
    return (objective(moved) - objective(weights)) / (moved[position] - weights[position])


def checked_network():
    """Build again what part B differentiates: weights, the objective, and backprop's gradient."""
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
    gradient = network.pack(network.backprop(layers, images, labels))

    def objective(moved):
        return network.cross_entropy(network.unpack(moved, sizes), images, labels)

    return weights, objective, gradient


# ---- pictures


def pictures_in(notebook):
    """Map the alternative texts of a notebook's pictures to the pictures."""
    return {
        out.metadata["image/png"]["alt"]: base64.b64decode(out.data["image/png"])
        for out in outputs(notebook)
        if "image/png" in out.get("data", {})
    }


PICTURES = {
    "hyperparameter_tune.png": "c",
    "weight_photo.png": "d",
    "weight_photo_learned.png": "d",
}


def picture_files(found):
    """Look for the picture files in the notebooks that made them."""
    for name, part in PICTURES.items():
        png = (found.folder / name).read_bytes()
        if png not in pictures_in(found.notebook(part)).values():
            yield f"{name} is not the picture in part_{part}.ipynb"


def drawn_tables(found):
    """Draw part A's curves and part C's pictures again, from the files, and compare."""
    curves = (found.curves[name].tolist() for name in vars(sgd.History()))
    yield from _redrawn(found, "a", figures.samples(data.load_training()[0]))
    yield from _redrawn(found, "a", figures.learning_curves(sgd.History(*curves)))
    yield from _redrawn(found, "c", figures.grid_main_effects(found.table))
    yield from _redrawn(found, "c", figures.grid_heat_maps(found.table))
    noise = _noise(found)
    yield from _redrawn(found, "c", figures.accuracy_against_cross_entropy(found.table, noise))


def drawn_weights(found):
    """Draw part D's pictures again, from the saved networks, and compare."""
    best, recipe = (found.model(name) for name in (models.BEST, models.RECIPE))
    (W, b), (W_0, _) = best.layers[0], best.initial_layers[0]
    images = data.load_training()[1].images
    exciting = analysis.most_exciting(W, b, images, parameters.full("d")["num_images"])
    units = analysis.order_by_norm(W)[:60]
    yield from _redrawn(found, "d", figures.weight_tiles(W))
    yield from _redrawn(found, "d", figures.learned_tiles(W, W_0, recipe.layers[0][0]))
    yield from _redrawn(found, "d", figures.exciting_images(W, images[exciting], units))


def _redrawn(found, part, drawn):
    """Compare a picture with the one of the same words in a notebook; yields what is wrong."""
    was = pictures_in(found.notebook(part)).get(drawn.alt)
    if was is None:
        yield f"part_{part}.ipynb does not show: {drawn.alt}"
    elif (far := picture_distance(was, drawn.png)) > SAME_PICTURE:
        yield f"part_{part}.ipynb: drawn again, this differs by {far:.2g}: {drawn.alt}"


SAME_PICTURE = 0.002
"""Mean difference in grey that a rounded number or another release of a library may make."""


def all_pictures(found):
    """Compare pictures with those of notebooks/, in the parts that have the same parameters."""
    for part in "abd":
        committed, recorded = pictures_in(_committed(part)), pictures_in(found.notebook(part))
        for alt in committed.keys() | recorded.keys():
            both = committed.get(alt), recorded.get(alt)
            if None in both or picture_distance(*both) > OTHER_PICTURE:
                yield f"part_{part}.ipynb: not the picture of notebooks/: {alt}"


# ---- claims


def claims(found):
    """Find a line of claims.csv for each percentage in prose, and compute what it says."""
    claims = pd.read_csv(CLAIMS)
    for name, text in _prose().items():
        mine = claims[claims.file == name]
        for claim in mine.itertuples():
            if claim.text not in text:
                yield f"{name} no longer says {claim.text!r}"
            value = eval(claim.value, {"np": np, **vars(found), "found": found})
            if not claim.low <= value <= claim.high:
                yield f"{name}: {claim.text!r}: {claim.value} is {value}"
        rest = text
        for said in mine.text:
            rest = rest.replace(said, "")
        yield from (f"{name}: nothing checks {said} %" for said in PERCENT.findall(rest))


def _prose():
    """Join the Markdown of each notebook, and of README.md outside its generated tables."""
    texts = {}
    for part in PARTS:
        cells = _committed(part).cells
        texts[f"part_{part}"] = [cell.source for cell in cells if cell.cell_type == "markdown"]
    readme = (files.PROJECT / "README.md").read_text("utf-8")
    texts["README"] = [re.sub(r"<!-- (\w+): .*?<!-- end of \1 -->", "", readme, flags=re.DOTALL)]
    return {name: " ".join(" ".join(text).split()) for name, text in texts.items()}


NAMES_OF_CHECKS = """
pages sources settings tolerances tables percentages epochs sentences grid card scores weights
ensemble one_row differences picture_files drawn_tables drawn_weights all_pictures claims"""
CHECKS = {name: globals()[name] for name in NAMES_OF_CHECKS.split()}
