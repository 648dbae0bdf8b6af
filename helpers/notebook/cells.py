"""What stands in the cells of a notebook, read without running any of it.

A notebook is a dict: the JSON of its file as `read` gives it, or what nbformat makes of that.
"""

import ast
import json
from contextlib import suppress
from pathlib import Path

PARAMETERS = "application/vnd.helpers.parameters+json"
"""Marks the output that shows the parameters that a run has read."""
PARAMETERS_TAG, INJECTED_TAG = "parameters", "injected-parameters"
"""The tags of the parameters cell and of the cell that papermill puts after it."""


def read(path):
    """Read a notebook's file as plain JSON.

    Raises
    ------
    OSError, ValueError
        There is no such file, or it is no notebook of format 4.
    """
    notebook = json.loads(Path(path).read_text("utf-8"))
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or "cells" not in notebook:
        raise ValueError("not a notebook of format 4")
    return notebook


def source(cell):
    """Give the text of a cell; a file holds it as a list of lines."""
    return "".join(cell["source"])


def tagged(notebook, tag):
    """List the cells that carry a tag."""
    return [cell for cell in notebook["cells"] if tag in cell["metadata"].get("tags", [])]


def outputs(notebook, mime_type):
    """List what the cells of a notebook displayed under a MIME type."""
    shown = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if mime_type in output.get("data", {}):
                shown.append(output["data"][mime_type])
    return shown


def parameters_of(notebook, is_run=True):
    """Read a notebook's parameters; a dict, with lists for tuples.

    They are those that its run has shown or, without a run, the values in its parameters cell and
    in papermill's.
    """
    shown = outputs(notebook, PARAMETERS)
    if shown and is_run:
        return dict(shown[-1])
    values = {}
    for tag in (PARAMETERS_TAG, INJECTED_TAG):
        for cell in tagged(notebook, tag):
            values |= assigned(source(cell))
    return values


def assigned(text):
    """Give the names that code assigns plain values to, with the values; a dict.

    Tuples become lists; what is no literal, such as ``[64] * 3``, is left out.
    """
    values = {}
    with suppress(SyntaxError):  # of IPython's own, such as %time
        for statement in ast.parse(text).body:
            with suppress(AttributeError, ValueError):  # no assignment, or of no literal
                value = ast.literal_eval(statement.value)
                value = list(value) if isinstance(value, tuple) else value
                for target in getattr(statement, "targets", None) or [statement.target]:
                    values[ast.unparse(target)] = value
    return values
