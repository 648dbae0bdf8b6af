"""The command line: run parts through papermill, in order, with checked parameters.

Everything is checked before anything runs. Exit status: 0 if every part succeeded, 1 if one
failed, 2 if the request was refused, 128 + the signal's number if it was interrupted.
Left out: how a request is read (`helpers.batch.request`), how a notebook runs
(`helpers.batch.execution`) and how results are published (`helpers.batch.output`).
"""

import os
import shlex
import shutil
import sys
import time

import nbformat
from tqdm import tqdm

from helpers import files
from helpers.batch import output, signals
from helpers.batch.execution import PartError, execute, strip
from helpers.batch.request import PROGRAM, REFUSALS, expected, make_plan, parse
from helpers.notebook.records import read_records
from helpers.report.results import build_report
from helpers.report.runs import headline

LINE_EVERY = 15
"""Seconds between two progress lines where there is no terminal."""


def main(arguments=None):
    """Run the command line with the arguments given, or the process's; give the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(words)
        plan = make_plan(options)
        with output.output_lock(options.output):
            where = os.path.relpath(options.output)
            print(f"part {', '.join(plan)} into {where}: {expected(options, plan)}", flush=True)
            run(plan, options.output, shlex.join([*PROGRAM.split(), *words]))
        return 0
    except REFUSALS as error:
        return _end(2, error)
    except (PartError, OSError) as error:
        return _end(1, error)
    except KeyboardInterrupt:
        return _end(signals.exit_status(), "interrupted; " + _kept(words))


def _end(status, what):
    print(f"{PROGRAM}: {what}", file=sys.stderr)
    return status


def _kept(words):
    """Say what an interrupted run leaves."""
    units = len(list(files.grid_folder(parse(words).output).glob("*.npz")))
    grid = f", and {units} units of the grid, with which --resume goes on" if units else ""
    return f"finished parts are kept{grid}"


def run(plan, folder, command):
    """Run the parts of a plan, then write the report; raises PartError."""
    for part, parameters in plan.items():
        signals.end_if_interrupted()
        _run_part(part, parameters, folder, command)
        if part == "c":
            shutil.rmtree(files.grid_folder(folder), ignore_errors=True)
    with output.staging(folder) as stage:
        build_report(folder, stage)
    print(f"report: {os.path.relpath(folder / 'report.html')}", flush=True)


def _run_part(part, parameters, folder, command):
    """Run one part and publish its files together."""
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    with ProgressLine(part) as line, output.staging(folder) as stage:
        partial = stage / f".{path.name}"
        try:
            notebook = execute(path, partial, parameters, line.show, command)
        except PartError as error:
            raise PartError(f"{error}{_keep_failed(partial, failed)}") from None
        files.write_text(stage / path.name, nbformat.writes(notebook) + "\n")
        line.result = _headlines(part, notebook)
    failed.unlink(missing_ok=True)


def _keep_failed(partial, failed):
    """Save how far a failed notebook came, with its traceback; say where."""
    try:
        notebook = strip(nbformat.read(partial, as_version=4))
        files.write_text(failed, nbformat.writes(notebook) + "\n")
    except (OSError, ValueError):
        return ""
    return f"; see {os.path.relpath(failed)}"


def _headlines(part, notebook):
    """Say what a part found: the recorded values that head the report."""
    found = [
        str(each).split("   ")[0]
        for name, each in read_records(notebook).items()
        if headline(part, name) is not None
    ]
    return "".join(f"\n    {line}" for line in found)


class ProgressLine:
    """One live line per part in a terminal; plain lines, now and then, elsewhere."""

    def __init__(self, part):
        self.result, self._name = "", f"part {part}"
        self._start = self._shown = time.monotonic()
        self._bar = tqdm(
            desc=self._name,
            bar_format="{desc} {elapsed} {postfix}",
            ncols=shutil.get_terminal_size().columns,
            file=sys.stdout,
            disable=not sys.stdout.isatty(),
            leave=False,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self._bar.close()
        state = "stopped after" if kind else "done in"
        seconds = time.monotonic() - self._start
        print(f"{self._name}: {state} {seconds:.0f} s{self.result}", flush=True)

    def show(self, line):
        """Show the newest line of a notebook; what does not fit loses its beginning."""
        signals.end_if_interrupted()
        line, now = " ".join(line.split()), time.monotonic()
        if not self._bar.disable:
            room = self._bar.ncols - len(f"{self._name} 00:00:00 ")
            self._bar.set_postfix_str(line[-room:])
        elif now - self._shown >= LINE_EVERY:
            print(f"{self._name}: {line}", flush=True)
            self._shown = now
