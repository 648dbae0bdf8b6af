"""Results change places together: at every crash point the old set or the new one, never a mix."""

import contextlib
import itertools
import os
from pathlib import Path

import pytest

from helpers.batch import staging
from helpers.batch.staging import FOLDER
from helpers.notebook.output import OutputError

OLD = {"a.csv": "old a", "b.json": "old b", "kept.txt": "kept"}
NEW = {"a.csv": "new a", "b.json": "new b", "c.npy": "new c"}
RUNS = {"x.npz": "finished", "y.npz": "finished, too"}


def write(folder, content):
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)


def visible(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name[0] != "."}


def hidden(folder):
    return {path.name for path in folder.iterdir() if path.name[0] == "."} - {".lock"}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "out", OLD)
    write(tmp_path / "out" / FOLDER, {"x.npz": "finished"})
    return tmp_path / "out"


def publish(folder, content=NEW):
    with staging.locked(folder), staging.staging(folder) as stage:
        assert visible(stage / FOLDER) == {"x.npz": "finished"}
        write(stage / FOLDER, RUNS)
        write(stage, content)


def test_new_files_replace_old_ones_and_others_stay(folder):
    publish(folder)
    assert visible(folder) == OLD | NEW
    assert visible(folder / FOLDER) == RUNS
    assert hidden(folder) == {FOLDER}


def test_an_error_leaves_the_old_set_and_the_grid_s_runs(folder):
    with pytest.raises(TypeError):
        publish(folder, NEW | {"d.txt": None})
    assert visible(folder) == OLD
    assert visible(folder / FOLDER) == RUNS
    assert hidden(folder) == {FOLDER}


def publish_elsewhere(folder, die_at=None):
    """Publish in another process, which may end, without any clean-up, at one of its renames."""
    pid = os.fork()
    if pid == 0:
        replace, numbers = os.replace, itertools.count()

        def replace_or_die(source, target):
            if next(numbers) == die_at:
                os._exit(9)
            replace(source, target)

        os.replace = replace_or_die
        with contextlib.suppress(OutputError):
            publish(folder)
            os._exit(0)
        os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# Renames: 0 moves the grid's folder, 1 puts the mark, 2 and 3 move its runs back, 4 to 6 publish.
AT_RENAME = [(0, OLD), (1, OLD), (2, OLD | NEW), (4, OLD | NEW), (5, OLD | NEW), (6, OLD | NEW)]
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # there are threads


@pytest.mark.parametrize(("number", "expected"), AT_RENAME)
def test_a_process_that_dies_between_renames(folder, number, expected):
    assert publish_elsewhere(folder, number) == 9
    with staging.locked(folder):
        assert visible(folder) == expected
        assert visible(folder / FOLDER).items() >= {("x.npz", "finished")}
        assert hidden(folder) == {FOLDER}


def test_a_folder_that_cannot_be_written_is_refused():
    words = r"^/proc/out: cannot be written \(.+\); choose another"
    with pytest.raises(OutputError, match=words), staging.locked(Path("/proc/out")):
        pytest.fail("there is no such folder")


def test_a_second_run_is_refused(folder):
    with staging.locked(folder):
        assert publish_elsewhere(folder) == 2
        with pytest.raises(OutputError, match=r"in use by another run; wait for its end"):
            publish(folder)
    publish(folder)
