"""Kill runs at random moments, again and again, and count what is lost: nothing, it should be.

    python tests/tools/soak.py                          6 rounds, about a minute
    python tests/tools/soak.py --rounds 200 --record    what tests/tools/soak.json holds

A round starts a run, hits it once with a random fault at a random moment, waits for its processes
to end and looks at the output folder. Rounds come in chains: each goes on where the last one was
killed, until a run is left in peace and must end with the table known from a peaceful run. All runs
replace the results of another version (another alpha, another width), so that a mixture shows.
Most rounds act on a grid search without notebooks, the others on the whole command line.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import nbformat
import numpy as np
import psutil

from helpers import files
from helpers.batch import output as batch

RECORD = Path(__file__).with_name("soak.json")
MARK = "HELPERS_SOAK_RUN"
HEARS_HANGUP = "env", "--default-signal=HUP"
"""Starts a run that hears SIGHUP, even where this program was told not to (nohup)."""
LOSSES = (
    "rows_lost",
    "torn_files",
    "mixed_sets",
    "orphans",
    "temporary_files",
    "tracebacks",
    "other_exit_statuses",
)
"""What must stay 0. Tracebacks count on the command line only: without a kernel that collects what
workers print, one that loses its parent while it starts shows Python's own."""
TINY = {
    "a": "hidden_layers 4 num_epochs 1 batch_size 1000",
    "c": "num_hidden_layers 0,1 num_units 4 num_epochs 1,2 batch_size 1000 "
    "learning_rate 0.05,0.1 repeat_top 1 repeat_seeds 2",
    "d": "",
}
VERSIONS = dict.fromkeys(("grid", "a", "c"), ("alpha 0.0", "alpha 0.001"))
VERSIONS["d"] = ("num_images 2", "num_images 3")
KERNEL, WORKER = "ipykernel_launcher", "--multiprocessing-fork"
LIMIT = "file-size limit"
KINDS = {
    "SIGINT of the command": (None, SIGINT, {130, -2}),
    "SIGTERM of the command": (None, SIGTERM, {143, -15}),
    "SIGHUP of the command": (None, SIGHUP, {129, -1}),
    "SIGKILL of the command": (None, SIGKILL, {-9}),
    "SIGKILL of the kernel": (KERNEL, SIGKILL, {1}),
    "SIGTERM of the kernel": (KERNEL, SIGTERM, {1}),
    "SIGKILL of a worker": (WORKER, SIGKILL, {0}),
    LIMIT: (None, None, {0, 1, 2}),
}
"""Who is hit, with what, and the exit status that the command then has; or 0, if it was done."""
FITTING = {"grid": {None, WORKER}, "a": {None, KERNEL}, "c": {None, KERNEL, WORKER}}
FITTING["d"] = FITTING["a"]


def start(command, log=subprocess.DEVNULL, **environment):
    """Start a run whose processes, down to the last grandchild, carry a mark of their own.

    Parameters
    ----------
    command : list of str
    log : file, optional
        Takes what the run prints.
    **environment : str
        Further environment variables.

    Returns
    -------
    process : subprocess.Popen
    mark : str
    """
    mark = uuid.uuid4().hex
    where = {"cwd": files.PROJECT, "env": os.environ | environment | {MARK: mark}}
    command = [*HEARS_HANGUP, *command]
    return subprocess.Popen(command, stdout=log, stderr=log, **where), mark


