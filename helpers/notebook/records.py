"""Figures that a notebook records together with their tolerance, and lines that may differ.

A recorded figure shows as one readable line and carries the same as JSON, which the tests and
the report read. Plain nbval compares both literally, so it fails closed; the plugin in
tests/ compares the numbers with the tolerance that was recorded.
Left out: where tolerances come from (tests/benchmarks/spread.json holds the measurement).
"""

import html
import math
import numbers
from dataclasses import asdict, dataclass

from IPython.display import display

RECORD = "application/vnd.helpers.record+json"
VARIES = "application/vnd.helpers.varies+json"
BOUNDS = "abs", "rel", "at_most", "at_least"


@dataclass(frozen=True)
class Record:
    """A named number and what it may become in another run.

    Attributes
    ----------
    name : str
    value : float or int
    bound : str
        "abs", "rel" (distance from the recorded value), "at_most", "at_least" or "exactly".
    limit : float
        The tolerance or the bound; 0 for "exactly".

    Raises
    ------
    ValueError
        If a number is not finite, the bound is unknown, or it does not admit the value itself.
    TypeError
        If value or limit is not a number.
    """

    name: str
    value: float
    bound: str
    limit: float

    def __post_init__(self):
        if not (math.isfinite(self.value) and math.isfinite(self.limit)):
            raise ValueError(
                f"{self.name} = {self.value} ({self.bound} {self.limit}): only finite figures "
                f"are recorded"
            )
        if self.bound not in (*BOUNDS, "exactly"):
            raise ValueError(f"{self.name}: {self.bound!r} is not a bound")
        if not self.admits(self.value):
            raise ValueError(f"{self} is outside its own bound")

    def __str__(self):
        return f"{self.name} = {_short(self.value)}   ({self.allowed()})"

    def allowed(self):
        """Say the tolerance in words.

        Returns
        -------
        str
            E.g. ``"± 0.008"`` or ``"at most 1e-05"``.
        """
        limit = _short(self.limit)
        words = {
            "abs": f"± {limit}",
            "rel": f"± {limit} relative",
            "at_most": f"at most {limit}",
            "at_least": f"at least {limit}",
            "exactly": "exact",
        }
        return words[self.bound]

    def admits(self, value):
        """Decide whether another run's value agrees with this record.

        Parameters
        ----------
        value : float

        Returns
        -------
        bool
        """
        distance = abs(value - self.value)
        agrees = {
            "abs": distance <= self.limit,
            "rel": distance <= self.limit * abs(self.value),
            "at_most": value <= self.limit,
            "at_least": value >= self.limit,
            "exactly": value == self.value,
        }
        return math.isfinite(value) and agrees[self.bound]


def record(name, value, **bound):
    """Show a figure with its tolerance and let later runs be compared with it.

    Parameters
    ----------
    name : str
        Unique in its notebook.
    value : float or int
    **bound
        One of ``abs``, ``rel``, ``at_most``, ``at_least``; none for a count, which must be equal.

    Raises
    ------
    ValueError
        If the value is not finite, or outside its own bound.
    TypeError
        If more than one bound, or an unknown one, is given.
    """
    if len(bound) > 1 or not bound.keys() <= set(BOUNDS):
        raise TypeError(f"{name}: give one of {', '.join(BOUNDS)}; got {sorted(bound)}")
    [(kind, limit)] = bound.items() or [("exactly", 0)]
    value = int(value) if isinstance(value, numbers.Integral) else float(value)
    limit = int(limit) if isinstance(limit, numbers.Integral) else float(limit)
    entry = Record(name, value, kind, limit)
    display({"text/plain": str(entry), RECORD: asdict(entry)}, raw=True)


def varies(text):
    """Show a line that another run may word differently: times, versions, the machine.

    Parameters
    ----------
    text : str
    """
    display(_line(text), raw=True)


def varies_table(rows):
    """Show a table whose figures another run may find differently.

    Parameters
    ----------
    rows : list of dict
        Heading to text, one dict a row; all with the same headings.
    """
    headings = list(rows[0])
    lines = [headings, *([str(row[name]) for name in headings] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in lines]
    head = cells[0].replace("td>", "th>")
    body = "".join(f"<tr>{row}</tr>" for row in cells[1:])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    display({"text/plain": text, "text/html": table, VARIES: {}}, raw=True)


class Live:
    """One line of output that is rewritten in place."""

    def __init__(self, text=""):
        self._handle = display(_line(text), raw=True, display_id=True)

    def update(self, text):
        """Replace the line.

        Parameters
        ----------
        text : str
        """
        if self._handle is None:
            print(text)
        else:
            self._handle.update(_line(text), raw=True)


def live():
    """Start a line that shows how far a long cell is; it may differ from run to run.

    Returns
    -------
    Live
    """
    return Live()


def read_records(notebook):
    """Collect the figures that an executed notebook recorded.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict of str to Record
        In the order of the notebook.

    Raises
    ------
    ValueError
        If two figures have one name.
    """
    found = [
        Record(**output.data[RECORD])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if RECORD in output.get("data", {})
    ]
    records = {each.name: each for each in found}
    if len(records) < len(found):
        raise ValueError("two recorded figures have the same name")
    return records


def _line(text):
    return {"text/plain": text, VARIES: {}}


def _short(number):
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"
