"""Results change places together: at every crash point the old set or the new one, never a mix."""

import contextlib
import os

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


def test_an_error_leaves_the_old_set_and_releases_the_lock(folder):
    for _ in range(2):
        with pytest.raises(TypeError):
            publish(folder, NEW | {"d.txt": None})
        assert visible(folder) == OLD
        assert hidden(folder) == [batch.LOCK]


def replacing_until(number, end):
    """Make an `os.replace` that renames until a number is reached, then ends as it is told."""
    replace, counts = os.replace, iter(range(100))

    def replace_or_end(source, target):
        if next(counts) == number:
            end()
        replace(source, target)

    return replace_or_end


def publish_elsewhere(folder, die_at=None):
    """Publish in another process, which may end, without any clean-up, at one of its renames."""
    pid = os.fork()
    if pid == 0:
        os.replace = replacing_until(die_at, lambda: os._exit(9))
        with contextlib.suppress(batch.OutputError):
            publish(folder)
            os._exit(0)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# Renames: 0 names the owner, 1 puts the mark, 2 to 4 put the three files in place.
AT_RENAME = [(0, OLD), (1, OLD), (2, OLD | NEW), (3, OLD | NEW), (4, OLD | NEW)]
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # there are threads


@pytest.mark.parametrize(("number", "expected"), AT_RENAME)
def test_a_process_that_dies_between_renames(folder, number, expected):
    assert publish_elsewhere(folder, number) == 9
    with batch.output_lock(folder):
        assert visible(folder) == expected
        assert hidden(folder) == [batch.LOCK, batch.OWNER]
    assert publish_elsewhere(folder, 5) == 0, "there are no further crash points"


@pytest.mark.parametrize(("number", "expected"), AT_RENAME[1:])
def test_ctrl_c_between_renames_completes_them(folder, monkeypatch, number, expected):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replacing_until(number, interrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(folder)
    assert visible(folder) == expected
    assert hidden(folder) == [batch.LOCK]


def test_links_are_neither_followed_nor_published(folder, tmp_path):
    outside = tmp_path / "outside"
    write(outside, {"victim.txt": "not yours", batch.COMMITTED: ""})
    (folder / f"{batch.STAGING}x").symlink_to(outside)
    stage = folder / f"{batch.STAGING}y"
    write(stage, {batch.COMMITTED: "", "a.csv": "new a"})
    (stage / "victim.txt").symlink_to(outside / "victim.txt")
    (stage / "b.json").mkdir()
    batch.recover(folder)
    assert visible(folder) == OLD | {"a.csv": "new a"}
    assert hidden(folder) == [f"{batch.STAGING}x"]
    assert (outside / "victim.txt").read_text() == "not yours"


def test_temporary_files_of_dead_writers_are_removed(folder):
    write(folder, {".a.csv.0123.part": "torn"})
    write(files.grid_folder(folder), {".x.npz.0123.part": "torn", "x.npz": "kept"})
    with batch.output_lock(folder):
        assert hidden(folder) == [".grid", batch.LOCK, batch.OWNER]
        assert visible(files.grid_folder(folder)) == {"x.npz": "kept"}


def test_a_second_run_is_refused_by_the_name_of_the_first(folder):
    with batch.output_lock(folder):
        assert publish_elsewhere(folder) == 2
        first = rf"in use by process {os.getpid()} on .* since 20\d\d-"
        with pytest.raises(batch.OutputError, match=first):
            publish(folder)
        (folder / batch.OWNER).write_bytes(b"\xff")
        with pytest.raises(batch.OutputError, match="in use by another run; wait"):
            publish(folder)
        assert visible(folder) == OLD


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
