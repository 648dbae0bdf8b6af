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
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image

from helpers import files
from helpers.analysis import GAP, tile_W0
from helpers.data import IMAGE_SHAPE

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 6.7
"""Inches: the text width of an A4 page with margins of 2 cm, so nothing shrinks in print."""
PIXELS_PER_INCH = 110
"""Of the picture on a screen; the file holds more (savefig.dpi in the style file)."""
ORANGE = "C1"
GREY = "#777777"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its caption and its text alternative; the last line of a cell shows it."""

    figure: Figure
    caption: str
    alt: str

    @cached_property
    @matplotlib.rc_context(fname=STYLE)
    def png(self):
        """bytes : a file of 256 colours, a third of the size, and no difference that can be seen.

        Drawn once: a second drawing would move everything by a fraction of a pixel.
        """
        drawn = io.BytesIO()
        self.figure.savefig(drawn)
        picture = Image.open(drawn).convert("RGB")
        method = Image.Quantize.MAXCOVERAGE
        reduced = picture.quantize(256, method, dither=Image.Dither.NONE)
        file = io.BytesIO()
        reduced.save(file, format="png", optimize=True)
        return file.getvalue()

    def save(self, path):
        """Write the PNG file, atomically.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Picture
            Itself, so that ``figures.show_W0(W).save(path)`` ends a cell that shows it.
        """
        files.write_bytes(path, self.png)
        return self

    def bundle(self):
        """Give what Jupyter displays: data by MIME type, and metadata (alt, width, caption)."""
        content = base64.b64encode(self.png).decode()
        width = round(self.figure.get_figwidth() * PIXELS_PER_INCH)
        metadata = {"image/png": {"alt": self.alt, "width": width}, "caption": self.caption}
        return {"image/png": content, "text/plain": self.alt}, metadata

    def _ipython_display_(self):
        data, metadata = self.bundle()
        display(data, metadata=metadata, raw=True)
        display({"text/markdown": f"*{self.caption}*", "text/plain": self.caption}, raw=True)


def picture(caption, alt):
    """Turn a function that returns a figure and its title into one that returns a `Picture`.

    Parameters
    ----------
    caption : str
        What is drawn, and what good and bad look like, in Markdown; line breaks count as spaces.
        The same in every run, since a recorded notebook is compared with it.
    alt : str
        What is to be seen, for those who cannot see it.
    """
    caption = " ".join(caption.split())
    alt = " ".join(alt.split())

    def decorate(draw):
        @wraps(draw)
        @matplotlib.rc_context(fname=STYLE)
        def drawn(*args, **kwargs):
            fig, title = draw(*args, **kwargs)
            fig.suptitle(title, x=0.01, ha="left")
            return Picture(fig, caption, alt)

        return drawn

    return decorate


def figure(height, rows=1, columns=1, **options):
    """Make a figure of full width with a grid of axes."""
    fig = Figure(figsize=(WIDTH, height))
    return fig, fig.subplots(rows, columns, **options)


def number_log_axis(axis):
    """Give a logarithmic axis plain numbers, and ticks between the powers of 10."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def show_image(ax, pixels):
    """Draw 784 pixels as one image, dark on white."""
    ax.imshow(pixels.reshape(IMAGE_SHAPE), cmap="gray_r", vmin=-0.5, vmax=0.5)
    ax.set_axis_off()


def show_tiles(ax, rows, columns, cmap, limit, names=()):
    """Draw rows of 784 numbers as images, a name beside each line; gaps are grey, not white."""
    mosaic = np.ma.masked_invalid(tile_W0(rows, columns))
    shown = ax.imshow(mosaic, cmap=cmap, vmin=-limit, vmax=limit)
    ax.set(xticks=[], facecolor="#C8C8C8")
    ax.set_yticks(tile_centres(len(names)), names)
    without_frame(ax)
    return shown


def without_frame(ax):
    """Remove ticks, spines and grid, which only distract around images and maps."""
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def write_cell(ax, row, column, text, is_dark):
    """Write into a cell of a matrix that `imshow` drew."""
    colour = "white" if is_dark else "black"
    ax.text(column, row, text, ha="center", va="center", color=colour)


def tile_centres(count):
    """Find where the first `count` lines (or columns) of a mosaic have their centres."""
    return (IMAGE_SHAPE[0] + GAP) * (np.arange(count) + 0.5)
