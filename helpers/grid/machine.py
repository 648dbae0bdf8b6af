"""What a program may use of this machine, and what decides the last bits of its results."""

import platform
from functools import cache

import numpy as np
from threadpoolctl import threadpool_info


def available_cores():
    """Count the cores that this process may keep busy: its affinity, and its group's share."""
    import joblib  # late: processes that only train would each load it

    return joblib.cpu_count()


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
        "python": platform.python_version(),
    }
