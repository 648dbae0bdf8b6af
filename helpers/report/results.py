"""The report of a run: one page for who has five minutes, and each part as a page of its own.

Both are made from the files in an output folder and from nothing else: the same files give the
same pages, byte for byte. What is missing is said, with the command that makes it. No page loads
anything: pictures are embedded, formulas are MathML, and a content security policy forbids the
rest. Left out: running parts (`helpers.__main__`), notebooks as HTML (`helpers.report.pages`).
"""

import ast
import base64
import json
import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from helpers import files, models
from helpers.batch.execution import INJECTED_ID
from helpers.grid import table as grid_table
from helpers.notebook.parameters import FULL, PARTS
from helpers.notebook.records import RECORD, VARIES, Record, read_records
from helpers.report import pages

HERE = Path(__file__).parent
QUESTIONS = {
    "a": "Does mini-batch SGD train a network of any depth and width?",
    "b": "Is the hand-written gradient right, for every single weight?",
    "c": "Which hyperparameters are best, chosen on validation, reported once on test?",
    "d": "What has the first layer of the best network learned?",
}
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
"""Part and name (a pattern) of a recorded figure -> what the reference submission reports, if it
does. These figures head the report; all others follow in the section of their part."""
FORMULAS = (
    (
        "Hidden layer",
        (r"z_l = W_l\, h_{l-1} + b_l", r"h_l = \max(z_l,\, 0), \quad h_0 = x"),
        "Rectified linear units (ReLU). The last layer keeps $z$, the logits.",
    ),
    (
        "Softmax",
        (r"p_k = \frac{e^{z_k - m}}{\sum_j e^{z_j - m}}", r"m = \max_j z_j"),
        "Taking off the largest logit changes nothing, but keeps the exponential from overflowing.",
    ),
    (
        "Objective",
        (
            r"E = \frac{1}{n} \sum_{i=1}^{n} \left( \log \sum_j e^{z_{ij}} - z_{i y_i} \right)",
            r"J = E + \frac{\alpha}{2} \sum W^2",
        ),
        "Mean cross-entropy, computed from logits, plus L2 over all entries of matrices; biases "
        "are free. Training and gradient check use this one function.",
    ),
    (
        "Backpropagation",
        (
            r"\delta_L = \frac{1}{n} (p - y)",
            r"\delta_{l-1} = (W_l^\top \delta_l) \odot [h_{l-1} > 0]",
            r"\frac{\partial J}{\partial W_l} = \delta_l\, h_{l-1}^\top + \alpha W_l",
        ),
        r"The gradient of $b_l$ is the sum of $\delta_l$ over the images of the batch.",
    ),
    (
        "SGD",
        (r"w \leftarrow w - \eta\, g_\mathrm{batch}",),
        r"One step a minibatch, with the learning rate $\eta$; a new shuffle every epoch.",
    ),
    (
        "Initial weights",
        (r"W_l \sim U\left( -\sqrt{6 / n_{l-1}},\; \sqrt{6 / n_{l-1}} \right)", r"b_l = 0.01"),
        "He's uniform distribution, drawn with a recorded seed.",
    ),
    (
        "Complex step",
        (
            r"\frac{\partial J}{\partial w_p} = \frac{\mathrm{Im}\, J(w + i h e_p)}{h} + O(h^2)",
            r"h = 10^{-20}",
        ),
        "No difference of nearly equal numbers: exact to rounding, so it can judge the gradient.",
    ),
    (
        "Standard error",
        (r"\mathrm{se} = \sqrt{p (1 - p) / n}",),
        "Of an accuracy $p$ on $n$ images: 0.4 points on 6,000, 0.3 points on 10,000.",
    ),
)
FILES = {
    "part_a.ipynb": "part A as executed",
    "part_b.ipynb": "part B as executed",
    "part_c.ipynb": "part C as executed",
    "part_d.ipynb": "part D as executed",
    "Part_B_grad_weight.txt": "the check value, then one finite difference a weight",
    "learning_curves.csv": "cross-entropy and accuracy of each epoch of part A",
    "hyperparameter_tune.csv": "the grid, one row a run",
    "hyperparameter_tune.txt": "the grid, one sentence a run",
    "hyperparameter_tune.png": "what each hyperparameter does, one dot a run",
    "best_model.json": "how the best network of the grid was trained, and what it reached",
    "best_model_weights.npy": "its weights",
    "wide_model.json": "the same for the wider network",
    "wide_model_weights.npy": "its weights",
    "weight_photo.png": "the first layer's weights",
}
HEADINGS = {
    "accuracy": "accuracy",
    "cross_entropy": "cross-entropy",
    "num_hidden_layers": "hidden layers",
    "num_units": "units",
    "num_epochs": "epochs",
    "batch_size": "batch",
    "learning_rate": "rate",
    "alpha": "L2 strength",
    "seed": "seed",
}
PLACES = {"output_dir", "model_dir"}
WITHOUT_EFFECT = PLACES | {"resume"}
"""Parameters that change no figure."""


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
    made = {
        f"part_{run.part}.html": env.get_template("report_part.html").render(run=run)
        for run in results.runs.values()
        if run
    }
    made["report.html"] = env.get_template("report.html").render(results=results)
    for name, page in made.items():
        files.write_text(target / name, page)
    return [target / name for name in made]


