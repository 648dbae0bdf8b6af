"""An executed notebook, taken apart for the report: parameters, values, pictures, tables, lines.

Left out: what several parts make together (`helpers.report.results`), and the notebook as HTML
(`helpers.report.pages`).
"""

import json
import re
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.validator import iter_validate

from helpers.notebook import parameters
from helpers.notebook.cells import parameters_of
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import BOUNDS, RECORD, VARIES, Record, short
from helpers.report import pages
from helpers.report.comparison import percent

HEADLINES = json.loads(Path(__file__).with_name("headlines.json").read_text("utf-8"))
"""Part -> name of a recorded value -> what the reference submission reports, if it does. These
values head the report; all others follow in the section of their part."""

Value = namedtuple("Value", ["part", "cell", "record", "reference", "text", "allowed"])
"""A recorded value: its part, the id of its cell, the record, the reference's value (None if it is
no headline), and value and tolerance as the report writes them."""


@dataclass(frozen=True, eq=False)
class PartRun:
    """What an executed notebook holds."""

    part: str
    """Its letter."""
    title: str
    """The first heading."""
    command: str
    """The command that ran it; empty if it was run by hand."""
    parameters: dict
    """Every parameter with the value that was used."""
    changes: dict
    """Name of each parameter that differs from a full run -> its value in a full run."""
    is_default: bool
    """Whether all values are the notebook's own."""
    values: list
    """The recorded values, as `Value`."""
    pictures: list
    tables: list
    """Outputs with a picture or a table, each with the heading above it."""
    lines: list
    """Lines that may differ from run to run, such as times."""
    body: str
    """The whole notebook as HTML."""


def read_part(path):
    """Read an executed notebook, part_X.ipynb, as a `PartRun`.

    Raises
    ------
    Exception
        Of many kinds, if it is damaged; the message says what is wrong.
    """
    notebook = _read_valid(path)
    part = path.stem[-1]
    used = parameters_of(notebook)
    headings = [heading for cell in notebook.cells for heading in _headings(cell)]
    shown = list(_outputs(notebook))
    return PartRun(
        part=part,
        title=headings[0] if headings else f"Part {part.upper()}",
        command=notebook.metadata.get("helpers", {}).get("command", ""),
        parameters=used,
        changes=differing(used, parameters.full(part)),
        is_default=not differing(used, parameters.defaults(part)),
        values=recorded_values(part, notebook),
        pictures=[output for output in shown if "image/png" in output.data],
        tables=[output for output in shown if {VARIES, "text/html"} <= output.data.keys()],
        lines=[output.data["text/plain"] for output in shown if _is_varying_line(output)],
        body=pages.notebook_body(notebook),
    )


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
    names = [name for name in used if name not in ignored]
    return {name: usual.get(name) for name in names if used[name] != usual.get(name)}


def _headings(cell):
    if cell.cell_type != "markdown":
        return []
    return re.findall(r"(?m)^#+ (.+)$", cell.source)


def _outputs(notebook):
    """Yield what cells displayed, each with the id of its cell and the heading above."""
    heading = ""
    for cell in notebook.cells:
        heading = [heading, *_headings(cell)][-1]
        for output in cell.get("outputs", []):
            if "data" in output:
                yield nbformat.NotebookNode(output, cell=cell.id, heading=heading)


def _is_varying_line(output):
    others = {PROGRESS, "text/html", "image/png"}
    return VARIES in output.data and not others & output.data.keys()


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
    is_accuracy = "accuracy" in record.name and 0 <= (record.value or -1) <= 1
    if not is_accuracy:
        return short(record.value), record.allowed()
    limit = f"{100 * record.limit:.3g}"
    if record.bound == "abs":
        limit += " point" if limit == "1" else " points"
    else:
        limit += " %"
    return percent(record.value), BOUNDS[record.bound].format(limit)
