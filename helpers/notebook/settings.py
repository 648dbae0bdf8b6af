"""What a notebook works with: its checked parameters, and the folders that its files go to.

This is the one place that decides where files go, and the one that reads the environment for it.
"""

import logging
import os
import re
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import helpers
from helpers import files
from helpers.errors import OneLineError
from helpers.notebook import cells, output, records
from helpers.notebook.parameters import PARTS, Part
from helpers.notebook.refusals import not_set

INJECTED = "# Parameters"
"""The first line of the cell that papermill adds, next to the parameters cell."""
PAPERMILL_S_OWN = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}
"""What its option --inject-paths adds."""
FOLDERS = re.compile(r"(?<![\w.:/<])/(?:[^/\s]+/)+|\b[A-Za-z]:\\(?:[^\\\s]+\\)*")
"""The folders of an absolute path, of which the file's own name remains."""


class ProjectError(OneLineError):
    """The helpers that were imported are not those of this notebook's project."""


@dataclass(frozen=True)
class Settings:
    """A part's parameters as attributes, and where its files go; none can be changed.

    Attributes
    ----------
    parameters : Part
        As they were set; ``settings.seed`` is short for ``settings.parameters.seed``.
    output_dir : Path
        An existing folder: the parameter of this name made absolute or, while the command line
        runs the part, the staging folder whose files move there together at the end.
    grid_dir : Path
        Keeps the finished runs of an interrupted grid.
    """

    parameters: Part
    output_dir: Path
    grid_dir: Path

    def __getattr__(self, name):
        if name.startswith("_"):  # asked for by IPython, copy and others
            raise AttributeError(name)
        return getattr(self.parameters, name)

    def _repr_mimebundle_(self, include=None, exclude=None):
        plain = self.parameters.model_dump(mode="json")
        return {"text/plain": repr(self.parameters), cells.PARAMETERS: plain}

    def written(self):
        """List the names of the files that were written to `output_dir` since this was read."""
        names = [path.name for path in files.written if path.parent == self.output_dir]
        return sorted(name for name in names if not name.startswith("."))


def read_parameters(part, namespace):
    """Take a part's parameters from a notebook's variables, check them and open its folder.

    Parameters
    ----------
    part : str
        "a", "b", "c" or "d".
    namespace : dict
        The notebook's ``globals()``.

    Returns
    -------
    Settings

    Raises
    ------
    ParameterError
        In one line: a value that is not allowed, or a parameter that was injected but is unknown.
    OutputError
        The output folder cannot be written, or another kernel or command is writing there.
    ProjectError
        The helpers are those of another project, or are installed without the project's folder.
    """
    check_project(f"part_{part}.ipynb")
    name_no_folder()
    fields = PARTS[part].model_fields
    for name in fields:
        if name not in namespace:
            raise not_set(name, fields)
    names = [*fields, *_injected(namespace.get("In", []), fields)]
    parameters = PARTS[part](**{name: namespace[name] for name in names if name in namespace})
    try:
        folder = files.resolve(parameters.output_dir)
    except RuntimeError as error:  # the home folder of ~ cannot be found
        raise output.OutputError(f"{parameters.output_dir}: {error}; {output.ELSEWHERE}") from None
    staging = os.environ.get(output.STAGING_VARIABLE)
    if not staging:
        output.hold(folder, part)
    files.written.clear()  # and the records: what an earlier run in this kernel has left
    records.forget()
    return Settings(parameters, Path(staging or folder), output.grid_folder(folder))


def check_project(notebook=""):
    """Refuse helpers of another project, in part or whole, or without a project around them.

    Parameters
    ----------
    notebook : str
        A notebook's file name. Where it lies in the working folder, beside ``helpers``, that is the
        project it belongs to.

    Raises
    ------
    ProjectError
    """
    if not (files.PROJECT / "notebooks").is_dir():
        raise ProjectError(
            "helpers is installed without the project's folder, which holds data and notebooks; "
            "in that folder run: pip install -e ."
        )
    for folder in map(Path, helpers.__path__):
        if folder.resolve() != files.PROJECT / "helpers":
            raise ProjectError(
                f"another package named helpers stands before this project's: {folder}; "
                "start in another folder, or take it out of PYTHONPATH"
            )
    here = Path.cwd()
    is_in_project = (here / notebook).is_file() and (here.parent / "helpers").is_dir()
    if is_in_project and here.parent != files.PROJECT:
        raise ProjectError(
            f"this notebook belongs to {here.parent}, but the helpers of {files.PROJECT} were "
            "imported; run `pip install -e .` in the notebook's project, or choose its kernel"
        )


def name_no_folder():
    """Keep this machine's folders out of the warnings of any library: notebooks are published.

    What libraries log is shown from errors on; matplotlib logs where it keeps its fonts.
    """
    logging.lastResort.setLevel(logging.ERROR)
    warnings.formatwarning = _format_warning


def _format_warning(message, category, filename, lineno, line=None):
    place = "this cell" if "ipykernel" in filename else Path(filename).name
    text = FOLDERS.sub("", str(message))
    return f"{place}, line {lineno}: {category.__name__}: {text}\n"


def _injected(history, fields):
    """List the names that papermill has set.

    `history` holds the cells that were run. papermill's comes right after the parameters cell and
    begins with a line that is exactly `INJECTED`.
    """
    names = []
    for before, cell in pairwise(history):
        if fields.keys() <= cells.assigned(before).keys():
            first_line = cell.partition("\n")[0]
            names = list(cells.assigned(cell)) if first_line == INJECTED else []
    return [name for name in names if name not in PAPERMILL_S_OWN]
