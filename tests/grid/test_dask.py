"""The grid on a Dask cluster: a real scheduler and two real workers on this machine's loopback."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from helpers.grid import executors, search
from tests.grid.grids import content, in_this_process, units


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


def test_a_killed_dask_worker_loses_no_run(cluster, tmp_path):
    address, workers = cluster
    expected = search.search(units(), tmp_path / "one", in_this_process)

    def kill_a_worker(progress):
        if list((tmp_path / "dask").glob("*.npz")) and workers[0].poll() is None:
            os.kill(workers[0].pid, signal.SIGKILL)

    where = executors.executor_for("dask", scheduler=address)
    found = search.search(units(), tmp_path / "dask", where, on_progress=kill_a_worker)
    assert workers[0].wait() == -signal.SIGKILL
    assert content(found) == content(expected)


@contextmanager
def listening(answer):
    """Listen on a free port of the loopback, and answer the first who calls."""

    def reply():
        with suppress(OSError):
            client, _ = server.accept()
            client.recv(1000)
            client.sendall(answer)
            client.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=reply, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n" * 40])
def test_what_is_no_scheduler_is_named_in_one_line(answer):
    start = time.monotonic()
    with (
        listening(answer) as port,
        pytest.raises(
            executors.ExecutorError, match=f"127.0.0.1:{port}.: no Dask scheduler with workers"
        ) as error,
        executors.dask_cluster(f"tcp://127.0.0.1:{port}", timeout=1),
    ):
        pass
    assert time.monotonic() - start < 15 and "\n" not in str(error.value)


def test_where_nothing_listens_is_named():
    with (
        pytest.raises(executors.ExecutorError, match=r"scheduler = 'tcp://127\.0\.0\.1:9'"),
        executors.dask_cluster("tcp://127.0.0.1:9", timeout=1),
    ):
        pass
