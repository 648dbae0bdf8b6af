"""Recorded figures: what they show, what they admit, what they refuse, how they are read back."""

import json
import math
from dataclasses import asdict

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.notebook import records
from helpers.notebook.records import (
    RECORD,
    VARIES,
    Record,
    live,
    read_records,
    record,
    varies,
    varies_table,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


class Handle:
    """What IPython gives back for an output that can be updated."""

    def __init__(self, shown):
        self._shown = shown

    def update(self, data, raw):
        self._shown[-1] = data


@pytest.fixture
def shown(monkeypatch):
    """Give the list of what is displayed, as a notebook would hold it in the end."""
    outputs = []

    def display(data, raw, display_id=False):
        outputs.append(data)
        return Handle(outputs) if display_id else None

    monkeypatch.setattr(records, "display", display)
    return outputs


def notebook_of(outputs):
    """Put displayed data into a notebook of one cell."""
    cells = [nbformat.v4.new_output("display_data", data) for data in outputs]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=cells)])


@pytest.mark.parametrize(
    ("value", "bound", "line"),
    [
        (0.87125, {"abs": 0.008}, "x = 0.87125   (± 0.008)"),
        (2.5, {"rel": 1e-6}, "x = 2.5   (± 1e-06 relative)"),
        (3.1e-7, {"at_most": 1e-5}, "x = 3.1e-07   (at most 1e-05)"),
        (0.92, {"at_least": 0.9}, "x = 0.92   (at least 0.9)"),
        (59_210, {}, "x = 59,210   (exact)"),
        (np.int64(59_210), {}, "x = 59,210   (exact)"),
        (np.float32(0.5), {"abs": np.float64(0.25)}, "x = 0.5   (± 0.25)"),
    ],
)
def test_shows_one_readable_line_and_the_same_as_json(shown, value, bound, line):
    record("x", value, **bound)
    [data] = shown
    assert data["text/plain"] == line
    assert str(Record(**json.loads(json.dumps(data[RECORD])))) == line


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_refuses_values_that_are_not_finite(shown, value):
    with pytest.raises(ValueError, match=r"loss = .*: only finite figures are recorded"):
        record("loss", value, abs=1)
    assert shown == []


@pytest.mark.parametrize("limit", [math.nan, math.inf])
def test_refuses_limits_that_are_not_finite(shown, limit):
    with pytest.raises(ValueError, match="only finite"):
        record("loss", 1.0, at_most=limit)


@pytest.mark.parametrize(
    ("value", "bound"),
    [(2.0, {"at_most": 1}), (0.5, {"at_least": 1}), (1.0, {"abs": -0.1}), (1.0, {"rel": -0.1})],
)
def test_refuses_a_value_outside_its_own_bound(shown, value, bound):
    with pytest.raises(ValueError, match="outside its own bound"):
        record("x", value, **bound)


@pytest.mark.parametrize("bound", [{"abs": 1, "rel": 1}, {"about": 1}, {"exactly": 0}])
def test_takes_one_known_bound(shown, bound):
    with pytest.raises(TypeError, match="give one of abs, rel, at_most, at_least"):
        record("x", 1.0, **bound)


@pytest.mark.parametrize(
    "payload",
    [
        {"name": "x", "value": 1, "bound": "about", "limit": 1},
        {"name": "x", "value": 1, "bound": "at_most", "limit": 0},
        {"name": "x", "value": math.nan, "bound": "abs", "limit": 1},
        {"name": "x", "value": "1", "bound": "abs", "limit": 1},
        {"name": "x", "value": 1, "bound": "abs"},
    ],
)
def test_an_edited_payload_is_refused(payload):
    with pytest.raises((ValueError, TypeError)):
        Record(**payload)


@given(value=FINITE, limit=st.floats(0, 1e3), other=FINITE)
def test_abs_admits_what_is_within_its_distance(value, limit, other):
    assert Record("x", value, "abs", limit).admits(other) == (abs(other - value) <= limit)


@given(value=FINITE, other=FINITE)
def test_a_count_admits_only_itself(value, other):
    entry = Record("x", value, "exactly", 0)
    assert entry.admits(value)
    assert entry.admits(other) == (other == value)


@pytest.mark.parametrize(
    ("bound", "limit", "inside", "outside"),
    [
        ("abs", 0.5, [1.5, 2.5], [1.499, 2.501]),
        ("rel", 0.25, [1.5, 2.5], [1.499, 2.501]),
        ("at_most", 3, [-9.0, 3.0], [3.001]),
        ("at_least", 1, [1.0, 9.0], [0.999]),
        ("exactly", 0, [2, 2.0], [2.000001, 1]),
    ],
)
def test_bounds_worked_by_hand(bound, limit, inside, outside):
    entry = Record("x", 2.0, bound, limit)
    assert all(entry.admits(value) for value in inside)
    assert not any(entry.admits(value) for value in [*outside, math.nan, math.inf, -math.inf])


def test_rel_is_relative_to_the_size_of_a_negative_value():
    assert Record("x", -2.0, "rel", 0.25).admits(-2.5)
    assert not Record("x", -2.0, "rel", 0.25).admits(-2.51)


def test_reads_back_in_order(shown):
    record("b", 1.0, abs=0.1)
    varies("3 s")
    record("a", 7)
    found = read_records(notebook_of(shown))
    assert list(found.items()) == [
        ("b", Record("b", 1.0, "abs", 0.1)),
        ("a", Record("a", 7, "exactly", 0)),
    ]


def test_refuses_two_figures_of_one_name(shown):
    record("a", 1)
    record("a", 2)
    with pytest.raises(ValueError, match="two recorded figures have the same name"):
        read_records(notebook_of(shown))


def test_reads_nothing_from_prose_and_plain_cells():
    cells = [nbformat.v4.new_markdown_cell("text"), nbformat.v4.new_code_cell("1")]
    assert read_records(nbformat.v4.new_notebook(cells=cells)) == {}


def test_a_live_line_is_one_output_with_its_last_text(shown):
    line = live()
    for epoch in range(3):
        line.update(f"epoch {epoch}")
    assert shown == [{"text/plain": "epoch 2", VARIES: {}}]


def test_a_table_that_varies_is_aligned_and_escaped(shown):
    varies_table([{"what": "a<b", "s": "1.25"}, {"what": "c", "s": "10"}])
    [data] = shown
    assert data["text/plain"] == "what     s\n a<b  1.25\n   c    10"
    assert "<td>a&lt;b</td><td>1.25</td>" in data["text/html"]
    assert VARIES in data


def test_outside_a_notebook_a_live_line_is_printed(monkeypatch, capsys):
    monkeypatch.setattr(records, "display", lambda *args, **kwargs: None)
    live().update("took 3 s")
    assert capsys.readouterr().out == "took 3 s\n"


@given(value=FINITE, limit=st.floats(1e-9, 1e9))
def test_json_keeps_every_bit(value, limit):
    entry = Record("x", value, "abs", limit)
    assert Record(**json.loads(json.dumps(asdict(entry)))) == entry
