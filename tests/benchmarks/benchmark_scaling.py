"""What more workers gain: part C's grid, cut into jobs for them and trained by 1, 2 and 4.

    python -m tests.benchmarks.benchmark_scaling             about 3 minutes on two cores

Epochs are cut to `EPOCHS`. With fewer cores than processes those share them, so what counts is the
processor time of the process that worked longest. All is printed, nothing kept. What the project's
own cost model expects of up to 16 workers is for tests/grid/test_jobs.py.
"""

import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from helpers import data
from helpers.grid import jobs, listing, stack
from helpers.grid.table import FACTORS
from helpers.notebook import parameters

NUM_WORKERS = 1, 2, 4
EPOCHS = {100: 2, 50: 1}
"""A shorter grid with the same jobs in it."""


def main():
    """Train and print, as shares of what perfect scaling would give."""
    full = parameters.full("c")
    grid = listing.list_runs(*(full[name] for name in FACTORS), alpha=0.0, seed=0, num_seeds=1)
    short = [replace(run, num_epochs=EPOCHS[run.num_epochs]) for run in grid]
    seconds = {num_workers: train_all(short, num_workers) for num_workers in NUM_WORKERS}
    for num_workers, busiest in seconds.items():
        print(f"{num_workers:2} workers: {seconds[1] / busiest / num_workers:.0%} of ideal")


def train_all(runs, num_workers):
    """Train jobs in processes; give the processor seconds of the one that worked longest."""
    busy = Counter()
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=data.load_training) as pool:
        made = sorted(jobs.make_jobs(runs, num_workers), key=lambda job: job.cost, reverse=True)
        for process, seconds in pool.map(train, made):
            busy[process] += seconds
    return max(busy.values())


def train(job):
    """Train a job; give this process and the processor seconds that it took."""
    start = time.process_time()
    stack.train(job.recipes, data.load_training()[0])
    return os.getpid(), time.process_time() - start


if __name__ == "__main__":
    main()
