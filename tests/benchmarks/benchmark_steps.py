"""How long a step of SGD takes, here and elsewhere: measure, write steps.json and the README.

python -m tests.benchmarks.benchmark_steps            measure: about 6 minutes of one core
python -m tests.benchmarks.benchmark_steps --reuse    no measuring: the README from steps.json

One process, one pinned core, one thread a library; all contenders of a shape take turns. What is
counted is the processor time of the process, all its threads together.
"""

import argparse
import itertools
import json
import math
import os
import re
import statistics
import time
from importlib.metadata import version
from pathlib import Path

STEPS = Path(__file__).with_name("steps.json")
README = Path(__file__).with_name("README.md")
BLOCK = re.compile(r"(<!-- speed: [^\n]*-->\n)(.*)(<!-- end of speed -->)", re.DOTALL)
SHAPES = list(itertools.product((30, 40, 50), (3, 4, 5), (16, 32, 64)))
"""Units, hidden layers and batch sizes of the grid's networks."""
SHOWN = (30, 3, 16), (30, 3, 64), (50, 5, 16), (50, 5, 64)
"""The shapes that the README shows beside the whole grid."""
ROUNDS = 3
PACKAGES = "numpy", "torch", "jax", "scikit-learn"
COLUMNS = {
    "alone": "fast step, alone",
    "course": "course step",
    "best of jax": "JAX, its best form",
    "torch": "PyTorch",
    "sklearn": "scikit-learn",
}
"""Contenders of the README's table, and what it calls them."""


def main():
    """Measure or reuse; write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reuse", action="store_true", help="measure nothing, read steps.json")
    if not parser.parse_args().reuse:
        measured = json.dumps(measure(), indent=1)
        STEPS.write_text(f"{measured}\n", "utf-8")
    page = README.read_text("utf-8")
    README.write_text(with_speed(page), "utf-8")


# ---- measuring


def measure():
    """Time all contenders on all shapes; a dict for steps.json."""
    use_one_core()
    # Only now: the libraries count the cores when they are imported.
    import torch
    from threadpoolctl import threadpool_limits

    from helpers import data
    from helpers.grid.machine import blas_kernels
    from tests.benchmarks.contenders import MAKERS

    torch.set_num_threads(1)
    training, _ = data.load_training()
    shapes = []
    with threadpool_limits(1):
        for shape in SHAPES:
            runs = {name: make(shape, training) for name, make in MAKERS.items()}
            shapes.append({"shape": shape, "microseconds": take_turns(runs)})
            print(f"{len(shapes):2} of {len(SHAPES)} shapes", flush=True)
    return {
        "kernels": blas_kernels(),
        "cpu": cpu_model(),
        "versions": {name: version(name) for name in PACKAGES},
        "shapes": shapes,
    }


def use_one_core():
    """Pin this process to one core and tell XLA to use one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = flags
    os.environ["JAX_PLATFORMS"] = "cpu"


def take_turns(runs):
    """Let contenders run in turn; the median of each, in microseconds a step."""
    times = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.process_time()
            num_steps = run()
            seconds = time.process_time() - start
            times[name].append(1e6 * seconds / num_steps)
    return {name: round(statistics.median(each), 2) for name, each in times.items()}


def cpu_model():
    """Name the processor."""
    file = Path("/proc/cpuinfo")
    content = file.read_text("utf-8") if file.exists() else ""
    line = re.search(r"^model name\s*: (.*)", content, re.MULTILINE)
    return line[1] if line else "unknown"


# ---- what follows from the figures


def microseconds(measured):
    """Give for each shape what each contender takes a step and network, "best of jax" added."""
    times = {}
    for each in measured["shapes"]:
        by_name = each["microseconds"]
        best = min(by_name[name] for name in by_name if name.startswith("jax"))
        times[tuple(each["shape"])] = by_name | {"best of jax": best}
    return times


def whole_grid(times):
    """Add up an epoch of every network of the grid; a dict of contenders."""
    total = dict.fromkeys(["stack", *COLUMNS], 0.0)
    for (_, _, batch_size), by_name in times.items():
        num_steps = math.ceil(54_000 / batch_size)
        for name in total:
            total[name] += num_steps * by_name[name]
    return total


def speed_table(measured):
    """Write the README's table: each contender's time as a multiple of the stack's."""
    times = microseconds(measured)
    rows = [(", ".join(map(str, shape)), times[shape]) for shape in SHOWN]
    rows.append(("the whole grid", whole_grid(times)))
    versions = measured["versions"]
    peers = f"JAX {versions['jax']}, PyTorch {versions['torch']}"
    lines = [
        f"OpenBLAS kernels {measured['kernels']}, {measured['cpu']}, {peers}:\n",
        f"| units, layers, batch | {' | '.join(COLUMNS.values())} |",
        "|---" * (1 + len(COLUMNS)) + "|",
    ]
    for label, by_name in rows:
        ratios = [f"{by_name[name] / by_name['stack']:.2f}" for name in COLUMNS]
        lines.append(f"| {label} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def with_speed(page):
    """Put the table of steps.json into the text of the README."""
    table = speed_table(json.loads(STEPS.read_text("utf-8")))
    return BLOCK.sub(lambda block: block[1] + table + block[3], page)


if __name__ == "__main__":
    main()
