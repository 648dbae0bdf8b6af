"""What moves while a cell runs: a line rewritten in place, a picture that grows with training.

The recorded notebook keeps what was shown last; all of it may differ from run to run.
"""

import secrets
import time

from IPython.core.getipython import get_ipython

from helpers.notebook.display import show
from helpers.notebook.records import VARIES

PROGRESS = "application/vnd.helpers.progress+json"
"""Marks a line that tells how far a long cell is: the command line shows these and no others."""
SECONDS_BETWEEN_DRAWINGS = 1.0


class ProgressLine:
    """A line that tells how far a long cell is; ``update(text)`` replaces it."""

    def __init__(self):
        self._display_id = secrets.token_hex(8)
        show(_line(""), display_id=self._display_id)

    def update(self, text):
        """Replace the line."""
        show(_line(text), display_id=self._display_id, update=True)


class LiveCurve:
    """A picture that is drawn again as a network trains, and under it a line for each epoch.

    It is drawn at most once a second, and at the end of the cell, however that ends: the curve of a
    training that diverges is there up to its last finite epoch.

    Parameters
    ----------
    draw : callable
        Takes a `helpers.history.History`, returns a picture of `helpers.figures`.

    The object is for `helpers.sgd.train` as ``on_epoch``.
    """

    def __init__(self, draw):
        self._draw = draw
        self._display_id = secrets.token_hex(8)
        self._next_drawing = 0.0
        self._history = None

    def __call__(self, history):
        self._history = history
        if get_ipython() and time.monotonic() >= self._next_drawing:
            self._show_picture()
        show(_line(history.line()))

    def _show_picture(self):
        is_first = self._next_drawing == 0
        data, metadata = self._draw(self._history).bundle()
        data = data | {VARIES: {}}
        show(data, metadata=metadata, display_id=self._display_id, update=not is_first)
        if is_first:
            get_ipython().events.register("post_run_cell", self._end)
        self._next_drawing = time.monotonic() + SECONDS_BETWEEN_DRAWINGS

    def _end(self, result):
        """Draw the last epoch when the cell ends."""
        get_ipython().events.unregister("post_run_cell", self._end)
        self._show_picture()


def _line(text):
    return {"text/plain": text, VARIES: {}, PROGRESS: {}}
