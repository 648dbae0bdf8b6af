"""Walls around a submission: namespaces of the kernel, or a plain process where there are none.

With namespaces (`unshare` of util-linux, Linux) the student's process sees Python and the system's
libraries, read only, an empty folder in memory to work in, no network and no other process, and it
has no privilege left to change that; the kernel ends all that it started together with it. Without
them it is a process in a session of its own, with limits on time, memory and files: what it leaves
running is looked for and ended, but it can read and write what you can. The report says which of
the two it was.

Left out: a limit on the memory of all processes of a submission together, and any protection from
faults of the kernel. For that, run the whole command in a container or a virtual machine.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from pathlib import Path

import psutil

from helpers.errors import OneLineError
from helpers.exercise import runner
from helpers.files import PROJECT

RUNNER = Path(runner.__file__).read_text("utf-8")
MARK = "HELPERS_SUBMISSION"
"""In the environment of each process that a submission starts, unless it takes it out."""
PATIENCE = 60
"""Seconds that a process may take to start, on a machine that is busy."""
GRACE = 10
"""Seconds beyond those of an exercise after which the whole process is given up."""
SYSTEM = "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"
SETTINGS = "/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime"
"""What programs need of a system."""
UNSHARE = "unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts"
BUILD_ROOT = """
set -e
root=$1 helpers=$2 shared=$3; shift 3
mount -t tmpfs -o size=1m tmpfs "$root"
IFS=:
for path in $shared; do
    if [ -e "$root$path" ] || [ ! -e "$path" ]; then continue; fi
    mkdir -p "$(dirname "$root$path")"
    if [ -L "$path" ]; then
        ln -s "$(readlink "$path")" "$root$path"
    else
        if [ -d "$path" ]; then mkdir "$root$path"; else touch "$root$path"; fi
        mount --rbind "$path" "$root$path"
    fi
done
unset IFS
if [ -d "$root$helpers" ]; then mount -t tmpfs tmpfs "$root$helpers"; fi
while read -r _ _ _ _ mounted _; do
    mounted=$(printf %b "$mounted")
    case $mounted in "$root"/*) mount -o remount,bind,ro "$mounted" ;; esac
done < /proc/self/mountinfo
mkdir -p "$root/proc" "$root/dev" "$root/work"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root/proc"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o size=64m tmpfs "$root/work"
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
"""A root of its own: what is shared, without our `helpers`; no privilege is left at the end."""


class IsolationError(OneLineError):
    """Submissions cannot be run on this machine at all."""


def command(program, place, is_walled):
    """Write the command that runs a Python program, with arguments, in a place of its own."""
    python = [sys.executable, "-I", "-B", "-c", program]
    if not is_walled:
        return python
    shared = ":".join([*SYSTEM, *SETTINGS, *python_folders()])
    build = ["sh", "-c", BUILD_ROOT, "sh", str(place), str(PROJECT / "helpers"), shared]
    return [*UNSHARE, "--fork", "--kill-child", *build, *python]


def python_folders():
    """List the folders that this Python is made of, without the project's own."""
    paths = [Path(path) for path in (sys.prefix, sys.base_prefix, *sys.path) if path]
    paths = [place for path in paths for place in (path, path.resolve()) if path.is_dir()]
    return list(dict.fromkeys(str(path) for path in paths if not PROJECT.is_relative_to(path)))


@cache
def has_namespaces():
    """Tell whether this machine can build the walls, by building them once."""
    if not all(map(shutil.which, ("unshare", "setpriv", "chroot", "mount"))):
        return False
    with tempfile.TemporaryDirectory() as place:
        test = command("import numpy", place, True)
        done = subprocess.run(test, capture_output=True, stdin=subprocess.DEVNULL)
    return done.returncode == 0


def describe(is_walled):
    """Say in one line what stands between a submission and this machine."""
    if is_walled:
        return "isolation: namespaces (own root folder, no network, no other processes)"
    return (
        "isolation: a process only; no namespaces here, so submissions can read and write what "
        "you can, and reach the network"
    )


class StudentProcess:
    """A running `runner`, and the pipes to it; a context manager, which ends it and all it left.

    Parameters
    ----------
    seconds : float
        That an exercise may take.
    modules : iterable of str
        Imported before the first job.
    is_walled : bool
        Whether it lives in namespaces.
    """

    def __init__(self, seconds, modules, is_walled):
        self.seconds = seconds
        self.is_alive = True
        self.mark = uuid.uuid4().hex
        self.place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = "/work" if is_walled else self.place.name
        arguments = [str(seconds), folder, *modules]
        environment = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), folder)
        environment |= {"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1", MARK: self.mark}
        jobs, self.jobs = Pipe(duplex=False)
        self.results, results = Pipe(duplex=False)
        self.process = subprocess.Popen(
            [*command(RUNNER, self.place.name, is_walled), *arguments],
            stdin=jobs,
            stdout=results,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        jobs.close()
        results.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """End the process, its group and session, and what carries its mark."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.jobs.close()
        self.results.close()
        end_marked(self.mark)
        self.place.cleanup()

    def start(self):
        """Wait until it takes jobs; `IsolationError` if it does not."""
        if self.receive(PATIENCE) is None:
            raise IsolationError("no process for submissions can be started here")

    def ask(self, job):
        """Hand a job in, as bytes; give back how it ended, in words, and its answers, as bytes."""
        with suppress(OSError):  # of a process that has ended
            self.jobs.send_bytes(job)
        status = self.receive(self.seconds + GRACE)
        answers = self.receive(self.seconds + GRACE) if self.is_alive else None
        if answers is None:
            return "it has ended the process that it ran in, or stopped it", b""
        return status.decode(errors="replace"), answers

    def receive(self, seconds):
        """Read a message; None if none comes within some seconds, and it is given up."""
        with suppress(EOFError, OSError):
            if self.results.poll(seconds):
                return self.results.recv_bytes(runner.LARGEST)
        self.is_alive = False
        return None


def end_marked(mark):
    """End all processes whose environment holds a mark."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                process.kill()
