"""Kill runs at random moments, again and again, and count what is lost: nothing, it should be.

    python tests/tools/soak.py                          6 rounds, about a minute
    python tests/tools/soak.py --rounds 200 --record    what tests/tools/soak.json holds

A round starts a run, hits it once with a random fault at a random moment, waits for its processes
to end and looks at the output folder. Rounds come in chains: each goes on where the last one was
killed, until a run is left in peace and must end with the table known from a peaceful run. All runs
replace the results of another version (another alpha), so that a mixture shows.
Most rounds act on a grid search without notebooks, the others on the whole command line.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
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
    *("rows_lost", "torn_files", "mixed_sets", "orphans", "temporary_files"),
    *("tracebacks", "other_exit_statuses"),
)
"""What must stay 0. Tracebacks count on the command line only: without a kernel that collects what
workers print, one that loses its parent while it starts shows Python's own."""
TINY = {
    "a": "hidden_layers 4 num_epochs 1 batch_size 1000",
    "c": "num_hidden_layers 0,1 num_units 4 num_epochs 1,2 batch_size 1000 "
    "learning_rate 0.05,0.1 repeat_top 1 repeat_seeds 2",
}
VERSIONS = "0.0", "0.001"
"""Values of alpha: runs replace the results of one by those of the other."""
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


def start(command, log=subprocess.DEVNULL, **environment):
    """Start a run whose processes, down to the last grandchild, carry a mark; give both."""
    mark = uuid.uuid4().hex
    where = {"cwd": files.PROJECT, "env": os.environ | environment | {MARK: mark}}
    return subprocess.Popen([*HEARS_HANGUP, *command], stdout=log, stderr=log, **where), mark


def family(mark):
    """List the living processes of a run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def survivors(mark, patience=20):
    """Give a run's processes some seconds to end; end those that do not, and count them."""
    deadline = time.monotonic() + patience
    while family(mark) and time.monotonic() < deadline:
        time.sleep(0.3)
    orphans = family(mark)
    for process in orphans:
        process.kill()
    return len(orphans)


def hit(process, mark, kind):
    """Inject one fault into a run; tell whether it was still there to be hit.

    Where the victim is not there yet, it is waited for.
    """
    role, signum, _ = KINDS[kind]
    while process.poll() is None:
        for victim in [psutil.Process(process.pid)] if role is None else family(mark):
            with contextlib.suppress(psutil.Error):
                if role and not any(role in word for word in victim.cmdline()):
                    continue
                if signum is None:
                    victim.rlimit(psutil.RLIMIT_FSIZE, (40_000, 40_000))
                else:
                    victim.send_signal(signum)
                return True
        time.sleep(0.2)
    return False


def signature(folder):
    """Say of each result what tells the versions apart: name -> hash, or "torn"."""
    paths = [path for path in folder.glob("[!.]*") if not path.name.endswith(".failed.ipynb")]
    return {path.name: _signature(path) for path in paths}


def _signature(path):
    """Hash a file, leaving out times and the machine; "torn" if it cannot be read to its end."""
    content = path.read_bytes()
    try:
        if path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            content = "\n".join(cell.source for cell in cells if cell.cell_type == "code").encode()
        elif path.name == "timing.json":
            return "whole" if json.loads(content) else "torn"
        elif path.suffix == ".html":  # made of the other files, after them
            return "whole" if content.rstrip().endswith(b"</html>") else "torn"
    except (ValueError, nbformat.ValidationError):
        return "torn"
    return hashlib.sha256(content).hexdigest()


