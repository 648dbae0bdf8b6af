"""The grid: each row is the run by itself, whatever happened on the way to it."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from helpers import data, sgd
from helpers.grid import executors
from helpers.grid import search as grid_search
from helpers.grid import table as grid_table
from helpers.grid.search import Run, Unit
from helpers.notebook.parameters import PartC
from helpers.sgd import DivergedError, Recipe

SMALL = {
    "num_hidden_layers": [0, 1],
    "num_units": [4],
    "num_epochs": [1, 2],
    "batch_size": [700, 1000],
    "learning_rate": [0.05, 0.1],
    "alpha": 0.0,
    "seed": 0,
    "num_seeds": 1,
    "repeat_top": 1,
    "repeat_seeds": 1,
    "beyond_grid": False,
    "executor": "processes",
    "num_workers": 0,
    "scheduler": "",
    "resume": False,
    "output_dir": "outputs/quick",
}
FULL = SMALL | {
    "num_hidden_layers": [3, 4, 5],
    "num_units": [30, 40, 50],
    "num_epochs": [50, 100],
    "batch_size": [16, 32, 64],
    "learning_rate": [0.005, 0.01, 0.05],
}


def settings(**changes):
    return PartC(**SMALL | changes)


@contextmanager
def in_this_process():
    with ThreadPoolExecutor(1) as executor:
        yield executor, 1


def table(runs):
    return [run.row for run in runs]


def weights(runs):
    return [run.weights.tobytes() for run in runs]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The small grid, trained unit after unit without an incident."""
    folder = tmp_path_factory.mktemp("units")
    return grid_search.search(grid_search.make_units(settings()), folder, in_this_process)


def test_the_full_grid_is_162_distinct_runs_in_27_units():
    units = grid_search.make_units(PartC(**FULL))
    combinations = {
        (unit.recipes[0].layer_sizes, unit.recipes[0].batch_size, recipe.learning_rate, epochs)
        for unit in units
        for recipe in unit.recipes
        for epochs in unit.checkpoints
    }
    assert len(units) == 3 * 3 * 3
    assert len(combinations) == 3 * 3 * 2 * 3 * 3 == 162


def test_longest_units_come_first():
    units = grid_search.make_units(PartC(**FULL))
    costs = [unit.cost for unit in units]
    assert costs == sorted(costs, reverse=True)
    # 5 layers of 50 units and 100 epochs are the most work there is in the grid.
    assert units[0].recipes[0].layer_sizes == (784, 50, 50, 50, 50, 50, 10)


def test_each_row_is_the_run_trained_by_itself(expected):
    training, validation = data.load_training_once()
    assert len(expected) == 16
    for run in expected[::3]:
        alone = sgd.train(run.recipe, training, validation)
        assert run.weights.tobytes() == alone.weights.tobytes()
        assert run.accuracy == alone.history.validation_accuracy[-1]


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_any_number_of_processes_gives_the_same_bytes(expected, tmp_path, num_workers):
    units = grid_search.make_units(settings())
    runs = grid_search.search(units, tmp_path, lambda: executors.processes(num_workers))
    assert table(runs) == table(expected)
    assert all(
        a.weights.tobytes() == b.weights.tobytes() for a, b in zip(runs, expected, strict=True)
    )
    assert not multiprocessing.active_children()


def test_workers_hold_one_blas_thread():
    with executors.processes(1) as (executor, _):
        threads = executor.submit(blas_threads).result()
    assert threads == {1}


