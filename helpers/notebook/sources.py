"""Show the code of a helper in a notebook: as it was imported, which is what runs.

A file that is edited while the kernel runs changes nothing in it. So the texts are read when this
module is, at the top of a notebook, and a line says if a file is another one by now.
"""

import ast
import html
import inspect
import textwrap
from pathlib import Path

from helpers.files import PROJECT
from helpers.notebook.display import show

RED = "#b00020"  # hexadecimal: other ways to say a colour are dropped by JupyterLab
HELPERS = PROJECT / "helpers"
IMPORTED = {path: path.read_text("utf-8") for path in sorted(HELPERS.rglob("*.py"))}
"""The texts of all files, as they were when the notebook started."""


def source_of(item):
    """Read the source of a function or class without its docstring and indentation."""
    path = Path(inspect.getsourcefile(item))
    text = IMPORTED.get(path) or path.read_text("utf-8")
    node = find(ast.parse(text), item.__qualname__.split("."))
    lines = text.splitlines()
    first, last = node.lineno - 1, node.end_lineno
    if node.decorator_list:
        first = node.decorator_list[0].lineno - 1
    shown = lines[first:last]
    if ast.get_docstring(node):
        docstring = node.body[0]
        del shown[docstring.lineno - 1 - first : docstring.end_lineno - first]
    return textwrap.dedent("\n".join(shown))


def find(tree, names):
    """Find the definition of a function or class, e.g. ["History", "line"], in a syntax tree."""
    for name in names:
        [tree] = [node for node in tree.body if getattr(node, "name", "") == name]
    return tree


def changed_line():
    """Say which files are others by now than those that run; nothing if none is."""
    changed = [
        str(path.relative_to(PROJECT))
        for path, text in IMPORTED.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if not changed:
        return ""
    return f"Changed since this kernel started, and not what runs: {', '.join(changed)}. Restart."


def show_source(*items):
    """Display the source of functions, classes or methods, in the colours of whoever shows it.

    What is shown is what runs; a line above it names the files that have been changed since.
    """
    text = "\n\n".join(f"# {item.__module__}\n{source_of(item)}" for item in items)
    changed = changed_line()
    if changed:
        show_box(changed, RED)
    show({"text/markdown": f"```python\n{text}\n```", "text/plain": text})


def show_box(text, colour):
    """Display a line in white letters on a colour, so that nobody overlooks it, day or night."""
    style = f"background-color: {colour}; color: #ffffff; padding: 8px 12px; font-weight: bold"
    box = f'<div style="{style}">{html.escape(text)}</div>'
    show({"text/plain": text, "text/html": box})
