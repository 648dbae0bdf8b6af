"""The search: each run is the run by itself, whatever happened on the way to it."""

import multiprocessing
import os
import re
import signal
import threading
import time

import numpy as np
import pytest

from helpers import data
from helpers.grid import executors, search, stack
from tests.grid.grids import content, in_this_process, units


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The small grid, trained unit after unit without an incident."""
    return content(search.search(units(), tmp_path_factory.mktemp("units"), in_this_process))


def test_each_run_is_the_network_trained_by_itself(tmp_path):
    found = search.search(units(), tmp_path, in_this_process)
    training, _ = data.load_training()
    assert len(found) == 16 and len(list(tmp_path.iterdir())) == 4
    for recipe, run in list(found.items())[::3]:
        alone = stack.train([recipe], training)[recipe]
        assert run.recipe == recipe and run.weights.tobytes() == alone.tobytes()


@pytest.mark.parametrize(("workers", "largest"), [(1, 9), (4, 1)])
def test_any_number_of_processes_and_any_units_give_the_same(expected, tmp_path, workers, largest):
    where = executors.executor_for("processes", workers)
    assert content(search.search(units(largest), tmp_path, where)) == expected
    assert not multiprocessing.active_children()


def test_workers_do_not_hear_ctrl_c():
    with executors.processes(1) as executor:
        assert executor.submit(signal.getsignal, signal.SIGINT).result() is signal.SIG_IGN


NO_SPACE = OSError(28, "No space left on device")
STOPPED = ["stopped, 3 of 4 units saved; resume = True goes on from there"]


@pytest.mark.parametrize(
    ("error", "line"), [(KeyboardInterrupt(signal.SIGTERM), STOPPED), (NO_SPACE, [])]
)
def test_a_stopped_search_goes_on_and_trains_only_what_is_missing(
    expected, tmp_path, monkeypatch, error, line
):
    save = search.save

    def stop(folder, *rest):
        if len(list(folder.glob("*.npz"))) == 3:
            raise error
        save(folder, *rest)

    with monkeypatch.context() as patched, pytest.raises(type(error)) as stopped:
        patched.setattr(search, "save", stop)
        search.search(units(), tmp_path, in_this_process)
    assert stopped.value is error and getattr(error, "_render_traceback_", list)() == line
    seen = []
    found = search.search(units(), tmp_path, in_this_process, True, seen.append)
    assert seen[0].startswith("12 of 16 runs") and seen[-1].startswith("16 of 16 runs")
    search.search(units(), tmp_path, in_this_process, True, seen.append)
    assert seen[-1].endswith("0:00 elapsed, about 0:00 left")
    assert content(found) == expected


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(**changes):
    """Give a function that changes arrays of a unit file; None takes one out."""

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
    "another shape": rewrite(accuracy=lambda arrays: arrays["accuracy"][:, None]),
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


def test_an_unfit_file_is_trained_again_and_told(expected, tmp_path):
    search.search(units(), tmp_path, in_this_process)
    paths = [search.unit_file(tmp_path, unit) for unit in units()]
    whole = paths[2].read_bytes()
    for how, damage in UNFIT.items():
        paths[2].write_bytes(whole)
        assert search.load(tmp_path, units()[2])
        damage(paths[2])
        assert not search.load(tmp_path, units()[2]), how
    change_a_byte(paths[0])
    assert search._take_up(units(), tmp_path, resume=False) == ({}, 0)
    seen = []
    found = search.search(units(), tmp_path, in_this_process, True, seen.append)
    assert seen[0].startswith("8 of") and seen[0].endswith("; damaged files, trained again: 2")
    assert content(found) == expected


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_a_worker_that_is_hit_loses_no_run(expected, tmp_path, signum):
    hitter = threading.Thread(target=hit_one_child, args=(signum,))
    hitter.start()
    found = search.search(units(), tmp_path, lambda: executors.processes(2))
    hitter.join()
    assert content(found) == expected


def hit_one_child(signum):
    while not multiprocessing.active_children():
        time.sleep(0.01)
    time.sleep(0.7)
    os.kill(multiprocessing.active_children()[0].pid, signum)


def test_a_worker_with_other_code_is_refused(tmp_path):
    unit = units()[0]
    found = search.train_unit(unit, tmp_path) | {"fingerprint": "0" * 16}
    with pytest.raises(executors.ExecutorError, match="expected " + unit.fingerprint):
        search.save(tmp_path, unit, found)
    assert not list(tmp_path.glob("*.npz"))


def test_a_diverging_member_is_marked_and_disturbs_nobody(expected, tmp_path):
    found = search.search(units(3, learning_rate=[0.05, 0.1, 1e38]), tmp_path, in_this_process)
    wild = [found.pop(recipe) for recipe in list(found) if recipe.learning_rate == 1e38]
    assert len(wild) == 8 and all(np.isnan([run.accuracy, run.cross_entropy]).all() for run in wild)
    assert all(np.isfinite(run.weights).all() for run in wild)
    assert content(found) == expected


def test_progress_is_told_inside_a_unit(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "REPORT_EVERY", 0.01)
    seen, [unit] = [], units(9, batch_size=[100])
    search.unit_file(tmp_path, unit, "epoch").write_text("2 0.99")  # of an earlier search
    search.search([unit], tmp_path, in_this_process, on_progress=seen.append)
    assert {"0", "4", "8"} <= {line.split()[0] for line in seen}
    inside = [line for line in seen if line.startswith("4 of 8")]
    assert re.search(r"best [1-9]\d\.\d\d%, .* about \d+:\d\d left", inside[-1])
    assert not list(tmp_path.glob("*.epoch"))


def test_progress_is_one_readable_line():
    half = dict.fromkeys(units()[:1], (1, 0.8812))
    said = "2 of 4 runs, best 88.12%, 1:01 elapsed, about 1:01 left"
    assert search.progress_line(half, 0, 61.2, 0) == said
    assert search.progress_line(half, units()[0].cost / 2, 61.2, 0).endswith("about ? left")
