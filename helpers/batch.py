"""Batch runs that lose nothing: a lock, a staging folder, and results that change places at once.

A part writes into a staging folder inside the output folder. When it has succeeded, a list of its
files is committed to disk and then each is renamed into place; a run that dies between two
renames is completed by the next one. Left out: what a part is (`helpers.__main__`).
"""

import json
import os
import shutil
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.files import PROJECT, write_json

LOCK, OWNER = ".lock", ".running.json"
COMMITTED = ".committed.json"
STAGING = ".staging"


class OutputError(RuntimeError):
    """The output folder cannot be used; the message says why."""


@contextmanager
def output_lock(folder):
    """Hold an output folder for this process, and first complete what a dead run left.

    The operating system releases the lock when its process ends, however it ends.

    Parameters
    ----------
    folder : Path
        Made if needed.

    Raises
    ------
    OutputError
        If it is no folder, cannot be written, or another run holds it (which is named).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"{folder}: in use by {_owner(folder)}; wait, or use --output") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from None
    with lock:
        write_json(
            folder / OWNER, {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        )
        recover(folder)
        yield
        (folder / OWNER).unlink(missing_ok=True)


@contextmanager
def staging(folder):
    """Collect files that replace those in `folder` together when the block succeeds.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    Path
        An empty folder inside `folder`; removed if the block raises.
    """
    stage = folder / STAGING
    stage.mkdir()
    try:
        yield stage
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    names = sorted(path.name for path in stage.iterdir())
    write_json(stage / COMMITTED, names)
    recover(folder)


def recover(folder):
    """Complete a replacement that had been committed; drop one that had not.

    Parameters
    ----------
    folder : Path
    """
    stage = folder / STAGING
    if (stage / COMMITTED).exists():
        for name in json.loads((stage / COMMITTED).read_text("utf-8")):
            if (stage / name).exists():
                os.replace(stage / name, folder / name)
    shutil.rmtree(stage, ignore_errors=True)
    for leftover in folder.glob(".*.part"):
        leftover.unlink(missing_ok=True)


def as_parameter(folder):
    """Write an output folder as a notebook parameter.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        Relative if it lies inside the project, so that no recorded notebook names a machine's
        folders.
    """
    resolved = Path(folder).resolve()
    inside = resolved.is_relative_to(PROJECT)
    return (resolved.relative_to(PROJECT) if inside else resolved).as_posix()


def _owner(folder):
    try:
        owner = json.loads((folder / OWNER).read_text("utf-8"))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError):
        return "another run"


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
