"""How long a step of SGD takes, here and elsewhere: measure, compare, write steps.json.

python tests/benchmarks/benchmark_steps.py                    measure with this machine's kernels
OPENBLAS_CORETYPE=Haswell python tests/benchmarks/...         the same with Haswell kernels
python tests/benchmarks/benchmark_steps.py --reuse            no measuring: tables from steps.json

One process, one pinned core, one thread a library; all contenders of a shape take turns. What is
counted is the processor time of the process, all its threads together.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from datetime import date
from pathlib import Path

import report

STEPS_JSON = Path(__file__).with_name("steps.json")
TIMING = Path(__file__).resolve().parents[2] / "outputs" / "timing.json"
ROUNDS = {"table": 5, "grid": 3}
"""Turns of each contender at the shapes of table (a), and at the others."""
PACKAGES = "numpy", "scipy", "torch", "jax", "jaxlib", "scikit-learn"


def main():
    """Measure or reuse, derive, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reuse", action="store_true", help="measure nothing, read steps.json")
    entries = json.loads(STEPS_JSON.read_text("utf-8"))
    news = entries if parser.parse_args().reuse else measure()
    for kernels, entry in news.items():
        projected = report.project_grid(entry)
        entry["grid"] = {"projected": projected, "measured_minutes": measured(kernels)}
        print(report.table(entry), end="\n\n")
    text = json.dumps(dict(sorted((entries | news).items())), indent=2)
    STEPS_JSON.write_text(text + "\n", "utf-8")


def measure():
    """Time all contenders on all shapes; a dict of an entry without what follows from it."""
    use_one_core()
    hold_to_avx2 = "avx512f" in cpu_flags() and os.environ.get("OPENBLAS_CORETYPE") == "Haswell"
    if hold_to_avx2:
        import avx2

        os.environ["XLA_FLAGS"] += f" {avx2.XLA_FLAG}"
        avx2.hold_jax_to_avx2()
    from helpers.grid.machine import blas_kernels

    kernels = blas_kernels()  # before SciPy and the others bring more kinds
    wall, cpu = time.perf_counter(), time.process_time()
    shapes = measure_shapes()
    cpu_share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    entry = {
        "kernels": kernels,
        "cpu": cpu_model(),
        "jax": "held to AVX2" if hold_to_avx2 else "with all that the processor has",
        "date": date.today().isoformat(),
        "versions": {"Python": platform.python_version()} | versions,
        "rounds": ROUNDS,
        "cpu_share": cpu_share,
        "shapes": shapes,
    }
    return {kernels: entry}


def measure_shapes():
    """Time all contenders on all shapes; a dict of microseconds for each shape."""
    # only now: the libraries ask for the number of threads when they are imported
    import torch
    from contenders import MAKERS, prepare
    from threadpoolctl import threadpool_limits

    from helpers import data

    torch.set_num_threads(1)
    material, found = prepare(data.load_training()[0]), []
    with threadpool_limits(1):
        for shape in dict.fromkeys(report.STEP_SHAPES + report.GRID_SHAPES):
            makers = {name: MAKERS[name] for name in report.contenders(shape)}
            contenders = {name: make(shape, material) for name, make in makers.items()}
            rounds = ROUNDS["table" if shape in report.STEP_SHAPES else "grid"]
            times = take_turns(contenders, rounds)
            found.append({"shape": list(shape), "microseconds": times})
            print(f"{len(found):2} of 28 shapes", end="\r", flush=True)
    return found


def use_one_core():
    """Pin this process to one core and tell XLA to use one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = flags
    os.environ["JAX_PLATFORMS"] = "cpu"


def take_turns(contenders, rounds):
    """Let contenders run in turn; the median and quartiles of each, in microseconds a step."""
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            num_steps = run()
            times[name].append(1e6 * (time.process_time() - start) / num_steps)
    return {name: summary(each) for name, each in times.items()}


def summary(times):
    """Give the median and the quartiles of some times."""
    quartiles = statistics.quantiles(times, n=4, method="inclusive")
    first, median, third = (round(each, 2) for each in quartiles)
    return {"median": median, "quartiles": [first, third]}


def cpu_model():
    """Name the processor."""
    return cpu_info("model name") or platform.processor()


def cpu_flags():
    """List what the processor can do, where Linux says so."""
    return cpu_info("flags").split()


def cpu_info(name):
    """Look up what Linux says of the first core; "" elsewhere."""
    file = Path("/proc/cpuinfo")
    content = file.read_text("utf-8") if file.exists() else ""
    found = re.search(rf"^{name}\s*: (.*)", content, re.MULTILINE)
    return found[1] if found else ""


def measured(kernels):
    """Read how long part C trained in all, if it was run on two cores with these kernels."""
    found = json.loads(TIMING.read_text("utf-8"))
    machine = found["machine"]
    fits = (machine["kernels"], machine["cores"]) == (kernels, report.NUM_CORES)
    return found["seconds"]["grid and beyond"] / 60 if fits else None


if __name__ == "__main__":
    main()
