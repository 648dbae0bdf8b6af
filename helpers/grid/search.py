"""The search: recipes -> trained runs, each one saved as it finishes, resumable, on any executor.

What is stored of a run does not depend on the job that it was trained in, so a search takes up
every run that an earlier one finished, and makes jobs from what is missing, for the workers that
there are. Left out on purpose: adaptive search (every run of the grid is wanted), the test images.
"""

import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

from helpers.errors import OneLineError
from helpers.grid.jobs import fingerprint, make_jobs
from helpers.grid.machine import available_cores
from helpers.grid.runs import Run, RunFolder, save, train_job
from helpers.grid.workers import WorkerError

ATTEMPTS = 3
"""How often in a row a pool of workers may die without having finished a run."""
REPORT_EVERY = 2.0
"""Seconds between two reports of progress."""


class SearchStopped(OneLineError, KeyboardInterrupt):
    """Ctrl-C or the stop button ended a search; the message says how to go on."""


def search(
    recipes,
    folder,
    open_executor,
    num_workers=0,
    resume=False,
    on_progress=lambda line: None,
    beyond=(),
    repeats=lambda found: (),
):
    """Train recipes, and take up again what a dead worker dropped.

    Parameters
    ----------
    recipes : list of helpers.sgd.Recipe
        The grid.
    folder : str or Path
        Of the finished runs; made if needed.
    open_executor : callable
        Returns a context manager that yields a ``concurrent.futures.Executor``
        (`helpers.grid.workers`).
    num_workers : int
        Workers for which jobs are made, if the executor does not tell; 0 for one per core.
    resume : bool
        Whether to take finished runs from `folder` instead of training them again.
    on_progress : callable
        Called with a line (str) at the start, every `REPORT_EVERY` seconds and as jobs finish.
    beyond : list of helpers.sgd.Recipe
        What is wanted beside the grid.
    repeats : callable
        Called with {recipe: `Run`} once the whole grid is there. The recipes that it gives join
        the queue, so that no worker waits for the last one of the grid.

    Returns
    -------
    dict
        Recipe -> `Run`, of everything wanted.

    Raises
    ------
    SearchStopped
        If it is interrupted.
    WorkerError
        If workers cannot be had, keep dying, are lost or are none of this version.
    OSError
        If a run cannot be saved; those saved before remain.
    """
    state = _State(recipes, beyond, repeats, RunFolder(folder, resume))
    failures = 0
    try:
        state.take_up()
        on_progress(state.line())
        while state.missing():
            num_before = len(state.found)
            try:
                with open_executor() as executor:
                    _train_missing(state, executor, num_workers, on_progress)
            except BrokenExecutor:
                failures = 1 if len(state.found) > num_before else failures + 1
                if failures == ATTEMPTS:
                    reason = "worker processes die again and again; is there too little memory?"
                    raise WorkerError(reason) from None
        on_progress(state.line())
    except KeyboardInterrupt:
        raise SearchStopped(f"stopped; {state.saved()}") from None
    except WorkerError as error:
        raise WorkerError(f"{error}; {state.saved()}") from None
    return state.found


def _train_missing(state, executor, num_workers, on_progress):
    """Hand in jobs until nothing is missing."""
    num_workers = getattr(executor, "num_workers", num_workers or available_cores())
    look = getattr(executor, "look", str)  # str() is "": nothing to tell
    futures = {}
    state.forget_jobs()
    try:
        while state.missing() or futures:
            state.make_jobs(num_workers)
            while state.queue and len(futures) < num_workers:
                job = state.begin_next()
                futures[executor.submit(train_job, job, state.folder.path)] = job
            on_progress(state.line(look()))
            finished, _ = wait(futures, REPORT_EVERY, FIRST_COMPLETED)
            for future in finished:
                job = futures.pop(future)
                if future.cancelled():  # its worker was lost; the runs are missing again
                    state.end(job)
                else:
                    state.save(job, future.result())
            state.take_up()
    finally:
        for future in futures:
            future.cancel()
        state.forget_jobs()
        state.take_up()


