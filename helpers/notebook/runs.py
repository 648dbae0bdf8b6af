"""Executed notebooks as data: a row for each, with its parameters, its values and how it ended."""

import os
import re
from glob import glob
from pathlib import Path

import pandas as pd

from helpers.notebook import cells
from helpers.notebook.records import RECORD, Record

COLUMNS = ["notebook", "part", "state", "reason"]
READS_PARAMETERS = re.compile(r"""\bread_parameters\(["']([a-d])["']""")
"""By this call a notebook is one of ours."""


def collect(where):
    """Make a table of executed notebooks; a damaged one gets a row that says what is wrong.

    Parameters
    ----------
    where : str, Path or list of them
        A notebook, a folder (with all notebooks in it and below), or a pattern: "runs/*.ipynb".

    Returns
    -------
    pandas.DataFrame
        A row for each notebook, by name; lists are tuples, so that rows can be grouped by them.

        ``notebook``, ``part``
            Its path, and "a", "b", "c" or "d".
        ``state``, ``reason``
            "complete", or what it is instead, and why: "failed value" (outside its bound), "error"
            (in a cell), "half run", "mixed" (cells run in another order), "not run" (as papermill's
            --prepare-only leaves it: outputs that are there belong to another run, and are not
            read), "foreign" (none of the four parts), "unreadable".
        then a column for each parameter and for each recorded value
            NaN where a notebook has none, or where the value is no finite number.
    """
    places = [where] if isinstance(where, (str, os.PathLike)) else where
    paths = [path for place in places for path in _notebooks(place)]
    rows = [_row(path) for path in paths]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=COLUMNS)


def _notebooks(place):
    """List the notebooks in a place, except the copies that Jupyter hides in checkpoints."""
    folder = Path(place).expanduser()
    if folder.is_dir():
        found = [path.relative_to(folder) for path in sorted(folder.rglob("*.ipynb"))]
        return [folder / path for path in found if not re.search(r"(^|/)\.", path.as_posix())]
    return sorted(map(Path, glob(str(folder), recursive=True))) or [folder]


def _row(path):
    row = dict.fromkeys(COLUMNS, "") | {"notebook": path.as_posix()}
    try:
        return row | _found_in(cells.read(path))
    except OSError as error:
        return row | {"state": "unreadable", "reason": error.strerror}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return row | {"state": "unreadable", "reason": f"damaged: {error}"}


def _found_in(notebook):
    """Find what a row holds; whatever Python raises at it, a damaged notebook makes it raise."""
    code = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cells.source(cell).strip():
            code.append(cell)
    call = READS_PARAMETERS.search("\n".join(map(cells.source, code)))
    if call is None:
        return {"state": "foreign", "reason": "it reads the parameters of no part"}
    records = [Record(**entry) for entry in cells.outputs(notebook, RECORD)]
    state, reason = _state(notebook, code, records)
    found = {"part": call[1], "state": state, "reason": reason}
    is_run = state != "not run"
    for name, value in cells.parameters_of(notebook, is_run).items():
        found[name] = tuple(value) if isinstance(value, list) else value
    if is_run:
        for record in records:
            found[record.name] = record.value
    return found


def _state(notebook, code, records):
    """Say how a run ended, and why."""
    counts = [cell["execution_count"] for cell in code]
    ran = [count for count in counts if count is not None]
    injected = cells.tagged(notebook, cells.INJECTED_TAG)
    if not ran or any(cell["execution_count"] is None for cell in injected):
        return "not run", ""
    error = _first_error(code)
    if error:
        return "error", error
    if len(ran) < len(counts):
        return "half run", f"what follows cell {ran[-1]} was not run"
    if ran != sorted(ran):
        return "mixed", "its cells were run in another order"
    failed = [str(record) for record in records if record.failed]
    if failed:
        return "failed value", "; ".join(failed)
    return "complete", ""


def _first_error(code):
    """Say where the first error is and what it says, in one line; "" if there is none."""
    for cell in code:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                words = f"cell {cell['execution_count']}: {output['ename']}: {output['evalue']}"
                return " ".join(words.split())
    return ""
