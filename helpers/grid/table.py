"""The table of a grid: one row, or one sentence, a run; written whole, read back with suspicion.

Left out: where the rows come from (`helpers.grid.search`).
"""

import csv
import io
import math
from pathlib import Path

from helpers.files import write_text

FACTORS = "num_hidden_layers", "num_units", "num_epochs", "batch_size", "learning_rate"
COLUMNS = (
    *FACTORS,
    "alpha",
    "seed",
    "cross_entropy",
    "accuracy",
    "diverged",
    "fingerprint",
)


class TableError(ValueError):
    """A table cannot be read; the message says where and why."""


def write_table(path, rows):
    """Replace a table of runs (CSV) atomically.

    Parameters
    ----------
    path : str or Path
    rows : list of dict
        With the keys `COLUMNS`; the figures of a diverged run stay empty.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path):
    """Read a table of runs back.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of dict
        With the keys `COLUMNS`; figures of diverged runs are None.

    Raises
    ------
    TableError
        If the file is missing, cut off, or a field is not what it should be.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path.name}: cannot be read ({error}); run part C again") from None
    lines = list(csv.reader(io.StringIO(text)))
    if not text.endswith("\n") or not lines or tuple(lines[0]) != COLUMNS:
        raise TableError(f"{path.name}: cut off or not a table of runs; run part C again")
    return [_parse(path.name, number, line) for number, line in enumerate(lines[1:], start=2)]


def _parse(name, number, line):
    kinds = [int, int, int, int, float, float, int, _figure, _figure, _yes_or_no, str]
    try:
        return {
            column: kind(field) for column, kind, field in zip(COLUMNS, kinds, line, strict=True)
        }
    except ValueError as error:
        raise TableError(f"{name}, line {number}: {error}; run part C again") from None


def _figure(field):
    number = float(field) if field else None
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{field} is not a finite number")
    return number


def _yes_or_no(field):
    if field not in ("True", "False"):
        raise ValueError(f"{field!r} is neither True nor False")
    return field == "True"


def sentence(row):
    """Say a row in words, in the order of the reference submission's log.

    Parameters
    ----------
    row : dict
        With the keys `COLUMNS`.

    Returns
    -------
    str
    """
    found = (
        "diverged"
        if row["diverged"]
        else f"Unregularised CE: {row['cross_entropy']:.4f}, accuracy: {row['accuracy']:.2%}"
    )
    return (
        f"Hidden Lrs: {row['num_hidden_layers']}, n_hidden_units: {row['num_units']}, "
        f"Num Epoch: {row['num_epochs']}, Batch size: {row['batch_size']}, "
        f"Learning rate: {row['learning_rate']}, {found}"
    )
