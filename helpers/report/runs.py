"""An executed notebook, taken apart for the report: parameters, values, pictures, tables, lines.

Left out: what several parts make together (`helpers.report.results`), and the notebook as HTML
(`helpers.report.pages`).
"""

import re
from ast import literal_eval
from dataclasses import dataclass
from fnmatch import fnmatchcase

import nbformat
from nbformat.validator import iter_validate

from helpers.notebook import parameters
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import BOUNDS, RECORD, VARIES, Record
from helpers.report import pages

HEADLINES = {
    ("a", "number of weights"): "59,210",
    ("a", "cross-entropy at the start"): "",
    ("a", "validation accuracy"): "",
    ("a", "test accuracy"): "",
    ("b", "check_grad"): "6.09e-06, 3.53e-06",
    ("b", "check_grad / gradient norm"): "",
    ("b", "approx_fprime: relative error"): "",
    ("b", "values in Part_B_grad_weight.txt"): "59,210",
    ("b", "complex step: relative error"): "",
    ("b", "broken gradients"): "",
    ("b", "caught by complex step"): "",
    ("c", "grid rows"): "162",
    ("c", "best validation accuracy"): "88.94 %",
    ("c", "test accuracy, *"): "",
    ("d", "test accuracy"): "",
}
"""Part and name (a pattern) of a recorded value -> what the reference submission reports, if it
does. These values head the report; all others follow in the section of their part."""
WITHOUT_EFFECT = {"output_dir", "model_dir", "resume", "executor", "num_workers", "scheduler"}
"""Parameters that change no value."""


def headline(part, name):
    """Find the entry of `HEADLINES` that a recorded value belongs to; None if there is none."""
    keys = [key for key in HEADLINES if key[0] == part]
    return next((key for key in keys if fnmatchcase(name, key[1])), None)


@dataclass(frozen=True)
class Value:
    """A recorded value, the run and the cell that recorded it."""

    run: "PartRun"
    cell: str
    record: Record

    @property
    def anchor(self):
        """str : where its cell is."""
        return f"part_{self.run.part}.html#cell-id={self.cell}"

    @property
    def key(self):
        """tuple of str, or None : the entry of `HEADLINES` that it belongs to."""
        return headline(self.run.part, self.record.name)

    @property
    def reference(self):
        """str : what the reference reports; empty if it does not, or for other parameters."""
        return "" if self.run.changes else HEADLINES.get(self.key, "")

    @property
    def text(self):
        """str : the value, an accuracy in percent."""
        if self._is_share:
            return percent(self.record.value)
        return str(self.record).split(" = ")[-1].split("   (")[0]

    @property
    def allowed(self):
        """str : the tolerance in words, that of an accuracy in points of percent."""
        bound, limit = self.record.bound, f"{100 * self.record.limit:.3g}"
        if not self._is_share or bound in ("exactly", "rel"):
            return self.record.allowed()
        points = "point" if limit == "1" else "points"
        return BOUNDS[bound].format(f"{limit} {points if bound == 'abs' else '%'}")

    @property
    def _is_share(self):
        return "accuracy" in self.record.name and 0 <= (self.record.value or -1) <= 1


class PartRun:
    """What an executed notebook, part_X.ipynb, holds.

    Attributes
    ----------
    part, title : str
    command : str
        As it was typed; empty if the notebook was run by hand.
    parameters : dict
        Name -> value, as the run used them.
    changes : dict
        Name -> value of a full run, where that is another one.
    is_quick : bool
        Whether all values are the notebook's own small defaults, and those are not the full ones.
    values : list of Value
    pictures : list of NotebookNode
        The outputs that are pictures; alt text, width and caption are metadata.
    tables : list of tuple of str
        The heading that each stands under, and its HTML.
    lines : list of str
        What may differ from run to run: times, versions, the machine.
    body : str
        The notebook as HTML.
    """

    def __init__(self, path):
        notebook = read_notebook(path)
        shown = list(_outputs(notebook))
        self.part = path.stem[-1]
        self.title = _title(notebook) or f"Part {self.part.upper()}"
        self.command = notebook.metadata.get("helpers", {}).get("command", "")
        self.parameters = _assigned(notebook, "parameters", "injected-parameters")
        self.changes = _differing(self.parameters, parameters.full(self.part))
        is_default = not _differing(self.parameters, parameters.defaults(self.part))
        self.is_quick = is_default and bool(self.changes)
        self.values = [
            Value(self, cell.id, Record(**out.data[RECORD]))
            for cell, _, out in shown
            if RECORD in out.data
        ]
        self.pictures = [out for _, _, out in shown if "image/png" in out.data]
        varying = [(heading, out.data) for _, heading, out in shown if VARIES in out.data]
        tables = [(top, data["text/html"]) for top, data in varying if "text/html" in data]
        self.tables = [(top, pages.with_breaks(table)) for top, table in tables]
        others = {PROGRESS, "text/html", "image/png"}
        self.lines = [data["text/plain"] for _, data in varying if not others & data.keys()]
        self.body = pages.notebook_body(notebook)

    @property
    def meanings(self):
        """dict : name of a parameter -> its meaning in a few words."""
        fields = parameters.PARTS[self.part].model_fields
        return {name: field.description for name, field in fields.items()}


def read_notebook(path):
    """Read a notebook of version 4; ValidationError if it is not one to the letter."""
    notebook = nbformat.reader.reads(path.read_text("utf-8"))
    for error in iter_validate(notebook):
        raise error
    return notebook


def percent(share):
    """Write a share in percent, with digits that keep 88.57 and 88.65 apart."""
    return f"{share:.2%}".replace("%", " %") if share == share else "–"


def _assigned(notebook, *tags):
    """Read the assignments of the cells with these tags, in turn; values are literals."""
    cells = [cell for tag in tags for cell in parameters.cells_tagged(notebook, tag)]
    found = [item for cell in cells for item in parameters.assigned(cell.source).items()]
    return {name: _plain(literal_eval(value)) for name, value in found}


def _differing(used, usual):
    """List what differs from the usual values, of the parameters that matter: name -> usual."""
    names = [name for name in used if name not in WITHOUT_EFFECT]
    usual = {name: _plain(value) for name, value in usual.items()}
    return {name: usual.get(name) for name in names if used[name] != usual.get(name)}


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _outputs(notebook):
    """List what cells displayed, each with its cell and the heading above."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        for output in cell.get("outputs", []):
            if "data" in output:
                yield cell, heading, output


def _title(notebook):
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    found = re.search(r"^# (.+)$", "\n".join(sources), re.MULTILINE)
    return found[1].strip() if found else ""
