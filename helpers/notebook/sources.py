"""Show the code of a helper in a notebook, read from where it is implemented."""

import ast
import inspect
import textwrap

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

FORMATTER = HtmlFormatter(
    noclasses=True,
    cssstyles="background: #f7f7f7; color: #222222; padding: 0.4em 0.6em; overflow-x: auto",
    prestyles="margin: 0; font-family: monospace; background: none; color: inherit",
)
"""Colours written into the page: it looks the same in JupyterLab, light or dark, and as HTML."""


def source_of(item):
    """Read the source of a function or method without its docstring.

    Parameters
    ----------
    item : function or class

    Returns
    -------
    str
        Without indentation in front of the first line.
    """
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
