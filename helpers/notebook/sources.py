"""Show the code of a helper in a notebook, as it stands in its file now.

A notebook reloads files that were edited (`helpers.notebook.settings`), so it is what runs.
"""

import ast
import inspect
import textwrap
from pathlib import Path

from helpers.notebook.display import show


def source_of(item):
    """Read the source of a function or class without its docstring and indentation.

    It is found by its name: the line numbers that Python knows are those of an earlier edit.
    """
    text = Path(inspect.getsourcefile(item)).read_text("utf-8")
    node = ast.parse(text)
    for name in item.__qualname__.split("."):
        for definition in node.body:
            if getattr(definition, "name", "") == name:
                node = definition
                break
    source = ast.get_source_segment(text, node, padded=True)
    if ast.get_docstring(node):
        docstring = ast.get_source_segment(text, node.body[0], padded=True)
        source = source.replace(f"{docstring}\n", "", 1)
    return textwrap.dedent(source)


def show_source(*items):
    """Display the source of functions, classes or methods, in the colours of whoever shows it."""
    sources = []
    for item in items:
        sources.append(f"# {item.__module__}\n{source_of(item)}")
    text = "\n\n".join(sources)
    show({"text/markdown": f"```python\n{text}\n```", "text/plain": text})
