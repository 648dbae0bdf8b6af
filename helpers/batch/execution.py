"""Run notebooks as programs, through papermill; remove what differs from run to run."""

import os
import subprocess

import nbformat
import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

from helpers.batch import signals
from helpers.batch.progress import say
from helpers.errors import OneLineError
from helpers.files import PROJECT
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
        Keeps its state while it runs; what the kernel needs for itself goes beside it.
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
    try:
        notebook = papermill.execute_notebook(
            *(str(each).replace("{", "{{").replace("}", "}}") for each in (path, partial)),
            parameters,
            engine_name="helpers",
            kernel_name="python3",
            progress_bar=False,
            cwd=path.parent,
            listener=listener,
            partial=partial,
        )
        check_run(notebook, parameters)
    except papermill.PapermillExecutionError as error:
        reason = f"cell {error.exec_count}: {error.ename}: {' '.join(error.evalue.split())}"
    except (OneLineError, RuntimeError) as error:  # RuntimeError: the kernel died
        reason = error
    else:
        return strip(notebook, command)
    signals.check()
    raise PartError(f"{path.stem}, {reason}")


class _Engine(Engine):
    """papermill's own engine, with our client and this copy of the project."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, listener, partial, **_):
        connection = {"connection_file": f"{partial}.kernel.json"}
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            iopub_timeout=60,  # the default, 4 s, is short on a busy machine
            shutdown_kernel="immediate",  # everything is on disk
            config=Config(KernelManager=connection),
        )
        client.listener = listener
        paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        quiet = subprocess.DEVNULL
        client.execute(env=environment, stdout=quiet, stderr=quiet)


papermill_engines.register("helpers", _Engine)


class _Client(PapermillNotebookClient):
    """papermill's client: a listener hears how far a cell is, and stderr is not recorded."""

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


def check_run(notebook, injected):
    """Refuse a run that ended early, read other parameters than were injected, or failed a value.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Executed.
    injected : dict
        The parameters.

    Raises
    ------
    PartError, RecordError
    """
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source and cell.execution_count is None:
            raise PartError("it ended before its last cell")  # as sys.exit() makes it
    for read in cells.outputs(notebook, cells.PARAMETERS) or [{}]:
        for name, value in injected.items():
            if read.get(name) != value:
                raise PartError(f"{name} = {value!r} was injected, but {read.get(name)!r} read")
    read_records(notebook)
