"""Check an exercise: what our own functions gave, recorded in cases.json, beside the student's.

In a notebook `check(label)` shows a verdict; `python -m helpers.exercise.check` prints all of them
in a terminal. `helpers.exercise.record` writes cases.json; a case is a dict:

    what, points                what is looked at, and what that is worth
    call, arguments, changes    how the function is called, and which arguments may change
    right                       the parts of the result by name, in the order of comparison
    hint                        what is added to a line of help
    mistakes                    for a part: known mistakes, a line of help and what each gives here

So nothing here knows any exercise, and no solution is here.
"""

import html
import subprocess
import sys
from pathlib import Path

import numpy as np

from helpers.errors import OneLineError
from helpers.exercise.answers import answer, describe, dump, load
from helpers.exercise.calls import kind
from helpers.exercise.exercises import BY_FUNCTION, EXERCISES

CASES = Path(__file__).with_name("cases.json")
ROOT = Path(__file__).parent.parent.parent
SECONDS = 10
"""For the process of an exercise."""
RIGHT, WRONG = "#1b7f3b", "#b00020"


class ExerciseError(OneLineError):
    """An exercise is not right yet, and the cells below need it; or there is no such exercise."""


# ---- The judgement


def fault(case, given):
    """Say what is wrong first with an answer to a case, in one line; None if nothing is."""
    for name in given["changed"]:
        return f"the argument {name} is changed by the call; work on a copy"
    if given["error"]:
        return given["error"]
    result = given["result"]
    name = first_difference(case, result)
    if name is None:
        return None
    known = recognise(case, name, result)
    difference_there = difference(result[name], case["right"][name])
    return known or f"{name}{difference_there}{case['hint']}"


def first_difference(case, result):
    """Name the first part of a result that differs from the right one; None if nothing does."""
    for name, right in case["right"].items():
        if difference(result[name], right):
            return name
    return None


def recognise(case, name, result):
    """Look for a known mistake that gives this part of a result; its line, or None."""
    for line, wrong in case["mistakes"].get(name, []):
        if difference(result[name], wrong) is None:
            return f"{name} {line}"
    return None


def difference(value, right):
    """Say how a value differs from the right one; None if it does not."""
    if isinstance(right, float):
        right = np.asarray(right)
    if not isinstance(right, np.ndarray):
        return None if value == right else f" is {value!s:.60}, expected {right!s:.60}"
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        return f" is {kind(value)}, expected numbers of shape {right.shape}"
    if array.shape != right.shape:
        return f" has shape {array.shape}, expected {right.shape}"
    if array.dtype.kind == "c" and right.dtype.kind != "c":
        return " is complex, expected real numbers"
    near = agree(array, right)
    return None if near.all() else number_difference(array, right, near)


@np.errstate(all="ignore")
def number_difference(array, right, near):
    """Say how numbers differ: by a factor, by rounding, or where first."""
    factor = np.vdot(right, array) / np.vdot(right, right)
    if right.size > 1 and agree(array, factor * right).all():
        return f" is {factor:.6g} times what is expected"
    if agree(array, right, 1e-4).all():
        return " has only a few digits right, as from float32 or a finite difference"
    first = np.argwhere(~near)[0].tolist()
    value = array[tuple(first)]
    expected = right[tuple(first)]
    return f"{first or ''} is {value:.6g}, expected {expected:.6g}"


def agree(array, right, close=None):
    """Tell for each number whether it agrees; NaN agrees with NaN."""
    close = close or (1e-5 if right.dtype == np.float32 else 1e-9)
    scale = np.abs(right[np.isfinite(right)]).max(initial=1e-3)
    return np.isclose(array, right, rtol=0, atol=close * scale, equal_nan=True)


# ---- The verdict


def load_cases():
    """Read the recorded cases: {function: list of case}."""
    return load(CASES.read_text("utf-8"))


