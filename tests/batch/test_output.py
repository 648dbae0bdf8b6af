"""Results change places together: at every crash point the old set or the new one, never a mix."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import files
from helpers.batch import output as batch

OLD = {"a.csv": "old a", "b.json": "old b", "kept.txt": "kept"}
NEW = {"a.csv": "new a", "b.json": "new b", "c.npy": "new c"}


def write(folder, content):
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)


def visible(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name[0] != "."}


def hidden(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] == ".")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "out", OLD)
    return tmp_path / "out"


def publish(folder, content=NEW):
    with batch.output_lock(folder), batch.staging(folder) as stage:
        write(stage, content)


def test_new_files_replace_old_ones_and_others_stay(folder):
    publish(folder)
    assert visible(folder) == OLD | NEW
    assert hidden(folder) == [batch.LOCK]


def test_an_error_leaves_the_old_set(folder):
    with pytest.raises(TypeError):
        publish(folder, NEW | {"d.txt": None})
    assert visible(folder) == OLD
    assert hidden(folder) == [batch.LOCK]


def die_at_rename(folder, number):
    """Publish in a process of its own that ends, without any clean-up, at one of its renames."""
    pid = os.fork()
    if pid == 0:
        replace, counts = os.replace, iter(range(100))

        def replace_or_die(source, target):
            if next(counts) == number:
                os._exit(9)
            replace(source, target)

        os.replace = replace_or_die
        publish(folder)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# Renames: 0 names the owner, 1 commits the list of files, 2 to 4 put the three files in place.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # there are threads
@pytest.mark.parametrize(
    ("number", "expected"), [(0, OLD), (1, OLD), (2, OLD | NEW), (3, OLD | NEW), (4, OLD | NEW)]
)
def test_a_process_that_dies_between_renames(folder, number, expected):
    assert die_at_rename(folder, number) == 9
    with batch.output_lock(folder):
        assert visible(folder) == expected
        assert hidden(folder) == [batch.LOCK, batch.OWNER]
    assert die_at_rename(folder, 5) == 0, "there are no further crash points"


@pytest.mark.parametrize(
    "staged", [[], ["a.csv"], ["a.csv", "b.json"], ["a.csv", "b.json", "c.npy"]]
)
def test_staged_files_without_a_commit_are_dropped(folder, staged):
    write(folder / f"{batch.STAGING}dead", {name: NEW[name] for name in staged})
    batch.recover(folder)
    assert visible(folder) == OLD
    assert hidden(folder) == []


@pytest.mark.parametrize(
    "renamed", [[], ["a.csv"], ["a.csv", "b.json"], ["a.csv", "b.json", "c.npy"]]
)
def test_a_commit_is_completed_from_any_state(folder, renamed):
    write(folder, {name: NEW[name] for name in renamed})
    left = {name: text for name, text in NEW.items() if name not in renamed}
    write(folder / f"{batch.STAGING}dead", left | {batch.COMMITTED: json.dumps(list(NEW))})
    batch.recover(folder)
    assert visible(folder) == OLD | NEW
    assert hidden(folder) == []


OUTSIDE = {"victim.txt": "not yours"}


@pytest.mark.parametrize(
    "listed",
    [
        ["../victim.txt"],
        ["../../victim.txt", "/etc/passwd", "", ".", ".."],
        ["kept.txt", "missing.csv"],
        [["a.csv"], None, 3, {}],
        "a.csv",
        {"a.csv": 1},
        "[" * 100_000,
        "torn",
    ],
    ids=lambda listed: str(listed)[:30],
)
def test_a_damaged_list_moves_nothing_but_staged_files(folder, tmp_path, listed):
    write(tmp_path, OUTSIDE)
    text = listed if listed in ("torn", "[" * 100_000) else json.dumps(listed)
    write(folder / f"{batch.STAGING}dead", {"a.csv": "new a", batch.COMMITTED: text})
    batch.recover(folder)
    assert visible(folder) == OLD
    assert hidden(folder) == []
    assert (tmp_path / "victim.txt").read_text() == "not yours"


def test_links_are_neither_followed_nor_published(folder, tmp_path):
    outside = tmp_path / "outside"
    write(outside, OUTSIDE | {batch.COMMITTED: '["victim.txt"]'})
    (folder / f"{batch.STAGING}x").symlink_to(outside)
    stage = folder / f"{batch.STAGING}y"
    write(stage, {batch.COMMITTED: '["a.csv", "victim.txt"]', "a.csv": "new a"})
    (stage / "victim.txt").symlink_to(outside / "victim.txt")
    (folder / f"{batch.STAGING}z").write_text("a file")
    batch.recover(folder)
    assert visible(folder) == OLD | {"a.csv": "new a"}
    assert hidden(folder) == []
    assert (outside / "victim.txt").read_text() == "not yours"


@pytest.mark.parametrize("number", range(1, 5))
def test_ctrl_c_between_renames_completes_them(folder, monkeypatch, number):
    replace, counts = os.replace, iter(range(100))

    def replace_or_interrupt(source, target):
        if next(counts) == number:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish(folder)
    assert visible(folder) == (OLD if number == 1 else OLD | NEW)
    assert hidden(folder) == [batch.LOCK]


def test_temporary_files_of_dead_writers_are_removed(folder):
    write(folder, {".a.csv.0123.part": "torn"})
    write(files.grid_folder(folder), {".x.npz.0123.part": "torn", "x.npz": "kept"})
    with batch.output_lock(folder):
        assert hidden(folder) == [".grid", batch.LOCK, batch.OWNER]
        assert visible(files.grid_folder(folder)) == {"x.npz": "kept"}


HOLDER = """
import sys, time
from pathlib import Path
from helpers.batch import output as batch
with batch.output_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_and_a_dead_one_is_not_in_the_way(folder):
    command = [sys.executable, "-c", HOLDER, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "held\n"
            with pytest.raises(batch.OutputError) as error, batch.output_lock(folder):
                pass
            assert f"in use by process {first.pid} on " in str(error.value)
            assert time.strftime(" since %Y-", time.gmtime()) in str(error.value)
        finally:
            first.kill()
    assert (folder / batch.OWNER).exists(), "a killed run leaves its name behind"
    with batch.output_lock(folder):
        assert f"process {os.getpid()} on " in (folder / batch.OWNER).read_text()


def test_a_lock_is_released_after_an_error(folder):
    with pytest.raises(ZeroDivisionError), batch.output_lock(folder):
        _ = 1 / 0
    with batch.output_lock(folder):
        pass


def test_the_owner_may_be_unreadable(folder):
    with batch.output_lock(folder):
        (folder / batch.OWNER).write_bytes(b"\xff")
        with pytest.raises(batch.OutputError, match="in use by another run; wait"):
            batch.output_lock(folder).__enter__()


FILL = """
import resource, sys
from pathlib import Path
from helpers import files
from helpers.batch import output as batch
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
folder = Path(sys.argv[1])
try:
    with batch.output_lock(folder), batch.staging(folder) as stage:
        files.write_text(stage / "a.csv", "new a")
        files.write_text(stage / "b.json", "x" * 20_000)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limit")
def test_a_file_that_cannot_be_finished_leaves_the_old_set(folder):
    done = subprocess.run([sys.executable, "-c", FILL, folder], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert visible(folder) == OLD
    assert hidden(folder) == [batch.LOCK]


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    usage = batch.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(batch.shutil, "disk_usage", lambda path: usage._replace(free=7_000_000))
    with pytest.raises(batch.OutputError, match=r"\(7 MB free, 50 MB needed\)"):
        batch.output_lock(tmp_path / "new").__enter__()
    assert not (tmp_path / "new").exists()


def test_few_open_files_are_refused(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    with pytest.raises(batch.OutputError, match=r"^only 64 open files are allowed: ulimit -n 128$"):
        batch.check_limits()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    batch.check_limits()


def test_a_folder_as_a_parameter():
    assert batch.as_parameter(files.OUTPUTS / "quick") == "outputs/quick"
    assert batch.as_parameter(Path("/elsewhere/x")) == "/elsewhere/x"
