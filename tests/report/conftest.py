"""The pages of the recorded deliverable, made once for all tests of the report."""

import pytest

from helpers import files
from helpers.report import results


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    results.build_report(files.OUTPUTS, folder)
    return folder
