"""Hit runs of the command line with faults at random moments, and count what is lost: nothing.

    python tests/tools/soak.py                                     8 faults, two minutes
    python tests/tools/soak.py --faults 40 --double 60 --record    what tests/tools/soak.json holds

A fault hits a run that replaces the results of another version (another alpha), so that a mixture
of the two shows. The next run goes on where the last one was hit; now and then one is left in
peace and must end with the results known from a run without faults.
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
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import nbformat
import numpy as np
import psutil

from helpers import files
from helpers.notebook.output import grid_folder, output_lock

RECORD = Path(__file__).with_name("soak.json")
MARK = "HELPERS_SOAK_RUN"
HEARS_SIGNALS = "env", "--default-signal=HUP,INT"
"""Starts a run that hears signals, even where this program was told not to (nohup, &)."""
LOSSES = (
    *("rows_lost", "torn_files", "mixed_sets", "orphans", "temporary_files"),
    *("tracebacks", "other_exit_statuses"),
)
"""What must stay 0."""
TINY = {
    "a": "hidden_layers 4 num_epochs 1 batch_size 1000",
    "c": "num_hidden_layers 0,1 num_units 4 num_epochs 1,2 batch_size 1000 "
    "learning_rate 0.05,0.1 repeat_top 1 repeat_seeds 2",
}
VERSIONS = "0.0", "0.001"
"""Values of alpha: runs replace the results of one by those of the other."""
COMMAND, KERNEL, WORKER = "helpers", "ipykernel_launcher", "--multiprocessing-fork"
ENDING = SIGINT, SIGTERM, SIGHUP
TWO_SIGNALS = "two signals to the command"
LIMIT = "file-size limit"
KINDS = {
    "SIGINT to the command": (COMMAND, SIGINT, {130, -2}),
    "SIGTERM to the command": (COMMAND, SIGTERM, {143, -15}),
    "SIGHUP to the command": (COMMAND, SIGHUP, {129, -1}),
    "SIGKILL to the command": (COMMAND, SIGKILL, {-9}),
    "SIGKILL to the kernel": (KERNEL, SIGKILL, {1}),
    "SIGTERM to the kernel": (KERNEL, SIGTERM, {1}),
    "SIGKILL to a worker": (WORKER, SIGKILL, {0}),
    TWO_SIGNALS: (COMMAND, None, set()),
    LIMIT: (COMMAND, None, {0, 1, 2}),
}
"""Who is hit, with what, and the exit status that the command then has; or 0, if it was done. A
signal that comes before the run has begun (-2, -15, -1) simply ends the command; of two that come
at once, the system may deliver the second first."""
DISTANCE = 0.5
"""Seconds between two signals, at most."""


def command(part, version, folder):
    """Write the command of a tiny run."""
    words = f"{TINY[part]} alpha {version}".split()
    command = [sys.executable, "-m", "helpers", part, "--quick", "--output", str(folder)]
    for name, value in zip(words[::2], words[1::2], strict=True):
        command += ["-p", name, value]
    return [*command, "--resume"] if part == "c" else command


def start(command, log=subprocess.DEVNULL, **environment):
    """Start a run whose processes, down to the last grandchild, carry a mark; give both."""
    mark = uuid.uuid4().hex
    environment = os.environ | environment | {MARK: mark}
    command = [*HEARS_SIGNALS, *command]
    where = {"cwd": files.PROJECT, "env": environment}
    return subprocess.Popen(command, stdout=log, stderr=log, **where), mark


def family(mark, role=""):
    """List the living processes of a run, those that have a role if it is named."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get(MARK) == mark
            if is_ours and any(role in word for word in process.cmdline()):
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


