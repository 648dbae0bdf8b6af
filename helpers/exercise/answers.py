"""Call a function as a case says, and give what came back as plain data.

A case holds arguments and the name of a way to call, one of `helpers.exercise.calls`; it may be
read in a process that does not know the right result. An answer is a dict:

    result      plain data; None if there is none
    error       why there is none, in one line
    changed     the arguments that were changed and should not have been

As a program, `python -m helpers.exercise.answers FUNCTION` reads a list of cases, JSON, from
standard input and writes the list of answers to standard output.
"""

import copy
import json
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from helpers.exercise import calls
from helpers.exercise.calls import kind
from helpers.exercise.exercises import BY_FUNCTION, FILES

LENGTH = 300
"""Characters of an error's message that are kept."""


def answer(case, find):
    """Make the call of a case, with arguments of its own.

    Parameters
    ----------
    case : dict
    find : callable
        Gives the function; if its file cannot be imported, that is the error of the answer.

    Returns
    -------
    dict
    """
    arguments = as_in_the_course(case["arguments"])
    result, error = None, ""
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            way = getattr(calls, case["call"])
            result = load(dump(way(find(), *arguments.values())))
        except calls.ResultError as line:
            error = str(line)
        except Exception as raised:
            error = describe(raised)
    changed = [
        name
        for name, before in case["arguments"].items()
        if name not in case["changes"] and dump(arguments[name]) != dump(before)
    ]
    return {"result": result, "error": error, "changed": changed}


def as_in_the_course(arguments):
    """Copy arguments, with tuples where the course has them; JSON has lists."""
    copied = copy.deepcopy(arguments)
    if "layers" in copied:
        copied["layers"] = [tuple(pair) for pair in copied["layers"]]
    if "layer_sizes" in copied:
        copied["layer_sizes"] = tuple(copied["layer_sizes"])
    return copied


def describe(error):
    """Say an error in one line, with the line of the student's file where it was raised."""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    lines = [
        f"   [{Path(frame.filename).name}, line {frame.lineno}: {frame.line}]"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).as_posix().endswith(FILES)
    ]
    return message[:LENGTH] + "".join(lines[-1:])


def dump(value):
    """Write a value as JSON: plain data, and arrays whose every number comes back as it was."""
    return json.dumps(value, default=encode, separators=(",", ":"))


def encode(value):
    """Write an array as its dtype, its shape and the text of its entries; else say what it is.

    JSON itself writes dicts, lists, numbers, texts and None; tuples become lists.
    """
    if isinstance(value, (np.ndarray, np.generic, complex)):
        array = np.asarray(value)
        if array.dtype.kind in "biufc":
            entries = " ".join(array.ravel().astype(str))
            return {"dtype": str(array.dtype), "shape": array.shape, "entries": entries}
    return kind(value)


def load(text):
    """Read what `dump` wrote."""
    return json.loads(text, object_hook=decode)


def decode(entry):
    """Read what `encode` wrote; other dicts stay as they are."""
    if entry.keys() != {"dtype", "shape", "entries"}:
        return entry
    entries = np.array(entry["entries"].split(), dtype=str)
    return entries.astype(entry["dtype"]).reshape(entry["shape"])


def main(function):
    """Answer the cases in standard input; what a student prints goes elsewhere."""
    output = sys.stdout
    sys.stdout = sys.stderr
    find = BY_FUNCTION[function].find
    answers = [answer(case, find) for case in load(sys.stdin.read())]
    print(dump(answers), file=output)


if __name__ == "__main__":
    main(*sys.argv[1:])
