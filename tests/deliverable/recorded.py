"""The recorded files as the tests of this folder read them; each is read once.

The files of another run are checked as well: DELIVERABLE=DIR pytest tests/deliverable
"""

import os
from functools import cache
from pathlib import Path

import nbformat

from helpers import files, models
from helpers.grid import beyond
from helpers.grid.table import read_table
from helpers.notebook.records import read_records

FOLDER = Path(os.environ.get("DELIVERABLE", files.OUTPUTS))
CHOSEN = models.BEST, models.RECIPE, models.WIDE
"""The networks that part C tests, in its order."""
NETWORKS = *CHOSEN, *beyond.first_layers().values()
"""All saved networks."""


@cache
def notebook(part, folder=FOLDER):
    """Read a part's notebook."""
    return nbformat.read(folder / f"part_{part}.ipynb", as_version=4)


@cache
def records(part, folder=FOLDER):
    """Read what a part recorded: name -> `helpers.notebook.records.Record`."""
    return read_records(notebook(part, folder))


def value(part, name):
    """Look up a recorded value."""
    return records(part)[name].value


@cache
def table():
    """Read the table of the grid."""
    return read_table(FOLDER / "hyperparameter_tune.csv")


@cache
def model(name=models.BEST):
    """Read a saved network."""
    return models.load_model(FOLDER, name)
