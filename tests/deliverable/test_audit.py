"""The audit executes a recorded run again, writes nowhere else and notices what has changed."""

import copy

import nbformat
import pytest

from helpers.files import OUTPUTS, output_folder
from tests.tools import audit

WRITING = """
from helpers.files import output_folder, write_text
from helpers.notebook import record
folder = output_folder("outputs")
write_text(folder / "written_by_a_test.txt", "text")
record("files", len(list(folder.iterdir())))"""


@pytest.fixture(scope="module")
def recorded(record_notebook, tmp_path_factory):
    """Give a notebook recorded as the command line does it: its files go to a staging folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELPERS_STAGING", str(tmp_path_factory.mktemp("stage")))
        return record_notebook(WRITING)


def test_agrees_with_itself_and_leaves_outputs_alone(recorded, tmp_path):
    nbformat.write(recorded, tmp_path / "part_a.ipynb")
    assert audit.audit(tmp_path / "part_a.ipynb")
    assert not (output_folder(OUTPUTS) / "written_by_a_test.txt").exists()


def test_notices_a_changed_figure(recorded, tmp_path, monkeypatch, capfd):
    changed = copy.deepcopy(recorded)
    changed.cells[0].source = changed.cells[0].source.replace("())))", "())) + 1)")
    nbformat.write(changed, tmp_path / "part_a.ipynb")
    monkeypatch.setattr(audit, "OUTPUTS", tmp_path)
    assert audit.main(["a"]) == 1
    shown = capfd.readouterr().out
    assert "files: recorded 1, came out 2, allowed exact" in shown
    assert "part a: DOES NOT AGREE" in shown


def test_refuses_a_missing_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit, "OUTPUTS", tmp_path)
    assert audit.main(["b"]) == 2
    assert "outputs/part_b.ipynb: not there" in capsys.readouterr().err


def test_refuses_to_lose_an_unfinished_grid(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit, "OUTPUTS", tmp_path)
    (tmp_path / "part_c.ipynb").touch()
    (tmp_path / ".grid").mkdir()
    assert audit.main(["c"]) == 2
    assert "unfinished grid" in capsys.readouterr().err


def test_refuses_unknown_parts():
    with pytest.raises(SystemExit) as stopped:
        audit.main(["e"])
    assert stopped.value.code == 2
