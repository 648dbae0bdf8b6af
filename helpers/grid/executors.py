"""Where the units of a grid are trained: processes on this machine, or a Dask cluster.

Both give a ``concurrent.futures.Executor``; nothing else of them is used. Left out: starting a
cluster, which is the business of the cluster's own tools.
"""

import multiprocessing
import os
import platform
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait

from threadpoolctl import threadpool_limits

from helpers.network import blas_kernels


class ExecutorError(RuntimeError):
    """Workers cannot be had or cannot be used; the message says why."""


@contextmanager
def processes(num_workers=0):
    """Open a pool of processes on this machine; they end with the block, whatever ends it.

    Parameters
    ----------
    num_workers : int
        0 for as many as the cores this process may use.

    Yields
    ------
    executor : concurrent.futures.ProcessPoolExecutor
    width : int
    """
    width = num_workers or available_cores()
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(width, mp_context=context, initializer=_start_worker)
    try:
        yield executor, width
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
            process.join()


@contextmanager
def dask_cluster(scheduler, timeout=20):
    """Open the executor of a running Dask cluster (extra ``dask``).

    Parameters
    ----------
    scheduler : str
        Its address, e.g. ``"tcp://host:8786"``. Every worker needs this project and its data
        folder; a fingerprint tells if they differ.
    timeout : float
        Seconds to wait for the scheduler.

    Yields
    ------
    executor : concurrent.futures.Executor
    width : int
        The workers' threads.

    Raises
    ------
    ExecutorError
        If Dask is not installed or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ExecutorError(
            "executor = 'dask' needs Dask: pip install 'dask[distributed]'"
        ) from None
    try:
        client = Client(scheduler, timeout=timeout)
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"scheduler = {scheduler!r}: no Dask scheduler answers ({error})"
        ) from None
    with client:
        client.wait_for_workers(1, timeout=60)
        with client.get_executor(pure=False) as executor:
            yield executor, sum(client.nthreads().values())


def executor_for(settings):
    """Choose how to open the executor that the settings name.

    Parameters
    ----------
    settings : helpers.notebook.parameters.PartC

    Returns
    -------
    callable
        For `helpers.grid_search.search`.
    """
    if settings.executor == "dask":
        return lambda: dask_cluster(settings.scheduler)
    return lambda: processes(settings.num_workers)


def available_cores():
    """Count the cores this process may use.

    Returns
    -------
    int
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine():
    """Describe the machine as far as it decides speed and the last bits of a result.

    Returns
    -------
    dict
        System, processor, the cores this process may use, and the kernels of NumPy's BLAS.
    """
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": available_cores(),
        "kernels": blas_kernels(),
    }


def _start_worker():
    """Hold a new worker to one BLAS thread, and to the life of the process that started it."""
    threadpool_limits(1, user_api="blas")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
