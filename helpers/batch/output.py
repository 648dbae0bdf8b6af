"""Batch runs that lose nothing: a lock, a staging folder, and results that change places at once.

A part writes into a staging folder inside the output folder. When it has succeeded, a mark is put
beside its files and then each is renamed into place; a run that dies between two renames is
completed by the next one.
"""

import os
import secrets
import shutil
import socket
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from helpers.files import PROJECT, grid_folder, write_text

LOCK, OWNER = ".lock", ".running"
COMMITTED = ".committed"
"""The mark: from here on, the files beside it belong in the output folder."""
STAGING = ".staging."
NEEDED_FILES = 128
"""Open files that must be allowed; a kernel alone opens about 60."""
NEEDED = 50_000_000
"""Bytes that must be free before a run begins: more than a full run writes."""


class OutputError(RuntimeError):
    """The output folder cannot be used; the message says why."""


@contextmanager
def output_lock(folder):
    """Hold an output folder, made if needed, until this process ends, however it ends.

    What a dead run left in it is completed. OutputError: it cannot be written, or is in use.
    """
    try:
        _check_space(folder)
        folder.mkdir(parents=True, exist_ok=True)
        hold = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        raise OutputError(f"{folder}: in use by {_owner(folder)}; wait, or use --output") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder}: cannot be written ({reason}); use --output") from None
    with hold:
        try:
            recover(folder)
            since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            owner = f"process {os.getpid()} on {socket.gethostname()} since {since}"
            write_text(folder / OWNER, owner)
            yield
        finally:
            recover(folder)
            (folder / OWNER).unlink(missing_ok=True)


@contextmanager
def staging(folder):
    """Yield an empty folder whose files replace those in `folder` together if the block succeeds.

    What begins with a dot stays behind. The name is new each time, so that a dead run's kernel, in
    the second that it outlives it, writes nowhere else.
    """
    stage = folder / f"{STAGING}{secrets.token_hex(4)}"
    stage.mkdir()
    try:
        yield stage
        write_text(stage / COMMITTED, "")
    finally:
        recover(folder)


def recover(folder):
    """Complete a replacement that had been committed; drop one that had not; follow no links."""
    for stage in folder.glob(f"{STAGING}*"):
        is_committed = (stage / COMMITTED).exists() and not stage.is_symlink()
        for path in sorted(stage.glob("[!.]*")):
            if is_committed and path.is_file() and not path.is_symlink():
                os.replace(path, folder / path.name)
        shutil.rmtree(stage, ignore_errors=True)
    for leftover in [*folder.glob(".*.part"), *grid_folder(folder).glob(".*.part")]:
        leftover.unlink(missing_ok=True)


def as_parameter(folder):
    """Write an output folder as a parameter: relative in the project, so as to name no machine."""
    inside = folder.is_relative_to(PROJECT)
    return (folder.relative_to(PROJECT) if inside else folder).as_posix()


def check_limits():
    """Refuse a shell in which a notebook's kernel could not open its files."""
    with suppress(ImportError):  # Windows has no such limit
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= limit < NEEDED_FILES:
            raise OutputError(f"only {limit} open files are allowed: ulimit -n {NEEDED_FILES}")


def _check_space(folder):
    """Refuse a full disk before anything is made on it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < NEEDED:
        raise OSError(0, f"{free / 1e6:.0f} MB free, {NEEDED / 1e6:.0f} MB needed")


def _owner(folder):
    with suppress(OSError, ValueError):
        return (folder / OWNER).read_text("utf-8")
    return "another run"
