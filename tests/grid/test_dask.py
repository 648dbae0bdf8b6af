"""The grid on a Dask cluster: a real scheduler and two real workers on this machine's loopback."""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress

import pytest
from distributed import LocalCluster

from helpers.grid import executors, search
from tests.grid.grids import content, in_this_process, units


def test_a_killed_dask_worker_loses_no_run(tmp_path):
    expected = search.search(units(), tmp_path / "one", in_this_process)
    killed = []

    def kill_a_worker(line):
        if list((tmp_path / "dask").glob("*.npz")) and not killed:
            killed.append(cluster.workers[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with LocalCluster(2, 1, host="127.0.0.1", dashboard_address=None) as cluster:
        where = executors.executor_for("dask", scheduler=cluster.scheduler_address)
        found = search.search(units(), tmp_path / "dask", where, on_progress=kill_a_worker)
    assert killed and content(found) == content(expected)


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


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.0 400 Bad Request\r\n\r\n" * 40])
def test_what_is_no_scheduler_is_named_in_one_line(answer):
    start = time.monotonic()
    with nullcontext(9) if answer is None else listening(answer) as port:
        address = f"tcp://127.0.0.1:{port}"
        with pytest.raises(executors.ExecutorError) as error, executors.dask_cluster(address, 1):
            pass
    assert str(error.value).startswith(f"scheduler = '{address}': no Dask scheduler with workers")
    assert time.monotonic() - start < 15 and "\n" not in str(error.value)


def test_a_missing_dask_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(executors.ExecutorError, match="pip install"), executors.dask_cluster(""):
        pass
