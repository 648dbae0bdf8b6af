"""The grid on a Dask cluster: a real scheduler and two real workers on this machine's loopback."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from helpers.grid import executors
from helpers.grid import search as grid_search
from tests.grid.test_grid_search import in_this_process, settings, table


@pytest.fixture
def cluster(tmp_path):
    """Start a scheduler and two workers without nannies; yield its address and the workers."""
    common = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "text": True}
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    command = [sys.executable, "-m", "dask", "scheduler", *options]
    scheduler = subprocess.Popen(command, **common, stderr=subprocess.PIPE)
    started = [scheduler]
    try:
        address = _read_address(scheduler)
        options = ["--no-nanny", "--nthreads", "1", "--host", "127.0.0.1", "--no-dashboard"]
        command = [sys.executable, "-m", "dask", "worker", address, *options]
        workers = [subprocess.Popen(command, **common, stderr=subprocess.DEVNULL) for _ in range(2)]
        started += workers
        yield address, workers
    finally:
        for process in started:
            process.kill()
            process.wait()


def _read_address(scheduler):
    for line in scheduler.stderr:
        if found := re.search(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)", line):
            threading.Thread(target=scheduler.stderr.read, daemon=True).start()
            return found[1]
    raise AssertionError("the scheduler did not start")


def test_a_killed_dask_worker_loses_no_row(cluster, tmp_path):
    address, workers = cluster
    units = grid_search.make_units(settings(num_epochs=[1, 4]))
    expected = grid_search.search(units, tmp_path / "one", in_this_process)
    killed = []

    def kill_a_worker(progress):
        if progress.done == 1:
            os.kill(workers[0].pid, signal.SIGKILL)
            killed.append(progress)

    runs = grid_search.search(
        units, tmp_path / "dask", lambda: executors.dask_cluster(address), False, kill_a_worker
    )
    assert killed and workers[0].wait() == -signal.SIGKILL
    assert table(runs) == table(expected)
    assert all(
        a.weights.tobytes() == b.weights.tobytes() for a, b in zip(runs, expected, strict=True)
    )


def test_a_silent_scheduler_is_named():
    with (
        pytest.raises(executors.ExecutorError, match=r"scheduler = 'tcp://127\.0\.0\.1:9'"),
        executors.dask_cluster("tcp://127.0.0.1:9", timeout=1),
    ):
        pass