def hit(process, mark, kind, rng):
    """Inject a fault into a run, once its victim is there.

    Returns
    -------
    set of int or None
        The exit statuses that the command may have, None if it had ended before it could be hit.
    """
    role, number, statuses = KINDS[kind]
    while process.poll() is None:
        victims = [psutil.Process(process.pid)] if role == COMMAND else family(mark, role)
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                if kind == LIMIT:
                    victim.rlimit(psutil.RLIMIT_FSIZE, (40_000, 40_000))
                elif kind == TWO_SIGNALS:
                    first, second = rng.choices(ENDING, k=2)
                    victim.send_signal(first)
                    statuses = {128 + first, -first, 128 + second}
                    time.sleep(rng.uniform(0, DISTANCE))
                    with contextlib.suppress(psutil.NoSuchProcess):
                        victim.send_signal(second)
                else:
                    victim.send_signal(number)
                return statuses
        time.sleep(0.2)
    return None


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
    """Tell whether all arrays of a finished run can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return bool(dict(file))
    except Exception:  # whatever a damaged file raises
        return False


class Target:
    """One part's runs in an output folder of their own."""

    def __init__(self, part, folder, rng, counts):
        self.part = part
        self.folder = folder / part
        self.temporary = folder / f"{part} temporary"
        self.temporary.mkdir()
        self.rng = rng
        self.counts = counts
        self.known = {}
        begin = time.monotonic()
        for version in VERSIONS:
            self.version = version
            self.finish()
        self.seconds = (time.monotonic() - begin) / 2
        self.begin_other_version()

    def begin_other_version(self):
        """Let the next run replace the version that is there by the other one."""
        [self.version] = {*VERSIONS} - {self.version}
        self.saved = set()

    def run(self, kind=None):
        """Run, hit by a fault if its kind is named; the statuses allowed, the status and words."""
        words = command(self.part, self.version, self.folder)
        with tempfile.TemporaryFile("w+") as log:
            process, mark = start(words, log, TMPDIR=str(self.temporary))
            allowed = {0}
            if kind:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.rng.uniform(0, self.seconds))
                allowed = hit(process, mark, kind, self.rng)
            status = process.wait(600)
            self.count("orphans", survivors(mark), kind)
            log.seek(0)
            return allowed, status, log.read()

    def fault(self, kind):
        """Hit a run with a fault of a kind, and look at what it leaves behind."""
        allowed, status, said = self.run(kind)
        while allowed is None:  # it was done before it could be hit
            self.begin_other_version()
            allowed, status, said = self.run(kind)
        self.counts[kind] += 1
        self.count("other_exit_statuses", status not in allowed | {0}, kind, status, said)
        self.count("tracebacks", "Traceback" in said, kind, said)
        could_clean_up = KINDS[kind][0] != COMMAND or "KILL" not in kind
        if could_clean_up:
            self.look_for_temporary_files(kind)
        with output_lock(self.folder):  # which completes what a killed command left
            self.look(kind)

    def look(self, kind):
        """Look at the folder as the next run will find it."""
        found = signature(self.folder)
        runs = [*grid_folder(self.folder).glob("*.npz")]
        torn = [name for name, content in found.items() if content == "torn"]
        torn += [path.name for path in runs if not _is_whole(path)]
        self.count("torn_files", len(torn), kind, torn)
        self.count("mixed_sets", found not in self.known.values(), kind, found)
        saved = {path.name for path in runs}
        if found == self.known[self.version]:
            self.begin_other_version()
        else:
            self.count("rows_lost", len(self.saved - saved), kind, self.saved - saved)
            self.saved = saved
        self.look_for_temporary_files(kind, "running")

    def look_for_temporary_files(self, kind, *allowed):
        """Count what begins with a dot, beside locks and the unfinished grid."""
        allowed = {"lock", "grid", *allowed}
        found = [path.name for path in self.folder.glob(".*")]
        found = [name for name in found if name.rsplit(".", 1)[1] not in allowed]
        found += [path.name for path in grid_folder(self.folder).glob(".*")]
        self.count("temporary_files", len(found), kind, found)

    def finish(self):
        """Leave a run in peace, which must end with the results that are known."""
        _, status, said = self.run()
        self.count("other_exit_statuses", status != 0, status, said)
        found = signature(self.folder)
        lost = found != self.known.setdefault(self.version, found)
        self.count("rows_lost", lost, found)
        left = [path.name for path in [*self.temporary.iterdir(), *self.folder.glob(".grid")]]
        self.count("temporary_files", len(left), left)

    def count(self, what, number, *details):
        """Add to a count, and say what was found."""
        self.counts[what] += int(number)
        if number:
            print(f"{self.part}: {what}:", *details, file=sys.stderr, flush=True)


def soak(kinds, seed, folder):
    """Inject faults of the kinds given, one after the other; gives the record."""
    begin = time.monotonic()
    rng = random.Random(seed)
    counts = Counter()
    targets = {}
    for number, kind in enumerate(kinds, start=1):
        part = "c" if KINDS[kind][0] == WORKER else rng.choice("aaac")
        if part not in targets:
            targets[part] = Target(part, folder, rng, counts)
        targets[part].fault(kind)
        if number % 8 == 0 or number == len(kinds):
            targets[part].finish()
            targets[part].begin_other_version()
            counts["runs_completed_afterwards"] += 1
        print(f"{number} of {len(kinds)} faults", file=sys.stderr, flush=True)
    by_kind = {kind: counts[kind] for kind in KINDS if counts[kind]}
    return {
        "seed": seed,
        "faults": sum(by_kind.values()),
        "kills": sum(by_kind.values()) - by_kind.get(LIMIT, 0),
        "faults_by_kind": by_kind,
        **{name: counts[name] for name in LOSSES},
        "runs_completed_afterwards": counts["runs_completed_afterwards"],
        "seconds": round(time.monotonic() - begin),
    }


def main():
    """Run the soak; the exit status is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=6, help="of one signal, or one limit")
    parser.add_argument("--double", type=int, default=2, help="faults of two signals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    options = parser.parse_args()
    single = [kind for kind in KINDS if kind != TWO_SIGNALS]
    rng = random.Random(options.seed)
    kinds = [TWO_SIGNALS] * options.double + rng.choices(single, k=options.faults)
    rng.shuffle(kinds)
    with tempfile.TemporaryDirectory() as folder:
        record = soak(kinds, options.seed, Path(folder))
    if options.record:
        files.write_json(RECORD, record)
    print(json.dumps(record, indent=2))
    return 1 if any(record[name] for name in LOSSES) else 0


if __name__ == "__main__":
    sys.exit(main())
