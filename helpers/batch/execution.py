"""Run notebooks as programs, as papermill does, and publish what they write, then the report.

A published notebook holds nothing that differs from run to run.
"""

import os
import shutil
import time
from contextlib import suppress
from subprocess import DEVNULL

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers import files
from helpers.batch import signals
from helpers.batch.progress import say
from helpers.batch.staging import locked, staging
from helpers.errors import OneLineError
from helpers.grid.runs import FOLDER
from helpers.notebook import cells
from helpers.notebook.parameters import FOLDERS
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import read_records
from helpers.report.results import build_report

KEPT = "kernelspec", "language_info", "tags"
"""Metadata that do not change from run to run."""
LINE_EVERY = 15
"""Seconds between two lines that tell how far a part is."""


class PartError(OneLineError):
    """A part of the deliverable failed; the message names part, cell and error."""

    status = 1


def run_parts(plan, folder):
    """Run parts one after the other, then write the report.

    Parameters
    ----------
    plan : dict
        Part -> its parameters.
    folder : Path
        Gets all files, whatever output folder the parameters name.

    Raises
    ------
    OutputError
        Another run uses the folder, or it cannot be written.
    PartError
        A part failed.
    Interrupted
        A signal came.
    """
    with locked(folder):
        for part, parameters in plan.items():
            say(f"part_{part}: begins")
            run_part(part, parameters, folder)
            say(f"part_{part}: done")
        with staging(folder) as stage:
            build_report(folder, stage)
    say(f"report: {folder / 'report.html'}")


def run_part(part, parameters, folder):
    """Run one part and publish its files together.

    Raises
    ------
    PartError
        The part failed; its notebook is kept as part_X.failed.ipynb, its other files are not.
    """
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    failed.unlink(missing_ok=True)
    with staging(folder) as stage:
        try:
            notebook = execute(path, failed, parameters | {"output_dir": str(stage)})
            files.write_text(stage / path.name, nbformat.writes(notebook) + "\n")
        except (PartError, OSError) as error:
            reason = str(error).replace(str(stage), str(folder))
            see = f"; see {failed}" if failed.exists() else ""
            raise PartError(f"{reason}{see}") from None
    if part == "c":
        shutil.rmtree(folder / FOLDER, ignore_errors=True)


def execute(path, partial, parameters):
    """Run a notebook in its own folder, with injected parameters.

    Parameters
    ----------
    path : Path
        The notebook.
    partial : Path
        Gets the notebook as far as it came, if it fails.
    parameters : dict

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
    client.name = path.stem
    try:
        client.run()
        refuse_other_parameters(notebook, parameters)
        read_records(notebook)
    except CellExecutionError as error:
        reason = f"cell {client.code_cells_executed}: {error.ename}: {error.evalue}"
    except (OneLineError, RuntimeError) as error:  # RuntimeError: the kernel died
        reason = str(error)
    else:
        return strip(notebook)
    signals.check()
    with suppress(OSError):  # the disk is full: the reason says so
        files.write_text(partial, nbformat.writes(strip(notebook)))
    raise PartError(f"{path.stem}, {' '.join(reason.split())}")


class _Client(NotebookClient):
    """nbclient's client: it tells now and then how far a cell is, and stderr is not recorded."""

    def run(self):
        """Run all cells in a kernel that takes this copy of the project, whichever is installed."""
        self.next_line = time.monotonic() + LINE_EVERY
        python_path = f"{files.PROJECT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        environment = os.environ | {"PYTHONPATH": python_path}
        # Not `execute`, which handles signals in its own way.
        with self.setup_kernel(env=environment, stdout=DEVNULL, stderr=DEVNULL):
            for index, cell in enumerate(self.nb.cells):
                self.execute_cell(cell, index)

    def process_message(self, msg, cell, cell_index):
        signals.check()
        content = msg["content"]
        if PROGRESS in content.get("data", {}) and time.monotonic() >= self.next_line:
            text = " ".join(content["data"]["text/plain"].split())
            say(f"{self.name}: {text}")
            self.next_line = time.monotonic() + LINE_EVERY
        if content.get("name") == "stderr":
            say(content["text"].rstrip())  # where libraries name folders of the machine
            return None
        return super().process_message(msg, cell, cell_index)


def strip(notebook):
    """Remove from a notebook what changes from run to run: times, folders, versions."""
    for each in notebook, *notebook.cells:
        kept = {name: each.metadata[name] for name in KEPT if each.metadata.get(name)}
        each.metadata = nbformat.from_dict(kept)
    notebook.metadata.get("language_info", {}).pop("version", None)
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
