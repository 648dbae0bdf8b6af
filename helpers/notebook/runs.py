"""Executed notebooks as data: a row for each, with its parameters, its values and how it ended."""

from pathlib import Path

import pandas as pd

from helpers.notebook import cells
from helpers.notebook.parameters import FOLDERS
from helpers.notebook.records import RECORD, RecordError, read_records


def collect(folder):
    """Make a table of executed notebooks; a damaged one gets a row that says what is wrong.

    Parameters
    ----------
    folder : str or Path
        Read with all notebooks in it and below, but for the copies that Jupyter keeps.

    Returns
    -------
    pandas.DataFrame
        A row for each notebook, by name; lists are tuples, so that rows can be grouped by them.

        ``notebook``
            Its path.
        ``complete``, ``reason``
            Whether it ran from top to bottom with every recorded value within its bound; if not,
            why not.
        then a column for each parameter and, of complete runs, for each recorded value
            NaN where a notebook has none.
    """
    paths = sorted(Path(folder).expanduser().rglob("*.ipynb"))
    return pd.DataFrame([_row(path) for path in paths if ".ipynb_checkpoints" not in path.parts])


def _row(path):
    row = {"notebook": path.as_posix(), "complete": False}
    try:
        notebook = cells.read(path)
        row["reason"] = _incomplete(notebook)
        row["complete"] = not row["reason"]
        # Of a run that is not complete, what is shown may be another run's: papermill
        # --prepare-only puts new parameters beside old outputs.
        parameters = cells.parameters_of(notebook, is_run=row["complete"])
        for name in parameters.keys() - FOLDERS:
            value = parameters[name]
            row[name] = tuple(value) if isinstance(value, list) else value
        if row["complete"]:
            for entry in cells.outputs(notebook, RECORD):
                row[entry["name"]] = entry["value"]
    # A damaged notebook makes Python raise whatever it does.
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        row |= {"complete": False, "reason": f"unreadable: {error}"}
    return row


def _incomplete(notebook):
    """Say why a run is not complete; "" if it is."""
    counts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code" or not cells.source(cell).strip():
            continue
        counts.append(cell["execution_count"])
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                message = " ".join(output["evalue"].split())
                return f"cell {counts[-1]}: {output['ename']}: {message}"
    if None in counts:
        return f"{counts.count(None)} cells were not run"
    if counts != sorted(counts):
        return "its cells were not run from top to bottom"
    if not cells.outputs(notebook, cells.PARAMETERS):
        return "it shows the parameters of no part"
    try:
        read_records(notebook)
    except RecordError as error:
        return str(error)
    return ""
