"""The command line: read a request, run its parts in order, publish what each one wrote.

Everything is checked before anything runs. Exit status: 0 if every part succeeded, 1 if one
failed, 2 if the request was refused, 128 + the signal's number if it was interrupted.
"""

import os
import shlex
import shutil
import sys
import time
from contextlib import contextmanager, suppress

import nbformat

from helpers import files
from helpers.batch import output, signals
from helpers.batch.execution import PartError, execute, strip
from helpers.batch.request import PROGRAM, REFUSALS, expected, make_plan, parse
from helpers.notebook.records import read_records
from helpers.report.results import build_report
from helpers.report.runs import HEADLINES

LINE_EVERY = 15
"""Seconds between two progress lines where there is no terminal."""


def main(words):
    """Run what the command line's words ask for; give the exit status."""
    try:
        options = parse(words)
        plan = make_plan(options)
        with output.output_lock(options.output):
            where = os.path.relpath(options.output)
            print(f"part {', '.join(plan)} into {where}: {expected(options, plan)}", flush=True)
            run(plan, options.output, shlex.join([*PROGRAM.split(), *words]))
        return 0
    except REFUSALS as error:
        status, reason = 2, error
    except (PartError, OSError) as error:
        status, reason = 1, error
    except KeyboardInterrupt:
        units = len(list(files.grid_folder(parse(words).output).glob("*.npz")))
        grid = f", and {units} units of the grid, with which --resume goes on" if units else ""
        status, reason = 128 + signals.received[0], f"interrupted; finished parts are kept{grid}"
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return status


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
    """Run one part, publish its files together and show the values that head the report."""
    path = files.NOTEBOOKS / f"part_{part}.ipynb"
    failed = folder / f"{path.stem}.failed.ipynb"
    with progress(f"part {part}") as show, output.staging(folder) as stage:
        partial = stage / f".{path.name}"
        try:
            notebook = execute(path, partial, parameters, show, command)
        except PartError as error:
            raise PartError(f"{error}{_keep_failed(partial, failed)}") from None
        files.write_text(stage / path.name, nbformat.writes(notebook) + "\n")
    for name, record in read_records(notebook).items():
        if name in HEADLINES[part]:
            print("   ", str(record).split("   ")[0], flush=True)
    failed.unlink(missing_ok=True)


def _keep_failed(partial, failed):
    """Save how far a failed notebook came, with its traceback; say where."""
    with suppress(OSError, ValueError):
        notebook = strip(nbformat.read(partial, as_version=4))
        files.write_text(failed, nbformat.writes(notebook) + "\n")
        return f"; see {os.path.relpath(failed)}"
    return ""


@contextmanager
def progress(name):
    """Yield what shows a line: in a terminal in place, elsewhere now and then; say how it ends."""
    start = shown = time.monotonic()
    state, columns = "stopped after", shutil.get_terminal_size().columns - 1

    def show(line):
        nonlocal shown
        signals.end_if_interrupted()
        line, now = " ".join(line.split()), time.monotonic()
        if sys.stdout.isatty():  # what does not fit loses its beginning
            head = f"{name} {now - start:.0f} s "
            line = line[len(head) - columns :]
            print("\r" + (head + line).ljust(columns), end="", flush=True)
        elif now - shown >= LINE_EVERY:
            print(f"{name}: {line}", flush=True)
            shown = now

    try:
        yield show
        state = "done in"
    finally:
        if sys.stdout.isatty():
            print("\r" + " " * columns, end="\r")
        print(f"{name}: {state} {time.monotonic() - start:.0f} s", flush=True)
