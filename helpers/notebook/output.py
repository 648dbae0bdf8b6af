"""Output folders that lose nothing: writers hold a lock, and results are replaced all at once.

There is a lock for each part. A notebook that runs by itself (papermill, nbconvert, Jupyter) holds
its own part's, from `read_parameters` to `finish` or to the end of its kernel, so that parts A and
B can be explored side by side in one folder. The command line holds those of all parts.

The command line's parts write into a staging folder inside the output folder. When a part has
succeeded, a mark is put beside its files and then each is renamed into place; a run that dies
between two renames is completed by the next one.
"""

import os
import secrets
import shutil
import socket
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from helpers.errors import OneLineError
from helpers.files import PROJECT, write_text

ALL_PARTS = "abcd"
STAGING_VARIABLE = "HELPERS_STAGING"
"""By this the command line tells a kernel that it holds the lock, and where files go meanwhile."""
COMMITTED = ".committed"
"""The mark: from here on, the files beside it belong in the output folder."""
STAGING = ".staging."
NEEDED = 50_000_000
"""Bytes that must be free before a run begins: more than a full run writes."""
ELSEWHERE = "choose another folder (output_dir in a notebook, --output on the command line)"


class OutputError(OneLineError):
    """The output folder cannot be used; the message says why."""


def lock_path(folder, part):
    """Name the file that is locked while a part's results are written."""
    return folder / f".part_{part}.lock"


def owner_path(folder, part):
    """Name the file that says who holds a part's lock."""
    return folder / f".part_{part}.running"


def grid_folder(folder):
    """Name the folder that keeps finished runs of part C until its results are published.

    Staging does not move it, so that the next run can go on with an interrupted grid.
    """
    return folder / ".grid"


@contextmanager
def output_lock(folder, parts=ALL_PARTS, holder="python -m helpers"):
    """Hold parts of an output folder, made if needed, until this process ends, however it ends.

    Who holds all parts completes what a dead run left in the folder.

    Raises
    ------
    OutputError
        The folder cannot be written, or is in use.
    """
    with ExitStack() as held:
        try:
            _check_space(folder)
            folder.mkdir(parents=True, exist_ok=True)
            for part in parts:
                lock = FileLock(lock_path(folder, part), thread_local=False)
                held.enter_context(lock.acquire(timeout=0))
            held.callback(_leave, folder, parts)
            if parts == ALL_PARTS:
                recover(folder)
            _name_owner(folder, parts, holder)
        except Timeout:
            reason = f"in use by {_owner(folder, part)}; wait for it to end, or {ELSEWHERE}"
            raise OutputError(f"{shown(folder)}: {reason}") from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            place = shown(folder)
            raise OutputError(f"{place}: cannot be written ({reason}); {ELSEWHERE}") from None
        yield


_held = ExitStack()
"""The lock that this kernel's notebook holds."""


def hold(folder, part):
    """Let this kernel hold a part's lock, in place of any other, until `release` or its end."""
    release()
    if any(folder.glob(f"{STAGING}*")):
        with suppress(OutputError), output_lock(folder):
            pass  # completes what a dead command left; a living one refuses the lock below
    holder = f"the notebook of part {part.upper()} (to its last cell, or while its kernel lives)"
    _held.enter_context(output_lock(folder, [part], holder))


def release():
    """Give up the lock that this kernel holds, if any."""
    _held.close()


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


def shown(folder):
    """Write a folder so as to name no machine where that can be: relative to the project's."""
    inside = folder.is_relative_to(PROJECT)
    return (folder.relative_to(PROJECT) if inside else folder).as_posix()


def _check_space(folder):
    """Refuse a full disk before anything is made on it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < NEEDED:
        raise OSError(0, f"{free / 1e6:.0f} MB free, {NEEDED / 1e6:.0f} MB needed")


def _name_owner(folder, parts, holder):
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    owner = f"{holder}, process {os.getpid()} on {socket.gethostname()} since {since}"
    for part in parts:
        write_text(owner_path(folder, part), owner)


def _leave(folder, parts):
    """Leave a folder in order while its locks are still held."""
    if parts == ALL_PARTS:
        recover(folder)
    for part in parts:
        with suppress(OSError):
            owner_path(folder, part).unlink()


def _owner(folder, part):
    with suppress(OSError, ValueError):
        return owner_path(folder, part).read_text("utf-8")
    return "another run"
