"""The folder that results go to: made and tried before anything runs."""

import shutil
import tempfile

from helpers import files
from helpers.errors import OneLineError

NEEDED_BYTES = 50_000_000
"""Must be free before a run begins: more than a full run writes."""


class OutputError(OneLineError):
    """The output folder cannot be used; the message says why."""


def open_folder(name):
    """Make a folder if needed, and give its absolute path.

    Parameters
    ----------
    name : str or Path
        ``~`` is the home folder, and a relative path begins at the project's folder.

    Raises
    ------
    OutputError
        It cannot be made or written, or its disk is full.
    """
    try:
        folder = files.resolve(name)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
        if free < NEEDED_BYTES:
            raise OSError(f"only {free / 1e6:.0f} MB are free on its disk")
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{name}: cannot be written ({reason}); "
            "choose another folder (output_dir in a notebook, --output on the command line)"
        ) from None
    return folder
