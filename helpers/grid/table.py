"""The table of a grid as a DataFrame: one row per run; written whole, checked when read back.

A row is a recipe, field by field, with its scores on the validation images; `recipe_of` gives the
recipe back. In front stand the assignment's five factors. cross_entropy and accuracy are not a
number where a run diverged. Left out: where the runs come from (`helpers.grid.search`) and their
pictures (`helpers.figures`).
"""

import io
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from helpers.errors import OneLineError
from helpers.files import write_text
from helpers.grid.runs import Run
from helpers.recipe import Recipe

FACTORS = ["num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"]
"""The hyperparameters of the assignment's grid, in its order; columns of a table of runs."""
TYPES = {
    "num_hidden_layers": int,
    "num_units": int,  # of the widest hidden layer
    "learning_rate": float,
    "batch_size": int,
    "num_epochs": int,
    "layer_sizes": str,  # "784-30-30-30-10"
    "alpha": float,
    "schedule": str,
    "average_epochs": int,
    "seed": int,
    "shuffle_seed": int,
    "cross_entropy": float,
    "accuracy": float,
    "diverged": bool,
}
"""The columns of a table."""
SCORES_AND_SEEDS = {"cross_entropy", "accuracy", "diverged", "seed", "shuffle_seed"}


class TableError(OneLineError):
    """A table cannot be read, or holds nothing that could be ranked; the message says why."""


def to_frame(runs):
    """Tabulate runs, in their order.

    Parameters
    ----------
    runs : iterable
        Of helpers.grid.runs.Run, or others with a recipe, a cross_entropy and an accuracy.

    Returns
    -------
    pandas.DataFrame
        With the columns `TYPES`.
    """
    import pandas as pd  # late: processes that only train would each pay 30 MB for it

    rows = []
    for run in runs:
        hidden = run.recipe.layer_sizes[1:-1]
        row = asdict(run.recipe)
        row["num_hidden_layers"] = len(hidden)
        row["num_units"] = max(hidden, default=0)
        row["layer_sizes"] = "-".join(map(str, run.recipe.layer_sizes))
        row["cross_entropy"] = run.cross_entropy
        row["accuracy"] = run.accuracy
        row["diverged"] = bool(np.isnan(run.accuracy))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def recipe_of(row):
    """Give the recipe of a row, as `DataFrame.itertuples` gives rows."""
    values = {field.name: getattr(row, field.name) for field in fields(Recipe)}
    values["layer_sizes"] = tuple(map(int, row.layer_sizes.split("-")))
    return Recipe(**values)


def write_table(path, table):
    """Replace a table (CSV) atomically; values of a diverged run stay empty."""
    write_text(path, to_csv(table))


def to_csv(table):
    """Write a table as text, one line a run."""
    return table.to_csv(index=False, lineterminator="\n")


def read_table(path):
    """Read a table back: its runs, tabulated again, must give the same text.

    Raises
    ------
    TableError
        In one line, if the file is missing, cut off, or a value is not what it should be.
    """
    import pandas as pd

    path = Path(path)
    try:
        text = path.read_text("utf-8")
        table = pd.read_csv(io.StringIO(text), dtype=TYPES)
        runs = []
        for row in table.itertuples():
            runs.append(Run(recipe_of(row), row.cross_entropy, row.accuracy, weights=None))
        if to_csv(to_frame(runs)) != text:
            raise ValueError("cut off, or fields that contradict each other")
    except (OSError, ValueError, AttributeError, OneLineError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{path.name}: cannot be read ({reason}); run part C again") from None
    return table


def ranked(table):
    """Sort runs by validation accuracy, best first; lower cross-entropy breaks ties.

    Returns
    -------
    pandas.DataFrame
        Without the runs that diverged; its index holds their places in `table`.

    Raises
    ------
    TableError
        If none is left.
    """
    if table.diverged.all():
        raise TableError("every run diverged; choose smaller learning rates")
    finished = table[~table.diverged]
    order = ["accuracy", "cross_entropy"]
    return finished.sort_values(order, ascending=[False, True], kind="stable")


def over_seeds(table):
    """Average the validation accuracy of runs that differ in nothing but their seeds.

    Parameters
    ----------
    table : pandas.DataFrame
        More columns than `TYPES` are welcome; runs that differ in them stay apart.

    Returns
    -------
    pandas.DataFrame
        What the runs share, then ``first_accuracy``, ``mean``, ``sd``, ``num_seeds`` and
        ``accuracies``; best mean first.
    """
    shared = [name for name in table if name not in SCORES_AND_SEEDS]
    accuracy = table.groupby(shared, sort=False).accuracy
    means = accuracy.agg(
        first_accuracy="first", mean="mean", sd="std", num_seeds="size", accuracies=list
    )
    return means.reset_index().sort_values("mean", ascending=False, ignore_index=True)


def to_records(table):
    """Turn rows into plain values for JSON, None for what is not a number; a list of dict."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def sentences(table):
    """Say each run in one line, in the words of the assignment's log; returns one text."""
    return "".join(_sentence(run) for run in table.itertuples())


def _sentence(run):
    """Say a run; a run that diverged keeps the form, so that a program can read every line."""
    return (
        f"Hidden Lrs: {run.num_hidden_layers}, n_hidden_units: {run.num_units}, "
        f"Num Epoch: {run.num_epochs}, Batch size: {run.batch_size}, "
        f"Learning rate: {run.learning_rate}, Unregularise CE: {run.cross_entropy:.5f}, "
        f"Validation accuracy: {run.accuracy:.2%}{' (diverged)' if run.diverged else ''}\n"
    )
