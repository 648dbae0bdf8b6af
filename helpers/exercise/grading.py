"""Grading a filled-in hand-out: our calls, the student's functions, a process for each exercise.

The process gets copies of our helpers in which the student's function stands in place of ours, and
tells what came back (tests/exercises/calls.py); right and wrong are decided here. A process is no
sandbox: what it keeps out and what not is in the README.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from helpers.exercise.handout import change, copy_helpers
from helpers.exercise.tasks import TASKS, Task
from helpers.files import PROJECT

CALLS = PROJECT / "tests" / "exercises" / "calls.py"
SECONDS = 10
"""That an exercise may take."""
AT_ONCE = 2
LARGEST = 2**20
"""Bytes of a student's file."""
CLOSE = 1e-10
"""Largest difference to our numbers, as a share of the largest of them."""


@dataclass(frozen=True)
class Grade:
    """The points of one exercise, and in a line what failed first; "" if nothing did."""

    task: Task
    line: str

    @property
    def points(self):
        """int : all or none."""
        return 0 if self.line else self.task.points


def grade(folder):
    """Grade all exercises of a filled-in hand-out; a list of `Grade`."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda task: Grade(task, one_line(fault(folder, task))), TASKS))


def fault(folder, task):
    """Say what is wrong with a student's function, or nothing."""
    file = folder / task.file
    if not file.is_file() or file.stat().st_size > LARGEST:
        return f"{task.file} is missing, or no text file"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        work = Path(work).resolve()
        copy_helpers(work / "helpers")
        merge(work / task.file, file.read_bytes(), task)
        shutil.copy(CALLS, work)
        return run(work, task) or compare(read(work / "answers.json"), task)


def merge(ours, theirs, task):
    """Put a student's file before what remains of ours without the exercise: the last one counts.

    So the student's own imports and helpers are there, and all other exercises are ours.
    """
    change(ours, task.function)
    ours.write_bytes(theirs + b"\n\n" + ours.read_bytes())


def run(work, task):
    """Run the process of an exercise, and end whatever it started; say why it gave no answer."""
    environment = {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
    environment |= dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), str(work))
    process = subprocess.Popen(
        [sys.executable, "-B", CALLS.name, task.module, task.function],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return f"{task.function}: no answer within {SECONDS} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status or not (work / "answers.json").is_file():
        return f"{task.function}: the process ended with status {status} and gave no answer"


def read(path):
    """Read what a process answered; only something that is no list if it cannot be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        return None


def compare(found, task):
    """Compare a student's answers with ours, made here and now."""
    if isinstance(found, dict):
        return f"{task.file}: {found.get('raised')}"
    ours = getattr(import_module(f"helpers.{task.module}"), task.function)
    expected = json.loads(json.dumps(calls().answers(task.function, ours)))
    try:
        pairs = list(zip(found, expected, strict=True))
        lines = [answer_difference(*pair) for pair in pairs]
    except (ValueError, TypeError, KeyError, OverflowError):
        return f"{task.function}: the answers cannot be read"
    return next(filter(None, lines), None)


def answer_difference(found, expected):
    """Compare what one call returned, and what it left of its arguments."""
    label = expected["label"]
    line = difference(found["result"], expected["result"], label)
    for name, value in expected["afterwards"].items():
        line = line or difference(found["afterwards"][name], value, f"after {label}, {name}")
    return line


def calls():
    """Load the module of the calls, which is part of no package."""
    spec = importlib.util.spec_from_file_location("calls", CALLS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def difference(found, expected, where):
    """Say the first thing that differs between two described values, or nothing."""
    if isinstance(found, dict) and "raised" in found:
        return f"{where} raises {found['raised']}"
    kinds = {type(found), type(expected)}
    if kinds == {list}:
        if len(found) != len(expected):
            return f"{where} has {len(found)} entries, expected {len(expected)}"
        pairs = enumerate(zip(found, expected, strict=True))
        return next(filter(None, (difference(*pair, f"{where}[{i}]") for i, pair in pairs)), None)
    if kinds == {dict} and found.keys() == expected.keys():
        if "entries" in expected:
            return array_difference(found, expected, where)
        lines = (difference(found[key], expected[key], f"{where}.{key}") for key in expected)
        return next(filter(None, lines), None)
    if found != expected:
        return f"{where} is {in_words(found)}, expected {in_words(expected)}"


def array_difference(found, expected, where):
    """Say whether dtype, shape or an entry differs first."""
    for what in "dtype", "shape":
        ours, theirs = (str(each[what]).replace("int32", "int64") for each in (expected, found))
        if ours != theirs:
            return f"{where} has {what} {theirs}, expected {ours}"
    ours, theirs = (np.reshape(each["entries"], each["shape"]) for each in (expected, found))
    largest = np.abs(ours[np.isfinite(ours)]).max(initial=0)
    far = ~np.isclose(theirs, ours, rtol=0, atol=CLOSE * largest, equal_nan=True)
    if far.any():
        place = tuple(np.argwhere(far)[0].tolist())
        entry = f", entry {place}," if place else ""
        return f"{where}{entry} is {theirs[place]:.10g}, expected {ours[place]:.10g}"


def in_words(value):
    """Say what a described value is."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an array of shape {value['shape']}" if "shape" in value else "an object"
    return str(value)


def one_line(text):
    """Cut a text to a line that a terminal can show: a student's message may hold anything."""
    words = "".join(c if c.isprintable() else " " for c in text or "").split()
    return " ".join(words)[:200]
