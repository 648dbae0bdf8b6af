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
from helpers.grid.jobs import make_jobs, total_cost
from helpers.grid.machine import available_cores
from helpers.grid.runs import RunFolder, identity, train_job

REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""
QUIET_SECONDS = 60.0
"""Seconds without news of any worker after which the progress line says so."""


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
        Returns a context manager that yields a ``concurrent.futures.Executor``
        (`helpers.grid.workers`). Jobs are made for its ``num_workers``, else for one per core.
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
    search = _Search(RunFolder(Path(folder), identity()), recipes, repeats)
    try:
        search.folder.path.mkdir(parents=True, exist_ok=True)
        search.want([*recipes, *beyond])
        on_progress(search.line())
        if search.missing():
            with open_executor() as executor:
                search.train(executor, on_progress)
            on_progress(search.line())
    except KeyboardInterrupt:
        raise SearchStopped(f"stopped; {search.saved()}") from None
    except (OneLineError, OSError) as error:
        raise SearchError(f"{error}; {search.saved()}") from None
    return search.runs


class _Search:
    """What a search wants, what it has, and which jobs are on the way."""

    def __init__(self, folder, recipes, repeats):
        self.folder = folder
        self.grid = set(recipes)
        self.repeats = repeats
        """None once they are wanted."""
        self.wanted = {}
        """Recipes, in order; the values mean nothing."""
        self.runs = {}
        """Recipe -> Run."""
        self.jobs = {}
        """Future -> its job."""
        self.start = time.monotonic()
        self.cost_trained = 0.0
        self.news = None
        """How far runs and jobs were when they moved last."""
        self.time_of_news = self.start

    def want(self, recipes):
        """Add recipes to those wanted; take what is on disk of them."""
        self.wanted |= dict.fromkeys(recipes)
        for recipe in recipes:
            run = self.folder.load(recipe)
            if run:
                self.add(run)

    def add(self, run):
        """Note a run that is on disk; once the whole grid is, its repeats are wanted, too."""
        self.runs[run.recipe] = replace(run, seconds=time.monotonic() - self.start)
        if self.repeats and self.grid <= self.runs.keys():
            repeats = self.repeats(self.runs)
            self.repeats = None
            self.want(repeats)

    def missing(self):
        """List the recipes without a run."""
        return [recipe for recipe in self.wanted if recipe not in self.runs]

    def train(self, executor, on_progress):
        """Hand in jobs until nothing is missing."""
        try:
            self.hand_in(executor)
            while self.jobs:
                on_progress(self.line())
                finished, _ = wait(self.jobs, REPORT_EVERY, FIRST_COMPLETED)
                for future in finished:
                    self.take(future)
                self.hand_in(executor)
        finally:
            for future in list(self.jobs):
                future.cancel()
                self.end(future)

    def hand_in(self, executor):
        """Submit jobs for what is missing and in no job yet, the most urgent one first."""
        num_workers = getattr(executor, "num_workers", None) or available_cores()
        in_jobs = {recipe for job in self.jobs.values() for recipe in job.recipes}
        new = [recipe for recipe in self.missing() if recipe not in in_jobs]
        for job in sorted(make_jobs(new, num_workers), key=self.urgency, reverse=True):
            self.folder.epoch_file(job).write_bytes(b"")
            self.jobs[executor.submit(train_job, job, self.folder)] = job

    def urgency(self, job):
        """Longest first; the grid's jobs count half as much again, since repeats wait for them."""
        return job.cost if self.grid.isdisjoint(job.recipes) else 1.5 * job.cost

    def take(self, future):
        """Save what a worker has trained."""
        for run in future.result():
            self.folder.save(run)
            self.add(run)
        self.cost_trained += self.end(future).cost

    def end(self, future):
        """Forget a job, which is returned; if it is still in training, this ends it."""
        job = self.jobs.pop(future)
        self.folder.epoch_file(job).unlink(missing_ok=True)
        return job

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
        if not self.missing():
            return ", ".join(["done", *words])
        return ", ".join([*words, *self.times()])

    def times(self):
        """Say how long it has taken, what is left by the jobs so far, and if no news comes."""
        now = time.monotonic()
        epochs = {job: self.folder.epoch(job) for job in self.jobs.values()}
        trained = self.cost_trained + sum(job.cost_until(epochs[job]) for job in epochs)
        left = self.cost_trained + total_cost(epochs) - trained
        words = [f"{_clock(now - self.start)} elapsed"]
        if trained:
            words.append(f"about {_clock((now - self.start) * left / trained)} left")
        if self.news != (len(self.runs), epochs):
            self.news = len(self.runs), epochs
            self.time_of_news = now
        if now - self.time_of_news >= QUIET_SECONDS:
            words.append(f"no news from any worker for {_clock(now - self.time_of_news)}")
        return words


def _clock(seconds):
    return timedelta(seconds=round(seconds))
