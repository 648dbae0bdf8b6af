"""The search: each run is the run by itself, whatever happened on the way to it."""

import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import BrokenExecutor, Future
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel

from helpers import data
from helpers.files import PROJECT
from helpers.grid import jobs, listing, runs, search, stack, workers
from tests.grid.grids import content, in_this_process, recipes


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The small grid, trained without an incident."""
    return content(search.search(recipes(), tmp_path_factory.mktemp("runs"), in_this_process))


@pytest.fixture
def trained(monkeypatch):
    """The recipes that have been trained in this process, in order."""
    seen = []
    measure = runs.measure

    def watch(recipe, *rest):
        seen.append(recipe)
        return measure(recipe, *rest)

    monkeypatch.setattr(runs, "measure", watch)
    return seen


def test_each_run_is_the_network_trained_by_itself(tmp_path):
    found = search.search(recipes(), tmp_path, in_this_process)
    training, _ = data.load_training()
    assert len(found) == 16 and len(list(tmp_path.iterdir())) == 16
    for recipe, run in list(found.items())[::3]:
        alone = stack.train([recipe], training)[recipe]
        assert run.recipe == recipe and run.weights.tobytes() == alone.tobytes()


def test_processes_give_the_same_and_end(expected, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "LARGEST", 1)
    where = workers.executor_for("processes", 3)
    assert content(search.search(recipes(), tmp_path, where)) == expected
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("largest", [1, 3, 9])
def test_four_threads_of_one_process_and_any_stacks_give_the_same(
    expected, tmp_path, monkeypatch, largest
):
    monkeypatch.setattr(jobs, "LARGEST", largest)
    together = search.search(recipes(), tmp_path, lambda: in_this_process(4), num_workers=4)
    assert content(together) == expected


def test_an_executor_from_elsewhere_will_do(expected, tmp_path):
    loky = pytest.importorskip("joblib.externals.loky")
    executor = loky.get_reusable_executor(2, env={"PYTHONPATH": str(PROJECT)})
    where = partial(nullcontext, executor)
    assert content(search.search(recipes(), tmp_path, where, num_workers=2)) == expected
    executor.shutdown(kill_workers=True)


def test_workers_do_not_hear_ctrl_c():
    with workers.processes(1) as executor:
        assert executor.submit(signal.getsignal, signal.SIGINT).result() is signal.SIG_IGN


def test_there_are_no_more_processes_than_memory_for_them(monkeypatch):
    monkeypatch.setattr(workers, "available_memory", lambda: int(3.5 * workers.WORKER_MEMORY))
    with workers.processes(8) as executor:
        assert executor.num_workers == 3
        assert executor.look() == "memory for 3 instead of 8 processes"
    monkeypatch.setattr(workers, "available_memory", lambda: 0)
    with workers.processes() as executor:
        assert executor.num_workers == 1


NO_SPACE = OSError(28, "No space left on device")
STOPPED = "stopped; 5 of 16 runs are saved; resume = True, or --resume, goes on from there"


@pytest.mark.parametrize("error", [KeyboardInterrupt(signal.SIGTERM), NO_SPACE])
def test_a_stopped_search_goes_on_and_trains_only_what_is_missing(
    expected, tmp_path, monkeypatch, trained, error
):
    def stop(folder, name, result):
        if len(list(folder.glob("*.npz"))) == 5:
            raise error
        save(folder, name, result)

    save = runs.save
    with monkeypatch.context() as patched, pytest.raises(type(error)) as stopped:
        patched.setattr(runs, "epoch_file", lambda folder, job: tmp_path / "elsewhere" / "file")
        patched.setattr(runs.RunFolder, "begin", lambda self, job: None)
        patched.setattr(search, "save", stop)
        search.search(recipes(), tmp_path, in_this_process)
    if error is NO_SPACE:
        assert stopped.value is NO_SPACE
    else:
        assert stopped.value._render_traceback_() == [f"SearchStopped: {STOPPED}"]

    trained.clear()
    more = recipes(learning_rate=[0.05, 0.1, 0.2])  # other jobs than before
    found = search.search(more, tmp_path, in_this_process, resume=True)
    assert len(trained) == len(set(trained)) == 24 - 5
    again = search.search(recipes(num_epochs=[1]), tmp_path, in_this_process, resume=True)
    assert len(trained) == 24 - 5 and len(again) == 8
    assert content({recipe: found[recipe] for recipe in recipes()}) == expected


def test_a_shorter_run_is_saved_before_the_longer_one_ends(tmp_path, monkeypatch, trained):
    monkeypatch.setattr(search, "REPORT_EVERY", 0.01)
    both = recipes(num_hidden_layers=[0], learning_rate=[0.1], batch_size=[100], num_epochs=[1, 3])
    stopped, save = threading.Event(), runs.save

    def save_and_end(*arguments):
        save(*arguments)
        if not stopped.is_set():
            stopped.wait(60)
            raise RuntimeError("the worker ends with the search")

    def stop(line):
        if "1 of 2 runs" in line:
            stopped.set()
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "save", save_and_end)
    with pytest.raises(search.SearchStopped, match="1 of 2 runs are saved"):
        search.search(both, tmp_path, in_this_process, on_progress=stop)
    trained.clear()
    assert len(search.search(both, tmp_path, in_this_process, resume=True)) == 2
    assert trained == [both[1]]


def test_what_is_there_counts_only_if_the_search_resumes(tmp_path, trained):
    for _ in range(2):
        search.search(recipes(), tmp_path, in_this_process)
    assert len(trained) == 32


def test_repeats_join_the_queue_once_the_grid_is_there(tmp_path, trained):
    calls = []

    def repeats(found):
        calls.append(set(found))
        return listing.repeats(recipes()[:2], 2)

    beyond = recipes(learning_rate=[0.2])
    found = search.search(
        recipes(), tmp_path, in_this_process, beyond=beyond, repeats=repeats, resume=True
    )
    assert set(found) == {*recipes(), *beyond, *listing.repeats(recipes()[:2], 2)}
    assert len(calls) == 1 and calls[0] >= set(recipes())
    assert len(trained) == 16 + 8 + 4
    search.search(recipes(), tmp_path, in_this_process, repeats=repeats, resume=True)
    assert len(calls) == 2 and len(trained) == 16 + 8 + 4


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(**changes):
    """Give a function that changes arrays of a run's file; None takes one out."""

    def damage(path):
        with np.load(path) as file:
            arrays = dict(file)
        arrays |= {name: change(arrays) for name, change in changes.items()}
        with path.open("wb") as file:
            np.savez(file, **{name: each for name, each in arrays.items() if each is not None})

    return damage


