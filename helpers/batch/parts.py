"""Parts run one after the other; what each one wrote is published together, then the report."""

import os
import shutil
from contextlib import suppress

import nbformat

from helpers import files
from helpers.batch import signals
from helpers.batch.execution import PartError, execute
from helpers.batch.progress import now_and_then, say
from helpers.batch.staging import staging
from helpers.grid.runs import FOLDER
from helpers.report.results import build_report


def run(request):
    """Run the parts of a `helpers.batch.request.Request`, then write the report.

    Raises
    ------
    PartError
        A part failed.
    Interrupted
        A signal came.
    """
    folder = request.output_dir
    for part, parameters in request.plan.items():
        signals.check()
        say(f"part {part}: begins")
        run_part(part, parameters, folder, request.commands[part])
        say(f"part {part}: done")
    signals.check()
    with staging(folder) as stage:
        build_report(folder, stage)
    report = os.path.relpath(folder / "report.html")
    say(f"report: {report}")


def run_part(part, parameters, folder, command):
    """Run one part and publish its files together.

    Parameters
    ----------
    part : str
    parameters : dict
        All but the output folder, which is a staging folder until the part has succeeded.
    folder : Path
    command : str
        Stored in the notebook.

    Raises
    ------
    PartError
        The part failed; its notebook is kept as part_X.failed.ipynb, its other files are not.
    """
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    failed.unlink(missing_ok=True)
    with staging(folder) as stage:
        partial = stage / f".{path.name}"
        injected = parameters | {"output_dir": str(stage)}
        listener = now_and_then(f"part {part}")
        try:
            notebook = execute(path, partial, injected, listener, command)
            text = nbformat.writes(notebook) + "\n"
            files.write_text(stage / path.name, text)
        except (PartError, OSError) as error:
            reason = str(error).replace(str(stage), str(folder))
            with suppress(OSError):  # the disk is full, or the stage has vanished
                os.replace(partial, failed)
                reason += f"; see {os.path.relpath(failed)}"
            raise PartError(reason) from None
    if part == "c":
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
