"""Cores and memory: what a control group allows, in both versions, counts like the machine's."""

import math
from types import SimpleNamespace

import pytest

from helpers.grid import machine

GB = 2**30


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Give a function that writes what Linux says of this process's groups."""
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(64), raising=False)
    memory = SimpleNamespace(available=100 * GB)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(machine, "GROUPS_OF_THIS_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path / "fs")

    def write(groups, files):
        (tmp_path / "cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    return write


V1 = "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n"
LIMITS = {
    "none of version 2": ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max"}, 64, 100),
    "version 2, in a container": ("0::/\n", {"cpu.max": "200000 100000"}, 2, 100),
    "a share of a core": ("0::/\n", {"cpu.max": "50000 100000"}, 1, 100),
    "a core and a half": ("0::/\n", {"cpu.max": "150000 100000"}, 2, 100),
    "a group above": (
        "0::/a/b\n",
        {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "a/b/memory.max": str(2 * GB)},
        3,
        2,
    ),
    "none of version 1": (
        V1,
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "1"},
        64,
        100,
    ),
    "version 1": (
        V1,
        {
            "cpu/cpu.cfs_quota_us": "400000",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/docker/ab/memory.limit_in_bytes": str(3 * GB),
            "memory/memory.limit_in_bytes": str(2**63 - 4096),
        },
        4,
        3,
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_smallest_limit_counts(name, group):
    groups, files, cores, gigabytes = LIMITS[name]
    group(groups, files)
    assert machine.available_cores() == cores
    assert machine.available_memory() == gigabytes * GB


def test_affinity_counts_and_without_control_groups_the_machine(group, monkeypatch):
    assert machine.available_cores() == 64 and machine.available_memory() == 100 * GB
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert machine.available_cores() == 1
    monkeypatch.delattr(machine.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: None)
    assert machine.available_cores() == 1 and math.isfinite(machine.available_memory())