UNFIT = {
    "a missing key": rewrite(accuracy=lambda arrays: None),
    "one more key": rewrite(seconds=lambda arrays: np.zeros(4)),
    "another shape": rewrite(accuracy=lambda arrays: arrays["accuracy"][None]),
    "another type": rewrite(weights=lambda arrays: arrays["weights"].astype(float)),
    "NaN": rewrite(weights=lambda arrays: arrays["weights"] * np.float32(np.nan)),
    "one more weight": rewrite(weights=lambda arrays: np.append(arrays["weights"], np.float32(1))),
    "another fingerprint": rewrite(fingerprint=lambda arrays: "0" * 16),
    "objects": lambda path: np.savez(path.open("wb"), fingerprint=np.array([None])),
    "an array": lambda path: np.save(path.open("wb"), np.zeros(3)),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_bytes(b""),
    "a changed byte": change_a_byte,
}


def test_an_unfit_file_is_trained_again_and_told(expected, tmp_path, trained):
    search.search(recipes(), tmp_path, in_this_process)
    paths = [tmp_path / f"{jobs.fingerprint(recipe)}.npz" for recipe in recipes()]
    whole = paths[2].read_bytes()
    for how, damage in UNFIT.items():
        paths[2].write_bytes(whole)
        assert runs.RunFolder(tmp_path, resume=True).read(recipes()[2]), how
        damage(paths[2])
        assert not runs.RunFolder(tmp_path, resume=True).read(recipes()[2]), how
    change_a_byte(paths[0])
    trained.clear()
    seen = []
    found = search.search(recipes(), tmp_path, in_this_process, 0, True, seen.append)
    assert "14 of 16 runs" in seen[0] and seen[0].endswith("; damaged files, trained again: 2")
    assert len(trained) == 2 and content(found) == expected


def test_a_worker_that_is_killed_loses_no_run(expected, tmp_path):
    killed = []

    def kill(line):
        if list(tmp_path.glob("*.npz")) and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    where = partial(workers.processes, 2)
    found = search.search(recipes(), tmp_path, where, on_progress=kill)
    assert killed and content(found) == expected


