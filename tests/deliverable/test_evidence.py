"""outputs/ agrees with itself, with the code and with notebooks/; a changed copy does not.

This is the gallery of forgeries: each changes a copy of the recorded files as data and is paired
with the check that must see it. `tests/README.md` says what only the audit sees, and what nobody.
"""

import hashlib
import io
import json
import os
import shutil
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import files
from helpers.errors import OneLineError
from helpers.notebook import cells
from helpers.notebook.records import RECORD, Record
from tests.deliverable import evidence
from tests.tools import readme

FOLDER = Path(os.environ.get("DELIVERABLE", files.OUTPUTS))
"""A run elsewhere can be checked as well: DELIVERABLE=DIR pytest tests/deliverable."""


@pytest.fixture(scope="module")
def found():
    return evidence.Deliverable(FOLDER)


@pytest.mark.parametrize("name", evidence.CHECKS)
def test_nothing_is_wrong(found, name):
    evidence.CHECKS[name](found)


# ---- forgeries: a change of a file's content, in place or as new content


def read_text(path):
    return path.read_text("utf-8")


def write_text(text, path):
    path.write_text(text, "utf-8")


FORMATS = {
    ".ipynb": (partial(nbformat.read, as_version=4), nbformat.write),
    ".csv": (pd.read_csv, lambda table, path: table.to_csv(path, index=False)),
    ".json": (lambda path: json.loads(read_text(path)), lambda card, p: files.write_json(p, card)),
    ".npy": (np.load, lambda array, path: np.save(path, array)),
    ".png": (Path.read_bytes, lambda png, path: path.write_bytes(png)),
    ".txt": (read_text, write_text),
    ".html": (read_text, write_text),
}


def forge(path, change):
    """Change a file, which is a link to the recorded one."""
    read, write = FORMATS[path.suffix]
    content = read(path)
    changed = change(content)
    path.unlink()
    write(content if changed is None else changed, path)


def alter(name, **changes):
    """Change a recorded value or its tolerance, and its readable line as well."""

    def change(notebook):
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                record = output.get("data", {}).get(RECORD, {})
                if record.get("name") == name:
                    record.update(changes)
                    output.data["text/plain"] = str(Record(**record))

    return change


def stale(notebook):
    cells.outputs(notebook, cells.PARAMETERS)[-1]["num_epochs"] = [2, 4]


def lose_outputs(notebook):
    for cell in notebook.cells:
        cell.outputs = []


def put(*path, **values):
    """Change entries of a card, below a path of keys."""

    def change(card):
        for key in path:
            card = card[key]
        card.update(values)

    return change


def lower(rows):
    """Make all rows but the best 10 points worse."""
    best = rows.accuracy == rows.accuracy.max()
    return rows.assign(accuracy=rows.accuracy.where(best, rows.accuracy - 0.1))


def nudge(array):
    array.flat[::7] += 0.01


def noise(png):
    """Make a picture of nothing, in the size of another one."""
    content = io.BytesIO()
    Image.effect_noise(Image.open(io.BytesIO(png)).size, 100).save(content, "png")
    return content.getvalue()


def move_a_difference(text):
    before, value, after = text.partition("Value 4321: ")
    number, newline, rest = after.partition("\n")
    return before + value + repr(float(number) + 1e-5) + newline + rest