class Results:
    """What an output folder holds.

    Attributes
    ----------
    runs : dict of str to PartRun or None
        For each part; None if it has not been run, or cannot be read.
    rows : list of dict
        The runs of the grid, best first; empty if there is no table.
    card : dict
        Of the best network; empty if there is none.
    problems : dict of str to str
        Name of a file that is there but cannot be read -> why.
    """

    def __init__(self, folder):
        self._folder = folder
        self.problems = {}
        self.runs = {part: self._read(f"part_{part}.ipynb", PartRun.read) for part in PARTS}
        self.rows = sorted(self._read("hyperparameter_tune.csv", _read_rows) or [], key=_rank)
        self.card = self._read(f"{models.BEST}.json", _read_card) or {}

    def _read(self, name, read):
        path = self._folder / name
        if not path.exists():
            return None
        try:
            return read(path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self.problems[name] = str(error).splitlines()[0]
            return None
        except nbformat.ValidationError as error:
            self.problems[name] = error.message
            return None

    @property
    def missing(self):
        """list of str : the parts that have not been run."""
        return [part for part, run in self.runs.items() if run is None]

    @property
    def headlines(self):
        """dict of str to list of Figure : for each part, the figures that head the report."""
        return {
            part: [figure for key in HEADLINES for figure in run.figures if figure.key == key]
            for part, run in self.runs.items()
            if run
        }

    @property
    def factors(self):
        """dict of str to list : what the runs of the grid differ in -> its values, in order."""
        names = [name for name in HEADINGS if name not in ("cross_entropy", "accuracy")]
        return {name: sorted({row[name] for row in self.rows}) for name in names}

    @property
    def constants(self):
        """dict : what is the same in all runs of the grid -> its value."""
        return {name: values[0] for name, values in self.factors.items() if len(values) == 1}

    @property
    def columns(self):
        """dict of str to str : columns of the table of runs -> their headings."""
        return {name: text for name, text in HEADINGS.items() if name not in self.constants}

    @cached_property
    def weight_photo(self):
        """str : the picture of the weights in base64, if no part shows it already."""
        content = self._read("weight_photo.png", Path.read_bytes)
        shown = {picture.data for run in self.runs.values() if run for picture in run.pictures}
        data = base64.b64encode(content).decode() if content else ""
        return "" if data in shown else data

    @cached_property
    def gradient_file(self):
        """tuple of (str, int) : first line of part B's text file, and its number of values."""
        lines = (self._read("Part_B_grad_weight.txt", Path.read_text) or "").splitlines()
        return (lines[0], sum(line.startswith("Value") for line in lines)) if lines else ("", 0)

    @property
    def files(self):
        """list of tuple : name, size in bytes and meaning of each file that is there."""
        found = [(self._folder / name, what) for name, what in FILES.items()]
        return [(path.name, path.stat().st_size, what) for path, what in found if path.exists()]


@dataclass(frozen=True)
class Figure:
    """A recorded figure and the place where it was recorded."""

    part: str
    record: Record
    anchor: str

    @property
    def key(self):
        """tuple of str, or None : the entry of `HEADLINES` that it belongs to."""
        for part, name in HEADLINES:
            if part == self.part and fnmatchcase(self.record.name, name):
                return part, name
        return None

    @property
    def reference(self):
        """str : what the reference submission reports; empty if it does not."""
        return HEADLINES.get(self.key, "")

    @property
    def value(self):
        """str : the value, an accuracy in percent."""
        is_share = self._is_share
        return f"{self.record.value:.2%}".replace("%", " %") if is_share else _number(self.record)

    @property
    def allowed(self):
        """str : the tolerance in words, that of an accuracy in points of percent."""
        if not self._is_share or self.record.bound in ("exactly", "rel"):
            return self.record.allowed()
        limit = f"{100 * self.record.limit:.3g}"
        words = {"abs": "± {} points", "at_most": "at most {} %", "at_least": "at least {} %"}
        return words[self.record.bound].format(limit)

    @property
    def _is_share(self):
        return "accuracy" in self.record.name and 0 <= self.record.value <= 1


@dataclass(frozen=True)
class Picture:
    """A picture of a notebook: its PNG in base64, its texts and its width on a screen."""

    data: str
    alt: str
    caption: Markup
    width: int | None


@dataclass(frozen=True)
class PartRun:
    """An executed notebook, taken apart.

    Attributes
    ----------
    part, title : str
    figures : list of Figure
    pictures : list of Picture
    lines : list of str
        What may differ from run to run: times, versions, the machine.
    defaults, injected : dict
        The parameters.
    notebook : nbformat.NotebookNode
    """

    part: str
    title: str
    figures: list
    pictures: list
    lines: list
    defaults: dict
    injected: dict
    notebook: nbformat.NotebookNode

    @classmethod
    def read(cls, path):
        """Read part_X.ipynb.

        Parameters
        ----------
        path : Path

        Returns
        -------
        PartRun
        """
        notebook = nbformat.read(path, as_version=4)
        part = path.stem[-1]
        return cls(
            part,
            _title(notebook) or f"Part {part.upper()}",
            _figures(part, notebook),
            [_picture(output) for output in pages.pictures_of(notebook)],
            _lines(notebook),
            _parameters(notebook, "parameters"),
            _parameters(notebook, INJECTED_ID),
            notebook,
        )

    @property
    def body(self):
        """Markup : the notebook as HTML."""
        return Markup(pages.notebook_body(self.notebook))

    @property
    def parameters(self):
        """dict : name -> value, as the run used them."""
        return {name: _plain(value) for name, value in (self.defaults | self.injected).items()}

    @property
    def meanings(self):
        """dict : name of a parameter -> its meaning in a few words."""
        return {name: field.description for name, field in PARTS[self.part].model_fields.items()}

    @property
    def command(self):
        """str : the command line that repeats this run."""
        used = self.parameters
        quick = self._changes({})
        full = self._changes(FULL.get(self.part, {}))
        output = used.get("output_dir", "outputs/quick")
        is_quick = (len(quick), output != "outputs/quick") < (len(full), output != "outputs")
        words = ["python", "-m", "helpers", self.part] + ["--quick"] * is_quick
        changes = dict(quick if is_quick else full)
        if used.get("model_dir", output) != output:
            changes["model_dir"] = used["model_dir"]
        for name, value in changes.items():
            words += ["-p", name, _argument(value)]
        if output != ("outputs/quick" if is_quick else "outputs"):
            words += ["--output", output]
        return shlex.join(words)

    def _changes(self, preset):
        """List the parameters that differ from the defaults with `preset` on top."""
        expected = {name: _plain(value) for name, value in (self.defaults | preset).items()}
        return {
            name: value
            for name, value in self.parameters.items()
            if name not in WITHOUT_EFFECT and value != expected.get(name)
        }


@cache
def _environment():
    env = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "tex": lambda latex: Markup(pages.mathml(latex, block=True)),
        "markdown": lambda text: Markup(pages.one_line(text)),
        "percent": lambda share: "–" if share is None else f"{share:.2%}".replace("%", " %"),
        "figure": _figure,
        "size": lambda size: f"{size / 1000:,.0f} kB" if size >= 1000 else f"{size} bytes",
    }
    env.globals |= {
        "style": Markup((HERE / "report.css").read_text("utf-8")),
        "script": Markup((HERE / "report.js").read_text("utf-8")),
        "questions": QUESTIONS,
        "formulas": FORMULAS,
        "headings": HEADINGS,
    }
    return env


