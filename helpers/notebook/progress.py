"""What moves while a cell runs: a line rewritten in place, a picture that grows with training.

The recorded notebook keeps what was shown last; all of it may differ from run to run.
"""

import secrets

from IPython.core.getipython import get_ipython

from helpers.notebook.display import show
from helpers.notebook.records import VARIES

PROGRESS = "application/vnd.helpers.progress+json"
"""Marks a line that tells how far a long cell is: the command line shows these and no others."""


class ProgressLine:
    """A line that tells how far a long cell is; ``update(text)`` replaces it."""

    def __init__(self):
        self._display_id = secrets.token_hex(8)
        show(_line(""), display_id=self._display_id)

    def update(self, text):
        """Replace the line."""
        show(_line(text), display_id=self._display_id, update=True)


class LiveCurve:
    """A picture that is drawn again after each epoch of a training, and under it a line for each.

    So the curve of a training that diverges is there up to its last finite epoch.

    Parameters
    ----------
    draw : callable
        Takes a `helpers.history.History`, returns a picture of `helpers.figures`.

    The object is for `helpers.sgd.train` as ``on_epoch``.
    """

    def __init__(self, draw):
        self._draw = draw
        self._display_id = secrets.token_hex(8)
        self._is_shown = False

    def __call__(self, history):
        if get_ipython():
            data, metadata = self._draw(history).bundle()
            data = data | {VARIES: {}}
            show(data, metadata=metadata, display_id=self._display_id, update=self._is_shown)
            self._is_shown = True
        show(_line(history.line()))


def _line(text):
    return {"text/plain": text, VARIES: {}, PROGRESS: {}}
