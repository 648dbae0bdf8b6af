"""The audit runs what is committed, and sees a byte that differs."""

import json
import shutil
import subprocess

import pandas as pd
import pytest

from tests.tools import audit

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
COMMAND = """
from pathlib import Path
outputs = Path("outputs")
outputs.mkdir(exist_ok=True)
for name in "table.csv", "report.html":
    (outputs / name).write_text("1")
"""
"""Stands for the command: it writes two files."""
MACHINE = """
import os
def machine():
    return {"kernels": os.environ["OPENBLAS_CORETYPE"], "numpy": "2.4"}
"""
"""Stands for a machine that has all kernels."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in a repository, whose command leaves two files and whose kernels are Haswell's."""
    folder = tmp_path / "project"
    (folder / "helpers" / "grid").mkdir(parents=True)
    (folder / "helpers" / "__main__.py").write_text(COMMAND)
    (folder / "helpers" / "grid" / "machine.py").write_text(MACHINE)
    (folder / "outputs").mkdir()
    timing = {"machine": {"kernels": "Haswell", "numpy": "2.4"}}
    (folder / "outputs" / "timing.json").write_text(json.dumps(timing))
    for name in "table.csv", "report.html":
        (folder / "outputs" / name).write_text("1")
    monkeypatch.setattr(audit, "PROJECT", folder)
    return folder


def commit(folder):
    """Commit all files."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", "-C", folder, *words], check=True)


@needs_git
def test_what_is_committed_comes_out_again(project, capfd):
    commit(project)
    (project / "outputs" / "table.csv").write_text("not committed")
    assert audit.main([]) == 0
    assert capfd.readouterr().out.endswith("all 2 files the same, timing.json left out\n")


@needs_git
def test_every_kind_of_difference_is_named(project, capfd):
    (project / "outputs" / "table.csv").write_text("2")
    (project / "outputs" / "old.csv").write_text("1")
    (project / "outputs" / "report.html").unlink()
    commit(project)
    assert audit.main([]) == 1
    assert capfd.readouterr().out.splitlines()[-4:] == [
        "old.csv: recorded, but not written now",
        "report.html: written now, but not recorded",
        "table.csv: other bytes",
        "3 of 3 files differ, timing.json left out",
    ]


@needs_git
def test_a_command_that_fails_is_no_agreement(project):
    (project / "helpers" / "__main__.py").write_text("raise SystemExit(1)")
    commit(project)
    with pytest.raises(SystemExit, match="the command failed"):
        audit.main(["a"])


EXPLAINED = {
    "another network": ({"accuracy": [0.8, 0.918]}, True),
    "a far better network": ({"accuracy": [0.8, 0.94]}, False),
    "another setting": ({"seed": 1}, False),
}


@pytest.mark.parametrize(("columns", "agree"), EXPLAINED.values(), ids=EXPLAINED)
def test_what_other_kernels_explain(tmp_path, columns, agree):
    table = pd.DataFrame({"seed": 0, "accuracy": [0.8, 0.9]})
    table.to_csv(tmp_path / "was.csv")
    table.assign(**columns).to_csv(tmp_path / "came.csv")
    assert audit.values_agree(tmp_path / "was.csv", tmp_path / "came.csv") == agree
