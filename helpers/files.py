"""Where things are, and writes that are never seen half done.

Every file is written beside its final place, flushed to disk and renamed: a reader finds the old
content or the new one, never a torn one. `path` is a str or Path. Nothing here knows of networks.
Left out: locks, and replacing all files of a part together (`helpers.batch.staging`).
"""

import io
import json
import os
import secrets
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / "data"
NOTEBOOKS = PROJECT / "notebooks"
OUTPUTS = PROJECT / "outputs"


def resolve(path):
    """Make a path absolute: ``~`` is the home folder, and a relative one begins at the project's.

    So papermill, pytest and JupyterLab mean the same place, whatever folder they run in.
    """
    return PROJECT / Path(path).expanduser()


def write_bytes(path, content):
    """Replace a file atomically; `content` is bytes.

    They go to a temporary neighbour of `path`; removed, with `path` untouched, if writing fails.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(partial, "xb") as file:  # with the permissions of any new file, unlike mkstemp
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        error.filename = str(path)  # Python names no file where a disk is full
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path, text):
    """Replace a text file (UTF-8, line feeds) atomically."""
    write_bytes(path, text.encode())


def write_json(path, content):
    """Replace a JSON file atomically; a number that is not finite raises ValueError."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_array(path, array):
    """Replace a .npy file atomically; what `array_bytes` refuses raises ValueError."""
    write_bytes(path, array_bytes(array))


def array_bytes(array):
    """Make the content of a .npy file: no pickle, only finite numbers, or ValueError."""
    content = io.BytesIO()  # NumPy's own writes hide why one failed, e.g. a full disk
    np.save(content, array, allow_pickle=False)
    if not np.isfinite(array).all():
        raise ValueError("an array with NaN or infinity is not saved")
    return content.getvalue()
