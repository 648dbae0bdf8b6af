"""What all figures share: the style, the `Picture` that a drawing becomes, axes and mosaics."""

import base64
import io
import tomllib
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from helpers import files
from helpers.analysis import GAP, tile_W0
from helpers.data import IMAGE_SHAPE

STYLE = Path(__file__).with_name("style.mplstyle")
TEXTS = tomllib.loads(STYLE.with_name("captions.toml").read_text("utf-8"))
WIDTH = 6.7
"""Inches: the text width of an A4 page with margins of 2 cm, so nothing shrinks in print."""
PIXELS_PER_INCH = 110
"""Of the picture on a screen; the file holds more (savefig.dpi in the style file)."""
BLUE, RED = "C0", "C1"  # the first colours of the style file
GREY, YELLOW = "#777777", "#F0E44266"  # the last two digits: see-through


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its texts, both from captions.toml; the last line of a cell shows it."""

    figure: Figure
    caption: str
    alt: str

    @cached_property
    @matplotlib.rc_context(fname=STYLE)
    def png(self):
        """bytes : a file of 256 colours, a third of the size, and no difference that can be seen.

        Drawn once: a second drawing would move everything by a fraction of a pixel.
        """
        drawn, reduced = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn)
        picture = Image.open(drawn).convert("RGB")
        method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        picture.quantize(256, method, dither=dither).save(reduced, format="png", optimize=True)
        return reduced.getvalue()

    def save(self, path):
        """Write the PNG file, atomically.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Picture
            Itself, so that ``figures.weight_tiles(W).save(path)`` ends a cell that shows it.
        """
        files.write_bytes(path, self.png)
        return self

    def bundle(self):
        """Give what Jupyter displays: data by MIME type, and metadata (alt, width, caption)."""
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        width = round(self.figure.get_figwidth() * PIXELS_PER_INCH)
        return data, {"image/png": {"alt": self.alt, "width": width}, "caption": self.caption}

    def _ipython_display_(self):
        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)
        display({"text/markdown": f"*{self.caption}*", "text/plain": self.caption}, raw=True)


def picture(draw):
    """Make a `Picture`, drawn under the style file, of a function's figure and title."""
    texts = {kind: " ".join(text.split()) for kind, text in TEXTS[draw.__name__].items()}

    @wraps(draw)
    @matplotlib.rc_context(fname=STYLE)
    def drawn(*args, **kwargs):
        fig, title = draw(*args, **kwargs)
        fig.suptitle(title, x=0.01, ha="left")
        return Picture(fig, **texts)

    return drawn


def figure(height, rows=1, columns=1, **options):
    """Make a figure of full width with a grid of axes."""
    fig = Figure(figsize=(WIDTH, height))
    return fig, fig.subplots(rows, columns, **options)


def in_percent(*axes):
    """Label shares as percentages."""
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1))


def show_tiles(ax, rows, columns, cmap, limit, names=()):
    """Draw rows of 784 numbers as images, a name beside each line; gaps are grey, not white."""
    mosaic = np.ma.masked_invalid(tile_W0(rows, columns))
    shown = ax.imshow(mosaic, cmap=cmap, vmin=-limit, vmax=limit)
    ax.set(xticks=[], facecolor="#C8C8C8")
    ax.set_yticks((IMAGE_SHAPE[0] + GAP) * (np.arange(len(names)) + 0.5), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown
