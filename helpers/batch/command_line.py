"""The command line: run parts through papermill, in order, with checked parameters.

Everything is checked before anything runs. Exit status: 0 if every part succeeded, 1 if one
failed, 2 if the request was refused, 128 + the signal's number if it was interrupted.
Left out: how a notebook runs (`helpers.batch.execution`) and how results are published
(`helpers.batch.output`).
"""

import argparse
import ast
import json
import logging
import os
import shlex
import shutil
import signal
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_origin

import nbformat
from tqdm import tqdm

from helpers import data, files, models
from helpers.batch import output
from helpers.batch.execution import ENDING, PartError, execute, strip
from helpers.notebook import parameters as known
from helpers.notebook.parameters import FULL, PARTS, ParameterError
from helpers.notebook.records import read_records
from helpers.report.results import HEADLINES, build_report

PROGRAM = "python -m helpers"
EXAMPLES = f"""
examples:
  {PROGRAM}                       all four parts at full size, into outputs/
  {PROGRAM} --quick               small defaults, into outputs/quick/
  {PROGRAM} a -p learning_rate 0.05 -p num_epochs 20
                                          changed parameters, into outputs/changed/
  {PROGRAM} c --resume            go on with an interrupted grid
  {PROGRAM} d --output DIR        part d of another run
"""
QUICK_SECONDS = {"a": 15, "b": 30, "c": 20, "d": 10}
FULL_SECONDS = QUICK_SECONDS | {"c": 1100}
"""What each part takes on two cores."""
CHANGES_NOTHING = {"resume", "executor", "scheduler", "num_workers"}
"""Parameters that decide how part C works, not what it finds."""
LINE_EVERY = 15
"""Seconds between two progress lines where there is no terminal."""
REFUSALS = ParameterError, data.DataError, models.ModelError, output.OutputError
"""What is found before anything runs."""

_received = []
"""Signals that came; Python drops an exception raised while it finalises an object."""


def main(arguments=None):
    """Run the command line with the arguments given, or the process's; give the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(words)
        plan = make_plan(options)
        with output.output_lock(options.output):
            _announce(options, plan)
            run(plan, options.output, shlex.join([*PROGRAM.split(), *words]))
        return 0
    except REFUSALS as error:
        return _end(2, error)
    except (PartError, OSError) as error:
        return _end(1, error)
    except KeyboardInterrupt:
        return _end(128 + (_received or [signal.SIGINT])[0], "interrupted; " + _kept(words))


def handle_signals():
    """Let Ctrl-C, a kill and a closed terminal end a run in order; what is ignored stays so."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _report_unraisable


def _interrupt(signum, frame):
    _received.append(signum)
    logging.getLogger("asyncio").disabled = True  # it would tell of the cell that is given up
    raise KeyboardInterrupt


def _report_unraisable(unraisable):
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)


def _end_if_interrupted():
    """Raise again what Python dropped."""
    if _received:
        raise KeyboardInterrupt


def _end(status, what):
    print(f"{PROGRAM}: {what}", file=sys.stderr)
    return status


def _kept(words):
    """Say what an interrupted run leaves."""
    units = len(list(files.grid_folder(parse(words).output).glob("*.npz")))
    grid = f", and {units} units of the grid, with which --resume goes on" if units else ""
    return f"finished parts are kept{grid}"


