"""Run the command again in a clean copy of what is committed, and compare every byte.

    python -m tests.tools.audit            all four parts, the whole grid included
    python -m tests.tools.audit a d        some parts

The copy is of the last commit, not of the working tree. Its run multiplies with the BLAS kernels
and computes with the NumPy loops that outputs/timing.json names; on any machine that has these, the
same bytes must come out. On a processor that has them not, numbers are compared as far as others
move them. Exit status: 0 if nothing differs.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from helpers.files import PROJECT
from helpers.notebook.records import read_records

TIMING = "timing.json"
"""The one file that depends on the clock and the machine."""
MACHINE = "import json; from helpers.grid import machine; print(json.dumps(machine.machine()))"
ROW = 0.03
"""By how much an accuracy may differ; with other kernels, 0.018 was the most of 162."""


def main(words=None):
    """Audit the parts that the command line names; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    parts = parser.parse_args(words).parts
    with tempfile.TemporaryDirectory() as folder:
        recorded = extract_commit(Path(folder, "recorded"))
        repeated = extract_commit(Path(folder, "repeated"))
        was = json.loads((recorded / TIMING).read_text("utf-8"))["machine"]
        environment = os.environ | like(was)
        here = machine_of(repeated.parent, environment)
        print(f"recorded on {was}\nrepeated on {here}", flush=True)
        names = repeat(parts, repeated, environment)
        if not parts:
            names |= written_since(0, recorded)
        is_exact = computes_alike(here, was)
        lines = differences(recorded, repeated, names, is_exact)
    return report(lines, len(names), is_exact)


def extract_commit(target):
    """Write the files of the last commit into a new folder; give the path of its outputs/."""
    command = ["git", "-C", PROJECT, "archive", "HEAD"]
    archive = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    return target / "outputs"


def like(machine):
    """Give the variables with which NumPy and its BLAS compute as on another machine; a dict.

    NumPy's exp and log of float64 differ in their last bits between AVX2 and AVX-512.
    """
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    loops = [*simd.get("found", []), *simd.get("not found", [])]
    _, _, last = machine["numpy"].rpartition(" ")
    newer = loops[loops.index(last) + 1 :] if last in loops else []
    disabled = {"NPY_DISABLE_CPU_FEATURES": " ".join(newer)}
    return {"OPENBLAS_CORETYPE": machine["kernels"], **disabled}


def computes_alike(machine, other):
    """Tell whether two machines compute the same bytes."""
    return all(machine[name] == other[name] for name in ("kernels", "numpy"))


def machine_of(project, environment):
    """Describe the machine as a run in this environment finds it; a dict."""
    command = [sys.executable, "-c", MACHINE]
    return json.loads(subprocess.check_output(command, cwd=project, env=environment))


def repeat(parts, outputs, environment):
    """Run the command; give the names of the files that it wrote."""
    if not parts:
        shutil.rmtree(outputs)  # so that a file is missed that the command does not write
    start = time.time()
    command = [sys.executable, "-m", "helpers", *parts]
    if subprocess.run(command, cwd=outputs.parent, env=environment).returncode:
        sys.exit("audit: the command failed")
    return written_since(start, outputs)


def written_since(start, folder):
    """Name the files of a folder that were written since a time, as a set; no timing.json."""
    paths = [path for path in folder.glob("[!.]*") if path.is_file()]
    return {path.name for path in paths if path.stat().st_mtime >= start} - {TIMING}


def report(lines, num_files, is_exact):
    """Print what was found, and how files were compared; give the exit status."""
    for line in lines:
        print(line)
    found = (
        f"{len(lines)} of {num_files} files differ" if lines else f"all {num_files} files the same"
    )
    how = "" if is_exact else "; on other kernels, so values were compared within tolerances"
    print(f"{found}, {TIMING} left out{how}")
    return 1 if lines else 0


def differences(recorded, repeated, names, is_exact):
    """Compare files of two folders.

    Parameters
    ----------
    recorded, repeated : Path
    names : set of str
    is_exact : bool
        Whether bytes are compared; else numbers, within what other kernels move them by.

    Returns
    -------
    list of str
        A line for each file that differs.
    """
    lines = []
    for name in sorted(names):
        was, came = recorded / name, repeated / name
        if not came.exists():
            lines.append(f"{name}: recorded, but not written now")
        elif not was.exists():
            lines.append(f"{name}: written now, but not recorded")
        elif is_exact and was.read_bytes() != came.read_bytes():
            lines.append(f"{name}: other bytes")
        elif not is_exact and not values_agree(was, came):
            lines.append(f"{name}: other values")
    return lines


def values_agree(was, came):
    """Compare the values of notebooks and tables; all other files show what these hold."""
    compare = {".ipynb": notebooks_agree, ".csv": tables_agree}.get(was.suffix)
    return compare is None or compare(was, came)


def notebooks_agree(was, came):
    """Compare the values that two runs of a notebook recorded, within their tolerances."""
    was = read_records(nbformat.read(was, as_version=4))
    came = read_records(nbformat.read(came, as_version=4))
    if list(was) != list(came):
        return False
    return all(was[name].admits(came[name].value) for name in was)


def tables_agree(was, came):
    """Compare two tables: settings exactly, accuracies within `ROW`."""
    was = pd.read_csv(was)
    came = pd.read_csv(came)
    measured = [name for name in was if "accuracy" in name or "cross_entropy" in name]
    if not was.drop(columns=measured).equals(came.drop(columns=measured, errors="ignore")):
        return False
    accuracies = [name for name in measured if "accuracy" in name]
    return (was[accuracies] - came[accuracies]).abs().max().max() <= ROW


if __name__ == "__main__":
    sys.exit(main())
