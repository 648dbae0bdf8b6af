"""Show the code of a helper in a notebook, read from where it is implemented."""

import ast
import inspect
import textwrap

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

BACKGROUND, TEXT = "#f7f7f7", "#111111"
FORMATTER = HtmlFormatter(
    style="xcode",
    noclasses=True,
    cssstyles=f"background: {BACKGROUND}; color: {TEXT}; padding: 6px 10px; overflow-x: auto",
    prestyles=f"background: {BACKGROUND}; color: {TEXT}; margin: 0; white-space: pre-wrap; "
    "font-family: monospace",
)
"""Colours as hexadecimal numbers: JupyterLab takes words such as ``inherit`` out of a notebook that
it does not trust. The page looks the same there, light or dark, and as HTML."""


def source_of(item):
    """Read the source of a function or class without its docstring and indentation."""
    text = textwrap.dedent(inspect.getsource(item))
    first = ast.parse(text).body[0].body[0]
    lines = text.splitlines()
    if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
        del lines[first.lineno - 1 : first.end_lineno]
    return "\n".join(lines)


def show_source(*items):
    """Display the source of functions or methods as highlighted code.

    Parameters
    ----------
    *items : function or class
    """
    text = "\n\n".join(f"# {item.__module__}\n{source_of(item)}" for item in items)
    page = highlight(text, PythonLexer(), FORMATTER)
    display({"text/html": page, "text/plain": text}, raw=True)
