"""The command line: run parts through papermill, in order, with checked parameters.

Everything is checked before anything runs. Exit status: 0 if every part succeeded, 1 if one
failed, 2 if the request was refused, 130 or 143 if it was interrupted.
Left out: how a notebook runs (`helpers.batch.execution`) and how results are published
(`helpers.batch.output`).
"""

import argparse
import ast
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import get_origin

import nbformat
from tqdm import tqdm

from helpers import data, files, models
from helpers.batch import output as batch
from helpers.batch.execution import PartError, execute, strip
from helpers.notebook import parameters as known
from helpers.notebook.parameters import FULL, PARTS, ParameterError
from helpers.report.results import build_report

LINE_EVERY = 15
"""Seconds between two progress lines where there is no terminal."""


class RefusedError(ValueError):
    """The request cannot be carried out; nothing has been run."""


_received = []
REFUSALS = RefusedError, ParameterError, data.DataError, models.ModelError, batch.OutputError
"""What is found before anything runs."""


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if not given.

    Returns
    -------
    int
        The exit status.
    """
    try:
        options = parse(arguments)
        folder = files.PROJECT / options.output
        plan = make_plan(options, folder)
        with batch.output_lock(folder):
            run(plan, folder)
    except REFUSALS as error:
        print(f"python -m helpers: {error}", file=sys.stderr)
        return 2
    except (PartError, OSError) as error:
        print(f"python -m helpers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        hint = "interrupted; finished parts are kept, --resume goes on with a grid"
        print(f"python -m helpers: {hint}", file=sys.stderr)
        return 128 + (interruption.args or (signal.SIGINT,))[0]
    return 0


def interrupt(signum, frame):
    """Handle a signal as Ctrl-C is handled: clean up, then end.

    Parameters
    ----------
    signum : int
        Decides the exit status, 128 + signum.
    frame : object

    Raises
    ------
    KeyboardInterrupt
    """
    _received.append(signum)
    raise KeyboardInterrupt(signum)


def _end_if_interrupted():
    """Raise again what Python drops if a signal comes while it finalises an object."""
    if _received:
        raise KeyboardInterrupt(_received[0])


def parse(arguments=None):
    """Read the command line.

    Parameters
    ----------
    arguments : list of str, optional

    Returns
    -------
    argparse.Namespace
        ``parts``, ``parameters`` (dict of values still to be checked), ``quick``, ``output``.
    """
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Run the parts of the deliverable, in order, and write the report.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    parser.add_argument("--quick", action="store_true", help="the notebooks' own small defaults")
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="inject a parameter; a list is written 3,4,5",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted grid")
    parser.add_argument("--executor", choices=("processes", "dask"), help="where part c trains")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, e.g. tcp://host:8786")
    parser.add_argument("--output", type=Path, metavar="DIR", help="elsewhere than outputs/")
    if {"-h", "--help"} & set(sys.argv[1:] if arguments is None else arguments):
        parser.epilog = parameter_help()
    options = parser.parse_args(arguments)
    if options.output == Path():
        parser.error("argument --output: expected a folder, got an empty text")
    options.parameters = {name: _value(text) for name, text in options.parameters}
    shortcuts = {"resume": options.resume, "executor": options.executor}
    shortcuts["scheduler"] = options.scheduler
    options.parameters |= {name: value for name, value in shortcuts.items() if value}
    default = files.OUTPUTS / "quick" if options.quick else files.OUTPUTS
    options.output = (options.output or default).absolute()
    return options


def make_plan(options, folder):
    """Decide which parts run with which parameters, and refuse what cannot work.

    Parameters
    ----------
    options : argparse.Namespace
        See `parse`.
    folder : Path
        For the results.

    Returns
    -------
    dict of str to dict
        For each part, in order, the parameters to inject.

    Raises
    ------
    RefusedError, ParameterError, DataError, ModelError
    """
    unknown = [part for part in options.parts if part.lower() not in PARTS]
    if unknown:
        raise RefusedError(f"unknown part {unknown[0]!r}: expected some of {', '.join(PARTS)}")
    chosen = {part.lower() for part in options.parts} or set(PARTS)
    parts = [part for part in PARTS if part in chosen]
    _refuse_unknown(options.parameters, parts)
    plan = {part: _parameters(part, options, folder) for part in parts}
    data.verify()
    if "d" in plan and "c" not in plan:
        models.load_model(files.PROJECT / plan["d"]["model_dir"])
    return plan


def run(plan, folder):
    """Run the parts and then write the report.

    Parameters
    ----------
    plan : dict
        See `make_plan`.
    folder : Path
        Locked by the caller.

    Raises
    ------
    PartError
        Names part, cell and error; the parts before it have been published.
    """
    for part, parameters in plan.items():
        _end_if_interrupted()
        run_part(part, parameters, folder)
        if part == "c":
            shutil.rmtree(files.grid_folder(folder), ignore_errors=True)
    with batch.staging(folder) as stage:
        build_report(folder, stage)
    print(f"report: {os.path.relpath(folder / 'report.html')}")


def run_part(part, parameters, folder):
    """Run one part and publish its files together.

    Parameters
    ----------
    part : str
    parameters : dict
        To inject.
    folder : Path

    Raises
    ------
    PartError
    """
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    with ProgressLine(part, len(cells)) as line, batch.staging(folder) as stage:
        os.environ[files.STAGING_VARIABLE] = str(stage)
        partial = stage / f".{path.name}"
        try:
            notebook = execute(path, partial, parameters, files.NOTEBOOKS, line.show)
            partial.unlink()
            files.write_text(stage / path.name, nbformat.writes(notebook) + "\n")
        except PartError as error:
            raise PartError(f"{error}{_keep_failed(partial, failed)}") from None
        finally:
            del os.environ[files.STAGING_VARIABLE]
    failed.unlink(missing_ok=True)


class ProgressLine:
    """One live line a part in a terminal; plain lines, now and then, elsewhere."""

    def __init__(self, part, num_cells):
        self._name, self._start, self._shown = f"part {part}", time.monotonic(), time.monotonic()
        form = "{desc}: {bar:12} {elapsed}{postfix}"
        self._live = sys.stdout.isatty()
        self._bar = tqdm(
            desc=self._name,
            total=num_cells,
            bar_format=form,
            file=sys.stdout,
            disable=not self._live,
            leave=False,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self._bar.close()
        state = "stopped after" if kind else "done in"
        print(f"{self._name}: {state} {time.monotonic() - self._start:.0f} s", flush=True)

    def show(self, cell_index, line):
        """Show the newest line of a notebook.

        Parameters
        ----------
        cell_index : int
        line : str
        """
        _end_if_interrupted()
        now = time.monotonic()
        if self._live:
            self._bar.n = cell_index
            self._bar.set_postfix_str(line[: max(10, self._bar.ncols or 80) - 30])
        elif now - self._shown >= LINE_EVERY:
            print(f"{self._name}: {line}", flush=True)
            self._shown = now


def parameter_help():
    """List every parameter of every part with its default, meaning and range.

    Returns
    -------
    str
    """
    lines = []
    for part, kind in PARTS.items():
        lines.append(f"\npart {part}: {kind.__doc__}")
        for name, field in kind.model_fields.items():
            lines.append(f"  {name} = {known.defaults(part)[name]!r}")
            lines.append(f"      {field.description}: {known.allowed(part, name)}")
    return "\n".join(lines)


def _parameters(part, options, folder):
    """Collect what to inject into one part, checked against its settings."""
    names = PARTS[part].model_fields
    injected = {} if options.quick else dict(FULL[part])
    places = {"output_dir": batch.as_parameter(folder), "model_dir": batch.as_parameter(folder)}
    injected |= {name: value for name, value in places.items() if name in names}
    for name, value in options.parameters.items():
        if name in names:
            alone = get_origin(names[name].annotation) is tuple and not isinstance(value, list)
            injected[name] = [value] if alone else value
    checked = PARTS[part](**known.defaults(part) | injected)
    return {name: _plain(getattr(checked, name)) for name in injected}


def _keep_failed(partial, failed):
    """Save how far a failed notebook came, with its traceback; say where."""
    try:
        notebook = strip(nbformat.read(partial, as_version=4))
        files.write_text(failed, nbformat.writes(notebook) + "\n")
    except (OSError, ValueError):
        return ""
    return f"; see {os.path.relpath(failed)}"


def _refuse_unknown(parameters, parts):
    accepted = {name for part in parts for name in PARTS[part].model_fields} - {"output_dir"}
    for name in parameters:
        if name == "output_dir":
            raise RefusedError("parameter 'output_dir': set it with --output DIR")
        if name not in accepted:
            raise known.unknown(name, accepted)


def _value(text):
    """Read a value as JSON or as a Python literal; what is neither is a text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