A, B, C, D = (f"part_{part}.ipynb" for part in "abcd")
TABLE, CURVES = "hyperparameter_tune.csv", "learning_curves.csv"
SENTENCES, GRADIENT = "hyperparameter_tune.txt", "Part_B_grad_weight.txt"
CARD, WIDE, ENSEMBLE = "best_model.json", "wide_model.json", "ensemble_test_probabilities.npy"
BEST, EXACT = "best validation accuracy", "complex step: relative error"
OF_THREE = "ensemble of 3 x 512-256"
ALPHA = "first_layer_alpha_0.003.json"
FORGERIES = {
    "a number in the report": ("pages", "report.html", lambda page: page.replace(" %", "9 %", 1)),
    "a number in a part's page": ("pages", "part_c.html", lambda page: page.replace("0.", "9.", 1)),
    "a cell changed, not run": ("sources", A, lambda nb: nb.cells[-1].update(source="")),
    "a stale run": ("settings", C, stale),
    "outputs deleted": ("tolerances", A, lose_outputs),
    "a tolerance of 0.2 for 0.01": ("tolerances", C, alter(BEST, limit=0.2)),
    "a tolerance of 1e-2 for 1e-13": ("tolerances", B, alter(EXACT, limit=1e-2)),
    "99 broken gradients": ("same_values", B, alter("broken gradients", value=99)),
    "another start of part A": ("same_values", A, alter("cross-entropy at the start", value=2.4)),
    "the last row of the curves": ("curves", CURVES, lambda t: t.replace(t.iat[-1, -1], 0.99)),
    "an epoch too few": ("curves", CURVES, lambda t: t.drop(index=4)),
    "a sentence": ("sentences_of_the_table", SENTENCES, lambda text: text.replace("87.", "97.", 1)),
    "a row lost": ("grid", TABLE, lambda rows: rows.drop(index=7)),
    "the wide network's recipe": ("recipes", WIDE, put("recipe", num_epochs=4, learning_rate=0.5)),
    "the wide network's seed": ("recipes", WIDE, put("recipe", seed=7)),
    "the best network's recipe": ("recipes", CARD, put("recipe", shuffle_seed=1)),
    "the strength of L2": ("recipes", ALPHA, put("recipe", alpha=0.001)),
    "the best row": ("best_row", TABLE, lambda rows: rows.replace(rows.accuracy.max(), 0.95)),
    "the card's accuracy": ("best_row", CARD, put("validation", accuracy=0.95)),
    "a mean over seeds": ("repeats", CARD, put("repeats", 0, mean=0.95)),
    "where a repeated run began": ("repeats", CARD, put("repeats", 0, first_accuracy=0.95)),
    "the card's ensemble": ("scores", CARD, put("beyond_grid", "test", OF_THREE, accuracy=0.95)),
    "part C's test accuracy": ("scores", C, alter("test accuracy, 512-256", value=0.95)),
    "part D's test accuracy": ("scores", D, alter("test accuracy", value=0.95)),
    "a network's test accuracy": ("weights", WIDE, put("test", accuracy=0.95)),
    "weights": ("weights", "best_model_weights.npy", nudge),
    "the ensemble's probabilities": ("ensemble", ENSEMBLE, nudge),
    "all rows but the best lowered": ("one_row", TABLE, lower),
    "one finite difference by 1e-5": ("differences", GRADIENT, move_a_difference),
    "check_grad in the file": ("differences", GRADIENT, lambda text: text.replace(": ", ": 1", 1)),
    "check_grad below its rounding": ("noise", B, alter("check_grad", value=1.2e-9)),
    "weight_photo.png": ("picture_files", "weight_photo.png", noise),
    "hyperparameter_tune.png": ("picture_files", "hyperparameter_tune.png", noise),
}
"""What is forged -> the check that must see it, the file and how it is changed."""


@pytest.fixture
def copy(tmp_path):
    """A copy of the recorded files, to be forged."""
    folder = tmp_path / "outputs"
    shutil.copytree(FOLDER, folder, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
    return folder


@pytest.mark.parametrize(("check", "name", "change"), FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_is_seen(copy, check, name, change):
    forge(copy / name, change)
    with pytest.raises((AssertionError, ValueError, OneLineError)):
        evidence.CHECKS[check](evidence.Deliverable(copy))


def test_forged_weights_with_their_hash_are_seen(copy):
    forge(copy / "wide_model_weights.npy", nudge)
    digest = hashlib.sha256((copy / "wide_model_weights.npy").read_bytes()).hexdigest()
    forge(copy / WIDE, put(sha256=digest))
    with pytest.raises(AssertionError):
        evidence.weights(evidence.Deliverable(copy))


def test_an_ensemble_one_point_better_everywhere_is_seen(copy):
    card = json.loads(read_text(copy / CARD))
    better = card["beyond_grid"]["test"][OF_THREE]["accuracy"] + 0.0098
    forge(copy / CARD, put("beyond_grid", "test", OF_THREE, accuracy=better))
    forge(copy / C, alter(f"test accuracy, {OF_THREE}", value=better))
    forged = evidence.Deliverable(copy)
    evidence.scores(forged)  # card and notebook agree
    with pytest.raises(AssertionError):
        evidence.ensemble(forged)


def test_the_readme_states_what_outputs_hold():
    text = readme.README.read_text("utf-8")
    assert readme.disagreements(text, FOLDER) == []
    value = readme.headlines(FOLDER)[-1].text
    assert value in text
    assert readme.disagreements(text.replace(value, "12.34 %"), FOLDER)


@pytest.mark.parametrize("name", ["speed", "soak"])
def test_the_other_generated_tables_follow_from_their_numbers(name):
    page, make = readme.BLOCKS[name]
    assert readme.block(page.read_text("utf-8"), name)[1] == make()


def test_outputs_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 12e6
