"""What all figures share: the style, the `Picture` that a drawing becomes, axes and mosaics."""

import base64
import io
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
WIDTH = 6.7
"""Inches: the text width of an A4 page with margins of 2 cm, so nothing shrinks in print."""
PIXELS_PER_INCH = 110
"""Of the picture on a screen; the file holds more (savefig.dpi in the style file)."""
COLOURS = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
BLUE, RED = COLOURS[:2]
GREY, YELLOW = "#777777", "#F0E442"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its texts; the last line of a cell shows it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    caption : str
        What is drawn, and what good and bad look like; Markdown.
    alt : str
        What is to be seen, for who cannot see it.
    """

    figure: Figure
    caption: str
    alt: str

    def png(self):
        """Render the figure.

        Returns
        -------
        bytes
            A PNG file of 256 colours: a third of the size, and no difference that can be seen.
        """
        return self._png

    @cached_property
    def _png(self):
        """Drawn once: a second drawing would move everything by a fraction of a pixel."""
        drawn, reduced = io.BytesIO(), io.BytesIO()
        with matplotlib.rc_context(fname=STYLE):
            self.figure.savefig(drawn, format="png")
        picture = Image.open(drawn).convert("RGB")
        method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
        picture.quantize(256, method, dither=dither).save(reduced, format="png", optimize=True)
        return reduced.getvalue()

    def save(self, path):
        """Write the figure as a PNG file, atomically.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Picture
            Itself, so that ``figures.weight_tiles(W).save(path)`` ends a cell that shows it.
        """
        with files.replacing(path) as file:
            file.write(self.png())
        return self

    def bundle(self):
        """Give what Jupyter displays.

        Returns
        -------
        data, metadata : dict
            By MIME type; the alt text, the width on a screen and the caption are metadata.
        """
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.alt}
        width = round(self.figure.get_figwidth() * PIXELS_PER_INCH)
        return data, {"image/png": {"alt": self.alt, "width": width}, "caption": self.caption}

    def _ipython_display_(self):
        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)
        display({"text/markdown": f"*{self.caption}*", "text/plain": self.caption}, raw=True)


def picture(caption, alt):
    """Make a `Picture`, drawn under the style file, of a function's figure and title."""

    def decorate(draw):
        @wraps(draw)
        def drawn(*args, **kwargs):
            with matplotlib.rc_context(fname=STYLE):
                fig, title = draw(*args, **kwargs)
                fig.suptitle(title, x=0.01, ha="left")
            return Picture(fig, caption, alt)

        return drawn

    return decorate


def figure(height, rows=1, columns=1, **options):
    """Make a figure of full width with a grid of axes."""
    fig = Figure(figsize=(WIDTH, height))
    return fig, fig.subplots(rows, columns, **options)


def in_percent(*axes):
    """Label shares as percentages."""
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1))


def show_tiles(ax, rows, columns, cmap, limit):
    """Draw rows of 784 numbers as images; gaps are grey, so that a white pixel is not one."""
    mosaic = np.ma.masked_invalid(tile_W0(rows, columns))
    shown = ax.imshow(mosaic, cmap=cmap, vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[], facecolor="#C8C8C8")
    ax.spines[:].set_visible(False)
    return shown


def label_tiles(ax, names):
    """Write a name beside each line of tiles."""
    height = IMAGE_SHAPE[0] + GAP
    ax.set_yticks([height * (k + 0.5) for k in range(len(names))], names)
    ax.tick_params(length=0)
