"""Writes that are whole or do not happen: errors, two writers, not-a-number."""

import os

import numpy as np
import pytest

from helpers import files

OLD = "the old content\n"


@pytest.fixture
def path(tmp_path):
    """Give a file that holds the old content, alone in its folder."""
    path = tmp_path / "result.txt"
    path.write_text(OLD)
    return path


def assert_untouched(path):
    assert path.read_text() == OLD
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_old_content_stays_until_the_new_one_is_on_disk(path, monkeypatch, error):
    def flush(fd):
        # On the same file system, under a name that is swept from the output folder.
        assert len(list(path.parent.glob(".*.part"))) == 1
        assert path.read_text() == OLD
        assert os.fstat(fd).st_size == 3
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        with pytest.raises(error):
            files.write_text(path, "new")
    assert_untouched(path)


def test_two_writers_do_not_share_a_partial_file(path, monkeypatch):
    second = iter(["second"])
    monkeypatch.setattr(os, "fsync", lambda fd: [files.write_text(path, text) for text in second])
    files.write_text(path, "first")
    assert path.read_text() == "first"  # the outer write ends last


def test_text_and_json_are_utf8_with_line_feeds_and_arrays_come_back(path):
    files.write_text(path, "± 0.3\nπ\n")
    assert path.read_bytes() == "± 0.3\nπ\n".encode()
    files.write_json(path, {"rate": 0.1, "none": None})
    assert path.read_bytes() == b'{\n  "rate": 0.1,\n  "none": null\n}\n'
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    files.write_array(path, array)
    np.testing.assert_array_equal(np.load(path), array, strict=True)


@pytest.mark.parametrize(
    ("write", "content"),
    [
        (files.write_json, {"accuracy": [0.5, np.nan]}),
        (files.write_array, np.array([[0, 1], [np.inf, 0]])),
        (files.write_array, np.array([{"a": 1}])),
    ],
)
def test_what_is_no_number_is_refused(path, write, content):
    with pytest.raises(ValueError):
        write(path, content)
    assert_untouched(path)
