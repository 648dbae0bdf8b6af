"""The files of outputs/: all of them, no others, and each made from what it should be made from."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import figures
from helpers.files import OUTPUTS
from helpers.grid import beyond
from helpers.grid.table import sentences
from helpers.history import History
from helpers.notebook.cells import outputs
from helpers.report.results import build_report
from tests.deliverable.recorded import FOLDER, NETWORKS, model, notebook, table
from tests.tools import readme

NAMES = {
    "report.html",
    "timing.json",
    "learning_curves.csv",
    "Part_B_grad_weight.txt",
    "hyperparameter_tune.csv",
    "hyperparameter_tune.txt",
    "hyperparameter_tune.png",
    "ensemble_test_probabilities.npy",
    "weight_photo.png",
    "weight_photo_learned.png",
    *(f"part_{part}.{kind}" for part in "abcd" for kind in ("ipynb", "html")),
    *(f"{name}{ending}" for name in NETWORKS for ending in (".json", "_weights.npy")),
}
"""What a full run leaves."""
OTHER_RUNS = {"quick", "changed"}
"""Folders that the command makes for runs that are not recorded."""


def test_there_is_what_a_full_run_leaves_and_nothing_else():
    names = {path.name for path in FOLDER.glob("[!.]*")}
    assert names - OTHER_RUNS == NAMES


def test_text_files_end_their_lines_with_line_feeds():
    for name in NAMES:
        if not name.endswith((".png", ".npy")):
            content = (FOLDER / name).read_bytes()
            assert b"\r" not in content, name
            assert content.endswith((b"\n", b"</html>")), name


def test_pages_are_made_from_the_other_files(tmp_path):
    for path in build_report(FOLDER, tmp_path):
        assert path.read_bytes() == (FOLDER / path.name).read_bytes(), path.name


def test_the_text_file_says_what_the_table_holds():
    text = (FOLDER / "hyperparameter_tune.txt").read_text("utf-8")
    assert text == sentences(table())


def test_the_readme_says_what_outputs_hold():
    text = readme.README.read_text("utf-8")
    assert text == readme.with_results(text, OUTPUTS), "run python -m tests.tools.readme"


def test_timing_names_the_machine_and_how_long_part_c_took():
    timing = json.loads((FOLDER / "timing.json").read_text("utf-8"))
    assert timing["machine"].keys() >= {"kernels", "numpy", "python"}
    assert min(timing["seconds"].values()) > 0


# ---- pictures, drawn again from what they show


def learning_curves():
    curves = pd.read_csv(FOLDER / "learning_curves.csv").set_index("epoch")
    return figures.learning_curves(History(**curves.to_dict("list")), curves.index[-1])


def main_effects():
    return figures.grid_main_effects(table())


def first_layer():
    [(W, _), *_] = model().layers
    return figures.show_W0(W)


def first_layers():
    shown = []
    for name in beyond.first_layers().values():
        [(W, _), *_] = model(name).layers
        shown.append((W, model(name).card["validation"]["accuracy"]))
    templates, *by_alpha = shown
    return figures.noise_to_clothes(templates, dict(zip(beyond.ALPHAS, by_alpha, strict=True)))


PICTURES = {
    "learning curves": ("a", learning_curves),
    "hyperparameter_tune.png": ("c", main_effects),
    "weight_photo.png": ("d", first_layer),
    "weight_photo_learned.png": ("d", first_layers),
}
"""Picture -> the part whose notebook shows it, and what draws it again."""


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_that_of_these_results(name):
    part, draw = PICTURES[name]
    drawn = pixels(draw().png)
    shown = map(base64.b64decode, outputs(notebook(part), "image/png"))
    alike = [png for png in shown if are_alike(pixels(png), drawn)]
    assert alike
    if name.endswith(".png"):
        assert (FOLDER / name).read_bytes() in alike


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)


def are_alike(first, second):
    # The table of the curves is rounded. One point moved by 0.2 % makes 0.03.
    return first.shape == second.shape and np.abs(first - second).mean() < 0.02
