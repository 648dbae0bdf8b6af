"""The student's process: it makes the calls of one submission, one exercise after the other.

This file is run as a program that has nothing of ours beside it; `isolation` starts it. A job comes
through standard input: the files of `helpers`, with the student's in place of one of ours, and what
to call. Each job gets a process of its own, forked here when NumPy is already imported, so that an
endless loop or a crash costs one exercise; whatever that process has started is ended with it. What
came back goes to standard output. No right answer is in here: the grader decides what is right.
"""

import base64
import ctypes
import importlib
import itertools
import json
import os
import resource
import select
import shutil
import signal
import stat
import sys
import time
from contextlib import suppress
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

MEMORY = 2**32
"""Bytes that a process may take."""
LARGEST = 2**24
"""Bytes of a file, and of all answers to one job."""
MOST_PROCESSES = 64
"""That one exercise may start; NumPy and others start some on import."""
IMPORTERS = BuiltinImporter, FrozenImporter, PathFinder
"""Python's own, without those by which an installed project finds its `helpers`."""
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
"""Of prctl(2): whether others may look into a process; whether orphans come to it."""


def main(seconds, folder, *modules):
    """Take jobs until standard input is closed; `modules` are imported once for all of them."""
    os.chdir(folder)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_DUMPABLE, 0)  # an exercise's process may not read the next job from here
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    jobs, results = Connection(0, writable=False), Connection(1, readable=False)
    results.send_bytes(b"ready")
    for number in itertools.count():
        jobs.poll(None)
        status, answers = run_job(jobs, Path(f"job_{number}"), float(seconds))
        results.send_bytes(status.encode())
        results.send_bytes(answers)


def run_job(jobs, place, seconds):
    """Run a job in a process of its own; say how it ended, and give what it left."""
    place.mkdir()
    answers = place.absolute() / "answers.jsonl"
    pid = os.fork()
    if pid == 0:
        try:
            work_on_job(jobs, place)
        finally:
            os._exit(1)
    status = watch(pid, seconds)
    end_descendants()
    try:
        found = read_file(answers)
    except OSError:
        found = b""
    shutil.rmtree(place, ignore_errors=True)
    return status, found


def watch(pid, seconds):
    """Wait for the process of a job, for some seconds; say in words how it ended."""
    handle = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(0, select.POLLHUP)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            ready = dict(poll.poll(100))
            if handle in ready:
                _, code = os.waitpid(pid, 0)
                return f"the process ended with status {os.waitstatus_to_exitcode(code)}"
            if ready:  # the grader is gone
                end_descendants()
                sys.exit(1)
            if len(descendants()) > MOST_PROCESSES:
                return f"stopped, with more than {MOST_PROCESSES} processes"
        return f"stopped after {seconds:g} s"
    finally:
        os.close(handle)


def end_descendants():
    """End whatever was started: orphans come to this process, so it finds them all.

    They are stopped first: what has stopped starts no others.
    """
    while found := descendants():
        for number in signal.SIGSTOP, signal.SIGKILL:
            for process in found:
                with suppress(psutil.Error):
                    process.send_signal(number)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def descendants():
    """List the processes that this one has started, and those that they have started."""
    return psutil.Process().children(recursive=True)


def read_file(path):
    """Read a file, but no link, pipe or device, and nothing huge."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is no file")
        return file.read(LARGEST)


def work_on_job(jobs, place):
    """Unpack a job, make its calls, and write each answer as soon as it is there."""
    prctl(PR_SET_DUMPABLE, 1)
    os.setsid()
    job = json.loads(jobs.recv_bytes())
    for name, text in job["files"].items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    os.chdir(place)
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in 0, 1, 2:
        os.dup2(nothing, handle)
    os.closerange(3, 1024)
    limits = {resource.RLIMIT_AS: MEMORY, resource.RLIMIT_FSIZE: LARGEST, resource.RLIMIT_CORE: 0}
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))
    with open("answers.jsonl", "wb", buffering=0) as file:
        for line in make_calls(job):
            file.write(line.encode() + b"\n")
    os._exit(0)


def make_calls(job):
    """Make the calls of a job, and give each answer as a line of JSON.

    Whatever a student's function raises is an answer: also SystemExit, and MemoryError.
    """
    sys.meta_path[:] = [each for each in sys.meta_path if each in IMPORTERS]
    sys.path[:] = [os.getcwd(), *filter(os.path.isdir, sys.path)]
    try:
        structure = importlib.import_module("helpers.notebook.checks.structure")
        exercises = importlib.import_module("helpers.notebook.checks.exercises")
        [exercise] = [each for each in exercises.EXERCISES if each.function == job["function"]]
        function = exercise.resolve()
    except BaseException as error:
        yield failure(error, "the file cannot be imported: ")
        return
    for layer_sizes, seed in job["problems"]:
        for check in exercises.checks_of(exercise, tuple(layer_sizes), seed):
            try:
                yield json.dumps(vars(structure.make(check, function)), default=encode)
            except BaseException as error:
                yield failure(error)


def failure(error, before=""):
    """Write an error as an answer."""
    line = f"{before}{type(error).__name__}: {error}"
    return json.dumps({"result": None, "after": {}, "error": line})


def encode(value):
    """Write what JSON has no word for: an array as its bytes, a complex number as two."""
    if isinstance(value, complex):
        return {"real": value.real, "imag": value.imag}
    content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"dtype": value.dtype.str, "shape": value.shape, "bytes": content}


def decode(entry):
    """Read what `encode` wrote; ValueError or TypeError for what it does not write."""
    if entry.keys() == {"real", "imag"}:
        return complex(entry["real"], entry["imag"])
    if entry.keys() != {"dtype", "shape", "bytes"}:
        return entry
    dtype = np.dtype(entry["dtype"])
    if dtype.kind not in "biufc":
        raise ValueError(f"{dtype} is no type of numbers")
    return np.frombuffer(base64.b64decode(entry["bytes"]), dtype).reshape(entry["shape"])


def prctl(option, value):
    """Call prctl(2)."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
