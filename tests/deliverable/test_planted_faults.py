"""Classic faults, planted in copies of helpers, turn a small recorded notebook red.

The notebook is small enough to be exact: double precision and few steps. Such figures move by
about 1e-15 between machines (tests/benchmarks/spread.json, "double precision"), so a tolerance
of 1e-9 is wide for honest runs, and a fault in the mathematics stands far outside it.
"""

import shutil

import nbformat
import pytest

from helpers.files import PROJECT

USE_COPY = """
import sys
sys.path.insert(0, "{}")
for name in [name for name in sys.modules if name.split(".")[0] == "helpers"]:
    del sys.modules[name]"""
TRAINING = """
import numpy as np
from helpers.data import Images
from helpers.notebook import record
from helpers.sgd import Recipe, train

rng = np.random.default_rng(0)
images = rng.uniform(-0.5, 0.5, (3_000, 784))
data = Images(images, (images @ rng.normal(size=(784, 10))).argmax(axis=1))
recipe = Recipe((784, 16, 16, 10), num_epochs=3, batch_size=300, learning_rate=0.1, alpha=0.01)
trained = train(recipe, data.first(2_000), Images(*(part[2_000:] for part in data)), dtype=float)
record("start loss", trained.history.validation_cross_entropy[0], rel=1e-9)
record("cross-entropy", trained.history.validation_cross_entropy[-1], rel=1e-9)"""

NO_FAULT = "a changed comment"
FAULTS = {
    NO_FAULT: ("sgd.py", "The step is w <-", "One step is w <-"),
    "ReLU passes the gradient where z is 0": ("network.py", "* (h > 0)", "* (h >= 0)"),
    "no shuffling": ("sgd.py", "np.random.default_rng(seed).permutation(", "np.arange("),
    "the same order in every epoch": ("sgd.py", "shuffle_seed, epoch]", "shuffle_seed, 0]"),
    "a short last batch is lost": ("sgd.py", "(0, num_images,", "(0, num_images - batch_size + 1,"),
    "a short batch counts as full": ("network.py", "/ len(images)", "/ max(len(images), 300)"),
    "no L2": ("network.py", "+ alpha * W", ""),
    "L2 twice as strong": ("network.py", "+ alpha * W", "+ 2 * alpha * W"),
    "L2 on the biases, too": ("network.py", "sum(axis=-1)))", "sum(axis=-1) + alpha * _))"),
}


def plant(fault, folder):
    """Copy the helpers package into a folder and break the copy."""
    file, sound, broken = FAULTS[fault]
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "helpers", folder / "helpers", ignore=ignored)
    path = folder / "helpers" / file
    before, after = path.read_text("utf-8").split(sound)  # once, or adapt the fault to the code
    path.write_text(before + broken + after, "utf-8")


@pytest.fixture(scope="module")
def failures(record_notebook, check_notebooks, tmp_path_factory):
    """Give, for each fault, what pytest says of the cell recorded with the true code.

    One notebook trains once for each fault, every time with another copy of helpers.
    """
    [training] = record_notebook(TRAINING).cells
    notebook, folder = nbformat.v4.new_notebook(), tmp_path_factory.mktemp("faults")
    for number, fault in enumerate(FAULTS):
        plant(fault, folder / f"copy_{number}")
        use_copy = nbformat.v4.new_code_cell(USE_COPY.format(f"copy_{number}"), execution_count=1)
        notebook.cells += [use_copy, nbformat.from_dict(training | {"id": f"training-{number}"})]
    nbformat.write(notebook, folder / "notebook.ipynb")
    found = check_notebooks(folder)["notebook.ipynb"]
    assert set(found[::2]) == {""}
    return dict(zip(FAULTS, found[1::2], strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_the_notebook_red(failures, fault):
    is_red = "cross-entropy: recorded" in failures[fault]
    assert is_red if fault != NO_FAULT else failures[fault] == "", failures[fault]
