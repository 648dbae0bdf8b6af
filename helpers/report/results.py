"""The report of a run: one page for who has five minutes, and each part as a page of its own.

Both are made from the files in an output folder and from nothing else: the same files give the
same pages, byte for byte. What is missing, cannot be read or has failed is said. No page loads
anything: pictures are embedded, formulas are MathML, and a content security policy forbids the
rest. Left out: running parts (`helpers.batch`), notebooks as HTML (`helpers.report.pages`), and
what the report says (report.html).
"""

import base64
import hashlib
import json
from functools import cache
from itertools import compress
from pathlib import Path
from textwrap import shorten

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from helpers import data, files, models
from helpers.grid.table import read_table
from helpers.notebook.parameters import PARTS
from helpers.notebook.records import EXPLANATION
from helpers.report import pages
from helpers.report.runs import HEADLINES, PartRun, percent

HERE = Path(__file__).parent


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
    folder, target = Path(folder), Path(target or folder)
    results = Results(folder)
    env = _environment()
    page = env.get_template("report_part.html")
    made = {f"part_{run.part}.html": page.render(run=run) for run in results.runs.values() if run}
    made["report.html"] = env.get_template("report.html").render(results=results)
    for name, text in made.items():
        files.write_text(target / name, text)
    return [target / name for name in made]


class Results:
    """What an output folder holds.

    Attributes
    ----------
    runs : dict of str to PartRun or None
        For each part; None if it has not been run, or cannot be read.
    rows : list of dict
        The runs of the grid, best first; empty if there is no table.
    cards : dict of str to dict
        For each saved network, how it came about.
    timing : dict
        The machine and the seconds of part C; empty if they were not written.
    gradient : list of str
        The lines of part B's text file.
    problems : dict of str to str
        Name of a file that is there but cannot be read -> why.
    """

    def __init__(self, folder):
        self._folder = folder
        self.problems = {}
        self.runs = {p: self._read(f"part_{p}.ipynb", PartRun) for p in PARTS}
        self.rows = self._read("hyperparameter_tune.csv", _read_rows) or []
        cards = {path.stem: path.name for path in sorted(folder.glob("*_model.json"))}
        found = {name: self._read(file, _read_card) for name, file in cards.items()}
        self.cards = {name: card for name, card in found.items() if card}
        self.timing = self._read("timing.json", _read_timing) or {}
        self.gradient = self._read("Part_B_grad_weight.txt", _read_gradient) or []

    def _read(self, name, read):
        path = self._folder / name
        if not path.exists():
            return None
        try:
            return read(path)
        except Exception as error:  # whatever a damaged file makes its reader raise
            reason = str(getattr(error, "message", error)) or type(error).__name__
            self.problems[name] = shorten(reason, 150, placeholder=" ...")
            return None

    @property
    def missing(self):
        """list of str : the parts that have not been run, or cannot be read."""
        return [part for part, run in self.runs.items() if run is None]

    @property
    def done(self):
        """list of PartRun : the parts that have been run."""
        return [run for run in self.runs.values() if run]

    @property
    def headlines(self):
        """list of Value : the values that head the report, part by part."""
        values = [value for run in self.done for value in run.values]
        return [value for key in HEADLINES for value in values if value.key == key]

    @property
    def failed(self):
        """list of Value : the values outside their own bound."""
        return [value for run in self.done for value in run.values if value.record.failed]

    @property
    def best(self):
        """dict : the row of the best run; empty if there is none."""
        return self.rows[0] if self.rows and not self.rows[0]["diverged"] else {}

    @property
    def factors(self):
        """dict of str to list : what the runs of the grid differ in -> its values, in order."""
        values = {name: sorted({row[name] for row in self.rows}) for name in self.rows[0]}
        return {name: found for name, found in values.items() if len(found) > 1}

    @property
    def files(self):
        """str : the lines of files.md about files that are there."""
        lines = (HERE / "files.md").read_text("utf-8").splitlines()
        names = [line.partition("](")[2].partition(")")[0] for line in lines]
        there = [not name or (self._folder / name).exists() for name in names]
        return "\n".join(compress(lines, there))


@cache
def _environment():
    options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    env = Environment(loader=FileSystemLoader(HERE), autoescape=True, **options)
    env.filters |= {
        "markdown": lambda text: Markup(pages.markdown(text)),
        "percent": percent,
        "number": _number,
    }
    script, formulas = (HERE / name for name in ("report.js", "formulas.md"))
    digest = hashlib.sha256(f"\n{script.read_text('utf-8')}\n".encode()).digest()
    env.globals |= {
        "style": Markup((HERE / "report.css").read_text("utf-8")),
        "script": Markup(script.read_text("utf-8")),
        "script_hash": base64.b64encode(digest).decode(),
        "formulas": formulas.read_text("utf-8"),
        "explanation": EXPLANATION,
        "parts": PARTS,
        "num_validation": data.NUM_VALIDATION,
    }
    return env


def _read_rows(path):
    by = ["accuracy", "cross_entropy"]
    table = read_table(path).sort_values(by, ascending=[False, True], kind="stable")
    return table.to_dict("records")


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


def _number(value):
    """Write an entry of a card, of the grid or of the parameters."""
    if isinstance(value, list):
        return ", ".join(map(_number, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
