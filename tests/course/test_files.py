"""Writes that are whole or do not happen: errors, full disks, permissions, not-a-number."""

import json
import os
import subprocess
import sys
import threading

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


# ---- replacing


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit, MemoryError])
def test_the_old_file_stays_when_the_block_raises(path, error):
    with pytest.raises(error), files.replacing(path) as file:
        file.write(b"half of the new")
        file.flush()
        raise error
    assert_untouched(path)


def test_the_old_content_is_there_until_the_block_ends(path):
    with files.replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == OLD
        assert len(list(path.parent.iterdir())) == 2
    assert path.read_text() == "new"
    assert len(list(path.parent.iterdir())) == 1


def test_a_new_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new.txt"
    with files.replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_nothing_is_left_when_a_new_file_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "new.txt"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_the_partial_file_is_hidden_and_is_swept_by_its_name(path):
    # helpers.batch.output removes what a killed process left: ".*.part" in the output folder.
    with files.replacing(path):
        [partial] = path.parent.glob(".*.part")
        assert partial.parent == path.parent  # the same file system, so that a rename is atomic


def test_a_failed_rename_leaves_nothing(path, monkeypatch):
    def fail(*names):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        files.write_text(path, "new")
    assert_untouched(path)


def test_content_is_flushed_to_disk_before_the_rename(path, monkeypatch):
    calls, fsync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("flush") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("rename") or rename(*names))
    files.write_text(path, "new")
    assert calls == ["flush", "rename"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_text(tmp_path / "nowhere" / "a.txt", "new")


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError):
        files.write_text(tmp_path / "a.txt", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


WRITERS = {
    "text": "files.write_text(path, 'x' * 100_000)",
    "JSON": "files.write_json(path, list(range(100_000)))",
    "array": "files.write_array(path, np.zeros(100_000))",
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_leaves_the_old_file(path, writer):
    """Let a process write no file beyond 20 kB, as on a disk that fills up."""
    pytest.importorskip("resource", reason="file-size limits are a thing of Unix")
    program = f"""
import resource, sys
import numpy as np
from helpers import files
path = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    {writer}
except OSError as error:
    print(error.strerror)
    sys.exit(3)
"""
    command = [sys.executable, "-B", "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files.PROJECT)
    assert (done.returncode, done.stdout.strip()) == (3, "File too large"), done.stderr
    assert_untouched(path)


def test_readers_see_the_old_file_or_the_new_one(tmp_path):
    path, contents = tmp_path / "a.txt", {letter * 50_000 for letter in "abcd"}
    files.write_text(path, "a" * 50_000)
    done, seen = threading.Event(), set()

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "abcd" * 10:
        files.write_text(path, letter * 50_000)
    done.set()
    reader.join()
    assert seen
    assert seen <= contents


def test_two_writers_do_not_share_a_partial_file(path):
    with files.replacing(path) as first, files.replacing(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_text() == "first"  # the outer block ends last
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="permissions of Unix")
@pytest.mark.parametrize(
    ("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)], ids=oct
)
def test_permissions_are_those_of_any_new_file(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == expected


# ---- text, JSON, arrays


def test_text_is_utf8_with_line_feeds(path):
    files.write_text(path, "± 0.3\nπ\n")
    assert path.read_bytes() == "± 0.3\nπ\n".encode()


def test_json_round_trip(path):
    content = {"rate": 0.1, "sizes": [784, 10], "none": None, "text": "±"}
    files.write_json(path, content)
    assert json.loads(path.read_text("utf-8")) == content
    assert path.read_text("utf-8").endswith("}\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_json_refuses_what_is_not_a_number(path, number):
    with pytest.raises(ValueError):
        files.write_json(path, {"accuracy": [0.5, number]})
    assert_untouched(path)


def test_json_refuses_what_it_cannot_say(path):
    with pytest.raises(TypeError):
        files.write_json(path, {"weights": np.zeros(3)})
    assert_untouched(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_array_round_trip(path, dtype):
    array = np.arange(12, dtype=dtype).reshape(3, 4)
    files.write_array(path, array)
    found = np.load(path, allow_pickle=False)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_array_refuses_what_is_not_a_number(path, number, dtype):
    array = np.zeros((3, 4), dtype)
    array[2, 1] = number
    with pytest.raises(ValueError, match="NaN or infinity"):
        files.write_array(path, array)
    assert_untouched(path)


def test_array_refuses_pickles(path):
    with pytest.raises(ValueError, match="Object arrays"):
        files.write_array(path, np.array([{"a": 1}], dtype=object))
    assert_untouched(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_files_are_read(tmp_path, make):
    make(tmp_path / "here")
    with pytest.raises(OSError, match="not a regular file"):
        files.read_bytes(tmp_path / "here")
    with pytest.raises(FileNotFoundError):
        files.read_bytes(tmp_path / "nowhere")


def test_a_link_to_a_file_is_read(path):
    link = path.with_name("link")
    link.symlink_to(path)
    assert files.read_bytes(link) == OLD.encode()


# ---- folders


def test_a_relative_output_folder_lies_in_the_project(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PROJECT", tmp_path)
    monkeypatch.delenv(files.STAGING_VARIABLE, raising=False)
    monkeypatch.chdir(os.path.dirname(os.path.abspath(__file__)))
    folder = files.output_folder("outputs/quick")
    assert folder == tmp_path / "outputs" / "quick"
    assert folder.is_dir()


def test_an_absolute_output_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv(files.STAGING_VARIABLE, raising=False)
    assert files.output_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_the_staging_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv(files.STAGING_VARIABLE, str(tmp_path / "stage"))
    assert files.output_folder("outputs") == tmp_path / "stage"


def test_an_output_folder_that_is_a_file_is_an_error(path, monkeypatch):
    monkeypatch.delenv(files.STAGING_VARIABLE, raising=False)
    with pytest.raises(FileExistsError):
        files.output_folder(path)
    assert_untouched(path)
