"""Where jobs are trained: processes on this machine, or a Dask cluster.

Both give a ``concurrent.futures.Executor``, and `helpers.grid.search` takes any other one as well
(CLUSTERS.md shows how). An executor may offer three things more: ``num_workers``, for which jobs
are made; ``look()``, called every few seconds, which says why work does not move; and futures that
are cancelled when their worker is lost or unfit, so that the search hands in the job again.

Left out: starting a cluster, which is the business of the cluster's own tools.
"""

import json
import logging
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial

from helpers import data, files
from helpers.errors import OneLineError
from helpers.grid.jobs import identity
from helpers.grid.machine import available_cores, available_memory

WORKER_MEMORY = 320_000_000
"""Bytes that a worker needs at its peak (measured; CLUSTERS.md says how)."""
CONNECT_SECONDS = 20
"""How long a scheduler, or a worker that is asked whether it fits, may take to answer."""
PATIENCE = 60.0
"""Seconds for which a search waits while there are workers and none of them can train."""
UNKNOWN_SIZE = 8
"""Workers for which jobs are made while a cluster has none yet."""


class WorkerError(OneLineError):
    """There are no workers, or they cannot be used; the message says why."""


def executor_for(executor, num_workers=0, scheduler=""):
    """Choose where `helpers.grid.search.search` trains.

    Parameters
    ----------
    executor : str
        "processes" or "dask".
    num_workers : int
        Processes, 0 for as many as cores and memory allow; or how many workers a cluster will
        have, 0 for those that it has.
    scheduler : str
        Of Dask: its address, e.g. "tcp://host:8786", or the path of its scheduler file.

    Returns
    -------
    callable
        It returns a context manager that yields the executor.
    """
    if executor == "dask":
        return partial(dask_cluster, scheduler, num_workers)
    return partial(processes, num_workers)


