"""How long a step of SGD takes, here and elsewhere: measure, compare, write steps.json.

python tests/benchmarks/benchmark_steps.py                    measure with this machine's kernels
OPENBLAS_CORETYPE=Haswell python tests/benchmarks/...         the same with Haswell kernels
python tests/benchmarks/benchmark_steps.py --reuse            no measuring: tables from steps.json

One process, one pinned core, one thread a library; all contenders of a shape take turns. What is
counted is the processor time of the process, all its threads together.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
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
    reuse = parser.parse_args().reuse
    entries = json.loads(STEPS_JSON.read_text("utf-8")) if STEPS_JSON.exists() else {}
    news = entries if reuse else {entry["kernels"]: entry for entry in [measure()]}
    for entry in news.values():
        derive(entry)
        print(report.table(entry), end="\n\n")
    from helpers.files import write_json

    write_json(STEPS_JSON, dict(sorted((entries | news).items())))


def measure():
    """Time all contenders on all shapes.

    Returns
    -------
    dict
        An entry without what follows from its numbers (`derive`).
    """
    use_one_core()
    from helpers.grid.executors import blas_kernels

    kernels = blas_kernels()  # before SciPy and the others bring more kinds
    idle_share = cpu_share_while_idle()
    wall, cpu = time.perf_counter(), time.process_time()
    shapes = measure_shapes()
    cpu_share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return {
        "kernels": kernels,
        "cpu": cpu_model(),
        "date": date.today().isoformat(),
        "versions": {"Python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "rounds": ROUNDS,
        "cpu_share": cpu_share,
        "idle_share": idle_share,
        "shapes": shapes,
    }


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
            in_table, in_grid = shape in report.STEP_SHAPES, shape in report.GRID_SHAPES
            names = [*report.CONTENDERS] * in_table + [*report.GRID_CONTENDERS] * in_grid
            contenders = {name: MAKERS[name](shape, material) for name in dict.fromkeys(names)}
            seconds = take_turns(contenders, ROUNDS["table" if in_table else "grid"])
            found.append({"shape": list(shape), "microseconds": summaries(seconds)})
            print(f"{len(found):2} of 28 shapes", end="\r", flush=True)
    return found


def use_one_core():
    """Pin this process to one core and tell XLA to use one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = flags
    os.environ["JAX_PLATFORMS"] = "cpu"


def cpu_share_while_idle():
    """Check that no thread spins: sleep, and see how much processor time the process took."""
    start = time.process_time()
    time.sleep(0.5)
    return (time.process_time() - start) / 0.5


def take_turns(contenders, rounds):
    """Let contenders run in turn; return for each the seconds a step, one value a round."""
    seconds = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            num_steps = run()
            seconds[name].append((time.process_time() - start) / num_steps)
    return seconds


def summaries(seconds):
    """Give the median and the quartiles of each contender's rounds, in microseconds."""
    found = {}
    for name, rounds in seconds.items():
        first, median, third = statistics.quantiles(rounds, n=4, method="inclusive")
        found[name] = {
            "median": round(median * 1e6, 2),
            "quartiles": [round(first * 1e6, 2), round(third * 1e6, 2)],
        }
    return found


def cpu_model():
    """Name the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def derive(entry):
    """Add to an entry what follows from its numbers, and the measured time of the grid."""
    entry["grid"] = {
        "projected": report.project_grid(entry),
        "measured_minutes": measured_minutes(entry["kernels"]),
    }
    entry["targets"] = report.targets(entry)


def measured_minutes(kernels):
    """Read how long part C trained in all, if it was run on two cores with these kernels."""
    if not TIMING.exists():
        return None
    found = json.loads(TIMING.read_text("utf-8"))
    machine = found["machine"]
    fits = (machine["kernels"], machine["cores"]) == (kernels, report.NUM_CORES)
    return sum(found["seconds"].values()) / 60 if fits else None


if __name__ == "__main__":
    main()
