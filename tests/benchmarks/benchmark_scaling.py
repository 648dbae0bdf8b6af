"""What more workers gain: the plan of part C's jobs, simulated and in reality.

    python tests/benchmarks/benchmark_scaling.py             about 5 minutes on two cores

First stacks of several sizes are measured, one core, in turns, and the three numbers of the cost
model of `helpers.grid.jobs` are fitted to them. Then the jobs that the project makes for a number
of workers are given the fitted times, and it is simulated when that many workers would be done
with everything that part C trains. At last part C's jobs, with epochs cut to `EPOCHS`, are trained
by 1, 2 and 4 processes in earnest. With fewer cores than processes those share them, so what
counts is the processor time of the process that worked longest. All is printed, nothing kept.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from unittest import mock

import benchmark_steps
import numpy as np
import report

SHAPES = [report.Shape(*numbers) for numbers in [(30, 3, 16), (40, 4, 32), (50, 5, 64)]]
SIZES = 1, 2, 3, 4, 6, 9
ROUNDS = 5
SIMULATED = 1, 2, 4, 8, 16, 32
IN_EARNEST = 1, 2, 4
EPOCHS = {100: 2, 50: 1}
"""A shorter part C with the same jobs in it."""


def main():
    """Measure and print."""
    from helpers.grid.machine import blas_kernels

    print(f"{benchmark_steps.cpu_model()}, OpenBLAS kernels {blas_kernels()}")
    model = fit(measure_stacks())
    runs = all_runs()
    one_worker = time_needed(runs, 1, model)
    for num_workers in SIMULATED:
        needed = time_needed(runs, num_workers, model)
        ratio = needed * num_workers / one_worker
        print(f"{num_workers:2} workers, simulated: {needed:5.0f} s, {ratio:.2f} of ideal")
    short = [shortened(run) for run in runs if run.num_epochs in EPOCHS]
    for num_workers in IN_EARNEST:
        expected = time_needed(short, num_workers, model)
        found = train_in_earnest(short, num_workers)
        print(f"{num_workers} workers: simulated {expected:.1f} s, busiest {found:.1f} s")


def measure_stacks():
    """Time stacks of several sizes; a list of (shape, size, microseconds a step)."""
    from threadpoolctl import threadpool_limits

    from helpers import data
    from helpers.grid.stack import Stack

    training, found = data.load_training()[0], []
    for shape in SHAPES:
        makers = {size: running(Stack, training, shape, size) for size in SIZES}
        with threadpool_limits(1):
            times = benchmark_steps.take_turns(makers, ROUNDS)
        found += [(shape, size, times[size]["median"]) for size in SIZES]
        relative = [f"{times[n]['median'] / n * 9 / times[9]['median']:.2f}" for n in SIZES]
        print(tuple(shape), "cost a network in stacks of", SIZES, "against 9:", *relative)
    return found


def running(make_stack, training, shape, size):
    """Make a function that takes some steps of a stack of equal networks."""
    from helpers.grid.stack import networks_of
    from helpers.recipe import Recipe

    sizes = (784, *[shape.num_units] * shape.num_hidden_layers, 10)
    recipes = [Recipe(sizes, 100, shape.batch_size, 0.01, seed=seed) for seed in range(size)]
    stack = make_stack(networks_of(recipes), training)
    stack.set_rates(0)
    batches = stack.minibatches(0)[:300]

    def run():
        for batch in batches:
            stack.step(batch)
        return len(batches)

    return run


def fit(measured):
    """Fit microseconds of a step, of a network in it, and of each weight and image."""
    from helpers import network

    rows, times = [], []
    for shape, size, microseconds in measured:
        sizes = (784, *[shape.num_units] * shape.num_hidden_layers, 10)
        rows.append([1, size, size * network.num_weights(sizes) * shape.batch_size])
        times.append(microseconds)
    weights = 1 / np.array(times)  # relative errors count
    model, *_ = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(times)), rcond=None)
    errors = np.array(rows) @ model * weights - 1
    step, each, product = model
    print(f"step {step:.1f} us, network {each:.1f} us, weight and image {product:.2e} us; ", end="")
    print(f"relative error of the model {np.sqrt(np.mean(errors**2)):.1%}")
    return model


def all_runs():
    """List everything that part C trains at full size."""
    from helpers.grid import beyond, listing
    from helpers.notebook import parameters

    names = "num_hidden_layers", "num_units", "learning_rate", "batch_size", "num_epochs"
    full = parameters.full("c")
    runs = listing.list_runs(*(full[name] for name in names), alpha=0.0, seed=0, num_seeds=1)
    repeated = listing.repeats(runs[: full["repeat_top"]], full["repeat_seeds"])
    return [*runs, *beyond.options(), *beyond.members(), *repeated]


def shortened(run):
    """Cut the epochs of a run of the grid."""
    return replace(run, num_epochs=EPOCHS[run.num_epochs])


def time_needed(runs, num_workers, model):
    """Simulate when the workers are done, in seconds, with the jobs made for so many of them."""
    from helpers.grid import jobs

    made = jobs.make_jobs(runs, num_workers)  # by the project's own cost model, as in earnest
    step, each, product = model
    with mock.patch.multiple(jobs, STEP=step, NETWORK=each, PRODUCT=product):
        timed = [jobs.Job(job.networks) for job in made]  # a job keeps the cost that it had
        return jobs.time_needed(timed, num_workers) * 54_000 / 1e6  # a cost is that of an image


def train_in_earnest(runs, num_workers):
    """Train jobs in processes; give the processor seconds of the one that worked longest."""
    from helpers.grid import jobs

    busy = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=get_ready) as pool:
        for process, used in pool.map(train, jobs.make_jobs(runs, num_workers)):
            busy[process] = busy.get(process, 0) + used
    return max(busy.values())


def get_ready():
    """Read the images before the clock starts."""
    from helpers import data

    data.load_training()


def train(job):
    """Train a job; give this process and the processor seconds that it took."""
    from helpers import data
    from helpers.grid import stack

    start = time.process_time()
    stack.train(job.recipes, data.load_training()[0])
    return os.getpid(), time.process_time() - start


if __name__ == "__main__":
    main()
