"""Small output folders for the tests of the report."""

import base64
import io
from dataclasses import asdict
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers import files, models, network
from helpers.grid import table as grid_table
from helpers.notebook import parameters
from helpers.notebook.cells import PARAMETERS
from helpers.notebook.records import RECORD, VARIES, Record
from helpers.recipe import Recipe
from helpers.report import results

RECORDS = {
    "a": [Record("start loss", 2.32, "rel", 0.05), Record("test accuracy", 0.8712, "abs", 0.01)],
    "b": [Record("check_grad", 3.9e-06, "at_most", 1e-05)],
    "c": [
        Record("grid rows", 162, "exactly", 0),
        Record("best validation accuracy", 0.8865, "abs", 0.002),
        Record("a <b>bold</b> & odd name", 1.5, "abs", 0.1),
    ],
    "d": [Record("dead units", 3, "exactly", 0)],
}
ALT = 'Curve "one" <script>alert(1)</script> & more'
CAPTION = "Good: the curve *falls*. Bad: $\\hat y < 0$ & <i>rises</i>."
ACCURACIES = [0.85, np.nan, 0.8865, 0.87]
"""Of the runs of the grid, in its order: the second one diverged, the third is the best."""
RECIPE = Recipe((784, 5, 10), num_epochs=100, batch_size=32, learning_rate=0.05)


def picture(part):
    """Make a grey picture, of another shade for each part, in base64."""
    content = io.BytesIO()
    Image.new("L", (9, 5), ord(part)).save(content, "png")
    return base64.b64encode(content.getvalue()).decode()


def displayed(data, **metadata):
    return new_output("display_data", data=data, metadata=metadata)


def outputs(part):
    """Show records, text, a line that varies, a table and a picture with its caption."""
    shown = [displayed({"text/plain": str(r), RECORD: asdict(r)}) for r in RECORDS[part]]
    html = pd.DataFrame({"a_row": ["with & in it"]}).to_html(index=False, border=0)
    about = {"image/png": {"alt": ALT, "width": 737}, "caption": CAPTION}
    return [
        *shown,
        new_output("stream", name="stdout", text="<b>not bold</b> 0\n"),
        displayed({"text/plain": "…", "text/html": html, VARIES: {}}),
        displayed({"image/png": picture(part), "text/plain": ALT}, **about),
    ]


def write_part(folder, part, **changes):
    """Write an executed notebook: the parameters of a full run, and a cell with outputs."""
    used = parameters.full(part) | changes
    cells = [
        new_markdown_cell(f"# Part {part.upper()}: a formula, $x < y$", id="title"),
        new_code_cell("settings", id="settings", outputs=[displayed({PARAMETERS: used})]),
        new_markdown_cell("## What is shown", id="heading"),
        new_code_cell("1 < 2", id="shown", outputs=outputs(part)),
    ]
    about = {"command": f"python -m helpers {part}"}
    metadata = {"language_info": {"name": "python"}, "helpers": about}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / f"part_{part}.ipynb")


def write_folder(folder):
    """Write a whole output folder, with its pages."""
    for part in "abcd":
        write_part(folder, part)
    runs = [SimpleNamespace(recipe=RECIPE, cross_entropy=a / 2, accuracy=a) for a in ACCURACIES]
    grid_table.write_table(folder / "hyperparameter_tune.csv", grid_table.to_frame(runs))
    card = models.make_card(RECIPE, 0.41, 0.8912, test={"cross_entropy": 0.5, "accuracy": 0.88})
    models.save_model(folder, network.init_weights(RECIPE.layer_sizes, 0), card)
    timing = {"machine": {"system": "Linux"}, "seconds": {"grid": 412.31}}
    files.write_json(folder / "timing.json", timing)
    results.build_report(folder)
