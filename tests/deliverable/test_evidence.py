"""outputs/ agrees with itself, without training; and what was doctored in a copy is noticed.

Each doctoring is paired with the check that must see it. README says what only the audit sees.
"""

import base64
import io
import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.files import OUTPUTS
from helpers.notebook.records import RECORD, VARIES, Record
from tests.deliverable import evidence
from tests.tools import audit, readme, soak

FOLDER = Path(os.environ.get("DELIVERABLE", OUTPUTS))
"""A run elsewhere can be checked as well: DELIVERABLE=DIR pytest tests/deliverable."""


@pytest.fixture(scope="module")
def found():
    return evidence.Deliverable(FOLDER)


@pytest.mark.parametrize("name", evidence.CHECKS)
def test_nothing_is_wrong(found, name):
    evidence.CHECKS[name](found)


# ---- doctorings: a change of a file's content, in place or as new content

FORMATS = {
    ".ipynb": (partial(nbformat.read, as_version=4), nbformat.write),
    ".csv": (pd.read_csv, lambda table, path: table.to_csv(path, index=False)),
    ".npy": (np.load, lambda array, path: np.save(path, array)),
    ".png": (Path.read_bytes, lambda png, path: path.write_bytes(png)),
}
TEXT = Path.read_text, lambda text, path: path.write_text(text)


def doctor(path, change):
    """Change a file, which is a link to the recorded one."""
    read, write = FORMATS.get(path.suffix, TEXT)
    content = read(path)
    changed = change(content)
    path.unlink()
    write(content if changed is None else changed, path)


def edit(pattern, new):
    return partial(re.sub, pattern, new)


def alter(name, **changes):
    """Change a recorded value or its tolerance, and its readable line as well."""

    def change(notebook):
        data = record(notebook, name)
        data[RECORD].update(changes)
        data["text/plain"] = str(Record(**data[RECORD]))

    return change


def record(notebook, name):
    """Find the output that holds a recorded value."""
    found = [output.data for output in evidence.outputs(notebook, RECORD)]
    return next(data for data in found if data[RECORD]["name"] == name)


def say(pattern, new, *kinds):
    """Change what the first fitting output of these kinds says, of those that may vary."""

    def change(notebook):
        found = [output.data for output in evidence.outputs(notebook, VARIES)]
        fitting = [data for data in found if re.search(pattern, data.get(kinds[0], ""))]
        fitting[0].update({kind: re.sub(pattern, new, fitting[0][kind]) for kind in kinds})

    return change


def repaint(number):
    """Replace one of a notebook's pictures by noise."""

    def change(notebook):
        data = evidence.outputs(notebook, "image/png")[number].data
        png = base64.b64decode(data["image/png"])
        data["image/png"] = base64.b64encode(noise(png)).decode()

    return change


def noise(png):
    """Make a picture of nothing, in the size of another one."""
    content = io.BytesIO()
    Image.effect_noise(Image.open(io.BytesIO(png)).size, 100).save(content, "png")
    return content.getvalue()


def exchange(notebook):
    """Exchange the first two pictures."""
    first, second, *_ = (output.data for output in evidence.outputs(notebook, "image/png"))
    first["image/png"], second["image/png"] = second["image/png"], first["image/png"]


def lower(rows):
    """Make all rows but the best 10 points worse."""
    best = rows.accuracy == rows.accuracy.max()
    return rows.assign(accuracy=rows.accuracy.where(best, rows.accuracy - 0.1))


def stale(notebook):
    [injected] = [cell for cell in notebook.cells if cell.id == evidence.INJECTED]
    injected.source += "\nnum_epochs = [2]"


def move(spot):
    return f"Value 4321: {float(spot[0].split()[-1]) + 1e-5!r}"


def nudge(array):
    array.flat[::7] += 0.01


