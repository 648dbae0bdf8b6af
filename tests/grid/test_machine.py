"""Processes are as many as asked for, or as there are cores, and fit into memory."""

import psutil
import pytest

from helpers.grid import workers

MB = 1_000_000


@pytest.mark.parametrize(
    ("wanted", "cores", "megabytes", "number"),
    [(8, 2, 10_000, 8), (0, 3, 10_000, 3), (8, 2, 3.5 * 320, 3), (8, 2, 0, 1)],
)
def test_there_are_no_more_processes_than_memory_for_them(
    monkeypatch, wanted, cores, megabytes, number
):
    memory = psutil.virtual_memory()._replace(available=int(megabytes * MB))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(workers, "available_cores", lambda: cores)
    where = workers.executor_for("processes", wanted)
    assert where is workers.ThisProcess if number == 1 else where.args == (number,)
