"""Run notebooks as programs, through papermill; remove what differs from run to run."""

import os
import signal
from contextlib import contextmanager

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

from helpers.batch import signals
from helpers.errors import OneLineError
from helpers.files import PROJECT
from helpers.notebook.output import STAGING_VARIABLE
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import RecordError, read_records

INJECTED_ID = "injected-parameters"
KEPT = "kernelspec", "language_info", "tags"
"""Metadata that do not change from run to run."""
SETTINGS = {"engine_name": "helpers", "kernel_name": "python3", "progress_bar": False}
NO_ANSWER = "before replying"
"""Of nbclient's words for a kernel that died at its start, e.g. because its port was taken."""
KNOWN_REASONS = {
    "KeyboardInterrupt": "something interrupted the kernel (SIGINT), and not this command",
    "MemoryError": "more memory than there is, or than ulimit -v allows",
}
"""Errors that have no message of their own."""


class PartError(OneLineError):
    """A part of the deliverable failed; the message names part, cell and error."""


def execute(path, partial, parameters, listener=lambda line: None, command=None):
    """Run a notebook in its own folder, with injected parameters.

    Parameters
    ----------
    path : Path
        The notebook.
    partial : Path
        Keeps its state while it runs; in the staging folder, where its files go, too.
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
        Names notebook, cell and error, or a recorded value outside its bound.
    Interrupted
        A signal came; the kernel has ended.
    """
    # papermill replaces {name} in paths.
    places = [str(each).replace("{", "{{").replace("}", "}}") for each in (path, partial)]
    try:
        with home_folder(partial.parent):
            notebook = papermill.execute_notebook(
                *places, parameters, cwd=path.parent, listener=listener, partial=partial, **SETTINGS
            )
        _refuse_half_run(notebook)
        read_records(notebook)
    except papermill.PapermillExecutionError as error:
        reason = _reason(error, partial)
        raise PartError(f"{path.stem}, cell {error.exec_count}: {reason}") from None
    except (PartError, RecordError, NoSuchKernel) as error:
        raise PartError(f"{path.stem}, {error}") from None
    return strip(notebook, command)


class _Engine(Engine):
    """papermill's own engine, with our client, this copy of the project, and a staging folder."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, listener, partial, **_):
        options = {
            "iopub_timeout": 60,  # the default, 4 s, is short on a busy machine
            "shutdown_kernel": "immediate",  # everything is on disk
            "config": Config(KernelManager={"connection_file": f"{partial}.kernel.json"}),
        }
        path = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            STAGING_VARIABLE: str(partial.parent),
        }
        for is_last in (False, False, True):
            signals.check()
            client = _Client(nb_man, kernel_name=kernel_name, **options)
            client.listener = listener
            try:
                with open(f"{partial}.log", "w") as log:
                    return client.execute(env=environment, stdout=log, stderr=log)
            except RuntimeError as error:  # not of a cell: the kernel's own
                signals.check()
                what = str(error)
                if isinstance(error, DeadKernelError):
                    what = f"cell {client.code_cells_executed}: the kernel died"
                elif NO_ANSWER in what and not is_last:
                    continue
                ending = _how_it_ended(client.process) + _last_words(partial)
                raise PartError(f"{what}, {ending}") from None


papermill_engines.register("helpers", _Engine)


class _Client(PapermillNotebookClient):
    """papermill's client: signals end its kernel, and a listener hears how far a cell is."""

    def start_new_kernel(self, **kwargs):
        super().start_new_kernel(**kwargs)
        self.process = self.km.provisioner.process
        signals.kill_when_interrupted(self.process)

    def process_message(self, msg, cell, cell_index):
        data = msg["content"].get("data", {})
        if PROGRESS in data and data["text/plain"]:
            self.listener(data["text/plain"])
        return super().process_message(msg, cell, cell_index)


@contextmanager
def home_folder(stage):
    """Let this process and its kernel have a home folder that can be written, if there is none.

    Else IPython, matplotlib and others would tell on stderr where they go instead. It goes away
    with `stage`.
    """
    if os.access(os.path.expanduser("~"), os.W_OK):
        yield
        return
    before = os.environ.get("HOME")
    home = stage / ".home"
    home.mkdir()
    os.environ["HOME"] = str(home)
    try:
        yield
    finally:
        os.environ.pop("HOME")
        if before is not None:
            os.environ["HOME"] = before


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


def take_warnings(notebook):
    """Remove from a notebook what went to stderr, where libraries name folders of the machine.

    Returns
    -------
    list of str
        The lines.
    """
    lines = []
    for cell in notebook.cells:
        lines += _stderr(cell)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return lines


def _stderr(cell):
    """List the lines that a cell wrote to stderr, empty ones left out."""
    texts = [output.text for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    return [line.strip() for line in "\n".join(texts).splitlines() if line.strip()]


def _refuse_half_run(notebook):
    """Refuse a notebook that ended without an error, but not at its end."""
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.source:
            continue
        if cell.execution_count is None:
            raise PartError("it ended before its last cell")  # as sys.exit() makes it
        if "KeyboardInterrupt" in _stderr(cell):  # so IPython may show one between two statements
            reason = KNOWN_REASONS["KeyboardInterrupt"]
            raise PartError(f"cell {cell.execution_count}: {reason}")


def _reason(error, partial):
    """Say why a cell failed: the error's message, or else the best that is known."""
    message = " ".join(error.evalue.split()) or KNOWN_REASONS.get(error.ename, "")
    if message:
        return f"{error.ename}: {message}"
    if error.ename != "CellExecutionError":
        return error.ename
    for cell in nbformat.read(partial, as_version=4).cells:
        if cell.get("execution_count") == error.exec_count and _stderr(cell):
            return _stderr(cell)[-1]
    return f"it failed{_last_words(partial)}"


def _how_it_ended(process):
    """Say how a kernel's process ended."""
    status = process.poll()
    if status is None:
        return "though its process is there"
    if status >= 0:
        return f"exit status {status}"
    by_whom = " (the system does so when memory is full)" if status == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-status).name}{by_whom}"


def _last_words(partial):
    """Give, in brackets, the last of what a kernel says before it is ready, and when it dies."""
    with open(f"{partial}.log", errors="replace") as log:
        lines = [line.strip() for line in log if line.strip() and "WARNING" not in line]
    return f" ({lines[-1]})" if lines else ""
