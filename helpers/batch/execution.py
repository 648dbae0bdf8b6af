"""Notebooks as programs: run through papermill, told line by line, freed of what is by chance."""

import asyncio
import os

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

from helpers.batch import signals
from helpers.files import PROJECT, STAGING_VARIABLE
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import RecordError, read_records

INJECTED_ID = "injected-parameters"
KEPT = "kernelspec", "language_info", "tags"
SETTINGS = {"engine_name": "helpers", "kernel_name": "python3", "progress_bar": False}
NO_ANSWER = "before replying"
"""Of nbclient's words for a kernel that died at its start, e.g. because its port was taken."""


class PartError(RuntimeError):
    """A part of the deliverable failed; the message names part, cell and error."""


class _Client(PapermillNotebookClient):
    """papermill's client, telling a listener the lines that tell how far a cell is."""

    def start_new_kernel(self, **kwargs):
        with signals.waiting():  # of a kernel half started nobody knows how to end it
            super().start_new_kernel(**kwargs)

    def process_message(self, msg, cell, cell_index):
        data = msg["content"].get("data", {})
        if PROGRESS in data and data["text/plain"]:
            self.listener(data["text/plain"])
        return super().process_message(msg, cell, cell_index)


class _Engine(Engine):
    """papermill's own engine with that client; a kernel's files stand in the staging folder."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, listener, partial, **_):
        options = {
            "iopub_timeout": 60,  # the default, 4 s, is short on a busy machine
            "shutdown_kernel": "immediate",  # everything is on disk; Ctrl-C shall not wait
            "config": Config(KernelManager={"connection_file": f"{partial}.kernel.json"}),
        }
        path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path, STAGING_VARIABLE: str(partial.parent)}
        for is_last in (False, True):
            client = _Client(nb_man, kernel_name=kernel_name, **options)
            client.listener = listener
            try:
                with open(f"{partial}.log", "w") as log:
                    return client.execute(env=environment, stdout=log, stderr=log)
            except DeadKernelError:
                raise PartError(f"cell {client.code_cells_executed}: the kernel died") from None
            except RuntimeError as error:
                if is_last or NO_ANSWER not in str(error):
                    raise
            finally:
                if client.km is not None:  # interrupted while the kernel was starting
                    for task in asyncio.all_tasks(ensure_event_loop()):
                        task.cancel()
                    client._cleanup_kernel()


papermill_engines.register("helpers", _Engine)


def execute(path, partial, parameters, listener=lambda line: None, command=None):
    """Run a notebook in its own folder, with injected parameters; give it, freed of what varies.

    `partial`, in the staging folder where its files go, too, keeps its state while it runs;
    `listener` takes each line that tells how far it is; `command` is stored in the metadata.
    PartError: names notebook, cell and error, or a recorded value outside its bound.
    """
    places = [str(each).replace("{", "{{").replace("}", "}}") for each in (path, partial)]
    try:
        notebook = papermill.execute_notebook(
            *places, parameters, cwd=path.parent, listener=listener, partial=partial, **SETTINGS
        )
        if any(cell.get("execution_count", 1) is None and cell.source for cell in notebook.cells):
            raise PartError("it ended before its last cell")  # as sys.exit() makes it
        read_records(notebook)
    except papermill.PapermillExecutionError as error:
        reason = " ".join((error.evalue or _last_words(partial)).split())
        place = f"{path.stem}, cell {error.exec_count}"
        raise PartError(f"{place}: {error.ename}: {reason}") from None
    except (PartError, RecordError, NoSuchKernel) as error:
        raise PartError(f"{path.stem}, {error}") from None
    except RuntimeError as error:
        raise PartError(f"{path.stem}: {error} ({_last_words(partial)})") from None
    return strip(notebook, command)


def strip(notebook, command=None):
    """Remove from a notebook what changes from run to run: times, paths, widget state."""
    for each in notebook, *notebook.cells:
        kept = {key: value for key, value in each.metadata.items() if key in KEPT and value}
        each.metadata = nbformat.from_dict(kept)
        if INJECTED_ID in kept.get("tags", ()):
            each.id = INJECTED_ID
    if command:
        notebook.metadata.helpers = {"command": command}
    return notebook


def _last_words(partial):
    """Give the last of what a kernel says before it is ready, and when it dies."""
    with open(f"{partial}.log", errors="replace") as log:
        lines = [line.strip() for line in log if line.strip() and "WARNING" not in line]
    return lines[-1] if lines else "no reason is known"
