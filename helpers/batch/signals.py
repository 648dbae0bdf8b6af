"""Signals that end a run in order: what is under way is cleaned up, the exit status tells which.

Python drops an exception that a signal raises while an object is finalised; so what came is kept.
"""

import logging
import signal
import sys
from contextlib import contextmanager

ENDING = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
"""Ctrl-C, a kill, a closed terminal (which Windows does not have)."""
received = []


def handle():
    """Let a signal raise KeyboardInterrupt, unless whoever started this process ignores it."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _report


def end_if_interrupted():
    """Raise again what Python dropped."""
    if received:
        raise KeyboardInterrupt


def exit_status():
    """Give the exit status of a run that was interrupted."""
    return 128 + (received or [signal.SIGINT])[0]


@contextmanager
def waiting():
    """Let the signals that come during a block wait until it has ended."""
    came, handlers = [], {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if handlers[number] != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number in ENDING:
            signal.signal(number, handlers[number])
    for number in came:
        signal.raise_signal(number)


def _interrupt(number, frame):
    received.append(number)
    logging.getLogger("asyncio").disabled = True  # it would tell of the cell that is given up
    raise KeyboardInterrupt


def _report(unraisable):
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
