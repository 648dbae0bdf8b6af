"""Notebooks as programs: their parameters, running them through papermill, what is kept.

Left out: which parts there are and in what order they run (`helpers.__main__`), and how results
are published (`helpers.batch`).
"""

import re
from contextlib import contextmanager

import nbformat
import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

KEPT_METADATA = {"kernelspec", "language_info"}
INJECTED_ID = "injected-parameters"


class PartError(RuntimeError):
    """A part of the deliverable failed; the message names part, cell and error."""


class _Client(PapermillNotebookClient):
    """papermill's client, telling a listener each line that a cell shows, live lines included."""

    listener = staticmethod(lambda cell_index, line: None)

    def process_message(self, msg, cell, cell_index):
        content = msg["content"]
        text = content.get("text") or content.get("data", {}).get("text/plain", "")
        if text.strip():
            type(self).listener(cell_index, text.strip().splitlines()[-1])
        return super().process_message(msg, cell, cell_index)


class _Engine(NBClientEngine):
    """papermill's own engine with the client above."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout=60, **_):
        return _Client(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout).execute()


papermill_engines.register("helpers", _Engine)


@contextmanager
def listening(listener):
    """Send each line that notebooks show to a function while the block runs.

    Parameters
    ----------
    listener : callable
        Takes the index of the cell and the line.
    """
    before, _Client.listener = _Client.listener, staticmethod(listener)
    try:
        yield
    finally:
        _Client.listener = before


def parameters_of(path):
    """Read a notebook's parameters cell.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to papermill.models.Parameter
        With the default as source text and the comment beside it.
    """
    found = papermill.inspect_notebook(str(path))
    return {name: entry for name, entry in found.items()}


def execute(path, partial, parameters, folder):
    """Run a notebook from top to bottom with injected parameters.

    Parameters
    ----------
    path, partial : Path
        The notebook, and where its state is saved while it runs.
    parameters : dict
    folder : Path
        The kernel's current folder.

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
        )
    except papermill.PapermillExecutionError as error:
        message = re.sub(r"\s+", " ", f"{error.ename}: {error.evalue}")
        raise PartError(f"{path.stem}, cell {error.exec_count}: {message}") from None
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
