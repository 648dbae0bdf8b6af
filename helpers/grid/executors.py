"""Where the units of a grid are trained: processes on this machine, or a Dask cluster.

Both give a ``concurrent.futures.Executor``; nothing else of them is used. Left out: starting a
cluster, which is the business of the cluster's own tools.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from helpers.grid.machine import available_cores


class ExecutorError(RuntimeError):
    """Workers cannot be had or cannot be used; the message says why."""

    def _render_traceback_(self):
        return [f"ExecutorError: {self}"]


def executor_for(executor, num_workers=0, scheduler=""):
    """Choose where `helpers.grid.search.search` trains units.

    Parameters
    ----------
    executor : str
        "processes" or "dask".
    num_workers : int
        Processes, 0 for one per core.
    scheduler : str
        Address of the Dask scheduler, e.g. "tcp://host:8786".
    """
    if executor == "dask":
        return partial(dask_cluster, scheduler)
    return partial(processes, num_workers)


@contextmanager
def processes(num_workers=0):
    """Open a pool of processes on this machine; they end with the block, whatever ends it."""
    before, context = set(multiprocessing.active_children()), multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(num_workers or available_cores(), context, _start_worker)
    try:
        yield executor
    finally:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        executor.shutdown(cancel_futures=True)


@contextmanager
def dask_cluster(scheduler, timeout=20):
    """Open the executor of a running Dask cluster, whose workers need this project and its data."""
    try:
        from distributed import Client
    except ImportError:
        needed = "executor = 'dask' needs Dask: pip install 'dask[distributed]'"
        raise ExecutorError(needed) from None
    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop already
            thread.submit(asyncio.run, _find_workers(scheduler, timeout)).result()
        client = Client(scheduler, timeout=timeout)
    except Exception as error:  # whatever answers there may send anything
        raise ExecutorError(
            f"scheduler = {scheduler!r}: no Dask scheduler with workers answers within "
            f"{timeout} s ({type(error).__name__})"
        ) from None
    with client:
        yield client.get_executor(pure=False)


async def _find_workers(address, timeout):
    from distributed import rpc

    async with rpc(address) as server:
        found = await asyncio.wait_for(server.identity(), timeout)
    if not found["workers"]:
        raise ValueError


def _start_worker():
    """Hold a worker to the life of its parent, which alone hears Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
