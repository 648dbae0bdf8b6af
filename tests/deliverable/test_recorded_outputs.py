"""The deliverable in outputs/, checked without training anything.

Files, notebooks and README must agree with each other; what can be computed again in seconds
(accuracies of saved weights, the gradient of the checked network) is computed again.
"""

import itertools
import json
import re

import matplotlib.image
import nbformat
import numpy as np
import pytest

from helpers import data, models, network, sgd
from helpers.batch.execution import parameters_of
from helpers.files import OUTPUTS
from helpers.grid import table as grid_table
from helpers.notebook.parameters import FULL
from helpers.notebook.records import read_records
from tests.tools import readme

FACTORS = FULL["c"]


@pytest.fixture(scope="module")
def rows():
    return grid_table.read_table(OUTPUTS / "hyperparameter_tune.csv")


@pytest.fixture(scope="module")
def card():
    return json.loads((OUTPUTS / "best_model.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def best(rows):
    finite = [row for row in rows if not row["diverged"]]
    return min(finite, key=lambda row: (-row["accuracy"], row["cross_entropy"]))


def records(part):
    return read_records(nbformat.read(OUTPUTS / f"part_{part}.ipynb", as_version=4))


def test_the_table_has_each_of_the_162_combinations_once(rows):
    found = [tuple(row[name] for name in grid_table.FACTORS) for row in rows]
    wanted = itertools.product(*(FACTORS[name] for name in grid_table.FACTORS))
    assert sorted(found) == sorted(wanted)
    assert len(found) == 162


def test_the_sentences_are_the_rows(rows):
    lines = (OUTPUTS / "hyperparameter_tune.txt").read_text("utf-8").splitlines()
    assert lines == [grid_table.sentence(row) for row in rows]


def test_card_and_notebook_state_the_best_row_of_the_table(card, best):
    expected = [784, *[best["num_units"]] * best["num_hidden_layers"], 10]
    assert card["layer_sizes"] == expected
    for name in ("num_epochs", "batch_size", "learning_rate", "alpha"):
        assert card["hyperparameters"][name] == best[name]
    assert card["validation"] == {key: best[key] for key in ("cross_entropy", "accuracy")}
    assert records("c")["best validation accuracy"].value == best["accuracy"]
    assert records("c")["grid rows"].value == card["num_rows"] == 162


@pytest.mark.parametrize("name", [models.BEST, models.WIDE])
def test_saved_weights_reach_the_recorded_accuracy(name):
    model = models.load_model(OUTPUTS, name)
    _, validation = data.load_training_once()
    for images, stated in (validation, "validation"), (data.load_test(), "test"):
        loss, accuracy = sgd.evaluate(model.weights, model.layer_sizes, images)
        # Another BLAS may round a logit differently: at most a few images change sides.
        assert accuracy == pytest.approx(model.card[stated]["accuracy"], abs=5e-4)
        assert loss == pytest.approx(model.card[stated]["cross_entropy"], rel=1e-4)


def test_the_test_figures_agree_between_card_and_notebooks(card):
    of_part_c = records("c")
    assert of_part_c["test accuracy, best of the grid"].value == card["test"]["accuracy"]
    for name, found in card["beyond_grid"]["test"].items():
        assert of_part_c[f"test accuracy, {name}"].value == found["accuracy"]
    wide = models.load_model(OUTPUTS, models.WIDE).card
    assert wide["test"]["accuracy"] == of_part_c["test accuracy, 512-256"].value


def test_each_of_the_59210_finite_differences_agrees_with_backprop():
    lines = (OUTPUTS / "Part_B_grad_weight.txt").read_text("utf-8").splitlines()
    numbers = [re.fullmatch(r"Value (\d+): (\S+)", line).groups() for line in lines[1:]]
    assert [int(index) for index, _ in numbers] == list(range(len(numbers)))
    parameters = checked_network()
    gradient = network.backprop(*parameters)
    differences = np.array([float(value) for _, value in numbers])
    assert differences.shape == gradient.shape == (59_210,)
    # A step of 1e-6 leaves rounding of about 5e-10 and truncation of 5e-7 times the curvature.
    assert np.linalg.norm(differences - gradient) < 1e-5 * np.linalg.norm(gradient)
    assert lines[0].startswith("check_grad: ")
    assert float(lines[0].split()[1]) == records("b")["check_grad"].value < 1e-5


def test_the_pictures_are_there_and_not_blank():
    for name in ("weight_photo.png", "hyperparameter_tune.png"):
        pixels = matplotlib.image.imread(OUTPUTS / name)
        assert min(pixels.shape[:2]) > 300
        assert pixels[..., :3].std() > 0.05


def test_the_readme_states_what_outputs_hold():
    assert readme.disagreements(readme.README.read_text("utf-8")) == []


def test_a_wrong_figure_in_the_readme_is_noticed():
    text = readme.README.read_text("utf-8")
    value = readme.headlines()[-1].value
    assert value in text
    assert readme.disagreements(text.replace(value, "12.34 %"))


@pytest.mark.parametrize("name", ["speed", "soak"])
def test_the_other_blocks_of_the_readme_are_generated(name):
    text = readme.README.read_text("utf-8")
    assert readme.block(text, name)[1].strip() == readme.BLOCKS[name]().strip()


def test_outputs_stay_below_ten_megabytes():
    files = [path for path in OUTPUTS.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6


def checked_network():
    """Build again what part B differentiates at its defaults: weights, network and examples."""
    seed = int(parameters_of(OUTPUTS / "part_b.ipynb")["seed"]["default"])
    rng = np.random.default_rng(seed)
    training, _ = data.load_training_once()
    chosen = rng.choice(len(training.labels), 5, replace=False)
    layer_sizes = (784, 64, 64, 64, 10)
    weights = network.init_weights(layer_sizes, seed)
    for b in network.unpack(weights, layer_sizes)[1]:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)
    images = training.images[chosen].astype(np.float64)
    return weights, layer_sizes, images, training.labels[chosen]
