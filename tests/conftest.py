"""Shared by the tests: notebooks made on the spot, and pytest run on them in its own process."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict

import hypothesis
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.files import PROJECT

# The same examples in every run, and no deadline: a busy machine is not a failure.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session")
def record_notebook(tmp_path_factory):
    """Give a function that turns sources of code cells into an executed notebook."""
    from helpers.batch.execution import execute  # late: papermill takes seconds to import

    def record(*sources):
        folder = tmp_path_factory.mktemp("record")
        cells = [new_code_cell(source) for source in sources]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = folder / "notebook.ipynb"
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return execute(path, folder / ".partial.ipynb", {})

    return record


@pytest.fixture(scope="session")
def check_notebooks(tmp_path_factory):
    """Give a function that runs this project's pytest command on a folder of notebooks.

    It returns, for each path relative to the folder, a list with one text a code cell: its
    failure, "" if it passed.
    """

    def check(folder, *options):
        report = tmp_path_factory.mktemp("check") / "report.xml"
        command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml"]
        command += ["--rootdir", folder, folder, "--color=no", "--junit-xml", report, "-q"]
        command += ["-p", "no:cacheprovider", *options]
        environment = os.environ | {"PYTEST_ADDOPTS": ""}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        found = defaultdict(list)
        for case in ElementTree.parse(report).iter("testcase"):
            path = case.get("classname").replace(".", "/").removesuffix("/ipynb") + ".ipynb"
            found[path].append("".join(child.text or "" for child in case))
        return dict(found)

    return check
