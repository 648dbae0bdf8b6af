"""Run the parts of the deliverable, in order, and write the report.

examples:
  python -m helpers                       all four parts at full size, into outputs/
  python -m helpers --quick               small defaults, into outputs/quick/
  python -m helpers a -p learning_rate 0.05 -p num_epochs 20
                                          changed parameters, into outputs/changed/
  python -m helpers c --resume            go on with an interrupted grid
  python -m helpers d --output DIR        part d of another run
"""

# So --help begins. Here the command line's words become checked parameters for each part, or a
# refusal; the parameters' ranges and their wording are those of helpers.notebook.parameters.

import argparse
import ast
import json
import os
from contextlib import suppress
from pathlib import Path

from helpers import data, files, models
from helpers.batch import output
from helpers.notebook import parameters as known
from helpers.notebook.parameters import FULL, PARTS, RUN_OPTIONS
from helpers.notebook.refusals import ParameterError, unknown

PROGRAM = "python -m helpers"
CHANGED = files.OUTPUTS / "changed"
"""Takes the results of changed parameters, so that the recorded ones stay."""
QUICK_SECONDS = {"a": 15, "b": 30, "c": 20, "d": 10}
FULL_SECONDS = QUICK_SECONDS | {"c": 850}
"""What each part takes on two cores."""
REFUSALS = ParameterError, data.DataError, models.ModelError, output.OutputError
"""What is found before anything runs."""


def parse(words):
    """Read the command line into ``parts``, ``quick``, ``output`` and unchecked ``parameters``."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__, formatter_class=style)
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    add("--quick", action="store_true", help="the notebooks' own small defaults")
    typed = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    add("-p", dest="parameters", help="set a parameter; a list is written 3,4,5", **typed)
    add("--resume", action="store_true", help="go on with an interrupted grid")
    add("--executor", choices=("processes", "dask"), help="where part c trains")
    add("--scheduler", metavar="ADDRESS", help="of Dask, e.g. tcp://host:8786")
    add("--output", metavar="DIR", help="elsewhere than outputs/")
    if {"-h", "--help"} & set(words):
        parser.epilog = parameter_help()
    options = parser.parse_args(words)
    if options.output == "":
        parser.error("argument --output: expected a folder, got an empty text")
    options.parameters = {name: _value(text) for name, text in options.parameters}
    shortcuts = {name: getattr(options, name) for name in ("resume", "executor", "scheduler")}
    options.parameters |= {name: value for name, value in shortcuts.items() if value}
    options.changed = bool(options.parameters.keys() - RUN_OPTIONS)
    usual = CHANGED if options.changed else files.OUTPUTS
    usual = files.OUTPUTS / "quick" if options.quick else usual
    options.output = Path(os.path.realpath(options.output or usual))
    return options


def make_plan(options):
    """Decide which parts run with which parameters, a dict of dicts; refuse what cannot work."""
    others = [part for part in options.parts if part.lower() not in PARTS]
    if others:
        raise ParameterError(f"unknown part {others[0]!r}: expected some of {', '.join(PARTS)}")
    parts = sorted({part.lower() for part in options.parts} or PARTS)
    accepted = {name for part in parts for name in PARTS[part].model_fields} - {"output_dir"}
    for name in options.parameters:
        if name == "output_dir":
            raise ParameterError("parameter 'output_dir': set it with --output DIR")
        if name not in accepted:
            raise unknown(name, accepted)
    plan = {part: _parameters(part, parts, options) for part in parts}
    output.check_limits()
    data.verify()
    if "d" in plan and "c" not in plan:
        models.load_model(files.PROJECT / plan["d"]["model_dir"])
    return plan


def _parameters(part, parts, options):
    """Collect what to inject into one part, checked."""
    is_elsewhere = options.output == CHANGED and "c" not in parts
    given = {} if options.quick else dict(FULL[part])
    given["output_dir"] = output.as_parameter(options.output)
    given["model_dir"] = output.as_parameter(files.OUTPUTS if is_elsewhere else options.output)
    given |= options.parameters
    usual = known.defaults(part)
    injected = {name: value for name, value in given.items() if name in usual}
    for name, value in injected.items():
        if isinstance(usual[name], list) and not isinstance(value, (list, tuple)):
            injected[name] = [value]
    checked = PARTS[part](**usual | injected)
    return checked.model_dump(mode="json", include=set(injected))


def _value(text):
    """Read a value as JSON or as a Python literal; what is neither is a text."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return read(text)
    return text


def parameter_help():
    """List what the command uses for every parameter, full and quick, its meaning and range."""
    lines = []
    for part, kind in PARTS.items():
        quick, full = known.defaults(part), known.full(part)
        lines.append(f"\npart {part}, {_about(FULL_SECONDS[part])}: {kind.__doc__}")
        for name, field in kind.model_fields.items():
            value = "the output folder" if name == "model_dir" else repr(full[name])
            small = f"   (quick: {quick[name]!r})" if full[name] != quick[name] else ""
            if name != "output_dir":
                lines.append(f"  {name} = {value}{small}")
                lines.append(f"      {field.description}")
    return "\n".join(lines)


def expected(options, plan):
    """Say how long a plan takes."""
    seconds = sum((QUICK_SECONDS if options.quick else FULL_SECONDS)[part] for part in plan)
    return f"{_about(seconds)} on two cores{' without your changes' if options.changed else ''}"


def _about(seconds):
    return f"about {seconds} s" if seconds < 100 else f"about {seconds / 60:.0f} min"
