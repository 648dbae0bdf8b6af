"""An executed notebook, taken apart for the report: parameters, values, pictures and tables.

Left out: what several parts make together (`helpers.report.results`), and the notebook as HTML
(`helpers.report.pages`).
"""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat.validator import iter_validate

from helpers.notebook import parameters
from helpers.notebook.cells import parameters_of
from helpers.notebook.records import BOUNDS, RECORD, VARIES, Record, short
from helpers.report import pages

HEADLINES = json.loads(Path(__file__).with_name("headlines.json").read_text("utf-8"))
"""Part -> name of a recorded value -> what the reference submission reports, if it does. These
values head the report; all others follow in the section of their part."""


class Value(NamedTuple):
    """A recorded value.

    Attributes
    ----------
    part, cell : str
        The letter of its part and the id of its cell.
    record : Record
    reference : str or None
        What the reference submission reports, "" if nothing; None if it is no headline.
    text, allowed : str
        Value and tolerance as the report writes them.
    """

    part: str
    cell: str
    record: Record
    reference: str | None
    text: str
    allowed: str


def read_part(path):
    """Read an executed notebook, part_X.ipynb.

    Returns
    -------
    dict
        ``part`` (its letter), ``title`` (its first heading), ``command`` (it runs the part again),
        ``parameters``, ``changes`` (see `differing`), ``recorded`` (see `recorded_values`),
        ``pictures`` and ``tables`` (outputs, each with the heading above it) and ``body`` (the
        whole notebook as HTML).

    Raises
    ------
    Exception
        Of many kinds, if it is damaged; the message says what is wrong.
    """
    notebook = _read_valid(path)
    part = path.stem[-1]
    used = parameters_of(notebook)
    changes = differing(used, parameters.full(part))
    words = ["python", "-m", "helpers", part]
    for name in changes:
        words += ["-p", name, str(used[name])]
    outputs = list(_outputs(notebook))
    return {
        "part": part,
        "title": next(_headings(notebook.cells), f"Part {part.upper()}"),
        "command": shlex.join(words),
        "parameters": used,
        "changes": changes,
        "recorded": recorded_values(part, notebook),
        "pictures": [output for output in outputs if "image/png" in output.data],
        "tables": [output for output in outputs if {VARIES, "text/html"} <= output.data.keys()],
        "body": pages.notebook_body(notebook),
    }


def _read_valid(path):
    notebook = nbformat.reader.reads(path.read_text("utf-8"))
    for error in iter_validate(notebook):
        raise error
    return notebook


def differing(used, usual):
    """Find parameters that differ from their usual values and matter for the result.

    Returns
    -------
    dict
        Name of a parameter -> its usual value.
    """
    ignored = parameters.RUN_OPTIONS | {"output_dir", "model_dir"}
    changes = {}
    for name, value in used.items():
        if name not in ignored and value != usual.get(name):
            changes[name] = usual.get(name)
    return changes


def _headings(cells):
    """Yield the headings in the Markdown of cells."""
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from re.findall(r"(?m)^#+ (.+)$", cell.source)


def _outputs(notebook):
    """Yield what cells displayed, each with the id of its cell and the heading above."""
    heading = ""
    for cell in notebook.cells:
        heading = [heading, *_headings([cell])][-1]
        for output in cell.get("outputs", []):
            if "data" in output:
                yield nbformat.NotebookNode(output, cell=cell.id, heading=heading)


def recorded_values(part, notebook):
    """List what an executed notebook recorded, as `Value`, in its order."""
    values = []
    for output in _outputs(notebook):
        if RECORD in output.data:
            record = Record(**output.data[RECORD])
            reference = HEADLINES[part].get(record.name)
            text, allowed = in_words(record)
            values.append(Value(part, output.cell, record, reference, text, allowed))
    return values


def in_words(record):
    """Write a value and its tolerance; an accuracy in percent, its tolerance in points."""
    if "accuracy" not in record.name or record.bound != "abs" or record.value is None:
        return short(record.value), record.allowed()
    points = f"{100 * record.limit:.3g}"
    unit = "point" if points == "1" else "points"
    return percent(record.value), BOUNDS["abs"].format(f"{points} {unit}")


def percent(share):
    """Write a share in percent, with enough digits to keep 88.57 and 88.65 apart."""
    return f"{100 * share:.2f} %"
