"""Jobs: which runs of a grid train together, and how a worker trains them.

A job is what a worker gets at a time: runs that train as one stack (`helpers.grid.stack`). Runs of
one width, batch size and length can share it; those that see the same minibatches come together
first; a shorter run at a constant rate is read from a longer one. Every network of a stack is the
one that is trained alone, so jobs may be cut as it suits the workers. Left out: where and when
jobs are trained (`helpers.grid.search`, `helpers.grid.workers`).
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from helpers import data, network, sgd
from helpers.grid import stack
from helpers.grid.runs import Run, check_identity

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
JOB_SHARE = 0.4
"""Of a worker's share of all work, the most that one job takes.

Large stacks save work, small ones share it evenly: of the shares tried from 0.15 to 1, this one
was within 2 % of the best for up to 8 workers, and within 8 % for 16.
"""


@dataclass(frozen=True, eq=False)
class Job:
    """Networks that train together."""

    networks: dict
    """The longest run of each network -> all runs read from its training (`stack.networks_of`)."""

    @property
    def recipes(self):
        """list of helpers.recipe.Recipe : all runs."""
        return [recipe for runs in self.networks.values() for recipe in runs]

    @cached_property
    def cost(self):
        """float : expected microseconds for each training image."""
        longest = max(self.networks, key=lambda recipe: recipe.num_epochs)
        step = STEP
        for recipe in self.networks:
            num_weights = network.num_weights(recipe.layer_sizes)
            factor = OUT_OF_CACHE if is_large(recipe) else 1
            step += factor * (NETWORK + PRODUCT * num_weights * recipe.batch_size)
        num_epochs = longest.num_epochs + 1  # one more, for what is measured at the end
        return num_epochs * step / longest.batch_size


def is_large(recipe):
    """Tell whether a network is better trained alone than in a stack."""
    return network.num_weights(recipe.layer_sizes) > LARGE_NETWORK


def make_jobs(recipes, num_workers=1):
    """Group runs into jobs for a number of workers.

    Parameters
    ----------
    recipes : iterable of helpers.recipe.Recipe
    num_workers : int

    Returns
    -------
    list of Job
        Each run is in one of them.
    """
    groups = group(stack.networks_of(recipes))
    cost = JOB_SHARE * total_cost(groups) / num_workers
    return [job for together in groups for job in cut(together, cost)]


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


def train_job(job, identity):
    """Train a job in this process, on its own copy of the data.

    Parameters
    ----------
    job : Job
    identity : dict
        Of the process that searches (`helpers.grid.runs.identity`).

    Returns
    -------
    list of helpers.grid.runs.Run

    Raises
    ------
    WorkerError
        If this process would not train as the one that searches.
    """
    check_identity(identity)
    training, validation = data.load_training()
    trained = stack.train_networks(job.networks, training)
    return [measure(recipe, weights, validation) for recipe, weights in trained.items()]


def measure(recipe, weights, validation):
    """Evaluate a trained network on validation images; returns a `Run`."""
    scores = sgd.evaluate(network.unpack(weights, recipe.layer_sizes), validation)
    if not np.isfinite([*scores, weights.sum()]).all():
        return Run(recipe, np.nan, np.nan, np.zeros_like(weights))
    return Run(recipe, *map(float, scores), weights)