@contextmanager
def processes(num_workers=0):
    """Open a pool of processes on this machine; they end with the block, whatever ends it.

    There are no more of them than fit into the memory that is free now.
    """
    wanted = num_workers or available_cores()
    fitting = max(1, available_memory() // WORKER_MEMORY)
    number = min(wanted, fitting)
    context = multiprocessing.get_context("spawn")
    children_before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(number, context, initializer=_start_worker)
    executor.num_workers = number
    if number < wanted:
        executor.look = lambda: f"memory for {number} instead of {wanted} processes"
    try:
        yield executor
    finally:
        for process in set(multiprocessing.active_children()) - children_before:
            process.terminate()
        # A pool that is interrupted while it starts has a thread that cannot be joined.
        with suppress(RuntimeError):
            executor.shutdown(cancel_futures=True)


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
        If Dask is not installed or no scheduler answers.
    """
    client = _connect(scheduler)
    try:
        yield DaskExecutor(client, scheduler, num_workers)
    finally:
        client.close(timeout=2)


def check_cluster(scheduler):
    """Find out, in seconds, whether a Dask cluster can be used; for use before a long run begins.

    A cluster without workers passes, since they may be queued or started on demand.

    Raises
    ------
    WorkerError
        If Dask is not installed, no scheduler answers, or there are workers and none can train.
    """
    client = _connect(scheduler)
    try:
        answers = {}
        for address in client.scheduler_info()["workers"]:
            executor = client.get_executor(pure=False, workers=[address])
            answers[executor.submit(_make_call(), _packed(str))] = address
        wait(answers, CONNECT_SECONDS)
        unfit = {}
        for answer, address in answers.items():
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                _, reason, _ = answer.result()
                if reason:
                    unfit[address] = reason
    finally:
        client.close(timeout=2)
    if unfit and len(unfit) == len(answers):
        raise WorkerError(_nobody_fits(scheduler, unfit))


def _connect(scheduler):
    """Connect Dask's client to a scheduler, or raise WorkerError."""
    try:
        import distributed
    except ImportError:
        needed = "executor = 'dask' needs Dask: pip install 'dask[distributed]'"
        raise WorkerError(needed) from None
    for name in ("distributed", "distributed.client"):  # what they log, we say in one line
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    connected = Future()

    def connect():
        try:
            connected.set_result(distributed.Client(**_place(scheduler), set_as_default=False))
        except Exception as error:  # whatever answers there may send anything
            connected.set_exception(error)

    # In a thread, because the client waits without end for a server that accepts and says nothing.
    threading.Thread(target=connect, daemon=True).start()
    try:
        return connected.result(CONNECT_SECONDS + 1)
    except Exception as error:
        reason = " ".join(str(error).split()) or f"no answer within {CONNECT_SECONDS} s"
        raise WorkerError(
            f"scheduler = {scheduler!r}: no Dask scheduler can be reached there ({reason})"
        ) from None


def _place(scheduler):
    """Tell Dask's client where a scheduler is: an address, or else the path of a file."""
    if re.fullmatch(r"(\w+://)?[^/\s]+:\d+|\w+://.*", scheduler):
        return {"address": scheduler, "timeout": CONNECT_SECONDS}
    path = files.resolve(scheduler)
    json.loads(path.read_text("utf-8"))["address"]  # the client would wait for a missing file
    return {"scheduler_file": str(path), "timeout": CONNECT_SECONDS}


class DaskExecutor(Executor):
    """The executor of a Dask cluster, which leaves out workers that do not fit.

    Jobs wait in Dask's own queue, so that clusters that grow with their work do. A worker that
    cannot train as this process would sends its job back; from then on jobs go to the others
    only. What is sent is code and bytes, since Dask's scheduler need not have the project.
    """

    def __init__(self, client, scheduler, num_workers):
        self._client = client
        self._scheduler = scheduler
        self._unfit = {}
        """Address of a worker -> why it cannot train."""
        self._waiting = []
        """(future, content) of jobs that nobody can be given."""
        self._sent = []
        """(Dask's future, workers that it may go to) of jobs that not all workers can be given."""
        self._stuck_since = None
        threads = [worker["nthreads"] for worker in self._workers().values()]
        self.num_workers = num_workers or sum(threads) or UNKNOWN_SIZE

    def submit(self, function, /, *arguments):
        """Hand in a call; its future is cancelled if the worker does not fit or is lost."""
        future = Future()
        self._waiting.append((future, _packed(function, *arguments)))
        self._send(self._workers())
        return future

    def look(self):
        """Say why work does not move, or who is left out; "" if all is well.

        Raises
        ------
        WorkerError
            If the scheduler is lost, or for `PATIENCE` seconds no worker has been able to train.
        """
        workers = self._workers()
        self._unfit = {name: why for name, why in self._unfit.items() if name in workers}
        for future, allowed in self._sent:
            if not allowed & workers.keys():
                future.cancel()
        self._sent = [(future, allowed) for future, allowed in self._sent if not future.done()]
        self._send(workers)
        if not workers:
            return f"waiting for a worker of {self._scheduler}, which has none"
        if len(self._unfit) < len(workers):
            self._stuck_since = None
            return f"left out: {_one_of(self._unfit)}" if self._unfit else ""
        self._stuck_since = self._stuck_since or time.monotonic()
        if time.monotonic() - self._stuck_since > PATIENCE:
            raise WorkerError(_nobody_fits(self._scheduler, self._unfit))
        return _nobody_fits(self._scheduler, self._unfit)

    def _workers(self):
        """Ask the scheduler for its workers, a dict; the client tries to connect again itself."""
        try:
            return self._client.scheduler_info()["workers"]
        except Exception as error:  # OSError, or a KeyError deep in a client that has given up
            raise WorkerError(f"scheduler = {self._scheduler!r}: the connection is lost") from error

    def _send(self, workers):
        """Hand waiting jobs to Dask, unless there are workers and none fits."""
        fit = workers.keys() - self._unfit.keys()
        if workers and not fit:
            return
        executor = self._client.get_executor(pure=False)
        if self._unfit:
            executor = self._client.get_executor(pure=False, workers=list(fit))
        while self._waiting:
            future, content = self._waiting.pop(0)
            answer = executor.submit(_make_call(), content)
            answer.add_done_callback(partial(self._receive, future))
            if self._unfit:
                self._sent.append((answer, fit))

    def _receive(self, future, answer):
        """Pass on the answer of a worker."""
        if answer.cancelled():
            _cancel(future)
        elif answer.exception() is not None:
            future.set_exception(_translated(answer.exception()))
        else:
            address, reason, result = answer.result()
            if reason:
                self._unfit[address] = reason
                _cancel(future)
            else:
                future.set_result(result)


def _cancel(future):
    future.cancel()
    future.set_running_or_notify_cancel()  # wakes up who waits for it


def _translated(error):
    """Say in our own words that Dask has given up a job; other errors remain what they are."""
    if type(error).__name__ != "KilledWorker":
        return error
    return WorkerError(
        f"one job has ended several workers (the last was {error.last_worker.address}); does each "
        f"have {WORKER_MEMORY / 1e6:.0f} MB of memory for each of its threads?"
    )


def _make_call():
    """Make the function that a worker is given.

    A function inside a function is sent as code. A worker without the project can run it, too,
    and say what is missing.
    """

    def call(content):
        import pickle

        from distributed import get_worker

        address = get_worker().address
        try:
            function, arguments = pickle.loads(content)
        except Exception as error:
            return address, f"{type(error).__name__}: {error}", None
        return address, *function(*arguments)

    return call


def _packed(function, *arguments):
    """Pack what `_make_call` runs: a call, and what the worker has to have in common with us."""
    return pickle.dumps((_call_if_fit, (identity(), function, arguments)))


def _call_if_fit(expected, function, arguments):
    """Give (why this process does not fit, None), or ("", what the function returns)."""
    try:
        data.load_training()
    except data.DataError as error:
        return str(error), None
    found = identity()
    differences = [
        f"{name} {found[name]} instead of {expected[name]}"
        for name in expected
        if found[name] != expected[name]
    ]
    if differences:
        return ", ".join(differences), None
    return "", function(*arguments)


def _nobody_fits(scheduler, unfit):
    return f"none of the {len(unfit)} workers of {scheduler} can train: {_one_of(unfit)}"


def _one_of(unfit):
    """Name one worker that does not fit, and the reason."""
    address, reason = next(iter(unfit.items()))
    others = f" (and {len(unfit) - 1} more)" if len(unfit) > 1 else ""
    return f"{address}: {reason}{others}"
