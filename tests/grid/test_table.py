"""The table: ranked, averaged over seeds, written, and read back with suspicion."""

import numpy as np
import pytest

from helpers.grid import table as grid_table
from helpers.grid.runs import Run
from helpers.recipe import Recipe

NAN = float("nan")


def table(*runs):
    """Tabulate runs given as (accuracy, cross-entropy, rate, seed)."""
    return grid_table.to_frame(
        Run(Recipe((784, 30, 30, 10), 50, 16, rate, seed=seed), loss, accuracy, np.zeros(1), 0.0)
        for accuracy, loss, rate, seed in runs
    )


def test_a_row_says_what_was_run_and_found():
    frame = table((0.8712, 0.41234, 0.01, 3), (NAN, NAN, 0.5, 0))
    assert list(frame) == list(grid_table.TYPES)
    layers, training = [2, 30, 0.01, 16, 50, "784-30-30-10"], [0.0, "constant", 0, 3, 0]
    assert frame.iloc[0].to_list() == [*layers, *training, 0.41234, 0.8712, False]
    assert frame.diverged.to_list() == [False, True]


RECIPES = [
    Recipe((784, 30, 30, 10), 50, 16, 0.1),
    Recipe((784, 512, 256, 10), 40, 64, 1e-9, 2e-4, "cosine", 20, 5, 7),
    Recipe((784, 10), 0, 54_000, 1 / 3, shuffle_seed=2**32 - 1),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_row_gives_its_recipe_back(recipe, tmp_path):
    path = tmp_path / "t.csv"
    grid_table.write_table(path, grid_table.to_frame([Run(recipe, 0.4, 0.8, np.zeros(1))]))
    [row] = grid_table.read_table(path).itertuples()
    assert grid_table.recipe_of(row) == recipe
    assert (row.num_units == 0) == (row.num_hidden_layers == 0)


def test_ranking_is_by_accuracy_then_cross_entropy():
    frame = table((0.8, 0.5, 1, 0), (0.9, 0.4, 1, 0), (0.9, 0.3, 1, 0), (NAN, NAN, 1, 0))
    assert grid_table.ranked(frame).index.to_list() == [2, 1, 0]
    with pytest.raises(grid_table.TableError, match="every run diverged"):
        grid_table.ranked(frame[3:])


def test_mean_and_sd_over_seeds_by_hand():
    # 0.8, 0.84, 0.88: mean 0.84, sd sqrt((0.04^2 + 0 + 0.04^2) / 2) = 0.04.
    frame = table((0.8, 1, 1, 0), (0.83, 1, 2, 0), (0.84, 1, 1, 1), (0.88, 1, 1, 2))
    first, second = grid_table.over_seeds(frame).itertuples()
    assert (first.first_accuracy, first.accuracies) == (0.8, [0.8, 0.84, 0.88])
    assert first.mean == pytest.approx(0.84) and first.sd == pytest.approx(0.04)
    assert second.mean == 0.83 and np.isnan(second.sd) and second.learning_rate == 2


CONTRADICTION = "cut off, or fields that contradict each other"
DAMAGE = [
    ("\n", "", CONTRADICTION),
    ("0.9,False", "0.9", "NA values"),
    ("accuracy", "score", "'accuracy'"),
    ("1.0,16,50", "inf,16,50", "learning_rate"),
    ("784-30-30-10", "784-30-10", CONTRADICTION),
]


@pytest.mark.parametrize(("old", "new", "message"), DAMAGE)
def test_a_damaged_table_is_refused(tmp_path, old, new, message):
    path = tmp_path / "t.csv"
    grid_table.write_table(path, table((0.8, 0.4, 1, 0), (0.9, 0.3, 1, 0)))
    path.write_text(new.join(path.read_text().rsplit(old, 1)))
    with pytest.raises(grid_table.TableError, match=message) as error:
        grid_table.read_table(path)
    assert str(error.value).startswith("t.csv: ") and "run part C again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\n", b""])
def test_what_is_no_table_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(grid_table.TableError, match=r"^t.csv: cannot be read"):
        grid_table.read_table(tmp_path / "t.csv")


def test_a_sentence_reads_like_the_assignments_log():
    frame = table((0.8712, 0.412346, 0.01, 0), (NAN, NAN, 9, 0))
    good, bad = grid_table.sentences(frame).splitlines()
    assert good == (
        "Hidden Lrs: 2, n_hidden_units: 30, Num Epoch: 50, Batch size: 16, "
        "Learning rate: 0.01, Unregularise CE: 0.41235, Validation accuracy: 87.12%"
    )
    assert bad.endswith("Unregularise CE: nan, Validation accuracy: nan% (diverged)")