def blas_threads():
    import scipy.linalg  # noqa: F401  (SciPy brings a second BLAS)
    from threadpoolctl import threadpool_info, threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_a_stopped_grid_goes_on_and_trains_only_what_is_missing(expected, tmp_path):
    units = grid_search.make_units(settings())

    def stop(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grid_search.search(units, tmp_path, in_this_process, on_progress=stop)
    assert len(list(tmp_path.iterdir())) == 3
    seen = []
    runs = grid_search.search(units, tmp_path, in_this_process, True, seen.append)
    assert (seen[0].done, seen[-1].done) == (3, 4)
    assert table(runs) == table(expected)


def test_a_torn_or_foreign_unit_file_is_trained_again(expected, tmp_path):
    units = grid_search.make_units(settings())
    grid_search.search(units, tmp_path, in_this_process)
    first, second, third, _ = (tmp_path / f"{unit.fingerprint}.npz" for unit in units)
    first.write_bytes(first.read_bytes()[:1000])
    second.write_bytes(third.read_bytes())
    seen = []
    runs = grid_search.search(units, tmp_path, in_this_process, True, seen.append)
    assert seen[0].done == 2
    assert table(runs) == table(expected)


def test_rows_of_other_settings_are_not_mixed_in(tmp_path):
    grid_search.search(grid_search.make_units(settings()), tmp_path, in_this_process)
    units = grid_search.make_units(settings(alpha=0.001))
    seen = []
    runs = grid_search.search(units, tmp_path, in_this_process, True, seen.append)
    assert seen[0].done == 0
    assert {run.row["alpha"] for run in runs} == {0.001}


def test_a_killed_worker_loses_no_row(expected, tmp_path):
    units = grid_search.make_units(settings())
    killer = threading.Thread(target=kill_one_child)
    killer.start()
    runs = grid_search.search(units, tmp_path, lambda: executors.processes(2))
    killer.join()
    assert table(runs) == table(expected)


def kill_one_child():
    while not multiprocessing.active_children():
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_a_worker_with_other_code_is_refused(tmp_path):
    unit = grid_search.make_units(settings())[0]
    result = replace(grid_search.train_unit(unit), fingerprint="0" * 16)
    with pytest.raises(executors.ExecutorError, match="expected " + unit.fingerprint):
        grid_search.save_result(tmp_path, unit, result)
    assert not list(tmp_path.iterdir())


def test_a_diverging_member_is_marked_and_disturbs_nobody(expected, tmp_path):
    units = grid_search.make_units(settings(learning_rate=[0.05, 0.1, 1e38]))
    runs = grid_search.search(units, tmp_path, in_this_process)
    wild = [run for run in runs if run.recipe.learning_rate == 1e38]
    assert all(run.diverged and run.row["accuracy"] is None for run in wild)
    ignored = {"fingerprint": ""}
    calm = [run.row | ignored for run in runs if run not in wild]
    assert calm == [row | ignored for row in table(expected)]
    assert all(np.isfinite(run.weights).all() for run in runs)


def test_the_fingerprint_covers_recipe_data_and_mathematics(monkeypatch):
    unit = grid_search.make_units(settings())[0]
    changed = {
        unit.fingerprint,
        replace(unit, checkpoints=(2,)).fingerprint,
        replace(unit, recipes=unit.recipes[:1]).fingerprint,
    }
    monkeypatch.setattr(data, "SPLIT_SEED", 1)
    changed.add(unit.fingerprint)
    monkeypatch.setattr(grid_search, "mathematics", lambda: "another")
    changed.add(unit.fingerprint)
    assert len(changed) == 5


def test_mathematics_ignores_words_and_sees_code(monkeypatch, tmp_path):
    source = (data.DATA.parent / "helpers" / "network.py").read_text()
    before = grid_search.mathematics()
    found = []
    for old, new in ("ReLU", "rectified"), ("np.sign(h", "np.abs(h"):
        assert old in source
        copy = tmp_path / "network.py"
        copy.write_text(source.replace(old, new))
        monkeypatch.setattr(grid_search.network, "__file__", str(copy))
        found.append(grid_search.mathematics() == before)
    assert found == [True, False]


def run(accuracy, cross_entropy=0.3, seed=0, rate=0.1):
    recipe = Recipe((2, 2), 1, 1, rate, seed=seed, shuffle_seed=seed)
    return Run(recipe, cross_entropy, accuracy, "f", np.zeros(6))


def test_ranking_is_by_accuracy_then_cross_entropy():
    runs = [run(0.8, 0.5), run(0.9, 0.4), run(0.9, 0.3), run(None, None)]
    assert grid_search.ranked(runs) == [runs[2], runs[1], runs[0]]
    with pytest.raises(DivergedError, match="every run diverged"):
        grid_search.ranked(runs[3:])


def test_mean_and_sd_over_seeds_by_hand():
    # 0.8, 0.84, 0.88: mean 0.84, sd sqrt((0.04^2 + 0 + 0.04^2) / 2) = 0.04.
    runs = [run(0.8, seed=0), run(0.84, seed=1), run(0.88, seed=2), run(0.83, rate=0.2)]
    first, second = grid_search.over_seeds(runs)
    assert first["mean"] == pytest.approx(0.84) and first["sd"] == pytest.approx(0.04)
    assert first["num_seeds"] == 3
    assert second["mean"] == 0.83 and second["sd"] is None


def test_repeats_use_the_next_seeds_for_weights_and_minibatches():
    units = grid_search.repeats([run(0.9)], 2)
    assert [(u.recipes[0].seed, u.recipes[0].shuffle_seed) for u in units] == [(1, 1), (2, 2)]


def test_num_seeds_adds_units_that_differ_in_both_seeds():
    units = grid_search.make_units(settings(num_seeds=2))
    assert len(units) == 8
    assert {(u.recipes[0].seed, u.recipes[0].shuffle_seed) for u in units} == {(0, 0), (1, 1)}


def test_progress_is_one_readable_line():
    line = str(grid_search.Progress(3, 27, 0.8812, 61.2, float("nan")))
    assert line == "3/27 units, best 88.12%, 1:01 elapsed, about ? left"


def test_table_survives_the_disk(expected, tmp_path):
    path = tmp_path / "t.csv"
    rows = [*table(expected), run(None, None).row]
    grid_table.write_table(path, rows)
    assert grid_table.read_table(path) == rows


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-1], "cut off"),
        (lambda text: "", "cut off"),
        (lambda text: text.replace("accuracy", "score"), "not a table"),
        (lambda text: text.replace("0.9,False", "nan,False"), "line 2: nan is not a finite"),
        (lambda text: text.replace("0.9,False", "0.9,perhaps"), "line 2: 'perhaps'"),
        (lambda text: text.replace(",f\n", "\n"), "line 2"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, damage, message):
    path = tmp_path / "t.csv"
    grid_table.write_table(path, [run(0.9).row])
    path.write_text(damage(path.read_text()))
    with pytest.raises(grid_table.TableError, match=message) as error:
        grid_table.read_table(path)
    assert "t.csv" in str(error.value) and "run part C again" in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(grid_table.TableError, match=r"none\.csv: cannot be read"):
        grid_table.read_table(tmp_path / "none.csv")


