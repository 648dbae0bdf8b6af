"""Real faults on real runs: signals and a file-size limit; see also tests/tools/soak.py."""

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
from helpers.grid.jobs import list_runs, make_jobs
from tests.tools import soak
from tests.tools.soak_grid import GRID

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def has(mark, role):
    return any(role in word for each in soak.family(mark) for word in each.cmdline())


def hidden(folder):
    return {path.name for path in folder.glob(".*")}


def uninterrupted(folder):
    """Give the table of a search without a fault, in bytes."""
    recipes = list_runs(**GRID | {"batch_size": [1000]})
    found = grid_search.search(make_jobs(recipes), folder, lambda: executors.processes(2))
    grid_table.write_table(folder / "t.csv", grid_table.to_frame(found[r] for r in recipes))
    return (folder / "t.csv").read_bytes()


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_table(tmp_path):
    folder, rng = tmp_path / "output", random.Random(7)
    folder.mkdir()
    table, units = folder / "hyperparameter_tune.csv", files.grid_folder(folder)
    table.write_text("earlier")
    command = [sys.executable, "-m", "helpers", "c", "--quick", "--resume", "--output", folder]
    words = soak.TINY["c"].split()
    for pair in zip(words[::2], words[1::2], strict=True):
        command += ["-p", *pair]
    events = {
        "SIGINT of the command": lambda mark: has(mark, soak.KERNEL),
        "SIGHUP of the command": lambda mark: (folder / batch.OWNER).exists(),
        "SIGTERM of the command": lambda mark: has(mark, soak.WORKER),
        "SIGKILL of the command": lambda mark: list(units.glob("*.npz")),
    }
    for kind, happened in events.items():
        with open(tmp_path / "log", "w+") as log:
            process, mark = soak.start(command, log)
            deadline = time.monotonic() + 120
            while not happened(mark):
                assert process.poll() is None and time.monotonic() < deadline, "it never happened"
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.5))
            assert soak.hit(process, mark, kind)
            status = process.wait(60)
            assert soak.survivors(mark) == 0
            log.seek(0)
            said = log.read()
        assert status in soak.KINDS[kind][2], said
        assert "Traceback" not in said
        assert table.read_text() == "earlier"
        if status > 0:
            assert "python -m helpers: interrupted; finished parts are kept" in said
            assert hidden(folder) <= {".lock", ".grid"}
    assert list(units.glob("*.npz")), "units that were finished before the kill"
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.PROJECT)
    assert (done.returncode, done.stderr) == (0, "")
    assert table.read_bytes() == uninterrupted(tmp_path)
    assert hidden(folder) == {".lock"}


def test_a_limit_on_files_leaves_the_earlier_results(tmp_path):
    (tmp_path / "part_a.ipynb").write_text("earlier")
    limit = "import resource as r, runpy; r.setrlimit(r.RLIMIT_FSIZE, (9000, 9000)); "
    run = "runpy.run_module('helpers', run_name='__main__')"
    request = ["a", "--quick", "--output", tmp_path, "-p", "hidden_layers", "4"]
    command = [sys.executable, "-c", limit + run, *request, "-p", "num_epochs", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.PROJECT)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m helpers: ") and done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["part_a.ipynb"]
    assert (tmp_path / "part_a.ipynb").read_text() == "earlier"


def test_a_short_soak_loses_nothing(tmp_path):
    record = soak.soak(rounds=3, seed=1, share=0, folder=tmp_path)
    assert record["faults"] == 3 and record["runs_completed_afterwards"] >= 1
    assert [record[name] for name in soak.LOSSES] == [0] * len(soak.LOSSES)
