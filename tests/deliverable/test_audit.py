"""The audit executes a recorded run again, writes nowhere else and notices what has changed."""

import nbformat
import pytest

from helpers.batch.output import OutputError
from helpers.files import OUTPUTS, output_folder
from tests.tools import audit

WRITING = """
from helpers.files import output_folder, write_text
from helpers.notebook import record
folder = output_folder("outputs")
write_text(folder / "written_by_a_test.csv", "accuracy\\n0.85\\n")
record("files", 1)"""


def test_notices_what_changed_and_leaves_outputs_alone(
    record_notebook, tmp_path, monkeypatch, capfd
):
    recorded = tmp_path / "recorded"
    recorded.mkdir()
    path = recorded / "part_a.ipynb"
    nbformat.write(record_notebook(WRITING), path)
    path.write_text(path.read_text().replace(", 1)", ", 2)"))
    (recorded / "written_by_a_test.csv").write_text("accuracy\n0.75\n")
    monkeypatch.setattr(audit, "OUTPUTS", recorded)
    assert audit.main(["a"]) == 1
    shown = capfd.readouterr().out
    assert "files: recorded 1, came out 2" in shown
    assert "written_by_a_test.csv, row 1: accuracy: recorded 0.75, came out 0.85" in shown
    assert "part a: DOES NOT AGREE" in shown
    assert not (output_folder(OUTPUTS) / "written_by_a_test.csv").exists()


def test_refuses_what_cannot_be_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(audit, "OUTPUTS", tmp_path)
    assert audit.main(["b"]) == 2
    assert "outputs/part_b.ipynb: not there" in capsys.readouterr().err
    (tmp_path / "part_c.ipynb").touch()
    (tmp_path / ".grid").mkdir()
    with pytest.raises(OutputError, match="unfinished grid"):
        audit.refuse_what_is_not_there("c")
    with pytest.raises(SystemExit) as stopped:
        audit.main(["e"])
    assert stopped.value.code == 2