def family(mark):
    """List the living processes of a run.

    Parameters
    ----------
    mark : str

    Returns
    -------
    list of psutil.Process
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def survivors(mark, patience=20):
    """Give a run's processes some seconds to end; end those that do not.

    Parameters
    ----------
    mark : str
    patience : float
        Seconds.

    Returns
    -------
    int
        How many had to be ended.
    """
    deadline = time.monotonic() + patience
    while family(mark) and time.monotonic() < deadline:
        time.sleep(0.3)
    orphans = family(mark)
    for process in orphans:
        process.kill()
    return len(orphans)


def hit(process, mark, kind):
    """Inject one fault into a run.

    Parameters
    ----------
    process : subprocess.Popen
    mark : str
    kind : str
        A key of `KINDS`; where the victim is not there yet, it is waited for.

    Returns
    -------
    bool
        Whether the run was still there to be hit.
    """
    role, signum, _ = KINDS[kind]
    while process.poll() is None:
        members = [psutil.Process(process.pid)] if role is None else family(mark)
        for victim in members:
            try:
                if role and not any(role in word for word in victim.cmdline()):
                    continue
                if signum is None:
                    victim.rlimit(psutil.RLIMIT_FSIZE, (40_000, 40_000))
                else:
                    victim.send_signal(signum)
                return True
            except psutil.Error:
                continue
        time.sleep(0.2)
    return False


def signature(folder):
    """Say of each result what tells the versions apart, leaving out times and the machine.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to str
        Name -> hash; "torn" for a file that cannot be read to its end.
    """
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        if path.name.endswith(".failed.ipynb"):
            continue
        try:
            content = _content(path)
        except (ValueError, nbformat.ValidationError):
            content = b"torn"
        found[path.name] = "torn" if content == b"torn" else hashlib.sha256(content).hexdigest()
    return found


def _content(path):
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return "\n".join(cell.source for cell in cells if cell.cell_type == "code").encode()
    if path.name == "timing.json":
        return b"whole" if json.loads(path.read_text("utf-8")) else b"torn"
    if path.suffix == ".html":  # made of the other files, after them
        return b"whole" if path.read_text("utf-8").rstrip().endswith("</html>") else b"torn"
    return path.read_bytes()


def _is_whole(path):
    """Tell whether all arrays of a finished unit can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return bool(dict(file))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


class Lane:
    """One kind of run in an output folder of its own, killed round after round."""

    def __init__(self, name, folder, rng, counts, model_dir=None):
        self.name, self.folder, self._rng, self._counts = name, folder / name, rng, counts
        self._model_dir, self._target, self._saved = model_dir, 0, set()
        self._temporary = folder / f"{name} temporary"
        self._temporary.mkdir()
        self._known, start_time = [], time.monotonic()
        for version in (1, 0):
            self._target = version
            self._finish(known=True)
        self._seconds = (time.monotonic() - start_time) / 2
        self._known.reverse()

    def command(self):
        """list of str : what replaces the current version by the other one."""
        version = VERSIONS[self.name][self._target]
        if self.name == "grid":
            call = f"soak_grid.drive({str(self.folder)!r}, {version.split()[1]})"
            quiet = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"
            code = f"{quiet}; from tests.tools import soak_grid; os._exit({call})"
            return [sys.executable, "-c", code]
        words = iter(f"{TINY[self.name]} {version}".split())
        command = [sys.executable, "-m", "helpers", self.name, "--quick"]
        for name, value in zip(words, words, strict=True):
            command += ["-p", name, value]
        command += ["--resume"] if self.name == "c" else []
        command += ["-p", "model_dir", str(self._model_dir)] if self.name == "d" else []
        return [*command, "--output", str(self.folder)]

    def chain(self, rounds):
        """Hit a run once a round, then let it finish.

        Parameters
        ----------
        rounds : int

        Returns
        -------
        int
            The same.
        """
        fitting = [kind for kind in KINDS if KINDS[kind][0] in FITTING[self.name]]
        weights = [0.3 if kind == LIMIT else 1 for kind in fitting]
        self._target, self._saved = 1 - self._target, set()
        for kind in self._rng.choices(fitting, weights, k=rounds):
            while not self._round(kind):  # it was done before it could be hit
                self._target, self._saved = 1 - self._target, set()
        self._finish()
        print(f"{self.name}: {rounds} rounds", file=sys.stderr, flush=True)
        return rounds

    def _start(self, log):
        return start(self.command(), log, TMPDIR=str(self._temporary))

    def _round(self, kind):
        with tempfile.TemporaryFile("w+") as log:
            process, mark = self._start(log)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._rng.uniform(0, self._seconds))
            was_hit = hit(process, mark, kind)
            status = process.wait(600)
            orphans = survivors(mark)
            if was_hit:
                self._counts[kind] += 1
                self._count("orphans", orphans, kind)
                expected = status in KINDS[kind][2] | {0}
                log.seek(0)
                said = log.read()
                self._count("other_exit_statuses", not expected, kind, status, said)
                shown = "Traceback" in said and self.name != "grid"
                self._count("tracebacks", shown, kind, said)
        self._check(kind)
        return was_hit

    def _check(self, kind):
        """Look at the folder as the next run will find it."""
        if KINDS[kind][0] is None and "KILL" not in kind:
            self._check_hidden(kind, {batch.LOCK, ".grid"})
        with batch.output_lock(self.folder):
            self._check_hidden(kind, {batch.LOCK, batch.OWNER, ".grid"})
            found = signature(self.folder)
            torn = [name for name, content in found.items() if content == "torn"]
            self._count("torn_files", len(torn), kind, torn)
            self._count("mixed_sets", found not in self._known, kind, found)
            saved = self._check_units(kind)
            published = found == self._known[self._target]
            lost = set() if published else self._saved - saved
            self._count("rows_lost", len(lost), kind, lost)
            self._saved = saved

    def _check_hidden(self, kind, allowed):
        found = {path.name for path in self.folder.glob(".*")} - allowed
        found |= {path.name for path in files.grid_folder(self.folder).glob(".*")}
        self._count("temporary_files", len(found), kind, found)

    def _check_units(self, kind):
        saved = set()
        for path in files.grid_folder(self.folder).glob("*.npz"):
            self._count("torn_files", not _is_whole(path), kind, path.name)
            saved.add(path.name)
        return saved

    def _finish(self, known=False):
        with tempfile.TemporaryFile("w+") as log:
            process, mark = self._start(log)
            status = process.wait(600)
            log.seek(0)
            said = log.read()
        self._count("orphans", survivors(mark), "finish")
        if known:
            if status:
                raise RuntimeError(f"the peaceful run failed: {said}")
            self._known.append(signature(self.folder))
            return
        self._counts["runs completed afterwards"] += 1
        self._count("other_exit_statuses", status != 0, "finish", status, said)
        expected, found = self._known[self._target], signature(self.folder)
        self._count("rows_lost", found != expected, "finish", found, expected)
        self._check_hidden("finish", {batch.LOCK})
        found = [path.name for path in self._temporary.iterdir()]
        self._count("temporary_files", len(found), "finish", found)

    def _count(self, what, number, *details):
        self._counts[what] += int(number)
        if number:
            print(f"{self.name}: {what}:", *details, file=sys.stderr, flush=True)


