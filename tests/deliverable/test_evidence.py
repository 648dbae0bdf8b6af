"""outputs/ agrees with itself, without training; and what was doctored in a copy is noticed.

Each doctoring is paired with the check that must see it. README says what only the audit sees.
"""

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import files
from helpers.files import OUTPUTS
from helpers.notebook.records import RECORD, VARIES, Record
from tests.deliverable import evidence
from tests.tools import audit, readme

FOLDER = Path(os.environ.get("DELIVERABLE", OUTPUTS))
"""A run elsewhere can be checked as well: DELIVERABLE=DIR pytest tests/deliverable."""
SOAK = json.loads(readme.SOAK.read_text("utf-8"))


@pytest.fixture(scope="module")
def found():
    return evidence.Deliverable(FOLDER)


@pytest.mark.parametrize("name", evidence.CHECKS)
def test_nothing_is_wrong(found, name):
    assert list(evidence.CHECKS[name](found)) == []


# ---- doctorings


def edit(name, pattern, new, which=0):
    """Replace one occurrence of a pattern in a text file; `new` may be a function of the match."""

    def change(folder):
        text = (folder / name).read_text("utf-8")
        spot = list(re.finditer(pattern, text))[which]
        spoilt = new(spot) if callable(new) else new
        files.write_text(folder / name, text[: spot.start()] + spoilt + text[spot.end() :])

    return change


def notebook(part, change):
    """Change a notebook of the folder."""

    def doctor(folder):
        path = folder / f"part_{part}.ipynb"
        content = nbformat.read(path, as_version=4)
        change(content)
        files.write_text(path, nbformat.writes(content))

    return doctor


def table(change):
    """Change the table."""

    def doctor(folder):
        path = folder / "hyperparameter_tune.csv"
        files.write_text(path, change(pd.read_csv(path)).to_csv(index=False))

    return doctor


def card(change, name="best_model"):
    """Change a card."""

    def doctor(folder):
        path = folder / f"{name}.json"
        content = json.loads(path.read_text("utf-8"))
        change(content)
        files.write_json(path, content)

    return doctor


def record_output(content, name):
    """Find the output that holds a recorded value."""
    outputs = evidence.outputs(content)
    [output] = [o for o in outputs if o.get("data", {}).get(RECORD, {}).get("name") == name]
    return output


def alter(name, **changes):
    """Change a recorded value or its tolerance, and its readable line as well."""

    def change(content):
        output = record_output(content, name)
        output.data[RECORD].update(changes)
        output.data["text/plain"] = str(Record(**output.data[RECORD]))

    return change


def drop(name):
    """Take a recorded value out."""

    def change(content):
        output = record_output(content, name)
        for cell in content.cells:
            if output in cell.get("outputs", []):
                cell.outputs.remove(output)

    return change


def say(pattern, new):
    """Change what a line or table that may vary says, in all its forms."""

    def change(content):
        for output in evidence.outputs(content):
            if VARIES in output.get("data", {}) and re.search(pattern, evidence.shown(output)):
                for kind in {"text/plain", "text/html"} & output.data.keys():
                    output.data[kind] = re.sub(pattern, new, output.data[kind])
                return
        raise AssertionError(f"no line that varies matches {pattern}")

    return change


def noise(size):
    """Make a picture of nothing, as PNG."""
    pixels = np.random.default_rng(0).integers(0, 256, size[::-1]).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


def repaint(number):
    """Replace one of a notebook's pictures by noise of its size."""

    def change(content):
        shown = [o for o in evidence.outputs(content) if "image/png" in o.get("data", {})]
        data = shown[number].data
        size = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size
        data["image/png"] = base64.b64encode(noise(size)).decode()

    return change


def swap(first, second):
    """Exchange two of a notebook's pictures."""

    def change(content):
        shown = [o.data for o in evidence.outputs(content) if "image/png" in o.get("data", {})]
        a, b = shown[first], shown[second]
        a["image/png"], b["image/png"] = b["image/png"], a["image/png"]

    return change


def lower(rows):
    """Make all rows but the best 10 points worse."""
    best = rows.index == rows.accuracy.idxmax()
    return rows.assign(accuracy=rows.accuracy.where(best, rows.accuracy - 0.1))


def raise_best(rows):
    """Make the best row better than it was."""
    return rows.assign(accuracy=rows.accuracy.replace(rows.accuracy.max(), 0.95))


def nudge(path, amount):
    """Change some numbers of an array."""

    def doctor(folder):
        array = np.load(folder / path)
        array.flat[::7] += amount
        files.write_array(folder / path, array)

    return doctor


def other_digit(spot):
    return spot[0].replace(spot[0][0], str((int(spot[0][0]) + 1) % 10), 1)


def move(spot):
    return f"Value 4321: {float(spot[1]) + 1e-5!r}"


def blank(name):
    def doctor(folder):
        size = Image.open(folder / name).size
        files.write_bytes(folder / name, noise(size))

    return doctor


