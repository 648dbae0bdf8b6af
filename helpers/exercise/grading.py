"""Grading a filled-in hand-out: our calls, the student's functions, a process for each exercise.

The process gets a copy of our helpers in which the student's function stands in place of ours, and
tells what came back (tests/exercises/calls.py); right and wrong are decided here. A process is no
sandbox: what it keeps out, and what not, is in the README.
"""

import importlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from helpers.exercise.handout import blank, copy_helpers
from helpers.exercise.tasks import TASKS, file_of
from helpers.files import PROJECT

CALLS = PROJECT / "tests" / "exercises" / "calls.py"
SECONDS = 10
"""That an exercise may take; `AT_ONCE` of them run side by side."""
AT_ONCE = 2
LARGEST = 2**24
"""Bytes of a file that is read."""
CLOSE = 1e-10
"""Largest difference to our numbers, as a share of the largest of them."""


def grade(folder):
    """Grade all exercises of a filled-in hand-out: a dict in the form of Gradescope's results."""
    if not (folder / "helpers").is_dir():
        raise FileNotFoundError(f"{folder}: expected a filled-in hand-out, with a folder helpers")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tests = list(pool.map(lambda task: grade_one(folder, task), TASKS))
    return {"score": sum(test["score"] for test in tests), "tests": tests}


def grade_one(folder, task):
    """Give all points of an exercise or none; `output` says in a line what failed first."""
    found = fault(folder, task) or ""  # a student's message may hold anything
    line = "".join(c if c.isprintable() else " " for c in found)[:200]
    test = {"number": task.exercise, "name": task.function, "max_score": task.points}
    return test | {"score": 0 if line else task.points, "output": line or "right"}


def fault(folder, task):
    """Say what is wrong with a student's function, or nothing."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        work = Path(work).resolve()
        copy_helpers(work)
        shutil.copy(CALLS, work)
        file = file_of(task.module)
        status = f"{file} is missing, or no text file"
        try:
            merge(work / file, read(folder / file), task)
            status = run(work, task)
            return difference(json.loads(read(work / "answers.json")), task)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            return f"{task.function}: no answer ({status})"


def read(path):
    """Read a student's file, but no link, pipe or device, and nothing huge."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        raise OSError(path)
    return path.read_bytes()


def merge(ours, theirs, task):
    """Put a student's file before ours without the exercise, so that all others are ours."""
    blank(ours, task.function)
    ours.write_bytes(theirs + b"\n\n" + ours.read_bytes())


def run(work, task):
    """Run the process of an exercise, end whatever it started, and say how it ended."""
    environment = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), str(work))
    environment |= {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-B", CALLS.name, task.module, task.function]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(command, cwd=work, env=environment, start_new_session=True, **silent)
    try:
        return f"the process ended with status {process.wait(SECONDS)}"
    except subprocess.TimeoutExpired:
        return f"stopped after {SECONDS} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def difference(found, task):
    """Compare a student's answers with ours, made here and now; say what differs first."""
    ours = getattr(importlib.import_module(f"helpers.{task.module}"), task.function)
    for name, (kind, right) in runpy.run_path(str(CALLS))["answers"](task.function, ours).items():
        their_kind, theirs = found.get(name) or found.get("failed") or ("missing", [])
        if their_kind != kind:
            return f"{name}: {their_kind}, expected {kind}"
        theirs, right = np.array(theirs, float), np.array(right, float)
        if theirs.shape != right.shape:
            return f"{name}: no numbers to compare"
        tolerance = CLOSE * np.abs(right[np.isfinite(right)]).max(initial=0)
        near = np.isclose(theirs, right, rtol=0, atol=tolerance, equal_nan=True)
        if not near.all():
            place = tuple(np.argwhere(~near)[0].tolist())
            return f"{name}, entry {place}: {theirs[place]:.10g}, expected {right[place]:.10g}"
