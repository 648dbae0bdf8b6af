"""Where things are, and writes that cannot be seen half done.

Every file is written beside its final place, flushed to disk and renamed: whoever reads finds
the old content or the new one, never a torn one. The functions know nothing of networks.
Left out: locks and the replacing of a part's whole set of files (`helpers.batch.output`).
"""

import hashlib
import io
import json
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / "data"
NOTEBOOKS = PROJECT / "notebooks"
OUTPUTS = PROJECT / "outputs"
STAGING_VARIABLE = "HELPERS_STAGING"


def output_folder(output_dir):
    """Find, and make, the folder that a notebook's files go to.

    Parameters
    ----------
    output_dir : str or Path
        As given in a notebook's parameters; a relative one is taken from the project's folder,
        so that papermill, pytest and JupyterLab mean the same place.

    Returns
    -------
    Path
        While the command line runs a part, its staging folder: the files move to `output_dir`
        together when the part has succeeded.
    """
    folder = Path(os.environ.get(STAGING_VARIABLE) or PROJECT / output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def grid_folder(output_dir):
    """Find the folder that keeps the finished units of a grid until the whole grid is published.

    Parameters
    ----------
    output_dir : str or Path
        As in `output_folder`.

    Returns
    -------
    Path
        The same in every run, so that an interrupted grid can go on.
    """
    return PROJECT / output_dir / ".grid"


@contextmanager
def replacing(path):
    """Open a binary file that takes the place of `path` when the block ends without error.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    file object
        A temporary neighbour of `path`; removed, with `path` untouched, if the block raises.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(partial, "xb") as file:  # with the permissions of any new file, unlike mkstemp
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path, text):
    """Replace a text file (UTF-8, line feeds) atomically.

    Parameters
    ----------
    path : str or Path
    text : str
    """
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path, content):
    """Replace a JSON file atomically; not-a-number is refused.

    Parameters
    ----------
    path : str or Path
    content : dict or list

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_array(path, array):
    """Replace a .npy file atomically; no pickle, only finite numbers.

    Parameters
    ----------
    path : str or Path
    array : ndarray

    Raises
    ------
    ValueError
        If an entry is not finite, or the array holds objects.
    """
    if array.dtype.hasobject:
        raise ValueError(f"{Path(path).name}: not written, it would hold pickled objects")
    if not np.isfinite(array).all():
        raise ValueError(f"{Path(path).name}: not written, it would hold NaN or infinity")
    content = io.BytesIO()  # NumPy's own writes hide why one failed, e.g. a full disk
    np.save(content, array, allow_pickle=False)
    with replacing(path) as file:
        file.write(content.getbuffer())


def sha256(path):
    """Hash a file's bytes.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
