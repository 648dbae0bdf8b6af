"""Parts run one after the other; what each one wrote is published together, then the report."""

import os
import shutil
from contextlib import suppress

import nbformat

from helpers import files
from helpers.batch import signals
from helpers.batch.execution import PartError, execute, strip, take_warnings
from helpers.batch.progress import progress
from helpers.notebook.output import grid_folder, staging
from helpers.notebook.records import read_records
from helpers.report.results import build_report
from helpers.report.runs import HEADLINES


def run(request, plan):
    """Run the parts of a plan, then write the report.

    Parameters
    ----------
    request : helpers.batch.request.Request
    plan : dict
        Part -> the parameters to inject.

    Returns
    -------
    status : int
        0, 1 or 128 + the number of a signal.
    reason : str or Exception
        Says in one line why it is not 0.
    """
    folder = request.output_dir
    try:
        for part, parameters in plan.items():
            signals.check()
            run_part(part, parameters, folder, request.command(part))
        signals.check()
        with staging(folder) as stage:
            build_report(folder, stage)
        print(f"report: {os.path.relpath(folder / 'report.html')}", flush=True)
        signals.check()
    except signals.Interrupted as error:
        return 128 + error.number, f"interrupted; finished parts are kept{_unfinished(folder)}"
    except (PartError, OSError) as error:
        return 1, f"{error}{_unfinished(folder, str(error))}"
    return 0, ""


def run_part(part, parameters, folder, command):
    """Run one part, publish its files together and show the values that head the report.

    Raises
    ------
    PartError
        The part failed; its notebook is kept as part_X.failed.ipynb, its other files are not.
    """
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    with progress(f"part {part}") as show, staging(folder) as stage:
        partial = stage / f".{path.name}"
        try:
            notebook = execute(path, partial, parameters, show, command)
        except PartError as error:
            raise PartError(f"{error}{_keep_failed(partial, failed)}") from None
        warnings = take_warnings(notebook)
        files.write_text(stage / path.name, nbformat.writes(notebook) + "\n")
    if warnings:
        print(f"    left out of the notebook, a warning: {warnings[0]}", flush=True)
    for name, record in read_records(notebook).items():
        if name in HEADLINES[part]:
            print("   ", str(record).split("   ")[0], flush=True)
    failed.unlink(missing_ok=True)
    if part == "c":
        shutil.rmtree(grid_folder(folder), ignore_errors=True)


def _keep_failed(partial, failed):
    """Save how far a failed notebook came, with its traceback; say where."""
    with suppress(OSError, ValueError):
        notebook = strip(nbformat.read(partial, as_version=4))
        files.write_text(failed, nbformat.writes(notebook) + "\n")
        return f"; see {os.path.relpath(failed)}"
    return ""


def _unfinished(folder, said=""):
    """Say what is kept of a grid that was not finished, unless that was said."""
    count = len(list(grid_folder(folder).glob("*.npz")))
    if not count or "--resume" in said:
        return ""
    return f"; {count} runs of the grid are kept: --resume goes on with them"
