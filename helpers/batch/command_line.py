"""The command: its words become a plan, the plan is checked, and then its parts run in order.

The parameters' ranges and their wording are those of `helpers.notebook.parameters`. Exit status: 0
if every part succeeded, 1 if one failed, 2 if the words were refused, 128 + the signal's number if
it was interrupted.
"""

import argparse
import ast
import os
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from helpers import data, files
from helpers.batch import signals
from helpers.batch.progress import say
from helpers.errors import OneLineError
from helpers.notebook import cells, parameters
from helpers.notebook.parameters import FULL_C, PARTS, RUN_OPTIONS
from helpers.notebook.settings import check_project

PROGRAM = "python -m helpers"
ABOUT = """\
Run the parts of the deliverable, in order, and write the report. On two cores, part c at full size
takes 15 to 25 minutes; every other part, and each of --quick, takes less than a minute.

examples:
  python -m helpers                       all four parts at full size, into outputs/
  python -m helpers --quick               small defaults, into outputs/quick/
  python -m helpers a -p learning_rate 0.05 -p num_epochs 20
                                          changed parameters, into outputs/changed/
  python -m helpers c                     goes on with an interrupted grid
  python -m helpers d --output DIR        part d of another run

exit status: 0 done; 1 a part failed; 2 refused, nothing was run; 128 + the signal's number
"""


class RequestError(OneLineError):
    """The command's words cannot be read, or what it needs is damaged."""


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one line."""

    def error(self, message):
        raise RequestError(f"{message}; {PROGRAM} --help lists all options")


def main(words):
    """Run what the command's words ask for; give the exit status."""
    try:
        folder, plan = read_words(words)
        check(plan)
        signals.handle()
        with TemporaryDirectory() as home:
            if not os.access(os.path.expanduser("~"), os.W_OK):
                os.environ["HOME"] = home  # else IPython, matplotlib and others complain
            # Not before: papermill and what it brings take a second to import.
            from helpers.batch.execution import run_parts

            run_parts(plan, folder)
    except (OneLineError, OSError) as error:
        say(f"{PROGRAM}: {error}", sys.stderr)
        refused = 2 if isinstance(error, OneLineError) else 1
        return getattr(error, "status", refused)
    return 0


def read_words(words):
    """Read the words of a command; print the help and end if they ask for it.

    Returns
    -------
    folder : Path
        Where results go, absolute.
    plan : dict
        Part -> all its parameters, checked. Each is set, the usual ones, too: somebody may have
        explored, and saved other values in the parameters cell.

    Raises
    ------
    OneLineError
        A parameter that does not exist, or a value that is not allowed.
    """
    check_project()
    options = _parser(words).parse_intermixed_args(words)
    parts = sorted(set(options.parts)) or list(PARTS)
    values = {name: _value(text) for name, text in options.parameters}
    _refuse_unknown(values, parts)
    if options.scheduler:
        values |= {"executor": "dask", "scheduler": options.scheduler}
    # What changed parameters find leaves the recorded results alone.
    usual = files.OUTPUTS / "changed" if values.keys() - RUN_OPTIONS else files.OUTPUTS
    if options.quick:
        usual = files.OUTPUTS / "quick"
    folder = options.output or usual
    has_own_networks = "c" in parts or options.output
    networks = folder if has_own_networks else files.OUTPUTS
    values = {"model_dir": str(networks)} | values
    return folder, {part: _parameters(part, values, options.quick) for part in parts}


def _parser(words):
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s [PART ...] [options]",
        description=ABOUT,
        epilog=parameter_help() if {"-h", "--help"} & set(words) else "",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("parts", nargs="*", type=_part, metavar="PART", help="a, b, c, d; all if none is named")
    add("--quick", action="store_true", help="the notebooks' own small defaults")
    pair = {"nargs": 2, "metavar": ("NAME", "VALUE"), "action": "append", "default": []}
    add("-p", dest="parameters", **pair, help="set a parameter; a list is written 3,4,5")
    add("--output", type=_folder, metavar="DIR", help="elsewhere than outputs/")
    add("--resume", action="store_true", help="changes nothing: a grid always goes on")
    add("--scheduler", metavar="ADDRESS", help="train part c on Dask: tcp://host:8786, or its file")
    return parser


def _part(word):
    if word.lower() not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {word!r}")
    return word.lower()


def _folder(word):
    try:
        return Path.cwd() / Path(parameters.local_folder(word)).expanduser()
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{word!r} {error}") from None


def _value(text):
    """Read a value as a Python literal; what is none is a text."""
    with suppress(ValueError, SyntaxError):
        text = ast.literal_eval(text)
    return text


def _refuse_unknown(names, parts):
    accepted = {name for part in parts for name in PARTS[part].model_fields} - {"output_dir"}
    for name in names:
        if name not in accepted:
            raise parameters.unknown(name, accepted)


def _parameters(part, values, is_quick):
    chosen = parameters.defaults(part) if is_quick else parameters.full(part)
    for name in values.keys() & chosen.keys():
        value = values[name]
        is_single = isinstance(chosen[name], list) and not isinstance(value, (list, tuple))
        chosen[name] = [value] if is_single else value
    return PARTS[part](**chosen).model_dump()


def check(plan):
    """Check all that a plan needs beside its parameters, before anything runs.

    Raises
    ------
    OneLineError
        Damaged data, a damaged notebook, or nobody who trains for part C.
    """
    for part in plan:
        path = files.NOTEBOOKS / f"part_{part}.ipynb"
        try:
            cells.read(path)["metadata"]["kernelspec"]["language"]
        except (OSError, ValueError, KeyError) as error:
            raise RequestError(f"{path.name} is damaged or cut off: {error!r}") from None
    data.verify()
    if "c" in plan:
        from helpers.grid import workers

        workers.check(*(plan["c"][name] for name in ("executor", "num_workers", "scheduler")))


def parameter_help():
    """Show the parameters cell of each part, and what a full run sets in another way."""
    lines = []
    for part, kind in PARTS.items():
        lines.append(f"\npart {part}: {kind.__doc__}")
        notebook = cells.read(files.NOTEBOOKS / f"part_{part}.ipynb")
        for cell in cells.tagged(notebook, cells.PARAMETERS_TAG):
            for line in cells.source(cell).splitlines():
                if not line.startswith("output_dir"):  # which is --output here
                    lines.append(f"  {line}")
    lines.append("\npart c at full size:")
    for name, value in FULL_C.items():
        lines.append(f"  {name} = {value}")
    return "\n".join(lines)
