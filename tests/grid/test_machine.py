"""Processes are as many as asked for, or as there are cores, and fit into memory."""

import psutil
import pytest

from helpers.grid import workers


@pytest.mark.parametrize(
    ("wanted", "cores", "memory", "number"),
    [(8, 2, 10**10, 8), (0, 3, 10**10, 3), (8, 2, 1_200_000_000, 3), (8, 2, 0, 1)],
)
def test_there_are_no_more_processes_than_memory_for_them(
    monkeypatch, wanted, cores, memory, number
):
    free = psutil.virtual_memory()._replace(available=memory)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(workers, "available_cores", lambda: cores)
    where = workers.executor_for("processes", wanted)
    assert where is workers.ThisProcess if number == 1 else where.args == (number,)