def judge(exercise, cases, ask, lines):
    """Judge a function as it is now.

    Parameters
    ----------
    exercise : Exercise
    cases : dict
    ask : callable
        Gets answers: ``ask(exercise, cases of the exercise)``.
    lines : dict
        Function -> what is wrong with it, for those that are already judged; one is added.

    Returns
    -------
    str
        What is wrong first, in one line; empty if nothing is.
    """
    line = first_fault(cases[exercise.function], exercise, ask)
    lines[exercise.function] = line
    if f"exercise {exercise.label}: write {exercise.function}" in line:
        return f"not written yet; its place is {exercise.file}"
    for name in exercise.needs if line else ():
        needed = BY_FUNCTION[name]
        if name not in lines:
            judge(needed, cases, ask, lines)
        if lines[name]:
            return f"waits for {needed}, which is not right yet"
    return line


def first_fault(cases, exercise, ask):
    """Say what is wrong in the first case that is not right; empty if all are."""
    for case, given in zip(cases, ask(exercise, cases), strict=True):
        line = fault(case, given)
        if line:
            return f"{case['what']}: {line}"
    return ""


def check(label):
    """Check the functions of an exercise and show the verdict.

    Parameters
    ----------
    label : str
        "A1" to "D1", as in the headings of the notebooks.

    Raises
    ------
    ExerciseError
        In one line, if a function is not right: the cells below need it.
    """
    exercises, lines = labelled([label]), {}
    for exercise in exercises:
        line = unreadable(exercise) or judge(exercise, load_cases(), ask_here, lines)
        if line:
            show_box(f"{exercise}: {line}", WRONG)
            raise ExerciseError(f"{exercise} is not right yet, and the cells below need it")
    names = ", ".join(exercise.function for exercise in exercises)
    show_box(f"{exercises[0].label} {names}: right.", RIGHT)


def labelled(labels):
    """List the exercises with some labels, in whatever case; all if there are none."""
    known = dict.fromkeys(exercise.label for exercise in EXERCISES)
    wanted = [str(label).strip().upper() for label in labels] or known
    for label in wanted:
        if label not in known:
            raise ExerciseError(f"there is no exercise {label}; there are {', '.join(known)}")
    return [exercise for exercise in EXERCISES if exercise.label in wanted]


def ask_here(exercise, cases):
    """Get answers in this process, from the function as it is now."""
    return (answer(case, exercise.find) for case in cases)


def unreadable(exercise):
    """Say so if the file on disk cannot be run: a kernel goes on with what it had before."""
    path = ROOT / exercise.file
    try:
        compile(path.read_bytes(), path, "exec")
    except (SyntaxError, ValueError) as error:
        return f"what is on disk by now cannot be imported: {describe(error)}"
    return ""


def show_box(text, colour):
    """Display a line in white letters on a colour, so that nobody overlooks it, day or night."""
    from helpers.notebook.display import show  # takes a while outside a notebook

    style = f"background-color: {colour}; color: #ffffff; padding: 8px 12px; font-weight: bold"
    box = f'<div style="{style}">{html.escape(text)}</div>'
    show({"text/plain": text, "text/html": box})


# ---- In a terminal


def ask_process(exercise, cases, root=ROOT):
    """Get answers in a process of its own, which has `SECONDS` and does not see what is right.

    Parameters
    ----------
    exercise : Exercise
    cases : list of dict
        Of this exercise.
    root : Path
        The folder whose `helpers` are meant.

    Returns
    -------
    list of dict
        An answer for each case.
    """
    names = "call", "arguments", "changes"
    questions = [{name: case[name] for name in names} for case in cases]
    command = [sys.executable, "-m", "helpers.exercise.answers", exercise.function]
    try:
        output = subprocess.run(
            command,
            cwd=root,
            input=dump(questions).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        ).stdout
        return load(output)
    except subprocess.TimeoutExpired:
        error = f"no answer after {SECONDS} s"
    except ValueError:
        error = "the process ended before it gave an answer"
    return [{"result": None, "error": error, "changed": []}] * len(cases)


def main(labels):
    """Print the verdict on each exercise as soon as it is there; whether all are right."""
    lines = {}
    for exercise in labelled(labels):
        line = judge(exercise, load_cases(), ask_process, lines)
        print(f"{exercise}: {line or 'right'}", flush=True)
    return not any(lines.values())


if __name__ == "__main__":
    try:
        sys.exit(0 if main(sys.argv[1:]) else 1)
    except ExerciseError as error:
        sys.exit(str(error))
    except BrokenPipeError:  # `| head` has read enough
        sys.stdout = None
