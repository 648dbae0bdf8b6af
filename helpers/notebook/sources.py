"""Show the code of a helper in a notebook, read from where it is implemented."""

import ast
import inspect
import textwrap

from helpers.notebook.display import show


def source_of(item):
    """Read the source of a function or class without its docstring and indentation."""
    text = textwrap.dedent(inspect.getsource(item))
    [node], lines = ast.parse(text).body, text.splitlines()
    if ast.get_docstring(node):
        del lines[node.body[0].lineno - 1 : node.body[0].end_lineno]
    return "\n".join(lines)


def show_source(*items):
    """Display the source of functions, classes or methods, in the colours of whoever shows it."""
    text = "\n\n".join(f"# {item.__module__}\n{source_of(item)}" for item in items)
    show({"text/markdown": f"```python\n{text}\n```", "text/plain": text})
