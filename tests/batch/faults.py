"""Small runs of the command, and signals that hit them."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import psutil

from helpers import files

MARK = "HELPERS_TEST_RUN"
KERNEL, WORKER = "ipykernel_launcher", "--multiprocessing-fork"
SMALL = {
    "a": "hidden_layers 4 num_epochs 1 batch_size 1000",
    "c": "num_hidden_layers 0,1 num_units 4 num_epochs 1,2 batch_size 1000 "
    "learning_rate 0.05,0.1 repeat_top 1 repeat_seeds 2",
}
TWO_SIGNALS = "two signals to the command"
KINDS = {
    "SIGINT to the command": ([SIGINT], {130, -2}),
    "SIGHUP to the command": ([SIGHUP], {129, -1}),
    "SIGKILL to the command": ([SIGKILL], {-9}),
    TWO_SIGNALS: ([SIGINT, SIGTERM], {130, 143, -2, -15}),
}
"""The signals, and the exit status that the command then has; a signal that comes before the run
has begun (-2, -15, -1) simply ends the command."""


def command(part, folder):
    """Write the command of a small run."""
    words = SMALL[part].split()
    line = [sys.executable, "-m", "helpers", part, "--quick", "--output", str(folder)]
    for name, value in zip(words[::2], words[1::2], strict=True):
        line += ["-p", name, value]
    return [*line, "--resume"] if part == "c" else line


def start(line, log):
    """Start a run whose processes, down to the last grandchild, carry a mark; give both."""
    mark = uuid.uuid4().hex
    hears_signals = ["env", "--default-signal=HUP,INT"]  # even below nohup
    where = {"cwd": files.PROJECT, "env": os.environ | {MARK: mark}}
    return subprocess.Popen([*hears_signals, *line], stdout=log, stderr=log, **where), mark


def family(mark, role=""):
    """List the living processes of a run, those that have a role if it is named."""
    living = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get(MARK) == mark
            if is_ours and any(role in word for word in process.cmdline()):
                living.append(process)
    return living


def survivors(mark, patience=20):
    """Give a run's processes some seconds to end; end those that do not, and count them."""
    deadline = time.monotonic() + patience
    while family(mark) and time.monotonic() < deadline:
        time.sleep(0.3)
    orphans = family(mark)
    for process in orphans:
        process.kill()
    return len(orphans)


def hit(process, kind, rng):
    """Send a running command its signals; give the exit statuses that it may have."""
    signals, statuses = KINDS[kind]
    for number in signals:
        process.send_signal(number)
        time.sleep(rng.uniform(0, 0.5))
    return statuses
