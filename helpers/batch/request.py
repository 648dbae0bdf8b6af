"""What a command asks for: checked parameters for each part, or a line that says what is wrong.

The parameters' ranges and their wording are those of `helpers.notebook.parameters`.
"""

import argparse
import ast
import os
import shlex
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

from helpers import data, files
from helpers.errors import OneLineError
from helpers.notebook import cells, parameters
from helpers.notebook.parameters import FOLDERS, FULL, PARTS, RUN_OPTIONS
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
Request = namedtuple("Request", ["plan", "commands", "output_dir"])
"""Part -> its parameters, all but the output folder; part -> the command that finds the same; the
output folder, absolute."""


class RequestError(OneLineError):
    """The command's words, or what it needs, do not allow a run."""


def read_request(words):
    """Read the words of a command; print the help and end if they ask for it.

    Raises
    ------
    OneLineError
        A part or parameter that does not exist, or a value that is not allowed.
    """
    check_project()
    options = _parser(words).parse_intermixed_args(words)
    parts = sorted(set(options.parts)) or list(PARTS)
    typed = dict(options.parameters)
    _refuse_unknown(typed, parts)
    deciding = {name: text for name, text in typed.items() if name not in RUN_OPTIONS}
    output_dir = _output_dir(options, is_changed=bool(deciding))
    has_own_networks = "c" in parts or options.output
    values = {"model_dir": str(output_dir if has_own_networks else files.OUTPUTS)}
    if options.scheduler:
        values |= {"executor": "dask", "scheduler": options.scheduler}
    for name, text in typed.items():
        values[name] = _value(text)
    return Request(
        plan={part: _parameters(part, values, options.quick) for part in parts},
        commands={part: _command(part, deciding, options.quick) for part in parts},
        output_dir=output_dir,
    )


def _parser(words):
    parser = argparse.ArgumentParser(
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
    add("--output", metavar="DIR", help="elsewhere than outputs/")
    add("--resume", action="store_true", help="changes nothing: a grid always goes on")
    add("--scheduler", metavar="ADDRESS", help="train part c on Dask: tcp://host:8786, or its file")
    return parser


def _part(word):
    if word.lower() not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {word!r}")
    return word.lower()


def _refuse_unknown(names, parts):
    accepted = {name for part in parts for name in PARTS[part].model_fields} - {"output_dir"}
    for name in names:
        if name not in accepted:
            raise parameters.unknown(name, accepted)


def _output_dir(options, is_changed):
    """Decide where results go; what changed parameters find leaves the recorded results alone."""
    if options.output is not None:
        try:
            folder = Path(parameters.local_folder(options.output)).expanduser()
        except (ValueError, RuntimeError) as error:
            raise RequestError(f"--output {options.output!r}: {error}") from None
        return Path(os.path.realpath(folder))
    if options.quick:
        return files.OUTPUTS / "quick"
    return files.OUTPUTS / "changed" if is_changed else files.OUTPUTS


def _parameters(part, values, is_quick):
    """Give all parameters of a part, checked.

    All are injected: somebody may have explored, and saved other values in the parameters cell.
    """
    usual = parameters.defaults(part)
    chosen = {} if is_quick else dict(FULL[part])
    for name in values.keys() & usual.keys():
        value = values[name]
        is_single = isinstance(usual[name], list) and not isinstance(value, (list, tuple))
        chosen[name] = [value] if is_single else value
    return PARTS[part](**chosen).model_dump()


def _command(part, deciding, is_quick):
    """Write the command that finds the same as one part of a request."""
    words = [*PROGRAM.split(), part]
    if is_quick:
        words.append("--quick")
    for name in deciding.keys() & PARTS[part].model_fields.keys() - FOLDERS:
        words += ["-p", name, deciding[name]]
    return shlex.join(words)


def _value(text):
    """Read a value as a Python literal; what is none is a text."""
    with suppress(ValueError, SyntaxError):
        text = ast.literal_eval(text)
    return text


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
    """List the parameters of all parts, with their defaults and what a notebook says of them."""
    import papermill  # takes a second

    lines = []
    for part, kind in PARTS.items():
        lines.append(f"\npart {part}: {kind.__doc__}")
        described = papermill.inspect_notebook(files.NOTEBOOKS / f"part_{part}.ipynb")
        described.pop("output_dir", None)  # which is --output here
        for name, each in described.items():
            full = f"   (full size: {FULL[part][name]})" if name in FULL[part] else ""
            lines.append(f"  {name} = {each['default']}{full}\n      {each['help']}")
    return "\n".join(lines)
