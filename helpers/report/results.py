"""The report of a run: one page for a reader with five minutes, and a page for each part.

They are made from the files in an output folder and from nothing else: the same files give the
same pages, byte for byte, and no page depends on the clock or the machine. The report says what is
missing, what cannot be read and what failed. No page loads anything: pictures are embedded,
formulas are MathML, and a content security policy forbids the rest. Left out: running parts
(`helpers.batch`), notebooks as HTML (`helpers.report.pages`), and the wording (report.html).
"""

import csv
from pathlib import Path
from textwrap import shorten

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from helpers import files, models
from helpers.grid.table import FACTORS, ranked, read_table
from helpers.notebook.parameters import PARTS
from helpers.report.pages import markdown
from helpers.report.runs import percent, read_part

HERE = Path(__file__).parent
TIMING = "timing.json"
"""Linked to, and not read: it differs from run to run."""


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
    contents = read_folder(folder)
    environment = _environment()
    report = environment.get_template("report.html")
    page = environment.get_template("report_part.html")
    texts = {"report.html": report.render(contents)}
    for part, run in contents["runs"].items():
        texts[f"part_{part}.html"] = page.render(run=run)
    for name, text in texts.items():
        files.write_text(target / name, text)
    return [target / name for name in texts]


def read_folder(folder):
    """Read what an output folder holds.

    Returns
    -------
    dict
        The variables of report.html, empty where a file is missing. ``problems`` maps the name of
        each file that is there but cannot be read to the reason.
    """
    problems = {}
    runs = {}
    for part in PARTS:
        runs |= _read(folder, f"part_{part}.ipynb", part, read_part, problems)
    cards = {}
    for path in sorted(folder.glob("*.json")):
        if path.name != TIMING:
            cards |= _read(folder, path.name, path.stem, _read_card, problems)
    tables = _read(folder, "hyperparameter_tune.csv", "grid", _read_grid, problems)
    rows = csv.DictReader(file_text("files.csv").splitlines())
    return {
        "runs": runs,
        "cards": cards,
        "files": [row for row in rows if (folder / row["file"]).exists()],
        "grid": tables.get("grid", []),
        "problems": problems,
    }


def _read(folder, name, key, read, problems):
    """Read a file if it is there, under a key, or note why it cannot be read."""
    if not (folder / name).exists():
        return {}
    try:
        return {key: read(folder / name)}
    except Exception as error:  # whatever a damaged file makes its reader raise
        reason = str(getattr(error, "message", error)) or type(error).__name__
        problems[name] = shorten(reason, 150, placeholder=" ...")
        return {}


def _read_grid(path):
    """Read the table of runs, as dicts, the best first and those that diverged last."""
    table = read_table(path)
    rows = pd.concat([ranked(table), table[table.diverged]])
    return rows.to_dict("records")


def _read_card(path):
    return models.load_model(path.parent, path.stem).card


def _environment():
    """Make the Jinja environment: filters, and the variables that every page uses."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(percent=percent, markdown=markdown)
    environment.globals.update(parts=list(PARTS), factors=FACTORS, file=file_text)
    return environment


def file_text(name):
    """Read a file of this folder."""
    return (HERE / name).read_text("utf-8")