def parse(words):
    """Read the command line into ``parts``, ``quick``, ``output`` and unchecked ``parameters``."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run the parts of the deliverable, in order, and write the report.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    add("--quick", action="store_true", help="the notebooks' own small defaults")
    typed = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    add("-p", dest="parameters", help="set a parameter; a list is written 3,4,5", **typed)
    add("--resume", action="store_true", help="go on with an interrupted grid")
    add("--executor", choices=("processes", "dask"), help="where part c trains")
    add("--scheduler", metavar="ADDRESS", help="of Dask, e.g. tcp://host:8786")
    add("--output", type=Path, metavar="DIR", help="elsewhere than outputs/")
    if {"-h", "--help"} & set(words):
        parser.epilog = EXAMPLES + parameter_help()
    options = parser.parse_args(words)
    if options.output == Path():
        parser.error("argument --output: expected a folder, got an empty text")
    options.parameters = {name: _value(text) for name, text in options.parameters}
    shortcuts = {name: getattr(options, name) for name in ("resume", "executor", "scheduler")}
    options.parameters |= {name: value for name, value in shortcuts.items() if value}
    options.output = Path(os.path.realpath(options.output or _default_folder(options)))
    return options


def _default_folder(options):
    """Keep the recorded results from runs that are not what they record."""
    if options.quick:
        return files.OUTPUTS / "quick"
    is_changed = options.parameters.keys() - CHANGES_NOTHING
    return files.OUTPUTS / "changed" if is_changed else files.OUTPUTS


def make_plan(options):
    """Decide which parts run with which parameters, a dict of dicts; refuse what cannot work."""
    unknown = [part for part in options.parts if part.lower() not in PARTS]
    if unknown:
        raise ParameterError(f"unknown part {unknown[0]!r}: expected some of {', '.join(PARTS)}")
    chosen = {part.lower() for part in options.parts} or set(PARTS)
    parts = [part for part in PARTS if part in chosen]
    _refuse_unknown(options.parameters, parts)
    plan = {part: _parameters(part, parts, options) for part in parts}
    output.check_limits()
    data.verify()
    if "d" in plan and "c" not in plan:
        models.load_model(files.PROJECT / plan["d"]["model_dir"])
    return plan


def _refuse_unknown(parameters, parts):
    accepted = {name for part in parts for name in PARTS[part].model_fields} - {"output_dir"}
    for name in parameters:
        if name == "output_dir":
            raise ParameterError("parameter 'output_dir': set it with --output DIR")
        if name not in accepted:
            raise known.unknown(name, accepted)


def _parameters(part, parts, options):
    """Collect what to inject into one part, checked."""
    fields = PARTS[part].model_fields
    injected = {} if options.quick else dict(FULL[part])
    injected["output_dir"] = output.as_parameter(options.output)
    is_elsewhere = options.output == files.OUTPUTS / "changed" and "c" not in parts
    model_dir = files.OUTPUTS if is_elsewhere else options.output
    injected["model_dir"] = output.as_parameter(model_dir)
    for name, value in options.parameters.items():
        is_list = name in fields and get_origin(fields[name].annotation) is tuple
        injected[name] = [value] if is_list and not isinstance(value, (list, tuple)) else value
    injected = {name: value for name, value in injected.items() if name in fields}
    checked = PARTS[part](**known.defaults(part) | injected)
    return checked.model_dump(mode="json", include=set(injected))


def _value(text):
    """Read a value as JSON or as a Python literal; what is neither is a text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def parameter_help():
    """List what the command uses for every parameter, full and quick, its meaning and range."""
    lines = []
    for part, kind in PARTS.items():
        quick, full = known.defaults(part), known.full(part)
        lines.append(f"\npart {part}, {_about(FULL_SECONDS[part])}: {kind.__doc__}")
        for name in [name for name in kind.model_fields if name != "output_dir"]:
            value = "the output folder" if name == "model_dir" else repr(full[name])
            small = f"   (quick: {quick[name]!r})" if full[name] != quick[name] else ""
            lines.append(f"  {name} = {value}{small}")
            lines.append(
                f"      {kind.model_fields[name].description}: {known.allowed(part, name)}"
            )
    return "\n".join(lines)


def _about(seconds):
    return f"about {seconds} s" if seconds < 100 else f"about {seconds / 60:.0f} min"


def _announce(options, plan):
    """Say where the results go and how long that takes."""
    seconds = sum((QUICK_SECONDS if options.quick else FULL_SECONDS)[part] for part in plan)
    changed = options.parameters.keys() - CHANGES_NOTHING
    how_long = f"{_about(seconds)} on two cores{' without your changes' if changed else ''}"
    print(f"part {', '.join(plan)} into {os.path.relpath(options.output)}: {how_long}", flush=True)


def run(plan, folder, command):
    """Run the parts of a plan, then write the report; raises PartError."""
    for part, parameters in plan.items():
        _end_if_interrupted()
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
    patterns = [pattern for of, pattern in HEADLINES if of == part]
    found = [
        str(each).split("   ")[0]
        for name, each in read_records(notebook).items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
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
        _end_if_interrupted()
        line, now = " ".join(line.split()), time.monotonic()
        if not self._bar.disable:
            room = self._bar.ncols - len(f"{self._name} 00:00:00 ")
            self._bar.set_postfix_str(line[-room:])
        elif now - self._shown >= LINE_EVERY:
            print(f"{self._name}: {line}", flush=True)
            self._shown = now
