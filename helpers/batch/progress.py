"""Lines for whoever watches: results matter more than these."""

import os
import sys
import time

LINE_EVERY = 15
"""Seconds between two lines that tell how far a part is."""


def say(text, stream=None):
    """Print a line; if nobody reads it any more, as after ``| head -1``, go on in silence."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def now_and_then(name):
    """Make a function that says a line if the last one is some seconds ago."""
    next_line = time.monotonic() + LINE_EVERY

    def show(text):
        nonlocal next_line
        if time.monotonic() >= next_line:
            say(f"{name}: {' '.join(text.split())}")
            next_line = time.monotonic() + LINE_EVERY

    return show
