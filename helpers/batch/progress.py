"""Lines for whoever watches: results matter more than these."""

import os
import sys


def say(text, stream=None):
    """Print a line; if nobody reads it any more, as after ``| head -1``, go on in silence."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
