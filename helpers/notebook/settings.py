"""What a notebook works with: its checked parameters, and the folder that its files go to."""

from dataclasses import dataclass
from pathlib import Path

from IPython.core.getipython import get_ipython

from helpers import files
from helpers.errors import OneLineError
from helpers.notebook import cells
from helpers.notebook.output import open_folder
from helpers.notebook.parameters import FOLDERS, PARTS, ParameterError, Part, unknown
from helpers.notebook.records import RECORDED
from helpers.threads import one_blas_thread

INJECTED = "# Parameters"
"""The first line of the cell that papermill adds."""


class ProjectError(OneLineError):
    """The helpers that were imported are not those of the project that is run."""


@dataclass(frozen=True)
class Settings:
    """A part's parameters as attributes, and where its files go; none can be changed.

    Attributes
    ----------
    parameters : Part
        As they were set; ``settings.seed`` is short for ``settings.parameters.seed``.
    output_dir : Path
        The parameter of this name, made absolute: a folder that exists.
    recorded : dict
        Name -> `Record` of each value that the notebook has recorded so far.
    """

    parameters: Part
    output_dir: Path
    recorded: dict

    def __getattr__(self, name):
        if name.startswith("_"):  # asked for by IPython, copy and others
            raise AttributeError(name)
        return getattr(self.parameters, name)

    def _repr_mimebundle_(self, include=None, exclude=None):
        """Show the parameters, as text without those that say where files are."""
        lines = [f"{name} = {value!r}" for name, value in self.parameters if name not in FOLDERS]
        return {"text/plain": "\n".join(lines), cells.PARAMETERS: self.parameters.model_dump()}


def read_parameters(part, namespace):
    """Take a part's parameters from a notebook's variables, check them and open its folder.

    From here on the kernel trains with one BLAS thread and, unless papermill has injected
    parameters, reloads helpers that are edited: an unattended run keeps the code it began with.

    Parameters
    ----------
    part : str
        "a", "b", "c" or "d".
    namespace : dict
        The notebook's ``globals()``; gets an empty ``recorded``.

    Returns
    -------
    Settings

    Raises
    ------
    ParameterError
        In one line: a value that is not allowed, or that is not the one that papermill injected.
    OutputError
        The output folder cannot be written.
    ProjectError
        The helpers are those of another project, or are installed without the project's folder.
    """
    check_project()
    one_blas_thread()
    history = namespace.get("In", [])
    if not injected_cells(history):
        reload_edits()
    kind = PARTS[part]
    for name in kind.model_fields:
        if name not in namespace:
            raise ParameterError(f"{name} is not set: run the parameters cell first")
    parameters = kind(**{name: namespace[name] for name in kind.model_fields})
    check_injected(parameters.model_dump(), history)
    folder = open_folder(parameters.output_dir)
    namespace[RECORDED] = {}
    return Settings(parameters, folder, namespace[RECORDED])


def check_project():
    """Refuse helpers that are not those of the project in which this process works.

    Raises
    ------
    ProjectError
    """
    if not files.NOTEBOOKS.is_dir():
        raise ProjectError(
            "helpers is installed without the project's folder, which holds data and notebooks; "
            "in that folder run: pip install -e ."
        )
    here = Path.cwd()
    around = [each for each in (here, *here.parents) if (each / "helpers/network.py").is_file()]
    if around and around[0] != files.PROJECT:
        raise ProjectError(
            f"the helpers of {files.PROJECT} were imported, where those of {around[0]} are meant; "
            "start in that folder, or run `pip install -e .` there"
        )


def reload_edits():
    """Let a notebook's kernel reload modules that were edited, before each cell."""
    shell = get_ipython()
    if shell:
        shell.extension_manager.load_extension("autoreload")
        shell.run_line_magic("autoreload", "2")


def injected_cells(history):
    """List the cells among those that were run by which papermill has set parameters."""
    return [cell for cell in history if cell.partition("\n")[0] == INJECTED]


def check_injected(read, history):
    """Compare what is read with what papermill's cell, if there was one, has set.

    They differ if the parameters cell comes after it, as in a notebook without its tag, or if a
    cell below sets a value once more.

    Parameters
    ----------
    read : dict
        The parameters, with lists for tuples.
    history : list of str
        The cells that were run, IPython's ``In``.

    Raises
    ------
    ParameterError
        Names the parameter and both values; or what was injected is unknown.
    """
    injected = injected_cells(history)
    values = cells.assigned(injected[-1]) if injected else {}
    for name in sorted(values, key=FOLDERS.__contains__):  # what was typed comes first
        value = values[name]
        if name.startswith("PAPERMILL_"):  # of its option --inject-paths
            continue
        if name not in read:
            raise unknown(name, read)
        if read[name] != value:
            raise ParameterError(
                f"{name} = {read[name]!r} was read, but {value!r} injected: another cell sets it, "
                "too; the tag `parameters` belongs to the one cell that sets defaults"
            )
