"""Where jobs are trained: in this process, in processes on this machine, or on a Dask cluster.

Each gives a ``concurrent.futures.Executor`` with an attribute ``num_workers``, for which jobs are
made. Left out: starting a cluster, which is the business of the cluster's own tools (CLUSTERS.md).
"""

import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from contextlib import contextmanager
from functools import partial
from multiprocessing.pool import ThreadPool

import psutil

from helpers import files
from helpers.grid.machine import available_cores
from helpers.grid.runs import WorkerError, check_identity, identity

WORKER_MEMORY = 320_000_000
"""Bytes that a worker needs at its peak (measured)."""
START_SECONDS = 60
"""How long processes may take to start."""
CONNECT_SECONDS = 20
"""How long a scheduler may take to answer."""
DASK_NEEDS = "scheduler and workers need this project on their path, and each thread 320 MB"
UNKNOWN_SIZE = 8
"""Workers for which jobs are made while a cluster has none yet."""


def executor_for(executor, num_workers=0, scheduler=""):
    """Choose where `helpers.grid.search.search` trains.

    Parameters
    ----------
    executor : str
        "processes" or "dask".
    num_workers : int
        Processes, 0 for as many as there are cores, and never more than fit into the memory that
        is free now; or how many workers a cluster will have, 0 for those that it has.
    scheduler : str
        Of Dask: its address, e.g. "tcp://host:8786", or the path of its scheduler file.

    Returns
    -------
    callable
        It returns a context manager that yields the executor.
    """
    if executor == "dask":
        return partial(dask_cluster, scheduler, num_workers)
    fitting = psutil.virtual_memory().available // WORKER_MEMORY
    number = min(num_workers or available_cores(), fitting)
    return partial(processes, number) if number > 1 else ThisProcess


def check(executor, num_workers=0, scheduler=""):
    """Find out, in seconds, whether training can work; for use before a long run begins.

    Raises
    ------
    WorkerError
        If it cannot; see `processes` and `dask_cluster`.
    """
    with executor_for(executor, num_workers, scheduler)():
        pass


class ThisProcess(Executor):
    """Trains a job here and now, when it is submitted; so Ctrl-C ends the training, too.

    It needs no other process and no semaphores.
    """

    num_workers = 1

    def submit(self, function, *arguments):
        """Call a function; returns a Future that is done."""
        future = Future()
        future.set_result(function(*arguments))
        return future


@contextmanager
def processes(num_workers):
    """Open a pool of processes on this machine; they end with the block, whatever ends it.

    Raises
    ------
    WorkerError
        If they cannot be started (no semaphores, a limit of processes), or one dies.
    """
    children_before = set(multiprocessing.active_children())
    executor = None
    try:
        executor = _start_pool(num_workers)
        yield executor
    except BrokenExecutor:
        raise WorkerError(
            "a process has died; is memory, or the number of processes, low?"
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - children_before:
            process.kill()
            process.join()
        if executor:
            executor.shutdown(cancel_futures=True)


def _start_pool(num_workers):
    """Start a pool, and wait until its processes are there."""
    context = multiprocessing.get_context("spawn")
    try:
        executor = ProcessPoolExecutor(num_workers, context, initializer=_start_worker)
        for answer in [executor.submit(os.getpid) for _ in range(num_workers)]:
            answer.result(START_SECONDS)
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: no thread, no process
        reason = str(error) or f"no answer within {START_SECONDS} s"
        raise WorkerError(
            f"num_workers = {num_workers}: processes cannot be started here ({reason}); they "
            "need a writable /dev/shm and no low limit of processes; num_workers = 1 needs neither"
        ) from None
    executor.num_workers = num_workers
    return executor


def _start_worker():
    """Hold a worker to the life of its parent, which alone hears Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def dask_cluster(scheduler, num_workers=0):
    """Open the executor of a running Dask cluster, whose workers need this project and its data.

    The connection is that of Dask's own client: certificates and other settings come from Dask's
    configuration. Workers may come and go; there need not be one yet.

    Parameters
    ----------
    scheduler : str
        An address, e.g. "tcp://host:8786", or the path of a scheduler file.
    num_workers : int
        How many workers there will be, since jobs are made for them; 0 for those that there are.

    Raises
    ------
    WorkerError
        If Dask is not installed, no scheduler answers or it is lost, a worker would not train as
        this process, or one job ends several workers.
    """
    client = _connect(scheduler)
    from distributed import KilledWorker

    try:
        _refuse_others(client)
        executor = client.get_executor(pure=False)
        executor.num_workers = num_workers or sum(client.nthreads().values()) or UNKNOWN_SIZE
        yield executor
    except (ImportError, RuntimeError, KilledWorker) as error:
        reason = str(error).splitlines()[0]
        raise WorkerError(f"scheduler = {scheduler!r}: {reason}; {DASK_NEEDS}") from error
    except CancelledError:
        raise WorkerError(f"scheduler = {scheduler!r}: the connection is lost") from None
    finally:
        client.close(timeout=2)


def _refuse_others(client):
    """Raise WorkerError if a worker of a cluster would not train as this process."""
    question = client._run, check_identity, identity()  # as client.run, which has no timeout
    try:
        errors = client.sync(*question, on_error="return", callback_timeout=CONNECT_SECONDS)
    except TimeoutError:
        return  # each job asks again
    for address, error in errors.items():
        if error and not isinstance(error, OSError):  # which says that a worker has just gone
            raise WorkerError(f"{address}: {error}")


def _connect(scheduler):
    """Connect Dask's client to a scheduler, or raise WorkerError."""
    try:
        import distributed
    except ImportError:
        needed = "executor = 'dask' needs Dask: pip install 'dask[distributed]'"
        raise WorkerError(needed) from None
    # What it logs, we say in one line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    file = files.resolve(scheduler)
    where = {"scheduler_file": str(file)} if file.is_file() else {"address": scheduler}
    where |= {"timeout": CONNECT_SECONDS, "set_as_default": False}
    # In a thread, because the client waits without end for a server that accepts and says nothing.
    with ThreadPool(1) as pool:
        connection = pool.apply_async(distributed.Client, kwds=where)
        try:
            return connection.get(CONNECT_SECONDS + 1)
        except Exception as error:  # whatever answers there may send anything
            reason = " ".join(str(error).split()) or f"no answer within {CONNECT_SECONDS} s"
            raise WorkerError(
                f"scheduler = {scheduler!r}: no Dask scheduler can be reached there ({reason})"
            ) from None
