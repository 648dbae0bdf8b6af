"""Jobs: which runs of a grid train together, and what names the result of each run.

A job is what a worker gets at a time: runs that train as one stack (`helpers.grid.stack`). Runs of
one width, batch size and length can share it; those that see the same minibatches come together
first; a shorter run at a constant rate is a checkpoint of a longer one. Every network of a stack
is the one that is trained alone, so jobs may be cut as it suits the workers. Left out: where and
when jobs are trained (`helpers.grid.search`, `helpers.grid.workers`).
"""

import hashlib
import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import scipy

from helpers import data, files, network
from helpers.grid import machine
from helpers.recipe import Recipe

NUM_IMAGES = 54_000
LARGEST = 9
"""Networks in a stack; more gain nothing."""
LARGE_NETWORK = 100_000
"""Weights above which a network trains alone: its stack would not fit into a processor's cache."""
STEP, NETWORK, PRODUCT = 20, 5, 27e-6
"""Microseconds of a step, for each of its networks, and for each weight and image.

Measured on a Cascade Lake core; only what they are to each other matters. A large network takes
`OUT_OF_CACHE` times as long as that.
"""
OUT_OF_CACHE = 1.6
SOURCES = ["network.py", "recipe.py", "history.py", "sgd.py", "threads.py", "data.py"]
SOURCES += [f"grid/{name}.py" for name in ("products", "workspace", "stack", "jobs", "runs")]
CODE = [(files.PROJECT / "helpers" / name).read_text("utf-8") for name in SOURCES]
"""What computes a result and stores it, as it was imported."""


@dataclass(frozen=True)
class Job:
    """Runs that train together."""

    recipes: tuple[Recipe, ...]

    @property
    def num_epochs(self):
        """int : of the longest run."""
        return max(recipe.num_epochs for recipe in self.recipes)

    @cached_property
    def cost(self):
        """float : expected microseconds, to start the longest job first and to predict the end."""
        batch_size = self.recipes[0].batch_size
        microseconds = STEP
        for member in checkpoints(self.recipes):
            num_weights = network.num_weights(member.layer_sizes)
            factor = OUT_OF_CACHE if is_large(member) else 1
            microseconds += factor * (NETWORK + PRODUCT * num_weights * batch_size)
        return self.num_epochs * math.ceil(NUM_IMAGES / batch_size) * microseconds

    @property
    def fingerprint(self):
        """str : hash of all that decides the results of the job."""
        return _hash("".join(map(fingerprint, self.recipes)))


@cache
def identity():
    """Give what decides the result of a run beside its recipe: name -> version, or a hash."""
    split = data.SHA256, data.SPLIT_SEED, data.NUM_VALIDATION
    return {
        "data": _hash(repr(split)),
        "code of helpers": _hash(repr(CODE)),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "BLAS kernels": machine.blas_kernels(),
    }


def fingerprint(recipe):
    """Hash all that decides the result of a run: the recipe and `identity`.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    return _hash(repr((recipe, identity())))


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checkpoints(recipes):
    """Find the networks to train: at a constant rate, a shorter run is part of a longer one.

    Returns
    -------
    dict
        Recipe -> list of helpers.sgd.Recipe: the longest run of each network, and all runs that
        are read from its training: it, shorter ones, and averages of its iterates.
    """
    found = defaultdict(list)
    for recipe in dict.fromkeys(recipes):
        length = 0 if recipe.schedule == "constant" else recipe.num_epochs
        steps = replace(recipe, num_epochs=length, average_epochs=0)
        found[steps].append(recipe)
    return {max(runs, key=lambda recipe: recipe.num_epochs): runs for runs in found.values()}


def is_large(recipe):
    """Tell whether a network is better trained alone than in a stack."""
    return network.num_weights(recipe.layer_sizes) > LARGE_NETWORK


def make_jobs(recipes, num_workers=1):
    """Group runs into jobs for a number of workers.

    Large stacks save work, small ones share it evenly. So the groups of runs that can train
    together are cut into jobs of several costs, and those are taken that end early at little work.

    Parameters
    ----------
    recipes : iterable of helpers.sgd.Recipe
    num_workers : int

    Returns
    -------
    list of Job
        Each run is in one of them; the longest job first.
    """
    runs_of = checkpoints(recipes)
    groups = defaultdict(list)
    for number, member in enumerate(runs_of):
        widths = frozenset(member.layer_sizes[1:-1])
        alone = number if is_large(member) else None
        groups[member.batch_size, widths, member.num_epochs, alone].append(member)
    for members in groups.values():
        members.sort(key=lambda member: member.shuffle_seed)  # so that they share minibatches
    whole = [Job(tuple(members)) for members in groups.values()]
    share = total_cost(whole) / num_workers
    tried = []
    for part in range(1, 11):
        limit = share * part / 10
        jobs = [piece for job in whole for piece in _cut(job, runs_of, limit)]
        tried.append(sorted(jobs, key=lambda job: job.cost, reverse=True))

    def badness(jobs):
        return time_needed(jobs, num_workers) + total_cost(jobs) / num_workers

    return min(tried, key=badness)


def _cut(job, runs_of, limit):
    """Cut a job into pieces of at most `LARGEST` networks and about a cost; add all their runs."""
    members = job.recipes
    num_jobs = max(math.ceil(len(members) / LARGEST), math.ceil(job.cost / limit))
    places = np.array_split(np.arange(len(members)), min(num_jobs, len(members)))
    return [Job(tuple(run for k in each for run in runs_of[members[k]])) for each in places]


def total_cost(jobs):
    """Add up the costs of jobs."""
    return sum(job.cost for job in jobs)


def time_needed(jobs, num_workers):
    """Predict when workers are done with jobs that they take in this order, in units of cost."""
    busy_until = [0.0] * num_workers
    for job in jobs:
        heapq.heapreplace(busy_until, busy_until[0] + job.cost)
    return max(busy_until)
