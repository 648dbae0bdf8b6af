"""Real faults on real runs: signals and a file-size limit."""

import random
import subprocess
import sys
import time

import pytest

from helpers import files
from helpers.notebook.output import grid_folder
from tests.batch import faults

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def hidden(folder):
    return {path.name for path in folder.glob(".*") if path.suffix != ".lock"}


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_table(tmp_path):
    folder, rng = tmp_path / "output", random.Random(7)
    folder.mkdir()
    table, runs = folder / "hyperparameter_tune.csv", grid_folder(folder)
    table.write_text("earlier")
    command = faults.command("c", folder)
    events = {
        "SIGINT to the command": lambda mark: faults.family(mark, faults.KERNEL),
        "SIGHUP to the command": lambda mark: list(folder.glob(".staging.*")),
        faults.TWO_SIGNALS: lambda mark: faults.family(mark, faults.WORKER),
        "SIGKILL to the command": lambda mark: list(runs.glob("*.npz")),
    }
    for kind, happened in events.items():
        with open(tmp_path / "log", "w+") as log:
            process, mark = faults.start(command, log)
            deadline = time.monotonic() + 120
            while not happened(mark):
                assert process.poll() is None and time.monotonic() < deadline, "it never happened"
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.5))
            allowed = faults.hit(process, kind, rng)
            status = process.wait(60)
            assert faults.survivors(mark) == 0
            log.seek(0)
            said = log.read()
        assert status in allowed, said
        assert "Traceback" not in said
        assert table.read_text() == "earlier"
        if status > 0:
            assert "python -m helpers: interrupted; finished parts are kept" in said
            assert hidden(folder) <= {".grid"}
    assert list(runs.glob("*.npz")), "runs that were finished before the kill"
    for where in (folder, tmp_path / "in peace"):
        done = subprocess.run(
            faults.command("c", where), capture_output=True, text=True, cwd=files.PROJECT
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert hidden(where) == set()
    assert table.read_bytes() == (tmp_path / "in peace" / table.name).read_bytes()


def test_a_limit_on_files_leaves_the_earlier_results(tmp_path):
    (tmp_path / "part_a.ipynb").write_text("earlier")
    limit = "import resource as r, runpy; r.setrlimit(r.RLIMIT_FSIZE, (9000, 9000)); "
    run = "runpy.run_module('helpers', run_name='__main__')"
    command = [sys.executable, "-c", limit + run, *faults.command("a", tmp_path)[3:]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.PROJECT)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m helpers: ") and done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["part_a.ipynb"]
    assert hidden(tmp_path) == set()
    assert (tmp_path / "part_a.ipynb").read_text() == "earlier"
