"""Call a function as a case says, and give what came back as plain data.

A case holds arguments and the name of a way to call, one of `helpers.exercise.calls`; it may be
read in a process that does not know the right result. An answer is a dict:

    result      plain data; None if there is none
    error       why there is none, in one line
    changed     the arguments that were changed and should not have been

As a program, `python -m helpers.exercise.answers FUNCTION` reads cases, JSON, from standard input
and writes a line for each answer to standard output.
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
from helpers.exercise.exercises import BY_FUNCTION

HERE = Path(__file__).parent


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
    arguments = {
        name: as_in_the_course(name, copy.deepcopy(value))
        for name, value in case["arguments"].items()
    }
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
        for name, value in arguments.items()
        if name not in case["changes"] and dump(value) != dump(case["arguments"][name])
    ]
    return {"result": result, "error": error, "changed": changed}


def as_in_the_course(name, value):
    """Make tuples where the course has them; JSON has lists."""
    if name == "layers":
        return [tuple(pair) for pair in value]
    return tuple(value) if name == "layer_sizes" else value


def describe(error):
    """Say an error in one line, with the line of the student's file where it was raised."""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    places = [
        (frame.filename, frame.lineno, frame.line)
        for frame in traceback.extract_tb(error.__traceback__)
        if HERE.parent in Path(frame.filename).parents and Path(frame.filename).parent != HERE
    ]
    if isinstance(error, SyntaxError):
        places.append((error.filename, error.lineno, error.text))
    if not places:
        return message
    path, number, text = places[-1]
    return f"{message}   [{Path(str(path)).name}, line {number}: {str(text).strip()}]"


def dump(value):
    """Write a value as JSON: plain data, and arrays whose every number comes back as it was."""
    return json.dumps(value, default=encode, separators=(",", ":"))


def encode(value):
    """Write an array as its dtype and its entries, complex ones as two arrays; else say what it is.

    JSON itself writes dicts, lists, numbers, texts and None; tuples become lists.
    """
    if isinstance(value, (np.ndarray, np.generic, complex)):
        array = np.asarray(value)
        if array.dtype.kind in "biufc":
            parts = [array.real, array.imag] if array.dtype.kind == "c" else [array]
            return {"dtype": str(array.dtype), "parts": [part.tolist() for part in parts]}
    return kind(value)


def load(text):
    """Read what `dump` wrote."""
    return json.loads(text, object_hook=decode)


def decode(entry):
    """Read what `encode` wrote; other dicts stay as they are."""
    if entry.keys() != {"dtype", "parts"}:
        return entry
    real, *imaginary = map(np.array, entry["parts"])
    array = real + 1j * imaginary[0] if imaginary else real
    return np.asarray(array).astype(entry["dtype"])


def main(function):
    """Answer the cases in standard input, one by one; what a student prints goes elsewhere."""
    output = sys.stdout
    sys.stdout = sys.stderr
    for case in load(sys.stdin.read()):
        line = dump(answer(case, BY_FUNCTION[function].find))
        print(line, file=output, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
