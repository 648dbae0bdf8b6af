"""Run the recorded parts again and compare everything they show and write.

    python -m tests.tools.audit            all four parts of outputs/, the whole grid included
    python -m tests.tools.audit a d        some

Each outputs/part_X.ipynb is executed from top to bottom with the parameters that its run had and
compared with what it shows: recorded values within their tolerance, text literally, pictures by how
grey they are where. Then every file that was written now is compared with the recorded one. Where
the kernels are those that timing.json names, its bytes must be the same; elsewhere another
network comes out, and numbers must agree as far as seeds and processors move them
(`tests/deliverable/spread.py`).

The audit writes to a temporary folder, so outputs/ stays as it is; part D reads the recorded
networks. Exit status: 0 only if every part agrees, 1 if one does not, 2 if it cannot be done. Left
out: what needs no training (tests/deliverable). What it cannot see: a run that did what it says but
was asked to do the wrong thing, such as choosing by the test images.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import data
from helpers.files import OUTPUTS, PROJECT
from helpers.grid.machine import machine
from helpers.notebook.output import STAGING_VARIABLE, OutputError, grid_folder, output_lock
from helpers.notebook.parameters import PARTS
from tests.deliverable.spread import three_deviations
from tests.nbval_records import picture_distance

CELL_SECONDS = 12 * 3600
"""No cell may take longer; part C's grid is one cell."""
TIMES = "timing.json"
"""The one file that differs from run to run."""
SAME_PICTURE, OTHER_PICTURE = 0.002, 0.1
"""Mean difference in grey: what another release of a library may make, and another network."""
MEAN_ACCURACY = 0.003
"""What the mean over the 162 rows may differ by: differences of single rows have no direction."""
ROUNDING = 1e-7
"""Other kernels move finite differences by some 1e-9."""


def main(words=None):
    """Audit the parts that the command line names; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    parts = dict.fromkeys(parser.parse_args(words).parts or PARTS)
    if not parts.keys() <= PARTS.keys():
        parser.error(f"parts are {', '.join(PARTS)}")
    try:
        with output_lock(OUTPUTS):
            refuse_what_is_not_there(parts)
            found = {part: audit(part) for part in parts}
    except OutputError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    for part, lines in found.items():
        print(*lines, f"part {part}: {'DOES NOT AGREE' if lines else 'agrees'}", sep="\n")
    return 1 if any(found.values()) else 0


def refuse_what_is_not_there(parts):
    """Raise OutputError if a recorded notebook is missing or an unfinished grid would be lost."""
    for part in parts:
        if not (OUTPUTS / f"part_{part}.ipynb").exists():
            raise OutputError(f"outputs/part_{part}.ipynb: not there; run python -m helpers {part}")
    if "c" in parts and grid_folder(OUTPUTS).exists():
        raise OutputError(
            "outputs/ holds an unfinished grid: finish it with --resume, or delete it"
        )


def audit(part):
    """Execute a recorded notebook under nbval, then compare its files; returns what is wrong."""
    path = OUTPUTS / f"part_{part}.ipynb"
    command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", path]
    command += [f"--nbval-cell-timeout={CELL_SECONDS}", "-p", "no:cacheprovider", "-v"]
    with tempfile.TemporaryDirectory() as stage:
        environment = os.environ | {STAGING_VARIABLE: stage, "PYTEST_ADDOPTS": ""}
        try:
            done = subprocess.run(command, env=environment, cwd=PROJECT)
        finally:
            if part == "c":
                shutil.rmtree(grid_folder(OUTPUTS), ignore_errors=True)
        lines = ["the notebook shows something else, see above"] if done.returncode else []
        return lines + differences(OUTPUTS, Path(stage), on_same_kernels())


def on_same_kernels():
    """Tell whether outputs/ was recorded with this machine's kernels and release of NumPy."""
    recorded = json.loads((OUTPUTS / TIMES).read_text("utf-8"))["machine"]
    here = machine()
    return all(recorded.get(name) == here[name] for name in ("kernels", "numpy"))


def differences(recorded, made, same_kernels):
    """Compare every file of a run with the recorded one.

    Parameters
    ----------
    recorded, made : Path
        Folders.
    same_kernels : bool
        Whether the bytes must be the same.

    Returns
    -------
    list of str
        A line for each difference.
    """
    lines = []
    for path in sorted(made.glob("[!.]*")):
        was = recorded / path.name
        if not was.exists():
            lines.append(f"{path.name}: only the run now wrote it")
        elif path.suffix == ".png":
            limit = SAME_PICTURE if same_kernels else OTHER_PICTURE
            if picture_distance(was.read_bytes(), path.read_bytes()) > limit:
                lines.append(f"{path.name}: another picture")
        elif path.name != TIMES and same_kernels:
            if was.read_bytes() != path.read_bytes():
                lines.append(f"{path.name}: other bytes, on the same kernels")
        elif path.name != TIMES:
            lines += [f"{path.name}: {line}" for line in COMPARE[path.suffix](was, path)]
    return lines


def compare_tables(was, came):
    """Compare tables of another machine: settings exactly, losses and accuracies as they spread."""
    was, came = pd.read_csv(was), pd.read_csv(came)
    if was.shape != came.shape or list(was) != list(came):
        return ["other rows or columns"]
    lines = []
    for column in was:
        if "accuracy" in column:
            far = (was[column] - came[column]).abs()
            if far.max() > 2 * three_deviations("network of the grid", "validation accuracy"):
                lines.append(f"{column}: row {far.idxmax() + 1} differs by {far.max():.4f}")
            if abs(was[column].mean() - came[column].mean()) > MEAN_ACCURACY and len(was) > 100:
                lines.append(f"{column}: the mean over all rows differs")
        elif "cross_entropy" not in column and not was[column].equals(came[column]):
            lines.append(f"{column}: other settings")
    return lines


def compare_cards(was, came):
    """Compare the cards of two networks by what the networks reach."""
    was, came = (json.loads(path.read_text("utf-8")) for path in (was, came))
    limit = three_deviations("network of the grid", "validation accuracy")
    lines = []
    for split in "validation", "test":
        if abs(was[split]["accuracy"] - came[split]["accuracy"]) > limit:
            lines.append(f"another accuracy on {split} images")
    return lines


def compare_arrays(was, came):
    """Compare weights by their shape, probabilities by how often they are right."""
    was, came = np.load(was), np.load(came)
    if was.shape != came.shape or was.dtype != came.dtype:
        return ["another shape or type"]
    if was.ndim == 1:
        return []
    labels = data.load_test().labels
    accuracies = [(each.argmax(axis=1) == labels).mean() for each in (was, came)]
    limit = three_deviations("512-256", "test accuracy")
    return ["another accuracy"] if abs(accuracies[0] - accuracies[1]) > limit else []


def compare_texts(was, came):
    """Compare part B's finite differences, or the sentences of the grid up to their values."""
    if was.name == "Part_B_grad_weight.txt":
        was, came = (np.loadtxt(path, skiprows=3, usecols=2) for path in (was, came))
        agree = was.shape == came.shape and np.abs(was - came).max() <= ROUNDING
        return [] if agree else ["other values"]
    settings = [
        [line.partition("Unregularise")[0] for line in path.read_text("utf-8").splitlines()]
        for path in (was, came)
    ]
    return [] if settings[0] == settings[1] else ["other sentences"]


COMPARE = {
    ".csv": compare_tables,
    ".json": compare_cards,
    ".npy": compare_arrays,
    ".txt": compare_texts,
}


if __name__ == "__main__":
    sys.exit(main())
