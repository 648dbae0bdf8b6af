"""The grid on Dask clusters: real schedulers and workers on this machine's loopback."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest
from distributed import Client, LocalCluster

from helpers.files import PROJECT
from helpers.grid import jobs, search, workers
from tests.grid.grids import content, in_this_process, recipes

ONE_THREAD = "--nthreads", "1", "--no-nanny"
LOCAL = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": logging.CRITICAL}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(search, "REPORT_EVERY", 0.2)


@pytest.fixture
def scheduler():
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, **LOCAL) as cluster:
        yield cluster.scheduler_address


@contextmanager
def program(name, *options, **environment):
    """Run a program of Dask's command line in a process of its own; it is killed at the end."""
    command = [sys.executable, "-m", f"distributed.cli.{name}", *options, "--no-dashboard"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    folder = environment["PYTHONPATH"]
    with subprocess.Popen(
        command, env=environment, cwd=folder, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def scheduler_program(folder, **environment):
    """Run a scheduler in a process of its own; yields it and its scheduler file."""
    file = folder / "scheduler.json"
    options = "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)
    with program("dask_scheduler", *options, **environment) as process:
        wait_for(file.exists)
        yield process, str(file)


def worker(scheduler, *options, **environment):
    """Run a worker of a scheduler, given by its address or its file."""
    where = [scheduler] if "://" in scheduler else ["--scheduler-file", scheduler]
    return program("dask_worker", *where, *options, **environment)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def train(scheduler, folder, on_progress=lambda line: None):
    where = workers.executor_for("dask", 4, scheduler)
    return content(search.search(recipes(), folder, where, on_progress))


@pytest.mark.parametrize("threads", [["1", "--no-nanny"], ["4", "--no-nanny"], ["4"]])
def test_a_search_waits_for_a_worker_and_any_threads_give_the_same(
    scheduler, expected, tmp_path, threads
):
    with ExitStack() as started:
        lines = []

        def start_when_waiting(line):
            lines.append(line)
            if len(lines) == 2:
                started.enter_context(worker(scheduler, "--nthreads", *threads))

        workers.check("dask", 4, scheduler)  # no worker is no reason to refuse a cluster
        assert train(scheduler, tmp_path, start_when_waiting) == expected


def test_workers_and_client_are_killed_and_the_next_search_ends_with_the_same_table(
    scheduler, expected, tmp_path
):
    client = "from tests.grid.test_dask import train; import sys; train(*sys.argv[1:])"
    command = [sys.executable, "-c", client, scheduler, str(tmp_path)]
    with ExitStack() as started:
        team = [started.enter_context(worker(scheduler, *ONE_THREAD)) for _ in range(3)]
        with subprocess.Popen(command, cwd=PROJECT) as search_elsewhere:
            wait_for(lambda: list(tmp_path.glob("*.npz")))
            search_elsewhere.kill()
        num_saved = len(list(tmp_path.glob("*.npz")))

        def kill_a_worker(line):
            if len(list(tmp_path.glob("*.npz"))) > num_saved:
                team[0].kill()

        assert train(scheduler, tmp_path, kill_a_worker) == expected
        assert team[0].poll() is not None and num_saved > 0


def test_a_worker_without_the_project_is_named_at_the_start(scheduler, tmp_path):
    (tmp_path / "helpers.py").write_text("raise ModuleNotFoundError('no helpers')")
    with (
        worker(scheduler, *ONE_THREAD, PYTHONPATH=str(tmp_path)),
        pytest.raises(workers.WorkerError, match=r"^tcp://127.0.0.1:.*no helpers"),
    ):
        wait_for(lambda: workers.check("dask", 4, scheduler))


def test_a_scheduler_without_the_project_is_told(tmp_path):
    (tmp_path / "helpers.py").write_text("raise ModuleNotFoundError('no helpers')")
    with (
        scheduler_program(tmp_path, PYTHONPATH=str(tmp_path)) as (_, file),
        worker(file, *ONE_THREAD),
        pytest.raises(search.SearchError, match="; scheduler and workers need this project"),
    ):
        train(file, tmp_path / "runs")


def test_a_late_worker_that_differs_ends_the_search_in_one_line(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "STACK_SIZE", 1)  # many jobs
    with ExitStack() as started:
        first = started.enter_context(worker(scheduler, *ONE_THREAD))
        client = started.enter_context(Client(scheduler, set_as_default=False))

        def change_workers(line):
            if list(tmp_path.glob("*.npz")) and first.poll() is None:
                first.send_signal(signal.SIGSTOP)  # so that there is work left
                other = worker(scheduler, *ONE_THREAD, OPENBLAS_CORETYPE="Prescott")
                started.enter_context(other)
                client.wait_for_workers(2, 60)
                first.kill()

        line = r"^a worker differs, process \d+ on .*: BLAS kernels Katmai instead of .*"
        line += r"; give it the same .*; [1-9]\d* of 16 runs are saved"
        with pytest.raises(search.SearchError, match=line):
            train(scheduler, tmp_path, change_workers)


def test_a_lost_scheduler_ends_the_search_in_one_line(tmp_path, expected):
    folder = tmp_path / "runs"
    with scheduler_program(tmp_path) as (scheduler, file), worker(file, *ONE_THREAD):

        def kill_the_scheduler(line):
            if list(folder.glob("*.npz")):
                scheduler.kill()

        line = r"^scheduler = .*: the connection is lost; [1-9]\d* of 16 runs are saved; the same"
        with pytest.raises(search.SearchError, match=line):
            train(file, folder, kill_the_scheduler)
    assert content(search.search(recipes(), folder, in_this_process)) == expected


@pytest.mark.parametrize("who", ["scheduler", "worker"])
def test_a_program_that_hangs_is_told_and_the_search_can_be_stopped(tmp_path, monkeypatch, who):
    monkeypatch.setattr(search, "QUIET_SECONDS", 1.0)
    with scheduler_program(tmp_path) as (scheduler, file), worker(file, *ONE_THREAD) as only:
        hanging = {"scheduler": scheduler, "worker": only}[who]

        def stop(line):
            if list(tmp_path.glob("runs/*.npz")):
                hanging.send_signal(signal.SIGSTOP)
                if "no job has finished for 0:00:0" in line:
                    raise KeyboardInterrupt

        with pytest.raises(search.SearchStopped, match=r"stopped; [1-9]\d* of 16 runs are saved"):
            train(file, tmp_path / "runs", stop)
        hanging.send_signal(signal.SIGCONT)


def test_what_is_no_scheduler_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheduler in f"tcp://127.0.0.1:{silent.getsockname()[1]}", "missing.json":
            line = rf"^scheduler = '{scheduler}': no Dask scheduler can be reached there .*\Z"
            with pytest.raises(workers.WorkerError, match=line):
                workers.check("dask", 0, scheduler)


def test_a_missing_dask_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(workers.WorkerError, match="pip install"):
        workers.check("dask", 0, "tcp://127.0.0.1:9")
