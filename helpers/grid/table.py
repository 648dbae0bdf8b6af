"""The table of a grid as a DataFrame: one row per run; written whole, read back with suspicion.

A `table` has the columns `TYPES`; cross_entropy and accuracy, on the validation images, are not a
number where a run diverged. Left out: where the runs come from (`helpers.grid.search`) and their
pictures (`helpers.figures`).
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.files import write_text
from helpers.sgd import DivergedError

FACTORS = ["num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"]
TYPES = dict.fromkeys(FACTORS, int) | {"learning_rate": float, "alpha": float, "seed": int}
TYPES |= {"cross_entropy": float, "accuracy": float, "diverged": bool}


class TableError(ValueError):
    """A table cannot be read; the message says where and why."""


def to_frame(runs):
    """Tabulate runs (`helpers.grid.search.Run`), in their order; returns a table."""
    table = pd.DataFrame([_row(run) for run in runs], columns=list(TYPES))
    return table.assign(diverged=table.accuracy.isna()).astype(TYPES)


def _row(run):
    hidden = run.recipe.layer_sizes[1:-1]
    factors = {"num_hidden_layers": len(hidden), "num_units": max(hidden, default=0)}
    return vars(run) | vars(run.recipe) | factors


def write_table(path, table):
    """Replace a table (CSV) atomically; values of a diverged run stay empty."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path):
    """Read a table back.

    Raises
    ------
    TableError
        In one line, if the file is missing, cut off, or a value is not what it should be.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
        if not text.endswith("\n") or len({line.count(",") for line in text.splitlines()}) > 1:
            raise ValueError("cut off")
        table = pd.read_csv(io.StringIO(text), dtype=TYPES)
        _check(table)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{path.name}: cannot be read ({reason}); run part C again") from None
    return table


def _check(table):
    if list(table) != list(TYPES):
        raise ValueError("not the columns of a table of runs")
    scores = table[["cross_entropy", "accuracy"]]
    possible = table.cross_entropy.between(0, np.inf, "left") & table.accuracy.between(0, 1)
    fine = np.where(table.diverged, scores.isna().all(axis=1), possible)
    fine &= np.isfinite(table[["learning_rate", "alpha"]]).all(axis=1)
    if not fine.all():
        raise ValueError(f"line {fine.argmin() + 2} holds no possible result")


def ranked(table):
    """Sort runs by validation accuracy, best first; lower cross-entropy breaks ties.

    Returns
    -------
    pandas.DataFrame
        Without the runs that diverged; its index holds their places in `table`.

    Raises
    ------
    DivergedError
        If none is left.
    """
    if table.diverged.all():
        raise DivergedError("every run diverged; choose smaller learning rates")
    order = {"by": ["accuracy", "cross_entropy"], "ascending": [False, True]}
    return table[~table.diverged].sort_values(**order, kind="stable")


def over_seeds(table, by=(*FACTORS, "alpha")):
    """Average the validation accuracy of runs that differ in nothing but their seeds.

    Parameters
    ----------
    table : pandas.DataFrame
    by : sequence of str
        The columns in which runs differ by more than seeds.

    Returns
    -------
    pandas.DataFrame
        The columns `by`, ``first_seed``, ``mean``, ``sd``, ``num_seeds`` and ``accuracies``; best
        mean first.
    """
    groups = table.groupby(list(by), sort=False).accuracy
    found = groups.agg(first_seed="first", mean="mean", sd="std", num_seeds="size", accuracies=list)
    return found.reset_index().sort_values("mean", ascending=False, ignore_index=True)


def to_records(table):
    """Turn rows into plain values for JSON, None for what is not a number; a list of dict."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def sentences(table):
    """Say each run in one line, in the words of the assignment's log."""
    return "".join(map(_sentence, table.itertuples()))


def _sentence(run):
    scores = f"Unregularise CE: {run.cross_entropy:.5f}, accuracy: {run.accuracy:.2%}"
    return (
        f"Hidden Lrs: {run.num_hidden_layers}, n_hidden_units: {run.num_units}, "
        f"Num Epoch: {run.num_epochs}, Batch size: {run.batch_size}, "
        f"Learning rate: {run.learning_rate}, "
        f"validation: {'diverged' if run.diverged else scores}\n"
    )
