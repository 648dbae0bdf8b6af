"""Results change places together: at every crash point the old set or the new one, never a mix."""

import contextlib
import os

import pytest

from helpers.notebook import output

OLD = {"a.csv": "old a", "b.json": "old b", "kept.txt": "kept"}
LOCKS = [f".part_{part}.lock" for part in "abcd"]
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
    with output.output_lock(folder), output.staging(folder) as stage:
        write(stage, content)


def test_new_files_replace_old_ones_and_others_stay(folder):
    publish(folder)
    assert visible(folder) == OLD | NEW
    assert hidden(folder) == LOCKS


def test_an_error_leaves_the_old_set_and_releases_the_lock(folder):
    for _ in range(2):
        with pytest.raises(TypeError):
            publish(folder, NEW | {"d.txt": None})
        assert visible(folder) == OLD
        assert hidden(folder) == LOCKS


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
        with contextlib.suppress(output.OutputError):
            publish(folder)
            os._exit(0)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# Renames: 0 to 3 name the owner of each part, 4 puts the mark, 5 to 7 put the files in place.
AT_RENAME = [(0, OLD), (3, OLD), (4, OLD), (5, OLD | NEW), (6, OLD | NEW), (7, OLD | NEW)]
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # there are threads


@pytest.mark.parametrize(("number", "expected"), AT_RENAME)
def test_a_process_that_dies_between_renames(folder, number, expected):
    assert publish_elsewhere(folder, number) == 9
    with output.output_lock(folder):
        assert visible(folder) == expected
        assert [name for name in hidden(folder) if "running" not in name] == LOCKS
    assert publish_elsewhere(folder, 8) == 0, "there are no further crash points"


@pytest.mark.parametrize(("number", "expected"), AT_RENAME[2:])
def test_ctrl_c_between_renames_completes_them(folder, monkeypatch, number, expected):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replacing_until(number, interrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(folder)
    assert visible(folder) == expected
    assert hidden(folder) == LOCKS


def test_links_are_neither_followed_nor_published(folder, tmp_path):
    outside = tmp_path / "outside"
    write(outside, {"victim.txt": "not yours", output.COMMITTED: ""})
    (folder / f"{output.STAGING}x").symlink_to(outside)
    stage = folder / f"{output.STAGING}y"
    write(stage, {output.COMMITTED: "", "a.csv": "new a"})
    (stage / "victim.txt").symlink_to(outside / "victim.txt")
    (stage / "b.json").mkdir()
    output.recover(folder)
    assert visible(folder) == OLD | {"a.csv": "new a"}
    assert hidden(folder) == [f"{output.STAGING}x"]
    assert (outside / "victim.txt").read_text() == "not yours"


def test_temporary_files_of_dead_writers_are_removed(folder):
    grid = output.grid_folder(folder)
    write(folder, {".a.csv.0123.part": "torn"})
    write(grid, {".x.npz.0123.part": "torn", "x.npz": "kept"})
    publish(folder, {})
    assert hidden(folder) == [".grid", *LOCKS]
    assert visible(grid) == {"x.npz": "kept"}


def test_a_second_run_is_refused_by_the_name_of_the_first(folder):
    with output.output_lock(folder):
        assert publish_elsewhere(folder) == 2
        first = rf"in use by python -m helpers, process {os.getpid()} on .* since 20\d\d-"
        with pytest.raises(output.OutputError, match=first):
            publish(folder)
        output.owner_path(folder, "a").write_bytes(b"\xff")
        with pytest.raises(output.OutputError, match="in use by another run; wait"):
            publish(folder)
        assert visible(folder) == OLD


@pytest.fixture
def release():
    yield
    output.release()


@pytest.mark.usefixtures("release")
def test_a_notebook_holds_its_own_part_until_it_ends_or_takes_another(folder):
    for part in "aba":
        output.hold(folder, part)
        with output.output_lock(folder, [{"a": "b", "b": "a"}[part]]):
            pass
        with pytest.raises(output.OutputError, match=f"the notebook of part {part.upper()} "):
            publish(folder)
    output.release()
    publish(folder)
    with output.output_lock(folder), pytest.raises(output.OutputError, match=r"in use by python"):
        output.hold(folder, "a")


@pytest.mark.usefixtures("release")
def test_a_notebook_completes_what_a_dead_command_left_and_nothing_of_a_living_notebook(folder):
    assert publish_elsewhere(folder, 6) == 9
    output.hold(folder, "a")
    assert visible(folder) == OLD | NEW
    write(folder, {".a.csv.0123.part": "being written"})
    assert publish_elsewhere(folder) == 2
    assert ".a.csv.0123.part" in hidden(folder)


def test_a_full_disk_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    usage = output.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: usage._replace(free=7_000_000))
    with pytest.raises(output.OutputError, match=r"\(7 MB free, 50 MB needed\)"):
        publish(tmp_path / "new")
    assert not (tmp_path / "new").exists()