def test_a_sentence_reads_like_the_reference_log():
    row = Run(Recipe((784, 30, 30, 10), 50, 16, 0.01), 0.41234, 0.8712, "f", np.zeros(1)).row
    assert grid_table.sentence(row) == (
        "Hidden Lrs: 2, n_hidden_units: 30, Num Epoch: 50, Batch size: 16, "
        "Learning rate: 0.01, Unregularised CE: 0.4123, accuracy: 87.12%"
    )


def test_a_full_disk_keeps_what_was_saved(expected, tmp_path, monkeypatch):
    units = grid_search.make_units(settings())
    save, saved = grid_search.save_result, []

    def fill_up(folder, unit, result):
        if len(saved) == 2:
            raise OSError(28, "No space left on device")
        saved.append(unit)
        save(folder, unit, result)

    monkeypatch.setattr(grid_search, "save_result", fill_up)
    with pytest.raises(OSError, match="No space left"):
        grid_search.search(units, tmp_path, in_this_process)
    monkeypatch.setattr(grid_search, "save_result", save)
    seen = []
    runs = grid_search.search(units, tmp_path, in_this_process, True, seen.append)
    assert seen[0].done == 2 and table(runs) == table(expected)


def test_a_unit_with_mixed_minibatches_cannot_be_trained():
    unit = Unit((Recipe((784, 10), 1, 500, 0.1), Recipe((784, 10), 1, 600, 0.1)), (1,))
    with pytest.raises(ValueError, match="one batch_size"):
        grid_search.train_unit(unit)