def _read_rows(path):
    return grid_table.read_table(path)


def _rank(row):
    diverged = row["accuracy"] is None
    return (diverged, 0, 0) if diverged else (diverged, -row["accuracy"], row["cross_entropy"])


def _read_card(path):
    card = json.loads(path.read_text("utf-8"))
    lacking = [key for key in models.CARD_KEYS if key not in card]
    if lacking:
        raise ValueError(f"lacks {', '.join(lacking)}")
    return card


def _title(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _figures(part, notebook):
    records = read_records(notebook)
    return [
        Figure(part, records[output.data[RECORD]["name"]], f"part_{part}.html#cell-id={cell.id}")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if RECORD in output.get("data", {})
    ]


def _picture(output):
    metadata = output.metadata.get("image/png", {})
    data = "".join(output.data["image/png"].split())
    caption = Markup(pages.one_line(output.metadata.get("caption", "")))
    return Picture(data, metadata.get("alt", pages.NO_ALT), caption, metadata.get("width"))


def _lines(notebook):
    """Collect the single lines, not the tables, that may differ from run to run."""
    found = [
        output.data.get("text/plain", "").strip()
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if VARIES in output.get("data", {}) and "text/html" not in output.data
    ]
    return [text for text in found if text and "\n" not in text]


def _parameters(notebook, tag):
    """Read the assignments of the cells with a tag; values are literals."""
    return {
        statement.targets[0].id: ast.literal_eval(statement.value)
        for cell in notebook.cells
        if tag in cell.metadata.get("tags", [])
        for statement in ast.parse(cell.source).body
        if isinstance(statement, ast.Assign)
    }


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _argument(value):
    if isinstance(value, list) and value:
        return ",".join(map(_argument, value))
    return value if isinstance(value, str) else json.dumps(value)


def _number(record):
    return f"{record.value:,}" if isinstance(record.value, int) else f"{record.value:.6g}"


def _figure(value):
    """Write an entry of a card or of the grid."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(_figure, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
