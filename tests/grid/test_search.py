"""The search: each run is the run by itself, whatever happened on the way to it."""

import errno
import multiprocessing
import os
import re
import shutil
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import psutil
import pytest

from helpers import data, files
from helpers.files import PROJECT
from helpers.grid import jobs, listing, runs, search, stack, workers
from tests.grid.grids import content, in_this_process, recipes


@pytest.fixture
def trained(monkeypatch):
    """The recipes that have been trained in this process, in order."""
    seen = []
    measure = jobs.measure

    def watch(recipe, *rest):
        seen.append(recipe)
        return measure(recipe, *rest)

    monkeypatch.setattr(jobs, "measure", watch)
    return seen


def test_each_run_is_the_network_trained_by_itself(tmp_path):
    lines = []
    trained = search.search(recipes(), tmp_path, in_this_process, lines.append)
    assert re.fullmatch(r"done, 16 of 16 runs, best \d\d\.\d\d%", lines[-1])  # recorded: no times
    training, _ = data.load_training()
    assert len(trained) == 16
    for recipe, run in list(trained.items())[::3]:
        alone = stack.train([recipe], training)[recipe]
        assert run.recipe == recipe and run.weights.tobytes() == alone.tobytes()


def test_processes_give_the_same_and_end(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "STACK_SIZE", 1)
    where = workers.executor_for("processes", 3)
    assert content(search.search(recipes(), tmp_path, where)) == expected
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("size", [1, 3, 9])
def test_four_threads_of_one_process_and_any_stacks_give_the_same(
    expected, tmp_path, monkeypatch, size
):
    monkeypatch.setattr(jobs, "STACK_SIZE", size)
    together = search.search(recipes(), tmp_path, lambda: in_this_process(4))
    assert content(together) == expected


def test_workers_do_not_hear_ctrl_c():
    with workers.processes(2) as executor:
        assert executor.submit(signal.getsignal, signal.SIGINT).result() is signal.SIG_IGN


def test_one_worker_needs_no_processes_and_ends_with_its_search(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    train_epoch = stack.train_epoch

    def press_ctrl_c(*arguments):
        if list(tmp_path.glob("*.npz")):
            signal.raise_signal(signal.SIGINT)
        train_epoch(*arguments)

    monkeypatch.setattr(stack, "train_epoch", press_ctrl_c)
    where = workers.executor_for("processes", 1)
    with pytest.raises(
        search.SearchStopped, match=r"^stopped; (?!16)[1-9]\d* of 16 runs are saved"
    ):
        search.search(recipes(), tmp_path, where)


def no_semaphores(*arguments, **options):
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ProcessPoolExecutor", no_semaphores, "Read-only file system"),
        ("_start_worker", os.abort, "A process in the process pool was terminated"),
        ("START_SECONDS", 0.0, "no answer within 0.0 s"),
    ],
)
def test_processes_that_cannot_be_started_are_told_before_anything_trains(
    monkeypatch, name, value, reason
):
    monkeypatch.setattr(workers, name, value)
    with pytest.raises(workers.WorkerError, match=r"num_workers = 1 needs neither$") as error:
        workers.check("processes", 2)
    assert reason in str(error.value) and "\n" not in str(error.value)
    workers.check("processes", 1)
    # The pool and we wait for the same processes: whoever comes second takes them for alive.
    assert not any(psutil.pid_exists(each.pid) for each in multiprocessing.active_children())


FULL = OSError(errno.ENOSPC, "No space left on device")


def stopped_after_five_runs(monkeypatch, folder, error):
    """Start a search that an error ends when it wants to save its sixth run; give its last line."""

    def stop(descriptor):
        if len(list(folder.glob("*.npz"))) == 5:
            raise error

    kinds = search.SearchError, search.SearchStopped
    with monkeypatch.context() as patched, pytest.raises(kinds) as stopped:
        patched.setattr(os, "fsync", stop)
        search.search(recipes(), folder, in_this_process)
    return str(stopped.value)


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    line = stopped_after_five_runs(monkeypatch, tmp_path, FULL)
    assert re.search(f"No space left on device: '{tmp_path}/.*npz'; 5 of 16 runs are saved", line)


