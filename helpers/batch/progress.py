"""One line that tells how far a part is: in place in a terminal, elsewhere now and then."""

import shutil
import sys
import time
from contextlib import contextmanager

LINE_EVERY = 15
"""Seconds between two lines where there is no terminal."""


@contextmanager
def progress(name):
    """Yield a function that shows a line; say at the end how long the block took."""
    line = _Line(name)
    state = "stopped after"
    try:
        yield line.show
        state = "done in"
    finally:
        line.clear()
        print(f"{name}: {state} {line.seconds():.0f} s", flush=True)


class _Line:
    def __init__(self, name):
        self.name = name
        self.begin = time.monotonic()
        self.shown_at = 0.0
        self.columns = shutil.get_terminal_size().columns - 1

    def seconds(self):
        return time.monotonic() - self.begin

    def show(self, text):
        text = " ".join(text.split())
        if sys.stdout.isatty():
            text = f"{self.name} {self.seconds():.0f} s  {text}"
            print("\r" + text[: self.columns].ljust(self.columns), end="", flush=True)
        elif self.seconds() - self.shown_at >= LINE_EVERY:
            print(f"{self.name}: {text}", flush=True)
            self.shown_at = self.seconds()

    def clear(self):
        if sys.stdout.isatty():
            print("\r" + " " * self.columns, end="\r")
