"""Kill searches at random moments, over processes and over Dask, and look for what was lost.

    python -m tests.tools.soak_grid [NUMBER OF KILLS] [SEED]

Each search is a process of its own, killed together with nothing else: its workers have to end by
themselves. With Dask, every other time a worker is killed, too. A search goes on from the runs
that the last one left, until all are there; then they are compared with runs never disturbed.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from helpers.files import PROJECT
from helpers.grid import listing, search, workers

GRID = {"num_hidden_layers": [1, 2], "num_units": [8, 12], "learning_rate": [0.05, 0.1]}
GRID |= {"batch_size": [200], "num_epochs": [1, 2, 4], "alpha": 0.0, "seed": 0, "num_seeds": 1}
LONGEST_WAIT = 15.0
"""Seconds after which a search is killed, at most."""
TIME_TO_END = 60.0
"""Seconds within which the workers of a killed search have to end."""


def drive(folder, scheduler):
    """Search the grid; this is the process that is killed."""
    where = workers.executor_for("dask" if scheduler else "processes", 2, scheduler)
    return search.search(listing.list_runs(**GRID), folder, where, resume=True)


def start(*arguments):
    command = [sys.executable, "-m", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=PROJECT, env=environment, **quiet)


def start_worker(scheduler):
    return start("distributed.cli.dask_worker", scheduler, "--nthreads=1", "--no-nanny")


def saved(folder):
    """Give the runs on disk: path -> when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}


def content(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


def orphans(family):
    """Wait for processes to end; count those that do not."""
    _, alive = psutil.wait_procs(family, TIME_TO_END)
    for process in alive:
        process.kill()
    return len(alive)


def soak(num_kills, seed, scheduler=""):
    """Kill searches, and give what was counted, a dict."""
    rng = random.Random(seed)
    counts = dict.fromkeys(["kills", "grids", "lost", "trained again", "wrong", "orphans"], 0)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        expected = Path(place) / "expected"
        drive(expected, "")
        folder = Path(place) / "runs"
        team = [start_worker(scheduler) for _ in range(2)] if scheduler else []
        stack.callback(lambda: [each.kill() for each in team])
        while counts["kills"] < num_kills:
            folder.mkdir(exist_ok=True)
            before = saved(folder)
            process = start("tests.tools.soak_grid", "drive", str(folder), scheduler)
            if team and rng.random() < 0.5:
                time.sleep(rng.uniform(0, LONGEST_WAIT))
                team.pop(0).kill()
                team.append(start_worker(scheduler))
                counts["kills"] += 1
            try:
                process.wait(rng.uniform(0, LONGEST_WAIT))
            except subprocess.TimeoutExpired:
                family = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                process.wait()
                counts["orphans"] += orphans(family)
                counts["kills"] += 1
            after = saved(folder)
            counts["lost"] += len(before.keys() - after.keys())
            counts["trained again"] += sum(after.get(p, when) != when for p, when in before.items())
            if len(after) == len(listing.list_runs(**GRID)):
                counts["grids"] += 1
                counts["wrong"] += content(folder) != content(expected)
                shutil.rmtree(folder)
    return counts


def main(num_kills=100, seed=0):
    """Kill half of the searches over processes and half over Dask; print and give the counts."""
    from distributed import LocalCluster

    found = {"processes": soak(num_kills // 2, seed)}
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster:
        found["dask"] = soak(num_kills // 2, seed, cluster.scheduler_address)
    print(json.dumps(found))
    faults = "lost", "trained again", "wrong", "orphans"
    return any(each[fault] for each in found.values() for fault in faults)


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"]:
        drive(Path(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
