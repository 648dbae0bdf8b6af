"""Run notebooks as programs, as papermill does; remove what differs from run to run."""

import os
from contextlib import suppress
from subprocess import DEVNULL

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers.batch import signals
from helpers.batch.progress import say
from helpers.errors import OneLineError
from helpers.files import PROJECT, write_text
from helpers.notebook import cells
from helpers.notebook.parameters import FOLDERS
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import read_records

KEPT = "kernelspec", "language_info", "tags"
"""Metadata that do not change from run to run."""


class PartError(OneLineError):
    """A part of the deliverable failed; the message names part, cell and error."""

    status = 1


def execute(path, partial, parameters, listener=lambda line: None, command=None):
    """Run a notebook in its own folder, with injected parameters.

    Parameters
    ----------
    path : Path
        The notebook.
    partial : Path
        Gets the notebook as far as it came, if it fails.
    parameters : dict
    listener : callable, optional
        Takes each line that tells how far a cell is.
    command : str, optional
        Stored in the metadata: what runs this notebook again.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook, without what varies from run to run.

    Raises
    ------
    PartError
        Names notebook, cell and error, a recorded value outside its bound, or a parameter that is
        not what was injected.
    Interrupted
        A signal came; the kernel has ended.
    """
    notebook = load_notebook_node(str(path))
    if parameters:
        notebook = parameterize_notebook(notebook, parameters)
    client = _Client(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        iopub_timeout=60,  # the default, 4 s, is short on a busy machine
        shutdown_kernel="immediate",  # everything is on disk
    )
    client.listener = listener
    try:
        client.run_cells()
        refuse_other_parameters(notebook, parameters)
        read_records(notebook)
    except CellExecutionError as error:
        reason = f"cell {client.code_cells_executed}: {error.ename}: {error.evalue}"
    except (OneLineError, RuntimeError) as error:  # RuntimeError: the kernel died
        reason = str(error)
    else:
        return strip(notebook, command)
    signals.check()
    with suppress(OSError):  # the disk is full: the reason says so
        write_text(partial, nbformat.writes(strip(notebook)))
    raise PartError(f"{path.stem}, {' '.join(reason.split())}")


class _Client(NotebookClient):
    """nbclient's client: a listener hears how far a cell is, and stderr is not recorded."""

    def run_cells(self):
        """Run all cells in a kernel that takes this copy of the project."""
        paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with self.setup_kernel(env=environment, stdout=DEVNULL, stderr=DEVNULL):
            for index, cell in enumerate(self.nb.cells):
                self.execute_cell(cell, index)

    def process_message(self, msg, cell, cell_index):
        signals.check()
        content = msg["content"]
        if PROGRESS in content.get("data", {}):
            self.listener(content["data"]["text/plain"])
        if content.get("name") == "stderr":
            say(content["text"].rstrip())  # where libraries name folders of the machine
            return None
        return super().process_message(msg, cell, cell_index)


def strip(notebook, command=None):
    """Remove from a notebook what changes from run to run: times, folders, versions."""
    for each in notebook, *notebook.cells:
        kept = {name: each.metadata[name] for name in KEPT if each.metadata.get(name)}
        each.metadata = nbformat.from_dict(kept)
    notebook.metadata.get("language_info", {}).pop("version", None)
    if command:
        notebook.metadata.helpers = {"command": command}
    for cell in cells.tagged(notebook, cells.INJECTED_TAG):
        cell.id = cells.INJECTED_TAG
        lines = cell.source.splitlines(keepends=True)
        cell.source = "".join(line for line in lines if line.split(" = ")[0] not in FOLDERS)
    for shown in cells.outputs(notebook, cells.PARAMETERS):
        for name in FOLDERS:
            shown.pop(name, None)
    return notebook


def refuse_other_parameters(notebook, injected):
    """Refuse a notebook that does not show just what was injected as what it has read.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.
    injected : dict

    Raises
    ------
    PartError
    """
    for read in cells.outputs(notebook, cells.PARAMETERS) or [{}]:
        for name, value in injected.items():
            if read.get(name) != value:
                raise PartError(f"{name} = {value!r} was injected, but {read.get(name)!r} read")