def _is_whole(path):
    """Tell whether all arrays of a finished unit can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return bool(dict(file))
    except Exception:  # whatever a damaged file raises
        return False


class Lane:
    """One kind of run in an output folder of its own, killed round after round."""

    def __init__(self, name, folder, rng, counts):
        self.name, self.folder, self.rng, self.counts = name, folder / name, rng, counts
        self.temporary = folder / f"{name} temporary"
        self.temporary.mkdir()
        self.known, self.saved, begin = {}, set(), time.monotonic()
        for version in VERSIONS:
            self.version = version
            self.finish()
            self.known[version] = signature(self.folder)
        self.seconds = (time.monotonic() - begin) / 2

    def turn(self):
        """Let the next run replace the version that is there by the other one."""
        [self.version] = {*VERSIONS} - {self.version}
        self.saved = set()

    def command(self):
        """Give the command of the next run."""
        if self.name == "grid":
            call = f"soak_grid.drive({str(self.folder)!r}, {self.version})"
            quiet = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL)"
            code = f"{quiet}; from tests.tools import soak_grid; os._exit({call})"
            return [sys.executable, "-c", code]
        words = f"{TINY[self.name]} alpha {self.version}".split()
        pairs = zip(words[::2], words[1::2], strict=True)
        options = [word for pair in pairs for word in ("-p", *pair)]
        options += ["--resume"] if self.name == "c" else []
        where = ["--output", str(self.folder)]
        return [sys.executable, "-m", "helpers", self.name, "--quick", *options, *where]

    def run(self, kind=None):
        """Run, hit by a fault if its kind is named; whether it was, its exit status and words."""
        with tempfile.TemporaryFile("w+") as log:
            process, mark = start(self.command(), log, TMPDIR=str(self.temporary))
            if kind:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.rng.uniform(0, self.seconds))
            was_hit = kind and hit(process, mark, kind)
            status = process.wait(600)
            self.count("orphans", survivors(mark), kind)
            log.seek(0)
            return was_hit, status, log.read()

    def chain(self, rounds):
        """Hit a run once a round, then let it finish, which must end with the known results."""
        fitting = [kind for kind in KINDS if KINDS[kind][0] in FITTING[self.name]]
        weights = [0.3 if kind == LIMIT else 1 for kind in fitting]
        self.turn()
        for kind in self.rng.choices(fitting, weights, k=rounds):
            while not self.round(kind):  # it was done before it could be hit
                self.turn()
        self.finish()
        self.counts["runs_completed_afterwards"] += 1
        found = signature(self.folder)
        self.count("rows_lost", found != self.known[self.version], found)
        print(f"{self.name}: {rounds} rounds", file=sys.stderr, flush=True)
        return rounds

    def round(self, kind):
        """Run once, with a fault of a kind; tell whether it came in time."""
        was_hit, status, said = self.run(kind)
        if was_hit:
            self.counts[kind] += 1
            expected = status in KINDS[kind][2] | {0}
            self.count("other_exit_statuses", not expected, kind, status, said)
            shown = "Traceback" in said and self.name != "grid"
            self.count("tracebacks", shown, kind, said)
        self.look(kind)
        return was_hit

    def look(self, kind):
        """Look at the folder as the next run will find it."""
        if KINDS[kind][0] is None and "KILL" not in kind:
            self.look_for_hidden(batch.LOCK, ".grid")
        with batch.output_lock(self.folder):
            self.look_for_hidden(batch.LOCK, batch.OWNER, ".grid")
            found, units = signature(self.folder), [*files.grid_folder(self.folder).glob("*.npz")]
            torn = [name for name, content in found.items() if content == "torn"]
            torn += [path.name for path in units if not _is_whole(path)]
            self.count("torn_files", len(torn), kind, torn)
            self.count("mixed_sets", found not in self.known.values(), kind, found)
            saved, published = {path.name for path in units}, found == self.known[self.version]
            lost = set() if published else self.saved - saved
            self.count("rows_lost", len(lost), kind, lost)
            self.saved = saved

    def look_for_hidden(self, *allowed):
        """Count temporary files."""
        found = {path.name for path in self.folder.glob(".*")} - {*allowed}
        found |= {path.name for path in files.grid_folder(self.folder).glob(".*")}
        self.count("temporary_files", len(found), found)

    def finish(self):
        """Leave a run in peace."""
        _, status, said = self.run()
        self.count("other_exit_statuses", status != 0, status, said)
        self.look_for_hidden(batch.LOCK)
        left = [path.name for path in self.temporary.iterdir()]
        self.count("temporary_files", len(left), left)

    def count(self, what, number, *details):
        """Add to a count, and say what was found."""
        self.counts[what] += int(number)
        if number:
            print(f"{self.name}: {what}:", *details, file=sys.stderr, flush=True)


def soak(rounds, seed, share, folder):
    """Run all rounds, a share of them on the whole command line; gives the record."""
    begin, whole = time.monotonic(), round(share * rounds)
    with ThreadPoolExecutor(2) as pool:  # side by side
        grid = pool.submit(_chains, ["grid"], rounds - whole, f"{seed} grid", folder)
        command = pool.submit(_chains, ["a", "c"], whole, f"{seed} command", folder)
        counts = grid.result() + command.result()
    by_kind = {kind: counts[kind] for kind in KINDS if counts[kind]}
    return {
        "seed": seed,
        "rounds": rounds,
        "faults": sum(by_kind.values()),
        "kills": sum(by_kind.values()) - by_kind.get(LIMIT, 0),
        "faults_by_kind": by_kind,
        "on_the_whole_command_line": whole,
        **{name: counts[name] for name in LOSSES},
        "runs_completed_afterwards": counts["runs_completed_afterwards"],
        "seconds": round(time.monotonic() - begin),
    }


def _chains(names, rounds, seed, folder):
    """Run chains of rounds, each in the lane of one of the names; gives the counts."""
    rng, counts, lanes = random.Random(seed), Counter(), {}
    while rounds:
        name = rng.choice(names)
        if name not in lanes:
            lanes[name] = Lane(name, folder, rng, counts)
        rounds -= lanes[name].chain(min(rounds, rng.randint(4, 10)))
    return counts


def main():
    """Run the soak; the exit status is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = soak(options.rounds, options.seed, 0.2, Path(folder))
    if options.record:
        files.write_json(RECORD, record)
    print(json.dumps(record, indent=2))
    return 1 if any(record[name] for name in LOSSES) else 0


if __name__ == "__main__":
    sys.exit(main())
