"""The report of a run: one page for a reader with five minutes, and a page for each part.

They are made from the files in an output folder and from nothing else: the same files give the
same pages, byte for byte. The report says what is missing, what cannot be read and what failed. No
page loads anything: pictures are embedded, formulas are MathML, and a content security policy
forbids the rest. Left out: running parts (`helpers.batch`), notebooks as HTML
(`helpers.report.pages`), and the wording (report.html).
"""

import csv
import json
from base64 import b64encode
from functools import partial
from hashlib import sha256
from pathlib import Path
from textwrap import shorten

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from helpers import data, files, models
from helpers.grid.table import ranked, read_table
from helpers.notebook.parameters import PARTS
from helpers.report.comparison import against_reference, percent
from helpers.report.pages import markdown, with_breaks
from helpers.report.runs import read_part

HERE = Path(__file__).parent
TIMING = "timing.json"


def build_report(folder, target=None):
    """Write report.html and a page for each part that has been run.

    Parameters
    ----------
    folder : str or Path
        Holds what the parts wrote; anything may be missing.
    target : str or Path, optional
        Where to write; `folder` if not given.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(folder)
    target = Path(target or folder)
    found = read_folder(folder)
    environment = _environment()
    page = environment.get_template("report_part.html")
    made = {f"part_{part}.html": page.render(run=run) for part, run in found["runs"].items()}
    made["report.html"] = environment.get_template("report.html").render(found)
    for name, text in made.items():
        files.write_text(target / name, text)
    return [target / name for name in made]


def read_folder(folder):
    """Read what an output folder holds.

    Returns
    -------
    dict
        The variables of report.html, empty where a file is missing. ``problems`` maps the name of
        each file that is there but cannot be read to the reason.
    """
    problems = {}
    read = partial(_read, folder, problems)
    runs = {part: read(f"part_{part}.ipynb", read_part) for part in PARTS}
    names = sorted(path.name for path in folder.glob("*.json") if path.name != TIMING)
    cards = {name.removesuffix(".json"): read(name, _read_card) for name in names}
    runs = {part: run for part, run in runs.items() if run}
    grid = read("hyperparameter_tune.csv", _read_grid)
    return {
        "runs": runs,
        "missing": [part for part in PARTS if part not in runs],
        "grid": grid,
        "comparison": _comparison(runs, grid),
        "cards": {name: card for name, card in cards.items() if card},
        "timing": read(TIMING, _read_timing) or {},
        "gradient": read("Part_B_grad_weight.txt", _read_gradient),
        "files": _files_in(folder),
        "problems": problems,
    }


def _read(folder, problems, name, read):
    """Read a file if it is there; note why it cannot be read."""
    if not (folder / name).exists():
        return None
    try:
        return read(folder / name)
    except Exception as error:  # whatever a damaged file makes its reader raise
        reason = str(getattr(error, "message", error)) or type(error).__name__
        problems[name] = shorten(reason, 150, placeholder=" ...")
        return None


def _read_grid(path):
    """Read the table of runs: its rows, best first, and all values of each factor that varies."""
    table = read_table(path)
    rows = pd.concat([ranked(table), table[table.diverged]])
    factors = {name: sorted(set(rows[name])) for name in rows if rows[name].nunique() > 1}
    return {"rows": rows.to_dict("records"), "factors": factors}


def _comparison(runs, grid):
    """Compare the best run with the reference's, in a sentence, if the grid is the reference's."""
    if not grid or "c" not in runs or runs["c"].changes:
        return ""
    return against_reference(grid["rows"][0]["accuracy"], data.NUM_VALIDATION)


def _read_card(path):
    return models.load_model(path.parent, path.stem).card


def _read_timing(path):
    timing = json.loads(path.read_text("utf-8"))
    return {name: dict(timing[name]) for name in ("machine", "seconds")}


def _read_gradient(path):
    """Read the text file in the assignment's format: two headings, then one line a value."""
    text = path.read_text("utf-8")
    check, empty, heading, *values = text.splitlines()
    if empty or not heading.endswith("approx_fprime:") or not text.endswith("\n"):
        raise ValueError("cut off, or not the values of approx_fprime below that of check_grad")
    return [check, *values]


def _files_in(folder):
    """List the rows of files.csv whose file is there, as dicts."""
    rows = csv.DictReader(_text("files.csv").splitlines())
    return [row for row in rows if (folder / row["file"]).exists()]


def _environment():
    """Make the Jinja environment: filters, and the variables that every page uses."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        percent=percent, number=_number, breaks=with_breaks, markdown=markdown
    )
    script = f"\n{_text('report.js')}\n"  # as it stands between its tags
    digest = sha256(script.encode()).digest()
    environment.globals.update(parts=PARTS, file=_text, script_hash=b64encode(digest).decode())
    return environment


def _text(name):
    return (HERE / name).read_text("utf-8")


def _number(value):
    """Write an entry of a card, of the grid or of the parameters."""
    if isinstance(value, list):
        return ", ".join(map(_number, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
