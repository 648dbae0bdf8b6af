"""The project on machines that are not ours: Git's settings, another folder, an installed copy."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers.files import PROJECT


def git(*words, **options):
    """Run Git in the project, or skip the test where there is no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, **options)
    except FileNotFoundError:
        pytest.skip("Git is not installed")
    if done.returncode:
        pytest.skip("this is no repository, e.g. a downloaded zip")
    return done.stdout


def test_git_rewrites_no_line_ends():
    names = git("ls-files", "-z")
    answers = git("check-attr", "-z", "--stdin", "text", input=names).split(b"\0")
    assert set(answers[2::3]) == {b"unset"}, "see .gitattributes"
    assert answers[0:-1:3] == names.split(b"\0")[:-1]


def test_a_copy_without_the_project_s_folder_says_so(tmp_path):
    shutil.copytree(PROJECT / "helpers", tmp_path / "site-packages" / "helpers")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site-packages")}
    command = [sys.executable, "-m", "helpers", "a", "--output", tmp_path / "output"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("pip install -e .\n")
    assert not (tmp_path / "output").exists()
