"""What a command asks for: checked parameters for each part, or one line that says what is wrong.

The parameters' ranges and their wording are those of `helpers.notebook.parameters`. Left out:
running (`helpers.batch.command_line`).
"""

import argparse
import ast
import difflib
import json
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from helpers import data, files, models
from helpers.errors import OneLineError
from helpers.notebook import output
from helpers.notebook import parameters as known
from helpers.notebook.parameters import FULL, PARTS, RUN_OPTIONS
from helpers.notebook.refusals import ParameterError, unknown
from helpers.notebook.settings import check_project

PROGRAM = "python -m helpers"
CHANGED = files.OUTPUTS / "changed"
"""Takes the results of changed parameters, so that the recorded ones stay."""
QUICK_SECONDS = {"a": 15, "b": 30, "c": 20, "d": 10}
FULL_SECONDS = QUICK_SECONDS | {"c": 900}
"""What each part takes on two fast cores."""
SLOWER = 5 / 3
"""What an ordinary machine's two cores take, against that."""
NEEDED_FILES = 128
"""Open files that must be allowed; a kernel alone opens about 60."""
ABOUT = """\
Run the parts of the deliverable, in order, and write the report.

examples:
  python -m helpers                       all four parts at full size, into outputs/
  python -m helpers --quick               small defaults, into outputs/quick/
  python -m helpers a -p learning_rate 0.05 -p num_epochs 20
                                          changed parameters, into outputs/changed/
  python -m helpers c --resume            go on with an interrupted grid
  python -m helpers d --output DIR        part d of another run

exit status: 0 done; 1 a part failed; 2 refused, nothing was run; 128 + the signal's number
"""


class RequestError(OneLineError):
    """The command's words, or the shell it runs in, do not allow a run."""


@dataclass(frozen=True)
class Request:
    """What was asked for: parts, the parameters that were set, and where results go."""

    parts: list
    typed: dict
    """Name of a parameter -> its value as a text."""
    manner: dict
    """Those of `RUN_OPTIONS` that options of their own set."""
    is_quick: bool
    output_dir: Path

    @property
    def is_changed(self):
        """bool : whether a parameter was set that decides what is found."""
        return bool(self.typed.keys() - RUN_OPTIONS)

    def command(self, part):
        """Write the command that finds the same as one part of this request."""
        words = [*PROGRAM.split(), part]
        if self.is_quick:
            words.append("--quick")
        for name, text in self.typed.items():
            if name in PARTS[part].model_fields and name not in RUN_OPTIONS:
                words += ["-p", name, text]
        return shlex.join(words)


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one line, with a hint at what a misspelt option may mean."""

    def error(self, message):
        _, is_unknown, words = message.partition("unrecognized arguments: ")
        hint = ""
        if is_unknown:
            word = words.split()[0]
            message = f"unknown option {word}"
            close = difflib.get_close_matches(word, self._option_string_actions, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
        raise RequestError(f"{message}{hint}; {PROGRAM} --help lists all options")


def read_request(words):
    """Read the words of a command; print the help and end if they ask for it.

    Raises
    ------
    RequestError
        An option or a part that does not exist, a folder that cannot be.
    """
    options = _parser(words).parse_intermixed_args(words)
    for part in options.parts:
        if part.lower() not in PARTS:
            raise RequestError(f"unknown part {part!r}: expected some of {', '.join(PARTS)}")
    parts = sorted({part.lower() for part in options.parts}) or list(PARTS)
    manner = {}
    if options.resume:
        manner["resume"] = True
    if options.scheduler:
        manner["executor"] = "dask"
        manner["scheduler"] = options.scheduler
    if options.executor:
        manner["executor"] = options.executor
    typed = dict(options.parameters)
    usual = _usual_folder(options.quick, is_changed=bool(typed.keys() - RUN_OPTIONS))
    output_dir = usual if options.output is None else _folder(options.output)
    return Request(parts, typed, manner, options.quick, output_dir)


def _parser(words):
    parser = _Parser(
        prog=PROGRAM,
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    add("--quick", action="store_true", help="the notebooks' own small defaults")
    add(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="set a parameter; a list is written 3,4,5",
    )
    add("--output", metavar="DIR", help="elsewhere than outputs/")
    add("--resume", action="store_true", help="go on with an interrupted grid")
    add("--executor", choices=("processes", "dask"), help="where part c trains")
    add("--scheduler", metavar="ADDRESS", help="of Dask, e.g. tcp://host:8786, or its file")
    if {"-h", "--help"} & set(words):
        parser.epilog = parameter_help()
    return parser


def _usual_folder(is_quick, is_changed):
    if is_quick:
        return files.OUTPUTS / "quick"
    return CHANGED if is_changed else files.OUTPUTS


def _folder(text):
    """Find the folder that `--output` names, from the folder where it was typed."""
    if not text:
        raise RequestError("--output: expected a folder, got an empty text")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise RequestError(f"--output {text}: there is no such home folder") from None
    return Path(os.path.realpath(path))


def make_plan(request):
    """Decide which parameters are injected into which parts; a dict of dicts.

    Raises
    ------
    ParameterError
        A parameter that no chosen part has, or a value that is not allowed.
    """
    check_project()
    accepted = {name for part in request.parts for name in PARTS[part].model_fields}
    accepted -= {"output_dir"}
    for name in [*request.typed, *request.manner]:
        if name == "output_dir":
            raise ParameterError("parameter 'output_dir': set it with --output DIR")
        if name not in accepted:
            raise unknown(name, accepted)
    return {part: _injected(part, request) for part in request.parts}


def _injected(part, request):
    """Collect what to inject into one part, checked.

    That is every parameter: somebody may have explored, and saved other values in the notebook's
    parameters cell.
    """
    usual = known.defaults(part)
    values = {} if request.is_quick else dict(FULL[part])
    values["output_dir"] = output.shown(request.output_dir)
    values["model_dir"] = output.shown(_model_dir(request))
    values |= {name: _value(text) for name, text in request.typed.items()}
    values |= request.manner
    values = {name: value for name, value in values.items() if name in usual}
    for name, value in values.items():
        if isinstance(usual[name], list) and not isinstance(value, (list, tuple)):
            values[name] = [value]
    checked = PARTS[part](**usual | values)
    return checked.model_dump(mode="json")


def _model_dir(request):
    """Find the networks that part D looks at: those of this run, or the recorded ones."""
    is_elsewhere = request.output_dir == CHANGED and "c" not in request.parts
    return files.OUTPUTS if is_elsewhere else request.output_dir


def _value(text):
    """Read a value as JSON or as a Python literal; what is neither is a text."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return read(text)
    return text


