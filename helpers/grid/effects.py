"""What each hyperparameter does: runs that differ in it alone, compared in pairs."""

from itertools import combinations

from helpers.grid.table import FACTORS


def side_by_side(table, factor):
    """Put the accuracies side by side of runs that differ in one hyperparameter alone.

    With a constant rate a run of 50 epochs is the first half of one of 100, not another training.
    So where `factor` is not the number of epochs, the mean over both lengths counts once.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a run: the columns `FACTORS`, ``alpha``, ``seed`` and ``accuracy``, which is not a
        number for a run that diverged.
    factor : str
        One of `FACTORS`.

    Returns
    -------
    pandas.DataFrame
        A line for each setting of the others, a column for each value of `factor`.
    """
    others = {*FACTORS, "alpha", "seed"} - {factor, "num_epochs"}
    groups = table.groupby([*sorted(others), factor]).accuracy
    is_whole = groups.count() == groups.size()
    return groups.mean().where(is_whole).unstack(factor)


def paired_effects(table):
    """Say what each hyperparameter does: differences of pairs that differ in it alone.

    Parameters
    ----------
    table : pandas.DataFrame
        See `side_by_side`.

    Returns
    -------
    pandas.DataFrame
        One row for each two values of a hyperparameter that were paired: ``factor``, ``low`` and
        ``high``; ``num_pairs``; ``mean`` and ``sd`` of accuracy(high) - accuracy(low);
        ``num_higher``, the pairs in which the higher value did better. The spread tells how much
        a difference depends on all else, chance included; the pairs of one grid share their seed.
    """
    import pandas as pd  # late: processes that only train would each pay 30 MB for it

    rows = []
    for factor in FACTORS:
        accuracies = side_by_side(table, factor)
        for low, high in combinations(accuracies.columns, 2):
            differences = (accuracies[high] - accuracies[low]).dropna()
            num_pairs = len(differences)
            if num_pairs:
                mean = differences.mean()
                sd = differences.std()
                num_higher = (differences > 0).sum()
                rows.append([factor, low, high, num_pairs, mean, sd, num_higher])
    columns = ["factor", "low", "high", "num_pairs", "mean", "sd", "num_higher"]
    return pd.DataFrame(rows, columns=columns)
