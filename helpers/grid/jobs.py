"""Jobs: which runs of a grid train together.

A job is what a worker gets at a time: runs that train as one stack (`helpers.grid.stack`). Runs of
one width, batch size and length can share it; those that see the same minibatches come together
first; a shorter run at a constant rate is read from a longer one. Every network of a stack is the
one that is trained alone, so jobs may be cut as it suits the workers. Left out: where and when
jobs are trained (`helpers.grid.search`, `helpers.grid.workers`).
"""

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from helpers import network
from helpers.grid.stack import networks_of

STACK_SIZE = 9
"""Networks in a stack; more gain nothing."""
LARGE_NETWORK = 100_000
"""Weights above which a network trains alone: its stack would not fit into a processor's cache."""
STEP, NETWORK, PRODUCT = 20, 5, 27e-6
"""Microseconds of a step, for each of its networks, and for each weight and image.

Measured on a Cascade Lake core; only what they are to each other matters. A large network takes
`OUT_OF_CACHE` times as long as that.
"""
OUT_OF_CACHE = 1.6


@dataclass(frozen=True, eq=False)
class Job:
    """Networks that train together."""

    networks: dict
    """The longest run of each network -> all runs read from its training (`networks_of`)."""

    @property
    def recipes(self):
        """list of helpers.recipe.Recipe : all runs."""
        return [recipe for runs in self.networks.values() for recipe in runs]

    @cached_property
    def cost(self):
        """float : expected microseconds for each training image."""
        num_epochs = max(recipe.num_epochs for recipe in self.networks)
        return self.cost_until(num_epochs + 1)  # one more, for what is measured at the end

    def cost_until(self, epoch):
        """Predict the cost of so many epochs."""
        step = STEP
        for recipe in self.networks:
            num_weights = network.num_weights(recipe.layer_sizes)
            factor = OUT_OF_CACHE if is_large(recipe) else 1
            step += factor * (NETWORK + PRODUCT * num_weights * recipe.batch_size)
        return epoch * step / recipe.batch_size


def is_large(recipe):
    """Tell whether a network is better trained alone than in a stack."""
    return network.num_weights(recipe.layer_sizes) > LARGE_NETWORK


def make_jobs(recipes, num_workers=1):
    """Group runs into jobs for a number of workers.

    Large stacks save work, small ones share it evenly. So the groups of runs that can train
    together are cut into jobs of several costs, and those are taken that end early at little work.

    Parameters
    ----------
    recipes : iterable of helpers.recipe.Recipe
    num_workers : int

    Returns
    -------
    list of Job
        Each run is in one of them; the longest job first.
    """
    groups = group(networks_of(recipes))
    share = total_cost(groups) / num_workers
    plans = []
    for part in range(1, 11):
        jobs = [piece for job in groups for piece in cut(job, share * part / 10)]
        plans.append(sorted(jobs, key=lambda job: job.cost, reverse=True))

    def end_and_work(jobs):
        return time_needed(jobs, num_workers) + total_cost(jobs) / num_workers

    return min(plans, key=end_and_work)


def group(networks):
    """Put networks that can train together into one job, however many they are.

    Parameters
    ----------
    networks : dict
        See `helpers.grid.stack.networks_of`.
    """
    groups = defaultdict(dict)
    for number, recipe in enumerate(networks):
        widths = frozenset(recipe.layer_sizes[1:-1])
        alone = number if is_large(recipe) else None
        key = recipe.batch_size, widths, recipe.num_epochs, alone
        groups[key][recipe] = networks[recipe]
    return [Job(members) for members in groups.values()]


def cut(job, cost):
    """Cut a job into jobs of at most `STACK_SIZE` networks and about a cost; returns a list."""
    # Sorted by their seed, neighbours share minibatches.
    recipes = sorted(job.networks, key=lambda recipe: recipe.shuffle_seed)
    num_jobs = max(math.ceil(len(recipes) / STACK_SIZE), math.ceil(job.cost / cost))
    pieces = np.array_split(np.arange(len(recipes)), min(num_jobs, len(recipes)))
    return [Job({recipes[k]: job.networks[recipes[k]] for k in piece}) for piece in pieces]


def total_cost(jobs):
    """Add up the costs of jobs."""
    return sum(job.cost for job in jobs)


def time_needed(jobs, num_workers):
    """Predict when workers are done with jobs that they take in this order, in units of cost."""
    busy_until = [0.0] * num_workers
    for job in jobs:
        heapq.heapreplace(busy_until, busy_until[0] + job.cost)
    return max(busy_until)
