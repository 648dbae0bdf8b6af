"""Shown source is the code that runs, without its docstring."""

import ast
import os
import shutil

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from helpers import history, network, sgd
from helpers.files import PROJECT
from helpers.notebook import sources


@pytest.mark.parametrize(
    "item", [network.unpack, network.backprop, sgd.step, history.History.line, history.History]
)
def test_shown_source_is_the_code_without_its_docstring(item):
    text = sources.source_of(item)
    [shown] = ast.parse(text).body
    assert ast.get_docstring(shown) is None
    assert shown.name == item.__name__
    assert item.__doc__.strip().splitlines()[0] not in text


def undocumented(x):
    return x + 1


def test_source_without_a_docstring_is_shown_whole(monkeypatch):
    shown = []
    monkeypatch.setattr(sources, "show", shown.append)
    sources.show_source(undocumented, sgd.step)
    plain = shown[0]["text/plain"]
    assert plain.startswith(
        f"# {__name__}\ndef undocumented(x):\n    return x + 1\n\n# helpers.sgd\n"
    )
    assert shown == [{"text/markdown": f"```python\n{plain}\n```", "text/plain": plain}]


EDITS = {
    "a function": ("network.py", " / len(images)", "", "network.backprop"),
    "a constant": ("sgd.py", "NUM_WATCHED = 6_000", "NUM_WATCHED = 60", "sgd.train"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_in_a_kernel_what_is_shown_is_what_runs_and_a_line_names_files_edited_since(edit, tmp_path):
    name, right, wrong, shown = EDITS[edit]
    shutil.copytree(PROJECT / "helpers", tmp_path / "helpers")
    edited = tmp_path / "helpers" / name
    lines = (
        "from pathlib import Path\nfrom helpers import network, notebook, sgd",
        f"notebook.show_source({shown})",
        f"path = Path({str(edited)!r})\n"
        f"path.write_text(path.read_text().replace({right!r}, {wrong!r}))",
        f"notebook.show_source({shown})",
        'notebook.check("A4")',
    )
    book = new_notebook(cells=[new_code_cell(text) for text in lines])
    client = NotebookClient(book, timeout=60, kernel_name="python3")
    client.execute(cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    texts = [[each.data["text/plain"] for each in cell.outputs] for cell in book.cells]
    assert right not in edited.read_text("utf-8")
    [before], [line, after], [line_again, verdict] = texts[1], texts[3], texts[4]
    assert after == before
    assert line == line_again and f"helpers/{name}" in line and "Restart" in line
    assert verdict.startswith("A4 backprop: right")
