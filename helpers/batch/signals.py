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
    _listen(_interrupt)
    sys.unraisablehook = _report


def end_if_interrupted():
    """Raise again what Python dropped."""
    if received:
        raise KeyboardInterrupt


@contextmanager
def waiting():
    """Let the signals that come during a block wait until it has ended."""
    came = []
    handlers = _listen(lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def _listen(handler):
    """Let a handler hear what is not ignored; give those that heard it before."""
    heard = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def _interrupt(number, frame):
    received.append(number)
    logging.getLogger("asyncio").disabled = True  # it would tell of the cell that is given up
    raise KeyboardInterrupt


def _report(unraisable):
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
