"""Shown source is the code that runs, in colours that an untrusted notebook keeps."""

import ast
import re

import pytest

from helpers import network, sgd
from helpers.notebook import sources


@pytest.mark.parametrize("item", [network.unpack, network.backprop, sgd.step, sgd.History.line])
def test_shown_source_is_the_code_without_its_docstring(item):
    text = sources.source_of(item)
    [shown] = ast.parse(text).body
    assert ast.get_docstring(shown) is None
    assert shown.name == item.__name__
    assert '"""' not in text
    assert item.__doc__.strip().splitlines()[0] not in text


def undocumented(x):
    return x + 1


def test_source_without_a_docstring_is_shown_whole():
    assert sources.source_of(undocumented) == "def undocumented(x):\n    return x + 1"


def test_every_colour_is_a_hexadecimal_number(monkeypatch):
    """JupyterLab's sanitizer drops words such as `inherit`: white text on light grey was left."""
    shown = []
    monkeypatch.setattr(sources, "display", lambda data, raw: shown.append(data["text/html"]))
    sources.show_source(network.backprop)
    [page] = shown
    colours = re.findall(r"(?<![-\w])(?:background|color): ([^;\"]+)", page)
    assert len(colours) > 10
    assert all(re.fullmatch(r"#[0-9A-Fa-f]{3,6}", colour.strip()) for colour in colours)
    boxes = re.findall(r"<(?:div|pre)[^>]* style=\"([^\"]*)\"", page)
    assert all("background: #" in style and "color: #" in style for style in boxes)
