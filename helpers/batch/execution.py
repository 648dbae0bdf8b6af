"""Notebooks as programs: their parameters, running them through papermill, what is kept.

Left out: which parts there are, in what order they run, and how results
are published (`helpers.batch.output`).
"""

import asyncio
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import nbformat
import papermill
import psutil
import zmq
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

from helpers.files import PROJECT
from helpers.notebook.progress import PROGRESS

KEPT_METADATA = {"kernelspec", "language_info"}
INJECTED_ID = "injected-parameters"
CONNECTION = "helpers-{}-", "-kernel.json"
"""How the name of a kernel's connection file begins, with the run's process id, and ends."""
ENCRYPTION = "auto" if zmq.has("curve") else "disabled"
"""Of what is said to a kernel: without it, kernels warn of eavesdroppers on this machine."""


class PartError(RuntimeError):
    """A part of the deliverable failed; the message names part, cell and error."""


class _Client(PapermillNotebookClient):
    """papermill's client, telling a listener the lines that tell how far a cell is."""

    def __init__(self, nb_man, listener, **kwargs):
        super().__init__(nb_man, **kwargs)
        self._listener = listener

    def execute(self, **kwargs):
        try:
            return super().execute(**kwargs)
        finally:
            if self.km is not None:  # interrupted while the kernel was starting
                _cancel_tasks()
                self._cleanup_kernel()

    def execute_cell(self, cell, cell_index, **kwargs):
        try:
            return super().execute_cell(cell, cell_index, **kwargs)
        except DeadKernelError:
            raise PartError(f"cell {self.code_cells_executed}: the kernel died") from None
        except KeyboardInterrupt:
            _cancel_tasks()  # the cell's would complain that its kernel is ended
            raise

    def process_message(self, msg, cell, cell_index):
        data = msg["content"].get("data", {})
        if PROGRESS in data and data["text/plain"]:
            self._listener(cell_index, data["text/plain"])
        return super().process_message(msg, cell, cell_index)


def _cancel_tasks():
    """Give up what the client waits for, and do not hear how it ends (asyncio prints it, else)."""
    for task in asyncio.all_tasks(ensure_event_loop()):
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        task.cancel()


class _Engine(NBClientEngine):
    """papermill's own engine with the client above."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, listener, start_timeout=60, **_):
        manager = {"transport_encryption": ENCRYPTION, "connection_file": _connection_file()}
        options = {
            "startup_timeout": start_timeout,
            "timeout": None,
            "iopub_timeout": 60,  # the default, 4 s, is short on a busy machine
            "shutdown_kernel": "immediate",  # everything is on disk; Ctrl-C shall not wait
            "config": Config(KernelManager=manager),
        }
        client = _Client(nb_man, listener, kernel_name=kernel_name, **options)
        return client.execute(env=os.environ | {"PYTHONPATH": _path_of_this_project()})


def _path_of_this_project():
    """Let the kernel import this copy of `helpers`, even if another one is installed."""
    return os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))


def _connection_file():
    """Make the file that tells a kernel its ports; remove those of runs that were killed."""
    start, end = CONNECTION
    for path in Path(tempfile.gettempdir()).glob(start.format("*") + "*" + end):
        owner = path.name.split("-")[1]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):  # another user's, or another run was faster
                path.unlink()
    handle, name = tempfile.mkstemp(end, start.format(os.getpid()))
    os.close(handle)
    return name


papermill_engines.register("helpers", _Engine)


def execute(path, partial, parameters, folder, listener=lambda cell_index, line: None):
    """Run a notebook from top to bottom with injected parameters.

    Parameters
    ----------
    path, partial : Path
        The notebook, and where its state is saved while it runs.
    parameters : dict
    folder : Path
        The kernel's current folder.
    listener : callable, optional
        Takes the index of a cell and each line that it shows.

    Returns
    -------
    nbformat.NotebookNode
        Executed, free of times, paths and widget state.

    Raises
    ------
    PartError
        Names notebook, cell and error.
    """
    try:
        papermill.execute_notebook(
            str(path),
            str(partial),
            parameters,
            engine_name="helpers",
            kernel_name="python3",
            progress_bar=False,
            cwd=str(folder),
            listener=listener,
        )
    except papermill.PapermillExecutionError as error:
        message = re.sub(r"\s+", " ", f"{error.ename}: {error.evalue}")
        raise PartError(f"{path.stem}, cell {error.exec_count}: {message}") from None
    except (RuntimeError, NoSuchKernel) as error:
        raise PartError(f"{path.stem}, {error}") from None
    notebook = nbformat.read(str(partial), as_version=4)
    _check_complete(path.stem, notebook)
    return strip(notebook)


def strip(notebook):
    """Remove what changes from run to run: times, paths, random ids, widget state.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Changed in place.

    Returns
    -------
    nbformat.NotebookNode
    """
    for key in set(notebook.metadata) - KEPT_METADATA:
        del notebook.metadata[key]
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if tags and INJECTED_ID in tags:
            cell.id = INJECTED_ID
            cell.source = re.sub(r"^# Parameters\n", "# Injected parameters\n", cell.source)
    return notebook


def _check_complete(name, notebook):
    counts = [c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source]
    if counts != list(range(1, len(counts) + 1)):
        raise PartError(f"{name}: the kernel stopped before the last cell")