class _State:
    """What a search wants, what it has, and which jobs are on the way."""

    def __init__(self, recipes, beyond, repeats, folder):
        self.grid = dict.fromkeys(recipes)
        self.wanted = self.grid | dict.fromkeys(beyond)
        self.folder = folder
        self.found = {}
        self.queue = []
        """Jobs that wait, the most urgent one last."""
        self.in_training = []
        self._repeats = repeats
        self._passed = 0.0
        """Cost of the jobs that this search has trained."""
        self._start = time.monotonic()

    def missing(self):
        """List the recipes without a run; once the grid is there, its repeats among them."""
        if self._repeats and self.grid.keys() <= self.found.keys():
            self.wanted |= dict.fromkeys(self._repeats(self.found))
            self._repeats = None
            self.take_up()
        return [recipe for recipe in self.wanted if recipe not in self.found]

    def take_up(self):
        """Read the runs that have come to be on disk."""
        seconds = time.monotonic() - self._start
        for recipe in self.wanted:
            if recipe not in self.found and (result := self.folder.read(recipe)):
                scores = float(result["cross_entropy"]), float(result["accuracy"])
                self.found[recipe] = Run(recipe, *scores, result["weights"], seconds)

    def make_jobs(self, num_workers):
        """Queue jobs for what is missing and not yet in one."""
        taken = {recipe for job in self.queue + self.in_training for recipe in job.recipes}
        new = [recipe for recipe in self.missing() if recipe not in taken]
        if new:
            self.queue += make_jobs(new, num_workers)
            self.queue.sort(key=self._urgency)

    def _urgency(self, job):
        """Longest first; the grid's jobs count half as much again, since repeats wait for them."""
        is_of_grid = any(recipe in self.grid for recipe in job.recipes)
        return job.cost * (1.5 if is_of_grid else 1)

    def begin_next(self):
        """Take the most urgent job from the queue."""
        job = self.queue.pop()
        self.in_training.append(job)
        self.folder.begin(job)
        return job

    def end(self, job):
        """Note that a job is no longer in training."""
        self.in_training.remove(job)
        self.folder.end(job)

    def save(self, job, results):
        """Put on disk what a worker has trained and not put there itself."""
        for recipe in job.recipes:
            name = fingerprint(recipe)
            if name not in results:
                raise WorkerError(
                    "a worker has another version of helpers, of NumPy or SciPy, or other BLAS "
                    "kernels than this process"
                )
            if recipe not in self.found and not self.folder.read(recipe):
                save(self.folder.path, name, results[name])
        self._passed += job.cost
        self.end(job)

    def forget_jobs(self):
        """Empty the queue: the executor is gone, or a new one has come."""
        for job in list(self.in_training):
            self.end(job)
        self.queue.clear()

    def saved(self):
        """Say in a few words what is kept, and how to go on."""
        num_runs = f"{len(self.found)} of {len(self.wanted)} runs are saved"
        return f"{num_runs}; resume = True, or --resume, goes on from there"

    def line(self, note=""):
        """Say in one line how far the search is."""
        epochs = {job: self.folder.epoch(job) for job in self.in_training}
        parts = [job.cost * epoch / job.num_epochs for job, epoch in epochs.items()]
        passed = self._passed + sum(parts)
        left = sum(job.cost for job in self.queue + self.in_training) - sum(parts)
        num_damaged = self.folder.num_damaged
        damaged = f"damaged files, trained again: {num_damaged}" if num_damaged else ""
        return progress_line(
            self.found.values(),
            num_wanted=len(self.wanted),
            elapsed=time.monotonic() - self._start,
            passed=passed,
            left=left,
            notes=[note, damaged],
        )


def progress_line(runs, num_wanted, elapsed, passed, left, notes=()):
    """Say in one line how far a search is; the time left is estimated from the jobs so far.

    Parameters
    ----------
    runs : collection of Run
    num_wanted : int
    elapsed : float
        Seconds since the start.
    passed, left : float
        Expected cost of what this search has trained, and of what is left.
    notes : sequence of str
        Said at the end; an empty one is not.
    """
    words = []
    if len(runs) == num_wanted:
        words.append("done")
    elif passed:
        words.append(f"about {_clock(elapsed * left / passed)} left")
    else:
        words.append("time left not measured yet")
    words.append(f"{len(runs)} of {num_wanted} runs")
    accuracies = [run.accuracy for run in runs if run.accuracy >= 0]  # not of diverged ones
    if accuracies:
        words.append(f"best {max(accuracies):.2%}")
    words.append(f"{_clock(elapsed)} elapsed")
    return "; ".join([", ".join(words), *filter(None, notes)])


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
