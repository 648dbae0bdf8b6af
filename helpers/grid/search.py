"""The search: recipes -> trained runs, each one saved as it finishes, on any executor.

A search always goes on: runs that an earlier one has finished are read from disk, since their
names hold all that decides their results. Jobs are made from what is missing, for the workers that
there are. Left out on purpose: adaptive search (every run of the grid is wanted), the test images.
"""

import time
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from helpers.errors import OneLineError
from helpers.grid.jobs import make_jobs, total_cost, train_job
from helpers.grid.runs import RunFolder, identity

REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""
QUIET_SECONDS = 60.0
"""Seconds without a finished job after which the progress line says so."""


class SearchStopped(OneLineError, KeyboardInterrupt):
    """Ctrl-C or the stop button ended a search; the message says how to go on."""


class SearchError(OneLineError):
    """Workers, or the disk, have ended a search; the message says why, and how to go on."""


def search(
    recipes,
    folder,
    open_executor,
    on_progress=lambda line: None,
    beyond=(),
    repeats=lambda runs: (),
):
    """Train recipes, but for those that an earlier search has finished.

    Parameters
    ----------
    recipes : list of helpers.recipe.Recipe
        The grid.
    folder : str or Path
        Of the finished runs; made if needed.
    open_executor : callable
        Returns a context manager that yields a ``concurrent.futures.Executor`` with an attribute
        ``num_workers``, for which jobs are made (`helpers.grid.workers`).
    on_progress : callable
        Called with a line (str) at the start, every `REPORT_EVERY` seconds and as jobs finish.
    beyond : list of helpers.recipe.Recipe
        What is wanted beside the grid.
    repeats : callable
        Called with {recipe: `Run`} once the whole grid is there. The recipes that it gives join
        the queue, so that no worker waits for the last one of the grid.

    Returns
    -------
    dict
        Recipe -> `helpers.grid.runs.Run`, of everything wanted.

    Raises
    ------
    SearchStopped
        If it is interrupted.
    SearchError
        If workers cannot be had, differ, die or are lost, or a run cannot be saved.
    """
    identity.cache_clear()
    search = _Search(RunFolder(Path(folder), identity()), recipes, on_progress, repeats)
    try:
        search.folder.path.mkdir(parents=True, exist_ok=True)
        search.want([*recipes, *beyond])
        search.report()
        if search.new:
            with open_executor() as executor:
                search.train(executor)
    except KeyboardInterrupt:
        raise SearchStopped(f"stopped; {search.saved()}") from None
    except (OneLineError, OSError) as error:
        raise SearchError(f"{error}; {search.saved()}") from None
    return search.runs


class _Search:
    """What a search wants, what it has, and which jobs are on the way."""

    def __init__(self, folder, recipes, on_progress, repeats):
        self.folder = folder
        self.grid = set(recipes)
        self.on_progress = on_progress
        self.repeats = repeats
        """None once they are wanted."""
        self.wanted = set()
        """Recipes."""
        self.new = []
        """Those that have no run, and are in no job yet."""
        self.runs = {}
        """Recipe -> Run."""
        self.jobs = {}
        """Future -> its job, of those that are not finished, in the order of handing in."""
        self.num_workers = 1
        self.start = time.monotonic()
        self.cost_trained = 0.0
        self.last_finished = self.start
        """When a job was finished."""

    def want(self, recipes):
        """Add recipes to those wanted; take what is on disk of them."""
        for recipe in recipes:
            if recipe in self.wanted:
                continue
            self.wanted.add(recipe)
            run = self.folder.load(recipe)
            if run:
                self.add(run)
            else:
                self.new.append(recipe)

    def add(self, run):
        """Note a run that is on disk; once the whole grid is, its repeats are wanted, too."""
        self.runs[run.recipe] = replace(run, seconds=time.monotonic() - self.start)
        if self.repeats and self.grid <= self.runs.keys():
            repeats = self.repeats(self.runs)
            self.repeats = None
            self.want(repeats)

    def train(self, executor):
        """Hand in jobs until nothing is missing."""
        self.num_workers = executor.num_workers
        try:
            while self.new or self.jobs:
                for job in self.make_jobs():
                    future = executor.submit(train_job, job, self.folder.identity)
                    self.jobs[future] = job
                    self.collect(seconds=0)  # one worker has trained it by now
                self.collect(REPORT_EVERY)
        finally:
            for future in self.jobs:
                future.cancel()

    def make_jobs(self):
        """Make jobs of all new recipes, the most urgent one first."""
        new_jobs = make_jobs(self.new, self.num_workers)
        self.new = []
        return sorted(new_jobs, key=self.urgency, reverse=True)

    def urgency(self, job):
        """Longest first; the grid's jobs count half as much again, since repeats wait for them."""
        return job.cost if self.grid.isdisjoint(job.recipes) else 1.5 * job.cost

    def collect(self, seconds):
        """Wait for so long until a job is finished; save the runs of those that are."""
        finished, _ = wait(self.jobs, seconds, FIRST_COMPLETED)
        for future in finished:
            for run in future.result():
                self.folder.save(run)
                self.add(run)
            self.cost_trained += self.jobs.pop(future).cost
            self.last_finished = time.monotonic()
        self.report()

    def report(self):
        """Tell how far the search is."""
        self.on_progress(self.line())

    def saved(self):
        """Say in a few words what is kept, and how to go on."""
        num_runs = f"{len(self.runs)} of {len(self.wanted)} runs are saved"
        return f"{num_runs}; the same search goes on from there"

    def line(self):
        """Say in one line how far the search is; the last one, which is recorded, has no times."""
        words = [f"{len(self.runs)} of {len(self.wanted)} runs"]
        accuracies = [run.accuracy for run in self.runs.values() if run.accuracy >= 0]
        if accuracies:  # of runs that did not diverge
            words.append(f"best {max(accuracies):.2%}")
        if len(self.runs) == len(self.wanted):
            return ", ".join(["done", *words])
        return ", ".join([*words, *self.times()])

    def times(self):
        """Say how long it has taken, what is left by the finished jobs, and if none finishes."""
        now = time.monotonic()
        quiet = now - self.last_finished
        words = [f"{_clock(now - self.start)} elapsed"]
        if self.cost_trained:
            in_training = list(self.jobs.values())[: self.num_workers]
            half = total_cost(in_training) / 2  # they are about half done
            per_cost = (self.last_finished - self.start) / (self.cost_trained + half)
            left = per_cost * (total_cost(self.jobs.values()) - half) - quiet
            words.append(f"about {_clock(max(left, 0))} left")
        if quiet >= QUIET_SECONDS:
            words.append(f"no job has finished for {_clock(quiet)}")
        return words


def _clock(seconds):
    return timedelta(seconds=round(seconds))
