"""Shown source is the code without its docstring; that it is what runs: test_settings.py."""

import ast

import pytest

from helpers import history, network
from helpers.notebook import sources


@pytest.mark.parametrize("item", [network.unpack, history.History.line, history.History])
def test_shown_source_is_the_code_without_its_docstring(item):
    text = sources.source_of(item)
    [shown] = ast.parse(text).body
    assert ast.get_docstring(shown) is None
    assert shown.name == item.__name__
    assert item.__doc__.strip().splitlines()[0] not in text
