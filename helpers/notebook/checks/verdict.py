"""The verdict on an exercise: one line, which a notebook shows so that nobody overlooks it."""

import html
from functools import cache

from helpers.errors import OneLineError
from helpers.notebook.checks.exercises import EXERCISES, first_fault
from helpers.notebook.checks.structure import describe
from helpers.notebook.display import show

COLOURS = {"right": "#1b7f3b", "wrong": "#b00020", "unwritten": "#8a5a00"}


class ExerciseError(OneLineError):
    """An exercise is wrong, or not written yet: the cells below would only pretend."""


def judge(exercise):
    """Judge the function of an exercise as it is now.

    Returns
    -------
    str, str
        "right", "wrong" or "unwritten", and what is wrong first.
    """
    try:
        line = first_fault(exercise, exercise.resolve())
    except Exception as error:  # the student's file does not run at all
        return "wrong", f"{exercise.file} cannot be used: {describe(error)}"
    if line is None:
        return "right", ""
    _, is_unwritten, rest = line.partition("NotImplementedError: ")
    if not is_unwritten:
        return "wrong", line
    message, _, _ = rest.partition("   [")
    if f"write {exercise.function}" in message:
        return "unwritten", f"not written yet; its place is {exercise.file}"
    return "unwritten", f"waits for {message}"


def count_right():
    """Count the exercises that are done."""
    functions = []
    for exercise in EXERCISES:
        try:
            functions.append(exercise.resolve())
        except Exception:  # a file that does not run holds nothing that is done
            functions.append(None)
    return count_among(tuple(functions))


@cache
def count_among(functions):
    """Count the right ones among functions, in the order of `EXERCISES`; once for each kernel."""
    pairs = zip(EXERCISES, functions, strict=True)
    return sum(function and first_fault(exercise, function) is None for exercise, function in pairs)


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
    exercises = [exercise for exercise in EXERCISES if exercise.label == label]
    for exercise in exercises:
        verdict, line = judge(exercise)
        name = f"{label} {exercise.function}"
        if verdict != "right":
            show_box(f"{name}: {line}", COLOURS[verdict])
            raise ExerciseError(
                f"{name} is {verdict}, and the cells below need it; write it in {exercise.file}, "
                "restart the kernel and run all cells again"
            )
    names = ", ".join(exercise.function for exercise in exercises)
    line = f"{label} {names}: right. {count_right()} of {len(EXERCISES)} exercises done."
    show_box(line, COLOURS["right"])


def report():
    """Judge all exercises for a terminal.

    Returns
    -------
    list of str, bool
        A line for each exercise and one that counts; whether all are right.
    """
    lines, num_right = [], 0
    for exercise in EXERCISES:
        verdict, line = judge(exercise)
        num_right += verdict == "right"
        words = "right" if verdict == "right" else f"{verdict.upper()}: {line}"
        lines.append(f"{exercise.label} {exercise.function}: {words}")
    lines.append(f"{num_right} of {len(EXERCISES)} exercises done.")
    return lines, num_right == len(EXERCISES)


def show_box(text, colour):
    """Display a line in white letters on a colour, so that nobody overlooks it, day or night.

    The colour is hexadecimal: JupyterLab drops other ways to say one.
    """
    style = f"background-color: {colour}; color: #ffffff; padding: 8px 12px; font-weight: bold"
    box = f'<div style="{style}">{html.escape(text)}</div>'
    show({"text/plain": text, "text/html": box})
