"""What more workers gain: part C's jobs planned for many workers, and trained by a few.

    python -m tests.benchmarks.benchmark_scaling             about 3 minutes on two cores

Planned, with the project's own cost model: when so many workers are done with all that part C
trains. Trained: the same jobs with epochs cut to `EPOCHS`, by 1, 2 and 4 processes. With fewer
cores than processes those share them, so what counts is the processor time of the process that
worked longest. All is printed, nothing kept.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from helpers import data
from helpers.grid import beyond, jobs, listing, stack
from helpers.grid.table import FACTORS
from helpers.notebook import parameters
from tests.grid.grids import time_needed

PLANNED = 1, 2, 4, 8, 16, 32
TRAINED = 1, 2, 4
EPOCHS = {100: 2, 50: 1}
"""A shorter part C with the same jobs in it."""


def main():
    """Plan, train and print, as shares of what perfect scaling would give."""
    runs = all_runs()
    one_worker = time_needed(jobs.make_jobs(runs, 1), 1)
    for num_workers in PLANNED:
        needed = time_needed(jobs.make_jobs(runs, num_workers), num_workers)
        print(f"{num_workers:2} workers, planned: {one_worker / needed / num_workers:.0%} of ideal")
    short = [replace(run, num_epochs=EPOCHS[run.num_epochs]) for run in runs[:162]]
    seconds = {num_workers: train_all(short, num_workers) for num_workers in TRAINED}
    for num_workers, busiest in seconds.items():
        print(
            f"{num_workers:2} workers, trained: {seconds[1] / busiest / num_workers:.0%} of ideal"
        )


def all_runs():
    """List everything that part C trains at full size, the grid first."""
    full = parameters.full("c")
    grid = listing.list_runs(*(full[name] for name in FACTORS), alpha=0.0, seed=0, num_seeds=1)
    repeated = listing.repeats(grid[: full["repeat_top"]], full["repeat_seeds"])
    return [*grid, *beyond.options(), *beyond.members(), *repeated]


def train_all(runs, num_workers):
    """Train jobs in processes; give the processor seconds of the one that worked longest."""
    busy = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=data.load_training) as pool:
        made = sorted(jobs.make_jobs(runs, num_workers), key=lambda job: job.cost, reverse=True)
        for process, seconds in pool.map(train, made):
            busy[process] = busy.get(process, 0) + seconds
    return max(busy.values())


def train(job):
    """Train a job; give this process and the processor seconds that it took."""
    start = time.process_time()
    stack.train(job.recipes, data.load_training()[0])
    return os.getpid(), time.process_time() - start


if __name__ == "__main__":
    main()
