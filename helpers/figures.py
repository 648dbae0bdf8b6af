"""Every picture, drawn from numbers that are already computed, in one style.

A drawing function takes arrays or table rows and returns a matplotlib figure; `show` displays it
in a notebook and `png` turns it into bytes for a file. Titles state what was found, and for that
the functions count and average a little. Left out: training, reading data, writing files.
"""

import base64
import io
from functools import wraps
from pathlib import Path

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure

STYLE = Path(__file__).with_suffix(".mplstyle")
WIDTH = 6.7
"""Inches: the text width of an A4 page with margins of 2 cm, so nothing shrinks in print."""
PIXELS_PER_INCH = 110
"""Of the picture on a screen; the file holds more (savefig.dpi in the style file)."""


def in_style(draw):
    """Make a function run under the style file, whatever the notebook's own settings are."""

    @wraps(draw)
    def styled(*args, **kwargs):
        with matplotlib.rc_context(fname=STYLE):
            return draw(*args, **kwargs)

    return styled


@in_style
def png(fig):
    """Render a figure.

    Parameters
    ----------
    fig : matplotlib.figure.Figure

    Returns
    -------
    bytes
        A PNG file, the same for the same figure and matplotlib.
    """
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def show(fig, caption, alt):
    """Display a figure once, with its caption under it, and close it.

    The picture's output carries ``metadata["image/png"]["alt"]`` and ``metadata["caption"]``,
    which the report reads. Both texts should hold no figures that vary from run to run.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    caption : str
        What good and bad look like; Markdown is understood.
    alt : str
        What is to be seen, for who cannot see it.
    """
    picture = base64.b64encode(png(fig)).decode()
    width = round(fig.get_figwidth() * PIXELS_PER_INCH)
    fig.clear()
    display(
        {"image/png": picture, "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": width}, "caption": caption},
        raw=True,
    )
    display({"text/markdown": f"*{caption}*", "text/plain": caption}, raw=True)


def _figure(height, rows=1, columns=1, **options):
    """Make a figure of full width with a grid of axes."""
    fig = Figure(figsize=(WIDTH, height))
    return fig, fig.subplots(rows, columns, **options)
