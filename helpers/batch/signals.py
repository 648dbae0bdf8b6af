"""Signals that end a run cleanly: Ctrl-C, a kill, a closed terminal.

A signal raises nothing where it happens to arrive. It is noted, and the running kernel and its
workers are killed; what waits for the kernel then fails, cleans up as after any failure, and
`check` says why. So any number of further signals can come meanwhile.
"""

import signal
from contextlib import suppress

import psutil

from helpers.errors import OneLineError

ENDING = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
"""Windows has no SIGHUP."""
_received = []


class Interrupted(OneLineError):
    """A signal asked this process to end; ``status`` is the exit status for it."""

    def __init__(self, number):
        self.status = 128 + number
        super().__init__("interrupted; what was finished is kept, the same command goes on with it")


def handle():
    """Note the signals that end a run, unless whoever started this process ignores them."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _note)


def check():
    """Raise Interrupted if a signal has come."""
    if _received:
        raise Interrupted(_received[0])


def _note(number, frame):
    _received.append(number)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            process.kill()
