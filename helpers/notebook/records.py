"""What a notebook shows so that a rerun can be compared: recorded values, lines that may differ.

A recorded value shows as one readable line and carries the same as JSON, which the tests and the
report read. Plain nbval compares both literally, so it fails closed; the plugin in tests/ compares
the numbers with the tolerance that was recorded. Left out: where tolerances come from
(tests/benchmarks/spread.json holds the measurement).
"""

import math
import sys
from dataclasses import asdict, dataclass

import numpy as np

from helpers.errors import OneLineError
from helpers.notebook.cells import outputs
from helpers.notebook.display import show

RECORD = "application/vnd.helpers.record+json"
VARIES = "application/vnd.helpers.varies+json"
RECORDED = "recorded"
"""The notebook's variable that holds what it has recorded, by name."""
BOUNDS = {
    "abs": "a rerun may differ by {}",
    "rel": "a rerun may differ by {} of the value",
    "at_most": "must be at most {}",
    "at_least": "must be at least {}",
    "exactly": "the same in every run",
}


class RecordError(OneLineError):
    """A recorded value is outside its bound or has the name of another one."""


@dataclass(frozen=True)
class Record:
    """A named number and what it may be in another run; ValueError or TypeError if it is not valid.

    The value is None if it is not a finite number; the bound is a key of `BOUNDS`.
    """

    name: str
    value: float | None
    bound: str
    limit: float

    def __post_init__(self):
        are_finite = math.isfinite(self.limit) and math.isfinite(self.value or 0)
        if self.bound not in BOUNDS or not are_finite:
            raise ValueError(f"{self.name}: {self.value} ({self.bound} {self.limit}) is no record")

    @property
    def failed(self):
        """bool : whether the value is outside its own bound, or not a finite number."""
        return not self.admits(self.value)

    def __str__(self):
        failed = "FAILED: " if self.failed else ""
        return f"{self.name} = {short(self.value)}   ({failed}{self.allowed()})"

    def allowed(self):
        """Say the tolerance in words."""
        return BOUNDS[self.bound].format(short(self.limit))

    def admits(self, value):
        """Decide whether another run's value agrees with this record."""
        if None in (self.value, value) or not math.isfinite(value):
            return False
        distance = abs(value - self.value)
        agrees = {
            "abs": distance <= self.limit,
            "rel": distance <= self.limit * abs(self.value),
            "at_most": value <= self.limit,
            "at_least": value >= self.limit,
            "exactly": value == self.value,
        }
        return agrees[self.bound]


def record(name, value, **bound):
    """Show a value with its tolerance and let later runs be compared with it.

    A value outside its own bound, or not finite, is shown as FAILED; `finish` then raises.

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
        If more than one bound, or an unknown one, is given.
    """
    [(kind, limit)] = bound.items() or [("exactly", 0)]
    value, limit = np.asarray(value).item(), np.asarray(limit).item()
    entry = Record(name, value if math.isfinite(value) else None, kind, limit)
    variables = vars(sys.modules["__main__"])  # of the notebook, or of the script made of it
    variables.setdefault(RECORDED, {})[name] = entry
    show({"text/plain": str(entry), RECORD: asdict(entry)})


def read_records(notebook):
    """Collect the values that an executed notebook recorded, by name, in its order.

    Raises
    ------
    RecordError
        If one is outside its bound, or two have one name.
    """
    entries = [Record(**entry) for entry in outputs(notebook, RECORD)]
    records = {each.name: each for each in entries}
    if len(records) < len(entries):
        raise RecordError("two recorded values have the same name")
    _refuse_failed(records)
    return records


def finish(settings):
    """End a notebook: refuse it if a recorded value was shown as FAILED.

    Parameters
    ----------
    settings : Settings
        From `read_parameters`.

    Raises
    ------
    RecordError
        In one line.
    """
    _refuse_failed(settings.recorded)
    show({"text/plain": "Every recorded value is within its bound."})


def _refuse_failed(records):
    failed = [str(each) for each in records.values() if each.failed]
    if failed:
        raise RecordError("; ".join(failed))


def varies(text):
    """Show a line that another run may word differently: times, versions, the machine.

    Parameters
    ----------
    text : str
    """
    show({"text/plain": text, VARIES: {}})


def show_table(frame):
    """Show a table whose values another run may find differently.

    Parameters
    ----------
    frame : pandas.DataFrame
        Wide ones scroll inside their own box; headings get spaces for underscores.
    """
    index = type(frame.index).__name__ != "RangeIndex"  # of rows that are only numbered
    # Browsers break lines at spaces alone.
    frame = frame.rename(index=_spaced, columns=_spaced)
    page = frame.to_html(index=index, border=0)
    box = f'<div style="overflow-x: auto; font-size: 90%">{page}</div>'
    show({"text/plain": frame.to_string(index=index), "text/html": box, VARIES: {}})


def _spaced(heading):
    return str(heading).replace("_", " ")


def short(number):
    """Write a number, or None, in few characters."""
    if number is None:
        return "not a finite number"
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"
