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
from helpers.grid.listing import list_runs
from helpers.notebook import parameters
from helpers.notebook.records import RECORD, VARIES, Record
from helpers.recipe import Recipe
from helpers.report import results

RECORDS = {
    "a": [Record("start loss", 2.32, "rel", 0.05), Record("test accuracy", 0.8712, "abs", 0.01)],
    "b": [
        Record("check_grad", 3.9e-06, "at_most", 1e-05),
        Record("values in Part_B_grad_weight.txt", 59210, "exactly", 0),
    ],
    "c": [
        Record("grid rows", 162, "exactly", 0),
        Record("best validation accuracy", 0.8865, "abs", 0.02),
        Record("test accuracy, best of the grid", 0.8763, "abs", 0.02),
        Record("a <b>bold</b> & odd name", 1.5, "abs", 0.1),
    ],
    "d": [Record("dead units", 3, "exactly", 0)],
}
TITLE = "Part {}: a long title with a formula, $x < y$"
ALT = 'Curve "one" <script>alert(1)</script> & more'
CAPTION = "Good: the curve *falls*. Bad: $\\hat y < 0$ & <i>rises</i>."
TABLE = pd.DataFrame({"row": ["with & in it"], "error": ["1.2e-05"]})


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
    html = TABLE.to_html(index=False, border=0)
    about = {"image/png": {"alt": ALT, "width": 737}, "caption": CAPTION}
    return [
        *shown,
        new_output("stream", name="stdout", text="<b>not bold</b> 0\n"),
        displayed({"text/plain": "took 12 s <on> 2 cores", VARIES: {}}),
        displayed({"text/plain": "…", "text/html": html, VARIES: {}}),
        displayed({"image/png": picture(part), "text/plain": ALT}, **about),
    ]


def write_part(folder, part, full=True, **changes):
    """Write an executed notebook: parameters, and a cell with outputs."""
    injected = {"output_dir": "outputs", **(parameters.FULL[part] if full else {}), **changes}
    cells = [
        new_markdown_cell(f"# {TITLE.format(part.upper())}"),
        new_code_cell(assignments(parameters.defaults(part)), metadata={"tags": ["parameters"]}),
        new_code_cell(assignments(injected), metadata={"tags": ["injected-parameters"]}),
        new_markdown_cell("## What is shown"),
        new_code_cell("1 < 2", outputs=outputs(part)),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    about = {"command": f"python -m helpers {part}"}
    metadata = {"language_info": {"name": "python"}, "helpers": about}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / f"part_{part}.ipynb")


def assignments(values):
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def grid_rows():
    """Make a table of the 162 runs of the full grid: one is best by far, two diverged."""
    chance = np.random.default_rng(0)
    full = parameters.full("c")
    factors = {name: full[name] for name in grid_table.FACTORS}
    runs = [
        SimpleNamespace(
            recipe=recipe, cross_entropy=chance.random(), accuracy=chance.uniform(0.7, 0.8)
        )
        for recipe in list_runs(**factors, alpha=0.0, seed=0, num_seeds=1)
    ]
    runs[20].accuracy = 0.8865
    for diverged in runs[7], runs[70]:
        diverged.cross_entropy = diverged.accuracy = np.nan
    return grid_table.to_frame(runs)


def write_folder(folder):
    """Write a whole output folder, with its pages."""
    for part in "abcd":
        write_part(folder, part)
    grid_table.write_table(folder / "hyperparameter_tune.csv", grid_rows())
    recipe = Recipe((784, 5, 10), 100, 32, 0.05, average_epochs=50)
    card = models.make_card(recipe, 0.41, 0.8912, test={"cross_entropy": 0.5, "accuracy": 0.88})
    models.save_model(folder, network.init_weights(recipe.layer_sizes, 0), card)
    timing = {"machine": {"system": "Linux"}, "seconds": {"grid": 412.31}}
    files.write_json(folder / "timing.json", timing)
    text = "Gradient check using check_grad: 3.9e-06\n\nGradient check using approx_fprime:\n"
    text += "".join(f"Value {i}: {i / 7}\n" for i in range(25))
    files.write_text(folder / "Part_B_grad_weight.txt", text)
    results.build_report(folder)
