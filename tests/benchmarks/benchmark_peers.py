"""The grid's stacks against JAX's best form, and what more workers gain: both in one run.

python tests/benchmarks/benchmark_peers.py                    with this machine's kernels
OPENBLAS_CORETYPE=Haswell python tests/benchmarks/...         NumPy and SciPy held to AVX2

JAX takes its products from YNNPACK, which looks at the processor itself and knows nothing of
OPENBLAS_CORETYPE or of XLA's --xla_cpu_max_isa: beside NumPy held to AVX2 it may use AVX-512. On
a processor without AVX-512 both use AVX2, and only there is the comparison a fair one of AVX2.
Printed, not kept: the processor's name, microseconds a step and network, ratios, what other stack
sizes cost against nine, and, from the cost model of `helpers.grid.jobs`, when some numbers of
workers would be done with everything that part C trains.
"""

import benchmark_steps
import report

SHAPES = [
    report.Shape(*numbers) for numbers in [(30, 3, 16), (40, 4, 32), (50, 4, 16), (50, 4, 64)]
]
SIZES = 1, 3, 6, 9
ROUNDS = 5
WORKERS = 1, 2, 4, 8, 16, 32


def main():
    """Measure and print."""
    benchmark_steps.use_one_core()
    from contenders import MAKERS, prepare, this_project
    from threadpoolctl import threadpool_limits

    from helpers import data
    from helpers.grid.machine import blas_kernels

    print(f"{benchmark_steps.cpu_model()}, OpenBLAS kernels {blas_kernels()}")
    material = prepare(data.load_training()[0])
    relative = {size: [] for size in SIZES}
    for shape in SHAPES:
        makers = {name: MAKERS[name] for name in ("grid_lane", "jax", "jax_rates")}
        running = {name: make(shape, material) for name, make in makers.items()}
        for size in SIZES:
            running[size] = this_project(shape, material, num_members=size)
        with threadpool_limits(1):
            found = benchmark_steps.take_turns(running, ROUNDS)
        medians = {name: times["median"] for name, times in found.items()}
        best = min(medians["jax"], medians["jax_rates"])
        for size in SIZES:
            relative[size].append(medians[size] / medians[9])
        print(tuple(shape), medians, f"stack / best of JAX: {medians['grid_lane'] / best:.2f}")
    for size, ratios in relative.items():
        print(f"stack of {size} against 9, a network: {', '.join(f'{r:.2f}' for r in ratios)}")
    print_scaling()


def print_scaling():
    """Simulate the grid and what is beside it on several numbers of workers."""
    from helpers.grid import beyond, jobs
    from helpers.notebook import parameters

    names = "num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"
    full = parameters.full("c")
    runs = jobs.list_runs(*(full[name] for name in names), alpha=0.0, seed=0, num_seeds=1)
    runs += [*beyond.options(), *beyond.members(), *jobs.repeats(runs[:5], 3)]
    ideal = jobs.total_cost(jobs.make_jobs(runs, 1))
    for num_workers in WORKERS:
        found = jobs.make_jobs(runs, num_workers)
        ratio = jobs.time_needed(found, num_workers) * num_workers / ideal
        print(f"{num_workers:2} workers: {len(found)} jobs, {ratio:.2f} of the ideal time")


if __name__ == "__main__":
    main()
