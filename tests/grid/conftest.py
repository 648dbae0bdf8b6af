"""What the small grid has to come to, however it is trained."""

import pytest

from helpers.grid import search
from tests.grid.grids import content, in_this_process, recipes


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    """The small grid, trained without an incident."""
    return content(search.search(recipes(), tmp_path_factory.mktemp("runs"), in_this_process))