PERCENTAGE = r"\d\d\.\d\d ?%"
BEST, EXACT, WIDE = "best validation accuracy", "complex step: relative error", "wide_model"
C, B_FILE = "part_c.ipynb", "Part_B_grad_weight.txt"
DOCTORINGS = {
    "a number in the report": ("pages", edit("report.html", PERCENTAGE, other_digit)),
    "a number in a part's page": ("pages", edit("part_c.html", r"\d\d\.\d\d", other_digit)),
    "a cell changed, not run": (
        "sources",
        notebook("a", lambda nb: nb.cells[-1].update(source="")),
    ),
    "a stale run": ("settings", edit(C, r"num_epochs = \[[\d, ]+\]", "num_epochs = [2]", -1)),
    "a record deleted": ("tolerances", notebook("a", drop("test accuracy"))),
    "a tolerance of 0.2 for 0.01": ("tolerances", notebook("c", alter(BEST, limit=0.2))),
    "a tolerance of 1e-2 for 1e-13": ("tolerances", notebook("b", alter(EXACT, limit=1e-2))),
    "a shown table": ("percentages", notebook("c", say(PERCENTAGE, "99.12%"))),
    "only the HTML of a table": ("tables", edit(C, r"<td>8\d\.\d\d", "<td>99.12")),
    "a line that varies says 99 %": ("percentages", notebook("d", say(r"\d\d\.\d+%", "99.00%"))),
    "an epoch's line": ("epochs", notebook("a", say("validation: 0", "validation: 1"))),
    "the last row of the curves": ("epochs", edit("learning_curves.csv", r"0\.\d+(?=\n$)", "0.95")),
    "all rows but the best lowered": ("drawn_tables", table(lower)),
    "all rows but the best lowered, pictures too": ("one_row", table(lower)),
    "a sentence": ("sentences", edit("hyperparameter_tune.txt", r"\d\d\.\d\d", other_digit, 80)),
    "a row lost": ("grid", table(lambda rows: rows.drop(index=7))),
    "the best row": ("card", table(raise_best)),
    "where a repeated run began": ("card", card(lambda c: c["repeats"][0].update(first_seed=0.95))),
    "means of repeated runs": (
        "percentages",
        card(lambda c: [each.update(mean=0.95) for each in c["repeats"]]),
    ),
    "the ensemble's value": (
        "scores",
        card(lambda c: [each.update(accuracy=0.95) for each in c["beyond_grid"]["test"].values()]),
    ),
    "a network's test accuracy": ("weights", card(lambda c: c["test"].update(accuracy=0.95), WIDE)),
    "weights": ("weights", nudge("best_model_weights.npy", 0.01)),
    "the ensemble": ("ensemble", nudge("ensemble_test_probabilities.npy", 0.01)),
    "one finite difference by 1e-5": ("differences", edit(B_FILE, r"Value 4321: (\S+)", move)),
    "the value of check_grad": ("differences", edit(B_FILE, r"check_grad: \S+", "check_grad: 0.0")),
    "weight_photo.png": ("picture_files", blank("weight_photo.png")),
    "hyperparameter_tune.png": ("picture_files", blank("hyperparameter_tune.png")),
    "a picture of noise in part A": ("all_pictures", notebook("a", repaint(-1))),
    "a picture of noise in part C": ("drawn_tables", notebook("c", repaint(0))),
    "pictures exchanged in part D": ("drawn_weights", notebook("d", swap(0, 1))),
}


@pytest.mark.parametrize(("name", "doctor"), DOCTORINGS.values(), ids=DOCTORINGS)
def test_a_doctored_copy_is_noticed(tmp_path, name, doctor):
    folder = tmp_path / "outputs"
    shutil.copytree(FOLDER, folder, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
    doctor(folder)
    try:
        problems = list(evidence.CHECKS[name](evidence.Deliverable(folder)))
    except ValueError as error:
        problems = [str(error)]
    assert problems
    print(*problems[:3], sep="\n")


def test_the_audit_notices_lowered_rows(tmp_path):
    shutil.copy(FOLDER / "hyperparameter_tune.csv", tmp_path)
    table(lower)(tmp_path)
    assert len(list(audit.differences(FOLDER, tmp_path))) >= 161
    assert list(audit.differences(FOLDER, FOLDER)) == []


# ---- README and the soak


def test_the_readme_states_what_outputs_hold():
    assert readme.disagreements(readme.README.read_text("utf-8"), FOLDER) == []


def test_a_wrong_value_in_the_readme_is_noticed():
    text = readme.README.read_text("utf-8")
    value = readme.headlines(FOLDER)[-1].text
    assert value in text
    assert readme.disagreements(text.replace(value, "12.34 %"), FOLDER)


@pytest.mark.parametrize("name", ["speed", "soak"])
def test_the_other_blocks_of_the_readme_are_generated(name):
    text = readme.README.read_text("utf-8")
    assert readme.block(text, name)[1].strip() == readme.BLOCKS[name]().strip()


def soak_problems(soak):
    """Hold the counts of a soak against each other."""
    faults = soak["faults_by_kind"]
    if soak["faults"] != sum(faults.values()) or soak["faults"] > soak["rounds"]:
        yield "faults are not the sum of their kinds, or more than the rounds"
    if soak["kills"] != soak["faults"] - faults.get("file-size limit", 0):
        yield "kills are not the faults but the full disks"
    yield from (f"{soak[name]} {name}" for name in readme.LOSSES if soak[name])


def test_the_soak_is_consistent_and_lost_nothing():
    assert list(soak_problems(SOAK)) == []
    for change in {"faults": 2_000}, {"kills": 100}, {"rows_lost": 1}, {"rounds": 20}:
        assert list(soak_problems(SOAK | change))


def test_outputs_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 12e6
