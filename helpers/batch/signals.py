"""Signals that end a run cleanly: Ctrl-C, a kill, a closed terminal.

A signal raises nothing where it happens to arrive. It is noted, and the running kernel is killed;
what waits for the kernel then fails, cleans up as after any failure, and `check` says why. So any
number of further signals can come meanwhile. Results are safe: files are replaced atomically.
"""

import signal

from helpers.errors import OneLineError

ENDING = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
"""Windows has no SIGHUP."""
_received = []
_kernels = []


class Interrupted(OneLineError):
    """A signal asked this process to end; ``number`` is the first that did."""

    def __init__(self, number):
        self.number = number
        super().__init__(f"interrupted by {signal.Signals(number).name}")


def handle():
    """Note the signals that end a run, unless whoever started this process ignores them."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _note)


def check():
    """Raise Interrupted if a signal has come."""
    if _received:
        raise Interrupted(_received[0])


def kill_when_interrupted(kernel):
    """Kill a kernel, a `subprocess.Popen`, when a signal comes, or now if one has come."""
    _kernels.append(kernel)
    if _received:
        _kill_kernels()


def _note(number, frame):
    _received.append(number)
    _kill_kernels()


def _kill_kernels():
    for kernel in _kernels:
        kernel.kill()  # does nothing to one that has ended
