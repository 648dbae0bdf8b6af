"""An executed notebook, taken apart for the report: parameters, values, pictures, tables, lines.

Left out: what several parts make together (`helpers.report.results`), and the notebook as HTML
(`helpers.report.pages`).
"""

import json
import re
from collections import namedtuple
from pathlib import Path

import nbformat
from nbformat.validator import iter_validate

from helpers.notebook import parameters
from helpers.notebook.cells import parameters_of
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import BOUNDS, RECORD, VARIES, Record, short
from helpers.report import pages

HEADLINES = json.loads(Path(__file__).with_name("headlines.json").read_text("utf-8"))
"""Part -> name of a recorded value -> what the reference submission reports, if it does. These
values head the report; all others follow in the section of their part."""

Value = namedtuple("Value", ["part", "cell", "record", "reference", "text", "allowed"])
"""A recorded value, where it stands, its headline's text or None, and itself and its tolerance
`in_words`."""


def in_words(record):
    """Say a value and its tolerance; an accuracy in percent."""
    if "accuracy" not in record.name or not 0 <= (record.value or -1) <= 1:
        return short(record.value), record.allowed()
    limit = f"{100 * record.limit:.3g}"
    points = "point" if limit == "1" else "points"
    unit = points if record.bound == "abs" else "%"
    return percent(record.value), BOUNDS[record.bound].format(f"{limit} {unit}")


class PartRun:
    """What an executed notebook, part_X.ipynb, holds.

    ``changes``: name of a parameter -> value of a full run, where that is another one;
    ``is_default``: whether all values are the notebook's own; ``pictures`` and ``tables``: outputs,
    with the heading above; ``lines``: what may differ from run to run, such as times; ``body``: the
    notebook as HTML.
    """

    def __init__(self, path):
        notebook = nbformat.reader.reads(path.read_text("utf-8"))
        for error in iter_validate(notebook):
            raise error
        shown = list(_outputs(notebook))
        self.part = path.stem[-1]
        headings = (heading for cell in notebook.cells for heading in _headings(cell))
        self.title = next(headings, f"Part {self.part.upper()}")
        self.command = notebook.metadata.get("helpers", {}).get("command", "")
        self.parameters = parameters_of(notebook)
        self.changes = _differing(self.parameters, parameters.full(self.part))
        self.is_default = not _differing(self.parameters, parameters.defaults(self.part))
        self.values = [self._value(output) for output in shown if RECORD in output.data]
        self.pictures = [output for output in shown if "image/png" in output.data]
        varying = [output for output in shown if VARIES in output.data]
        self.tables = [output for output in varying if "text/html" in output.data]
        others = {PROGRESS, "text/html", "image/png"}
        self.lines = [out.data["text/plain"] for out in varying if not others & out.data.keys()]
        self.body = pages.notebook_body(notebook)

    def _value(self, output):
        record = Record(**output.data[RECORD])
        reference = HEADLINES[self.part].get(record.name)
        return Value(self.part, output.cell, record, reference, *in_words(record))


def percent(share):
    """Write a share in percent, with digits that keep 88.57 and 88.65 apart."""
    return f"{100 * share:.2f} %"


def _differing(used, usual):
    """List what differs from the usual values, of the parameters that matter: name -> usual."""
    names = [
        name for name in used if name not in parameters.RUN_OPTIONS | {"output_dir", "model_dir"}
    ]
    return {name: usual.get(name) for name in names if used[name] != usual.get(name)}


def _outputs(notebook):
    """List what cells displayed, each with the id of its cell and the heading above."""
    heading = ""
    for cell in notebook.cells:
        *_, heading = [heading, *_headings(cell)]
        for output in cell.get("outputs", []):
            if "data" in output:
                yield nbformat.NotebookNode(output, cell=cell.id, heading=heading)


def _headings(cell):
    return re.findall(r"(?m)^#+ (.+)$", cell.source) if cell.cell_type == "markdown" else []