def check_machine(plan):
    """Check all that a plan needs beside its parameters, before anything runs.

    Raises
    ------
    OneLineError
        Damaged data, no network for part D, few open files, or a cluster that does not answer.
    """
    _check_limits()
    data.verify()
    if "d" in plan and "c" not in plan:
        models.load_model(files.resolve(plan["d"]["model_dir"]))
    if plan.get("c", {}).get("executor") == "dask":
        from helpers.grid import workers

        workers.check_cluster(plan["c"]["scheduler"])


def _check_limits():
    """Refuse a shell in which a notebook's kernel could not open its files."""
    with suppress(ImportError):  # Windows has no such limit
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= limit < NEEDED_FILES:
            raise RequestError(f"only {limit} open files are allowed: ulimit -n {NEEDED_FILES}")


def parameter_help():
    """List what the command uses for every parameter, full and quick, and its meaning."""
    lines = []
    for part, kind in PARTS.items():
        lines.append(f"\npart {part}, {_between(FULL_SECONDS[part])}: {kind.__doc__}")
        quick = known.defaults(part)
        full = known.full(part)
        del full["output_dir"]
        for name, value in full.items():
            text = "the output folder" if name == "model_dir" else repr(value)
            small = f"   (quick: {quick[name]!r})" if quick[name] != value else ""
            lines.append(f"  {name} = {text}{small}")
            lines.append(f"      {kind.model_fields[name].description}")
    return "\n".join(lines)


def expected_time(request):
    """Say how long a request takes."""
    table = QUICK_SECONDS if request.is_quick else FULL_SECONDS
    seconds = sum(table[part] for part in request.parts)
    unless = " without your changes" if request.is_changed else ""
    return f"{_between(seconds)} on two cores{unless}"


def _between(seconds):
    slow = SLOWER * seconds
    if slow < 200:
        return f"{seconds:.0f} to {slow:.0f} s"
    return f"{seconds / 60:.0f} to {slow / 60:.0f} min"
