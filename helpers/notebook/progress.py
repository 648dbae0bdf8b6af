"""What moves while a cell runs: a line rewritten in place, a picture that grows with training.

The recorded notebook keeps what was shown last; all of it may differ from run to run.
"""

import secrets
import time

from IPython import get_ipython
from IPython.display import display

from helpers.notebook.records import VARIES

PROGRESS = "application/vnd.helpers.progress+json"
"""Marks a line that tells how far a long cell is: the command line shows these and no others."""
SECONDS = 1.0
"""Between two drawings of a growing picture, at least."""


class live:
    """A line that shows how far a long cell is; ``update(text)`` replaces it."""

    def __init__(self):
        self._handle = display(_line(""), raw=True, display_id=True)

    def update(self, text):
        """Replace the line."""
        self._handle.update(_line(text), raw=True)


class watch:
    """A picture that is drawn again as a network trains, and under it a line for each epoch.

    Give it to `helpers.sgd.train` as ``on_epoch``. It draws at most once a second, and at the end.

    Parameters
    ----------
    draw : callable
        Takes a `helpers.sgd.History`, returns a picture of `helpers.figures`.
    """

    def __init__(self, draw):
        self._draw, self._id, self._next = draw, secrets.token_hex(8), 0.0

    def __call__(self, history):
        self._history = history
        if time.monotonic() >= self._next:
            self._show()
        display(_line(history.line()), raw=True)

    def _show(self):
        data, metadata = self._draw(self._history).bundle()
        again = {"display_id": self._id, "update": self._next > 0}
        display(data | {VARIES: {}}, raw=True, metadata=metadata, **again)
        if not self._next:
            get_ipython().events.register("post_run_cell", self._end)
        self._next = time.monotonic() + SECONDS

    def _end(self, result):
        """Draw the last epoch when the cell ends, however it ends."""
        get_ipython().events.unregister("post_run_cell", self._end)
        self._show()


def _line(text):
    return {"text/plain": text, VARIES: {}, PROGRESS: {}}
