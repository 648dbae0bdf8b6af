"""What a notebook shows: recorded values and what they admit, what varies, what moves, source."""

import json
import math
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest

from helpers import notebook
from helpers.history import History
from helpers.notebook import progress, records
from helpers.notebook.progress import PROGRESS
from helpers.notebook.records import RECORD, VARIES, Record, RecordError, read_records, record


@pytest.fixture
def shown(monkeypatch):
    """Give the list of what is displayed, as a notebook would hold it in the end."""
    outputs, places = [], {}

    def show(data, display_id=None, metadata=None, update=False):
        if update:
            outputs[places[display_id]] = data
        else:
            places[display_id] = len(outputs)
            outputs.append(data)

    for module in records, progress:
        monkeypatch.setattr(module, "show", show)
    return outputs


def notebook_of(outputs):
    """Put displayed data into a notebook of one cell."""
    cells = [nbformat.v4.new_output("display_data", data) for data in outputs]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=cells)])


@pytest.mark.parametrize(
    ("value", "bound", "line"),
    [
        (0.5, {"abs": 0.008}, "x = 0.5   (a rerun may differ by 0.008)"),
        (2.5, {"rel": 1e-6}, "x = 2.5   (a rerun may differ by 1e-06 of the value)"),
        (3.1e-7, {"at_most": 1e-5}, "x = 3.1e-07   (must be at most 1e-05)"),
        (0.92, {"at_least": 0.9}, "x = 0.92   (must be at least 0.9)"),
        (np.int64(59_210), {}, "x = 59,210   (the same in every run)"),
        (2.0, {"at_most": np.float32(1)}, "x = 2   (FAILED: must be at most 1)"),
        (-math.inf, {"at_most": 1}, "x = not a finite number   (FAILED: must be at most 1)"),
    ],
)
def test_shows_one_readable_line_and_the_same_as_json(shown, value, bound, line):
    record("x", value, **bound)
    [data] = shown
    assert data["text/plain"] == line
    assert str(Record(**json.loads(json.dumps(data[RECORD], allow_nan=False)))) == line


VALID = {"name": "x", "value": 1, "bound": "at_most", "limit": 1}


@pytest.mark.parametrize("change", [{"bound": "about"}, {"limit": 0}, {"value": ""}])
def test_an_edited_payload_is_refused_where_it_is_read(change):
    assert read_records(notebook_of([{RECORD: VALID}]))
    with pytest.raises((ValueError, TypeError, RecordError)):
        read_records(notebook_of([{RECORD: VALID | change}]))


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        (Record("x", 2.0, "abs", 0.5), [1.5, 2.5], [1.499, 2.501]),
        (Record("x", -2.0, "rel", 0.25), [-1.5, -2.5], [-1.499, -2.501, 2.0]),
        (Record("x", 2.0, "at_most", 3), [-9.0, 3.0], [3.001]),
        (Record("x", 2.0, "at_least", 1), [1.0, 9.0], [0.999]),
        (Record("x", 2.0, "exactly", 0), [2, 2.0], [2.000001, 1]),
    ],
)
def test_bounds_worked_by_hand(entry, inside, outside):
    assert all(entry.admits(value) for value in inside)
    assert not any(entry.admits(value) for value in [*outside, math.nan, math.inf, -math.inf])


def test_reads_back_in_order_and_to_the_last_bit(shown):
    record("b", 0.1 + 0.2, abs=0.1)
    notebook.varies("3 s")
    record("a", 7)
    again = nbformat.reads(nbformat.writes(notebook_of(shown)), as_version=4)
    expected = Record("b", 0.1 + 0.2, "abs", 0.1), Record("a", 7, "exactly", 0)
    assert tuple(read_records(again).values()) == expected
    record("a", 8)
    with pytest.raises(RecordError, match="two recorded values have the same name"):
        read_records(notebook_of(shown))


def test_a_progress_line_is_one_output_with_its_last_text(shown):
    line = notebook.progress_line()
    for epoch in range(3):
        line.update(f"epoch {epoch}")
    assert shown == [{"text/plain": "epoch 2", VARIES: {}, PROGRESS: {}}]


def test_a_live_curve_is_drawn_after_each_epoch(shown, monkeypatch):
    monkeypatch.setattr(progress, "get_ipython", lambda: True)

    def draw(history):
        return SimpleNamespace(bundle=lambda: ({"text/plain": f"{len(history)} epochs"}, {}))

    history, on_epoch = History(), notebook.live_curve(draw)
    for _ in range(3):
        history.add((0.5, 0.5), (0.5, 0.5))
        on_epoch(history)
    picture, *lines = shown
    assert picture == {"text/plain": "3 epochs", VARIES: {}}
    assert [line["text/plain"].split()[1] for line in lines] == ["0", "1", "2"]
    assert PROGRESS in lines[-1] and VARIES in lines[-1]


def test_a_table_scrolls_in_its_box_is_escaped_and_has_a_plain_form(shown):
    notebook.show_table(pd.DataFrame({"what_it_is": ["a<b"]}))
    notebook.show_table(pd.DataFrame({"x": [1]}, index=["num_units"]))
    numbered, named = shown
    assert numbered["text/plain"].split() == ["what", "it", "is", "a<b"] and VARIES in numbered
    for part in "<th>what it is</th>", "<td>a&lt;b</td>", "overflow-x: auto":
        assert part in numbered["text/html"]
    assert "<th>0</th>" not in numbered["text/html"]
    assert "<th>num units</th>" in named["text/html"]
