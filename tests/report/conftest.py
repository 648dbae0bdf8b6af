"""One output folder for all tests of the report."""

import pytest

from tests.report.folders import write_folder


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A whole output folder, with its pages."""
    folder = tmp_path_factory.mktemp("outputs")
    write_folder(folder)
    return folder
