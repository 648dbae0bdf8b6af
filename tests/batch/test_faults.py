"""Real faults on real runs: signals, a second run, a file-size limit; see also tools/soak.py."""

import json
import random
import subprocess
import sys
import time

import pytest

from helpers import files
from helpers.batch import output as batch
from helpers.grid import executors
from helpers.grid import search as grid_search
from helpers.grid import table as grid_table
from helpers.grid.units import list_runs, make_units
from tests.tools import soak
from tests.tools.soak_grid import GRID

TINY = {
    "num_hidden_layers": [0, 1],
    "num_units": [4],
    "num_epochs": [1, 2],
    "batch_size": [1000],
    "learning_rate": [0.05, 0.1],
    "repeat_top": 1,
    "repeat_seeds": 2,
}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def command(folder):
    parameters = [part for name, value in TINY.items() for part in ("-p", name, json.dumps(value))]
    start = [sys.executable, "-m", "helpers", "c", "--quick", "--resume", "--output", str(folder)]
    return start + parameters


def wait_until(happened, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None and time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def has(mark, role):
    return any(role in word for each in soak.family(mark) for word in each.cmdline())


def hidden(folder):
    return {path.name for path in folder.glob(".*")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The table of an uninterrupted search, in bytes."""
    folder = tmp_path_factory.mktemp("peace")
    recipes = list_runs(**{name: (GRID | TINY)[name] for name in GRID})
    found = grid_search.search(make_units(recipes), folder, lambda: executors.processes(2))
    grid_table.write_table(folder / "t.csv", grid_table.to_frame(found[r] for r in recipes))
    return (folder / "t.csv").read_bytes()


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_table(expected, tmp_path):
    folder, rng = tmp_path / "output", random.Random(7)
    folder.mkdir()
    (folder / "hyperparameter_tune.csv").write_text("earlier")
    units = files.grid_folder(folder)
    events = {
        "SIGINT of the command": lambda mark: has(mark, soak.KERNEL),
        "SIGHUP of the command": lambda mark: (folder / batch.OWNER).exists(),
        "SIGTERM of the command": lambda mark: has(mark, soak.WORKER),
        "SIGKILL of the command": lambda mark: list(units.glob("*.npz")),
    }
    for kind, happened in events.items():
        with open(tmp_path / "log", "w+") as log:
            process, mark = soak.start(command(folder), log)
            wait_until(lambda: happened(mark), process)  # noqa: B023
            time.sleep(rng.uniform(0, 0.5))
            assert soak.hit(process, mark, kind)
            status = process.wait(60)
            assert soak.survivors(mark) == 0
            log.seek(0)
            said = log.read()
        assert status in soak.KINDS[kind][2], said
        assert "Traceback" not in said
        assert (folder / "hyperparameter_tune.csv").read_text() == "earlier"
        if status > 0:
            assert "python -m helpers: interrupted; finished parts are kept" in said
            assert hidden(folder) <= {".lock", ".grid"}
    saved = sorted(units.glob("*.npz"))
    done = subprocess.run(command(folder), capture_output=True, text=True, cwd=files.PROJECT)
    assert (done.returncode, done.stderr) == (0, "")
    assert saved, "units that were finished before the kill"
    assert (folder / "hyperparameter_tune.csv").read_bytes() == expected
    assert hidden(folder) == {".lock"}


def test_a_limit_on_files_leaves_the_earlier_results(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "part_a.ipynb").write_text("earlier")
    limit = "import resource as r, runpy, sys; r.setrlimit(r.RLIMIT_FSIZE, (9000, 9000)); "
    run = "sys.argv[0] = 'helpers'; runpy.run_module('helpers', run_name='__main__')"
    request = ["a", "--quick", "--output", str(folder), "-p", "hidden_layers", "4"]
    done = subprocess.run(
        [sys.executable, "-c", limit + run, *request, "-p", "num_epochs", "0"],
        capture_output=True,
        text=True,
        cwd=files.PROJECT,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("python -m helpers: ") and done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert [path.name for path in folder.iterdir() if path.name != ".lock"] == ["part_a.ipynb"]
    assert (folder / "part_a.ipynb").read_text() == "earlier"


def test_a_second_run_into_the_same_folder_is_refused(tmp_path):
    endless = [*command(tmp_path), "-p", "num_epochs", "[9999]"]
    process, mark = soak.start(endless)
    try:
        wait_until(lambda: (tmp_path / batch.OWNER).exists(), process)
        done = subprocess.run(command(tmp_path), capture_output=True, text=True, cwd=files.PROJECT)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{tmp_path}: in use by process {process.pid} on " in done.stderr
        assert done.stderr.count("\n") == 1
    finally:
        process.kill()
        process.wait()
        assert soak.survivors(mark) == 0


def test_a_short_soak_loses_nothing(tmp_path):
    record = soak.soak(rounds=3, seed=1, share=0, folder=tmp_path)
    assert record["faults"] == 3 and record["runs_completed_afterwards"] >= 1
    assert [record[name] for name in soak.LOSSES] == [0] * len(soak.LOSSES)


def test_the_committed_soak_lost_nothing():
    record = json.loads(soak.RECORD.read_text("utf-8"))
    assert record["faults"] >= 200
    assert [record[name] for name in soak.LOSSES] == [0] * len(soak.LOSSES)
    assert sum(record["faults_by_kind"].values()) == record["faults"]
