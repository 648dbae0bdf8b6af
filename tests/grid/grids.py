"""A grid of sixteen runs that trains in a second, for the tests."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from helpers.grid.listing import list_runs
from helpers.grid.table import to_frame

SMALL = {"num_hidden_layers": [1, 2], "num_units": [4], "learning_rate": [0.05, 0.1]}
SMALL |= {"batch_size": [700, 1000], "num_epochs": [1, 2], "alpha": 0.0, "seed": 0, "num_seeds": 1}


def recipes(**changes):
    """Sixteen runs, or as many as the changes make."""
    return list_runs(**SMALL | changes)


@contextmanager
def in_this_process(num_threads=1):
    executor = ThreadPoolExecutor(num_threads)
    executor.num_workers = num_threads
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def content(trained):
    """What must be the same however the runs were trained."""
    runs = sorted(trained.values(), key=lambda run: repr(run.recipe))
    return to_frame(runs).to_csv(), [run.weights.tobytes() for run in runs]