def test_a_stopped_search_goes_on_and_trains_what_is_missing_or_damaged(
    expected, tmp_path, monkeypatch, trained
):
    line = stopped_after_five_runs(monkeypatch, tmp_path, KeyboardInterrupt())
    assert line == "stopped; 5 of 16 runs are saved; the same search goes on from there"
    trained.clear()
    change_a_byte(next(tmp_path.glob("*.npz")))
    more = recipes(learning_rate=[0.05, 0.1, 0.2])  # other jobs than before
    complete = search.search(more, tmp_path, in_this_process)
    assert len(trained) == len(set(trained)) == 24 - 4
    again = search.search(recipes(num_epochs=[1]), tmp_path, in_this_process)
    assert len(trained) == 24 - 4 and len(again) == 8
    assert content({recipe: complete[recipe] for recipe in recipes()}) == expected


def test_the_name_of_a_run_covers_all_that_decides_its_numbers(tmp_path, monkeypatch):
    recipe = recipes()[0]
    folder = runs.RunFolder(tmp_path, runs.identity())
    several = recipe, replace(recipe, num_epochs=3), replace(recipe, alpha=0.001)
    names = {folder.file(each) for each in several}

    shutil.copytree(PROJECT / "helpers", tmp_path / "helpers")
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    for name in runs.SOURCES:
        with (tmp_path / "helpers" / name).open("a") as file:
            file.write("# changed\n")
        changed = runs.RunFolder(tmp_path, runs.identity.__wrapped__())
        names.add(changed.file(recipe))
    assert len(names) == len(several) + len(runs.SOURCES)


def test_repeats_join_the_queue_once_the_grid_is_there(tmp_path, trained):
    calls = []

    def repeats(complete):
        calls.append(set(complete))
        return listing.repeats(recipes()[:2], 2)

    beyond = recipes(learning_rate=[0.2])
    complete = search.search(recipes(), tmp_path, in_this_process, beyond=beyond, repeats=repeats)
    assert set(complete) == {*recipes(), *beyond, *listing.repeats(recipes()[:2], 2)}
    assert len(calls) == 1 and calls[0] >= set(recipes())
    assert len(trained) == 16 + 8 + 4
    search.search(recipes(), tmp_path, in_this_process, repeats=repeats)
    assert len(calls) == 2 and len(trained) == 16 + 8 + 4


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rename(path):
    [other, *_] = [file for file in path.parent.glob("*.npz") if file != path]
    path.write_bytes(other.read_bytes())


DAMAGE = {
    "another run": rename,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_bytes(b""),
    "a changed byte": change_a_byte,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_no_run(tmp_path, damage):
    folder = runs.RunFolder(tmp_path, runs.identity())
    first, second = recipes()[:2]
    for recipe in first, second:
        folder.save(runs.Run(recipe, 0.5, 0.8, np.ones(1000, np.float32)))
    damage(folder.file(first))
    assert folder.load(second) and not folder.load(first)


def test_a_process_that_is_killed_ends_the_search_in_one_line(expected, tmp_path):
    def kill(line):
        if list(tmp_path.glob("*.npz")):
            for process in multiprocessing.active_children()[:1]:
                process.kill()

    with pytest.raises(search.SearchError, match=r"^a process has died.*; [1-9]\d* of 16 runs are"):
        search.search(recipes(), tmp_path, partial(workers.processes, 2), kill)
    assert content(search.search(recipes(), tmp_path, in_this_process)) == expected


def test_a_diverging_member_is_marked_and_disturbs_nobody(expected, tmp_path):
    wild_too = recipes(learning_rate=[0.05, 0.1, 1e38])
    complete = search.search(wild_too, tmp_path, in_this_process)
    wild = [complete.pop(recipe) for recipe in list(complete) if recipe.learning_rate == 1e38]
    assert len(wild) == 8 and all(np.isnan([run.accuracy, run.cross_entropy]).all() for run in wild)
    assert all(np.isfinite(run.weights).all() for run in wild)
    assert content(complete) == expected


def test_the_time_left_is_in_proportion_to_the_cost_of_jobs(tmp_path, monkeypatch):
    state = search._Search(runs.RunFolder(tmp_path, {}), [], None, None)
    [job] = jobs.group(stack.networks_of(recipes(num_epochs=[3], batch_size=[100])))
    state.wanted = set(job.recipes)
    state.jobs = {"in training": job, "waits": job}
    state.start, state.last_finished = 1000.0, 1035.0  # three such jobs and half of another one
    state.cost_trained = 3 * job.cost
    for now, line in [
        (1037.0, "0 of 4 runs, 0:00:37 elapsed, about 0:00:13 left"),
        (
            1095.0,
            "0 of 4 runs, 0:01:35 elapsed, about 0:00:00 left, no job has finished for 0:01:00",
        ),
    ]:
        monkeypatch.setattr(search.time, "monotonic", lambda now=now: now)
        assert state.line() == line
