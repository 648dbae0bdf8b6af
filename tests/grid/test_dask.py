"""The grid on Dask clusters: real schedulers and workers on this machine's loopback."""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest
from distributed import LocalCluster

from helpers.files import PROJECT
from helpers.grid import search, workers
from tests.grid.grids import content, in_this_process, recipes

ONE_THREAD = "--nthreads", "1", "--no-nanny"
LOCAL = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": "critical"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The small grid, trained without Dask."""
    return content(search.search(recipes(), tmp_path_factory.mktemp("runs"), in_this_process))


@pytest.fixture
def scheduler():
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, **LOCAL) as cluster:
        yield cluster.scheduler_address


@contextmanager
def program(name, *options, folder=PROJECT, **environment):
    """Run a program of Dask's command line in a process of its own; it is killed at the end."""
    command = [sys.executable, "-m", f"distributed.cli.{name}", *options, "--no-dashboard"]
    environment = os.environ | {"PYTHONPATH": str(folder)} | environment
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as made:
        try:
            yield made
        finally:
            with suppress(OSError):
                made.terminate()
            try:
                made.wait(5)
            except subprocess.TimeoutExpired:
                made.kill()


def worker(scheduler, *options, **more):
    return program("dask_worker", scheduler, *options, **more)


def train(scheduler, folder, resume=False, on_progress=lambda line: None):
    where = workers.executor_for("dask", 4, scheduler)
    return content(search.search(recipes(), folder, where, 0, resume, on_progress))


@pytest.mark.parametrize("threads", [["1", "--no-nanny"], ["4", "--no-nanny"], ["4"]])
def test_a_search_waits_for_a_worker_and_any_threads_give_the_same(
    scheduler, expected, tmp_path, threads
):
    seen = []
    with ExitStack() as started:

        def start_when_waited_for(line):
            if "waiting for a worker" in line and len(seen) == 1:
                started.enter_context(worker(scheduler, "--nthreads", *threads))
            seen.append(line)

        assert train(scheduler, tmp_path, on_progress=start_when_waited_for) == expected
    assert f"; waiting for a worker of {scheduler}, which has none" in seen[1]
