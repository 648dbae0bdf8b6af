"""What a program may use of this machine, and what decides its last bits: cores, memory, kernels.

A container or a batch system may allow less than the machine has. On Linux it says so in the files
of control groups (https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/).
"""

import math
import os
import platform
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import psutil
from threadpoolctl import threadpool_info

GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def available_cores():
    """Count the cores that this process may keep busy: its affinity, and its group's share.

    Returns
    -------
    int
        At least 1; a share of 1.5 cores counts as 2.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limits = [text.split() for text in _group_files("cpu.max")]
    quotas = _group_files("cpu.cfs_quota_us", "cpu")
    periods = _group_files("cpu.cfs_period_us", "cpu")
    limits += zip(quotas, periods, strict=False)
    for quota, period in limits:
        if quota.isdigit():  # else "max", or -1: no limit
            cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(cores, 1)


def available_memory():
    """Count the bytes that new processes may use: free memory, and its group's limit."""
    limits = _group_files("memory.max") + _group_files("memory.limit_in_bytes", "memory")
    bounds = [int(limit) for limit in limits if limit.isdigit()]
    return min([psutil.virtual_memory().available, *bounds])


def _group_files(name, controller=""):
    """Read a file of this process's control group and of all groups above it, nearest first.

    `controller` is the one that keeps the file in version 1; "" stands for version 2. Inside a
    container the path of the group may be the host's; then the files at the root are its own.
    """
    try:
        lines = GROUPS_OF_THIS_PROCESS.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            group = PurePosixPath(path.lstrip("/"))
            for folder in [group, *group.parents]:
                file = CONTROL_GROUPS / controller / folder / name
                if file.is_file():
                    found.append(file.read_text("utf-8").strip())
    return found


@cache
def blas_kernels():
    """Name the kernels that NumPy's BLAS has chosen for this processor, e.g. "Haswell"."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    pools.sort(key=lambda pool: "numpy" not in pool["filepath"])  # SciPy may bring one of its own
    return pools[0].get("architecture", "unknown") if pools else "unknown"


def machine():
    """Describe the machine as far as it decides speed and the last bits of a result; a dict."""
    numpy_loops = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": available_cores(),
        "kernels": blas_kernels(),
        "numpy": f"{np.__version__} with {numpy_loops[-1] if numpy_loops else 'no SIMD'}",
    }