def soak(rounds, seed, share, folder):
    """Run all rounds: those of the grid and those of the command line side by side.

    Parameters
    ----------
    rounds, seed : int
    share : float
        Of the rounds that act on the whole command line.
    folder : Path

    Returns
    -------
    dict
        The record.
    """
    start_time, whole = time.monotonic(), round(share * rounds)
    with ThreadPoolExecutor(2) as pool:
        lanes = [
            pool.submit(_soak_grid, rounds - whole, f"{seed} grid", folder),
            pool.submit(_soak_command, whole, f"{seed} command", folder),
        ]
        counts = sum((lane.result() for lane in lanes), Counter())
    by_kind = {kind: counts[kind] for kind in KINDS if counts[kind]}
    return {
        "seed": seed,
        "rounds": rounds,
        "faults": sum(by_kind.values()),
        "kills": sum(by_kind.values()) - by_kind.get(LIMIT, 0),
        "faults_by_kind": by_kind,
        "on_the_whole_command_line": whole,
        **{name: counts[name] for name in LOSSES},
        "runs_completed_afterwards": counts["runs completed afterwards"],
        "seconds": round(time.monotonic() - start_time),
    }


def _soak_grid(rounds, seed, folder):
    rng, counts = random.Random(seed), Counter()
    lane = Lane("grid", folder, rng, counts) if rounds else None
    while rounds:
        rounds -= lane.chain(min(rounds, rng.randint(4, 10)))
    return counts


def _soak_command(rounds, seed, folder):
    rng, counts, lanes = random.Random(seed), Counter(), {}
    model_dir = folder / "model"
    while rounds:
        name = rng.choice("acd") if lanes else "c"
        if name not in lanes:
            lanes[name] = Lane(name, folder, rng, counts, model_dir)
        if not model_dir.exists():  # for d, which shall see one network in all its runs
            shutil.copytree(lanes["c"].folder, model_dir)
        rounds -= lanes[name].chain(min(rounds, rng.randint(4, 10)))
    return counts


def main(arguments=None):
    """Run the soak; the exit status is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", type=float, default=0.3, help="share on the command line")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        record = soak(options.rounds, options.seed, options.whole, Path(folder))
    if options.record:
        files.write_json(RECORD, record)
    print(json.dumps(record, indent=2))
    return 1 if any(record[name] for name in LOSSES) else 0


if __name__ == "__main__":
    sys.exit(main())
