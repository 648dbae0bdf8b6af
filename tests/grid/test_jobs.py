"""Jobs: every run once, in the assignment's order, together where that saves time."""

import heapq
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from helpers import data
from helpers.grid import beyond, jobs, listing, stack
from helpers.grid.jobs import make_jobs
from helpers.grid.listing import list_runs
from helpers.grid.stack import networks_of
from helpers.notebook import parameters
from helpers.recipe import Recipe
from tests.grid.grids import SMALL

FULL = {name: parameters.full("c")[name] for name in SMALL}
FEW = data.Images(np.zeros((2, 784), np.float32), np.arange(2))


def test_the_full_grid_is_162_runs_in_the_order_of_the_assignment():
    runs = list_runs(**FULL)
    assert len(set(runs)) == len(runs) == 162
    first = Recipe((784, 30, 30, 30, 10), 50, 16, 0.005)
    third = replace(first, batch_size=32)
    assert runs[:3] == [first, replace(first, num_epochs=100), third]
    assert runs[-1] == Recipe((784, 50, 50, 50, 50, 50, 10), 100, 64, 0.05)


def test_one_worker_gets_the_full_grid_as_nine_stacks_of_nine_networks():
    made = make_jobs(list_runs(**FULL))
    assert [(len(job.recipes), len(job.networks)) for job in made] == [(18, 9)] * 9


def time_needed(jobs, num_workers):
    """When workers are done with jobs, the longest first, in units of cost."""
    busy_until = [0.0] * num_workers
    for cost in sorted((job.cost for job in jobs), reverse=True):
        heapq.heapreplace(busy_until, busy_until[0] + cost)
    return max(busy_until)


@pytest.mark.parametrize(("num_workers", "most"), [(1, 1.0), (2, 1.05), (8, 1.12), (16, 1.3)])
def test_workers_are_done_with_the_grid_and_what_is_beside_it_nearly_together(num_workers, most):
    runs = [*list_runs(**FULL), *beyond.options(), *beyond.members()]
    runs += listing.repeats(runs[:5], 3)
    made = make_jobs(runs, num_workers)
    assert Counter(set(runs)) == Counter(run for job in made for run in job.recipes)
    for job in made:
        assert job.networks == networks_of(job.recipes)
        stack.Stack(job.networks, FEW)
        assert len(job.networks) == 1 or not any(map(jobs.is_large, job.recipes))
    ideal = jobs.total_cost(make_jobs(runs, 1)) / num_workers
    assert time_needed(made, num_workers) <= most * ideal + 1e-6


def test_those_with_the_same_minibatches_come_together():
    made = make_jobs(list_runs(**FULL | {"num_seeds": 2}))
    assert all(len({recipe.shuffle_seed for recipe in job.recipes}) == 1 for job in made)


def test_repeats_take_the_next_seeds_for_weights_and_minibatches():
    made = listing.repeats([Recipe((2, 2), 1, 1, 0.1, seed=3, shuffle_seed=3)], 2)
    assert [(each.seed, each.shuffle_seed) for each in made] == [(4, 4), (5, 5)]
