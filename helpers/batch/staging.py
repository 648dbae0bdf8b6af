"""Output folders that lose nothing: one run at a time, and results are replaced all at once.

A part writes into a staging folder inside the output folder. When it has succeeded, a mark is put
beside its files and then each is renamed into place; a run that dies between two renames is
completed by the next one. The finished runs of an interrupted grid move with it, there and back.
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.files import write_text
from helpers.grid.runs import FOLDER
from helpers.notebook.output import OutputError

COMMITTED = ".committed"
"""The mark: from here on, the files beside it belong in the output folder."""
STAGING = ".staging."


@contextmanager
def locked(folder):
    """Let nobody else run into a folder until this process ends, however it ends.

    The folder is made if needed. What a dead run left in it is completed first.

    Raises
    ------
    OutputError
        Another run holds the folder, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        remedy = "wait for its end or choose another with --output"
        raise OutputError(f"{folder}: in use by another run; {remedy}") from None
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); choose another with --output"
        raise OutputError(f"{folder}: {reason}") from None
    with lock:
        recover(folder)
        yield


@contextmanager
def staging(folder):
    """Yield an empty folder whose files replace those in `folder` together if the block succeeds.

    What begins with a dot stays behind, but for the grid's runs. The name is new each time, so
    that a dead run's kernel, in the second that it outlives it, writes nowhere else.
    """
    stage = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        if (folder / FOLDER).exists():
            os.replace(folder / FOLDER, stage / FOLDER)
        yield stage
        write_text(stage / COMMITTED, "")
    finally:
        recover(folder)


def recover(folder):
    """Complete a replacement that had been committed; drop one that had not."""
    for stage in folder.glob(f"{STAGING}*"):
        _move_files(stage / FOLDER, folder / FOLDER)
        if (stage / COMMITTED).exists():
            _move_files(stage, folder)
        shutil.rmtree(stage, ignore_errors=True)


def _move_files(source, target):
    for path in sorted(source.glob("[!.]*")):
        target.mkdir(exist_ok=True)
        os.replace(path, target / path.name)
