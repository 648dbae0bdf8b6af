"""What a check is: one call of a student's function, and a judgement of what came back.

    check = Check(what, given, judge)          made from a seed and layer_sizes: `checks_of`
    answer = make(check, function)             in whatever process the student's function lives
    line = fault(check, answer)                anywhere; None, or what is wrong first

An answer is plain data (`plain`): lists, dicts, arrays, numbers, texts, None; it can be written to
a file and judged elsewhere. A check made again from the same seed and sizes is the same check, so
the two halves need to share nothing else.

A judgement knows no solution. It looks at properties (every column sums to 1), at small numbers
worked by hand, and at what the exercise's text says of each entry. Where a right result is known,
the two answers can be compared as well, if the check is `unique`.
"""

import copy
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path

import numpy as np

CHECKS = Path(__file__).parent
HELPERS = CHECKS.parent.parent
CLOSE = 1e-9
"""Largest difference of numbers that count as equal, as a share of the largest of them."""


class Fault(Exception):
    """Raised by a judgement: one line that a student can act on."""


def call(function, **given):
    """Call a function with positional arguments, in the order in which they are given."""
    return function(*given.values())


@dataclass(frozen=True)
class Check:
    """A call and its judgement.

    Attributes
    ----------
    what : str
        What is looked at, e.g. "writing to the views".
    given : dict
        The arguments, by name, in the order of the function's own.
    judge : callable
        Takes `given` and the plain result; raises `Fault` if the result is wrong.
    use : callable, optional
        How the function is called: ``use(function, **given)`` gives the result.
    changes : tuple of str
        The arguments that may be changed by the call; all others have to stay as they are.
    unique : bool
        Whether there is only one right result, so that it can be compared with a solution's.
    """

    what: str
    given: dict
    judge: Callable
    use: Callable = call
    changes: tuple = ()
    unique: bool = True


@dataclass(frozen=True)
class Answer:
    """What a call gave: plain data.

    Attributes
    ----------
    result : plain data
        None if the call raised an error.
    after : dict
        The arguments after the call, by name.
    error : str
        Type, message and line of the error that ended the call; empty if none did.
    """

    result: object
    after: dict
    error: str = ""


def make(check, function):
    """Make the call of a check, with arguments of its own; errors become part of the `Answer`."""
    given = copy.deepcopy(check.given)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result, error = plain(check.use(function, **given)), ""
        except Exception as raised:
            result, error = None, describe(raised)
    return Answer(result, plain(given), error)


def fault(check, answer):
    """Judge the answer to a check.

    Returns
    -------
    str or None
        What is wrong first, in one line; None if nothing is.
    """
    if answer.error:
        return answer.error
    for name, value in plain(check.given).items():
        if name not in check.changes and not same(value, answer.after.get(name)):
            return f"the argument {name} is changed by the call; work on a copy"
    try:
        check.judge(check.given, answer.result)
    except Fault as found:
        return str(found)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        return f"what came back cannot be read ({error})"
    return None


def plain(value):
    """Reduce a value to dicts, lists, arrays, numbers, texts and None; arrays are copied."""
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: plain(asdict(value))}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return np.array(value)
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    return f"of type {type(value).__name__}"


def same(one, other):
    """Tell whether two pieces of plain data are equal, NaN to NaN."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


def describe(error):
    """Say an error in one line, with the place in the student's file where it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame)]
    where = f"   [{frames[-1].name}, line {frames[-1].lineno}: {frames[-1].line}]" if frames else ""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}{where}"


def is_own(frame):
    """Tell whether a frame of a traceback is in the course's files, and not in the checks."""
    file = Path(frame.filename)
    return file.is_relative_to(HELPERS) and file.parent != CHECKS


def is_refused(function, **given):
    """Tell whether a call ends with ValueError: the `use` of checks of bad input."""
    try:
        function(*given.values())
    except ValueError:
        return True
    return False


def judge_refusal(given, refused):
    """Judge what `is_refused` gives."""
    expect(refused is True, "this is taken without a word, expected a ValueError")


def expect(is_right, line):
    """Raise a `Fault` unless something is right."""
    if not is_right:
        raise Fault(line)


def an_array(value, shape, name):
    """Read an array, or a list of numbers, of a shape; a `Fault` says what it is instead."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    words = f"an array of shape {shape}" if shape else "one number"
    expect(array.dtype.kind in "biufc", f"{name} is {kind(value)}, expected {words}")
    expect(array.shape == shape, f"{name} has shape {array.shape}, expected {shape}")
    return array


def a_list(value, length, name):
    """Read a list of a length; a `Fault` says what it is instead."""
    expect(isinstance(value, list), f"{name} is {kind(value)}, expected a list of {length}")
    expect(len(value) == length, f"{name} has {len(value)} entries, expected {length}")
    return value


def kind(value):
    """Say in words what a piece of plain data is."""
    if value is None:
        return "None (is a return missing?)"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return value[:60] if isinstance(value, str) else f"of type {type(value).__name__}"


def is_close(found, expected):
    """Tell for all numbers together whether they agree to `CLOSE`; NaN agrees with NaN."""
    return bool(np.all(agree(found, expected)))


def agree(found, expected):
    """Tell for each number whether it agrees."""
    finite = np.abs(np.asarray(expected)[np.isfinite(expected)])
    tolerance = CLOSE * max(finite.max(initial=0), 1e-3)
    return np.isclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)


def expect_close(found, expected, name, why=""):
    """Raise a `Fault` that names the first entry in which two arrays of one shape differ."""
    near = agree(found, expected)
    if not near.all():
        place = tuple(np.argwhere(~near)[0].tolist())
        value, right = np.asarray(found)[place], np.asarray(expected)[place]
        entry = f"{list(place)}" if place else ""
        digits = 6 if f"{value:.6g}" != f"{right:.6g}" else 15
        raise Fault(f"{name}{entry} is {value:.{digits}g}, expected {right:.{digits}g}{why}")


def recognise(found, expected, mistakes, name, why=""):
    """Raise a `Fault` that names the likely mistake, or else the first entry that differs.

    Parameters
    ----------
    found, expected : ndarray
    mistakes : dict of str to ndarray
        A line for each mistake, and what it would give.
    name, why : str
        Of the array, and what is added to the line if none of the mistakes was made.
    """
    if is_close(found, expected):
        return
    for line, wrong in mistakes.items():
        expect(not is_close(found, wrong), f"{name} {line}")
    expect_close(found, expected, name, why)