A, B, C, D = (f"part_{part}.ipynb" for part in "abcd")
TABLE, CURVES, CARD = "hyperparameter_tune.csv", "learning_curves.csv", "best_model.json"
SENTENCES, GRADIENT = "hyperparameter_tune.txt", "Part_B_grad_weight.txt"
WIDE, ENSEMBLE = "wide_model.json", "ensemble_test_probabilities.npy"
BEST, EXACT = "best validation accuracy", "complex step: relative error"
HTML, PLAIN = "text/html", "text/plain"
SHARE = r"\d\d\.\d\d ?%"
DOCTORINGS = {
    "a number in the report": ("pages", "report.html", edit(SHARE, "12.34 %")),
    "a number in a part's page": ("pages", "part_c.html", edit(r"\d\d\.\d\d", "12.34")),
    "a cell changed, not run": ("sources", A, lambda nb: nb.cells[-1].update(source="")),
    "a stale run": ("settings", C, stale),
    "a record deleted": ("tolerances", A, lambda nb: record(nb, "test accuracy").clear()),
    "a tolerance of 0.2 for 0.01": ("tolerances", C, alter(BEST, limit=0.2)),
    "a tolerance of 1e-2 for 1e-13": ("tolerances", B, alter(EXACT, limit=1e-2)),
    "a shown table": ("percentages", C, say(SHARE, "99.12%", HTML, PLAIN)),
    "only the HTML of a table": ("tables", C, say(SHARE, "99.12%", HTML)),
    "a line that varies says 99 %": ("percentages", D, say(r"\d\d\.\d+%", "99.00%", PLAIN)),
    "an epoch's line": ("epochs", A, say("validation: 0", "validation: 1", PLAIN)),
    "the last row of the curves": ("epochs", CURVES, lambda t: t.replace(t.iat[-1, -1], 1)),
    "all rows but the best lowered": ("drawn_tables", TABLE, lower),
    "all rows but the best lowered, pictures too": ("one_row", TABLE, lower),
    "a sentence": ("told", SENTENCES, edit(r"\d\d\.\d\d%", "12.34%")),
    "a row lost": ("grid", TABLE, lambda rows: rows.drop(index=7)),
    "the best row": ("card", TABLE, lambda rows: rows.replace(rows.accuracy.max(), 0.95)),
    "where a repeated run began": ("card", CARD, edit('(first_accuracy": )[0-9.]+', r"\g<1>0.95")),
    "means of repeated runs": ("percentages", CARD, edit('(mean": )[0-9.]+', r"\g<1>0.95")),
    "the ensemble's value": ("scores", CARD, edit(r'(ensemble[^}]*": )[0-9.]+', r"\g<1>0.95")),
    "a network's test accuracy": ("weights", WIDE, edit(r'(test": [^}]*": )[0-9.]+', r"\g<1>0.95")),
    "weights": ("weights", "best_model_weights.npy", nudge),
    "the ensemble": ("ensemble", ENSEMBLE, nudge),
    "one finite difference by 1e-5": ("differences", GRADIENT, edit(r"Value 4321: \S+", move)),
    "the value of check_grad": ("differences", GRADIENT, edit("check_grad: .*", "check_grad: 0.0")),
    "weight_photo.png": ("picture_files", "weight_photo.png", noise),
    "hyperparameter_tune.png": ("picture_files", "hyperparameter_tune.png", noise),
    "a picture of noise in part A": ("all_pictures", A, repaint(-1)),
    "a picture of noise in part C": ("drawn_tables", C, repaint(0)),
    "pictures exchanged in part D": ("drawn_weights", D, exchange),
}


@pytest.mark.parametrize(("check", "name", "change"), DOCTORINGS.values(), ids=DOCTORINGS)
def test_a_doctored_copy_is_noticed(tmp_path, check, name, change):
    folder = tmp_path / "outputs"
    shutil.copytree(FOLDER, folder, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
    doctor(folder / name, change)
    with pytest.raises((AssertionError, ValueError)):
        evidence.CHECKS[check](evidence.Deliverable(folder))


def test_the_audit_notices_lowered_rows(tmp_path):
    shutil.copy(FOLDER / TABLE, tmp_path)
    doctor(tmp_path / TABLE, lower)
    assert len(list(audit.differences(FOLDER, tmp_path))) >= 161
    assert list(audit.differences(FOLDER, FOLDER)) == []


# ---- README and the soak


def test_the_readme_states_what_outputs_hold():
    text = readme.README.read_text("utf-8")
    assert readme.disagreements(text, FOLDER) == []
    value = readme.headlines(FOLDER)[-1].text
    assert value in text
    assert readme.disagreements(text.replace(value, "12.34 %"), FOLDER)


@pytest.mark.parametrize("name", ["speed", "soak"])
def test_the_other_blocks_of_the_readme_are_generated(name):
    text = readme.README.read_text("utf-8")
    assert readme.block(text, name)[1].strip() == readme.BLOCKS[name]().strip()


def is_consistent(record):
    """Hold the counts of a soak against each other; nothing may be lost."""
    faults = record["faults_by_kind"]
    return (
        record["rounds"] >= record["faults"] == sum(faults.values()) >= 200
        and record["kills"] == record["faults"] - faults.get(soak.LIMIT, 0)
        and not any(record[name] for name in soak.LOSSES)
    )


def test_the_soak_is_consistent_and_lost_nothing():
    record = json.loads(soak.RECORD.read_text("utf-8"))
    assert is_consistent(record)
    for change in {"faults": 2_000}, {"kills": 100}, {"rows_lost": 1}, {"rounds": 20}:
        assert not is_consistent(record | change)


def test_outputs_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 12e6