class Failing:
    """An executor whose jobs end as it is told."""

    def __init__(self, **outcome):
        self.outcome = outcome

    def submit(self, function, *arguments):
        future = Future()
        if "exception" in self.outcome:
            future.set_exception(self.outcome["exception"])
        else:
            future.set_result(self.outcome["result"])
        return future


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"exception": BrokenExecutor("a long story")}, "worker processes die again and again"),
        ({"result": {"0" * 16: {}}}, "a worker has another version of helpers"),
    ],
)
def test_workers_that_are_of_no_use_end_the_search_in_one_line(tmp_path, outcome, words):
    where = partial(nullcontext, Failing(**outcome))
    with pytest.raises(workers.WorkerError) as error:
        search.search(recipes(), tmp_path, where)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)
    assert str(error.value).endswith(
        "; 0 of 16 runs are saved; resume = True, or --resume, goes on from there"
    )
    assert not list(tmp_path.iterdir())


def test_a_diverging_member_is_marked_and_disturbs_nobody(expected, tmp_path):
    wild_too = recipes(learning_rate=[0.05, 0.1, 1e38])
    found = search.search(wild_too, tmp_path, in_this_process)
    wild = [found.pop(recipe) for recipe in list(found) if recipe.learning_rate == 1e38]
    assert len(wild) == 8 and all(np.isnan([run.accuracy, run.cross_entropy]).all() for run in wild)
    assert all(np.isfinite(run.weights).all() for run in wild)
    assert content(found) == expected


def test_progress_is_told_inside_a_job(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "REPORT_EVERY", 0.01)
    seen, told, train_epoch = [], threading.Event(), stack.train_epoch

    def wait_before_the_second(stack, epoch, means):
        if epoch == 1:
            told.wait(60)
        train_epoch(stack, epoch, means)

    def on_progress(line):
        seen.append(line)
        if "4 of 8" in line:
            told.set()

    monkeypatch.setattr(stack, "train_epoch", wait_before_the_second)
    one_job = recipes(batch_size=[100])
    [job] = jobs.make_jobs(one_job, 1)
    runs.epoch_file(tmp_path, job).write_text("2")  # of an earlier search
    search.search(one_job, tmp_path, in_this_process, num_workers=1, on_progress=on_progress)
    assert seen[0] == "time left not measured yet, 0 of 8 runs, 0:00 elapsed"
    [inside, *_] = [line for line in seen if "4 of 8" in line]
    assert re.fullmatch(r"about \d:\d\d left, 4 of 8 runs, best [1-9]\d\.\d\d%, .* elapsed", inside)
    assert re.fullmatch(r"done, 8 of 8 runs, best [1-9]\d\.\d\d%, \d:\d\d elapsed", seen[-1])
    assert not list(tmp_path.glob("*.epoch"))


def test_progress_is_one_readable_line():
    run = runs.Run(None, 0.3, 0.8812, None, 1.0)
    wild = runs.Run(None, np.nan, np.nan, None, 1.0)
    told = search.progress_line([run, wild], 4, elapsed=61.2, passed=3.0, left=6.0, notes=["", "x"])
    assert told == "about 2:02 left, 2 of 4 runs, best 88.12%, 1:01 elapsed; x"
    told = search.progress_line([wild], 4, elapsed=3661.0, passed=0.0, left=6.0)
    assert told == "time left not measured yet, 1 of 4 runs, 61:01 elapsed"


def test_the_stop_button_leaves_one_line_that_says_how_to_go_on(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(PROJECT))
    try:
        client.execute(
            "from helpers.grid import search, workers\n"
            "from tests.grid.grids import recipes\n"
            f"search.search(recipes(num_epochs=[200]), {str(tmp_path)!r},\n"
            "              workers.processes, on_progress=print)"
        )
        message = {"msg_type": ""}
        while message["msg_type"] != "error":
            message = client.get_iopub_msg(timeout=60)
            if "0 of 8 runs" in message["content"].get("text", ""):
                manager.interrupt_kernel()
        told = message["content"]
    finally:
        manager.shutdown_kernel(now=True)
    line = "stopped; 0 of 8 runs are saved; resume = True, or --resume, goes on from there"
    assert (told["ename"], told["evalue"]) == ("SearchStopped", line)
    assert told["traceback"] == [f"SearchStopped: {line}"]
