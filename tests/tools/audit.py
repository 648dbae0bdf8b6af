"""Run the recorded batch run again and compare everything: for who trusts nothing.

    python tests/tools/audit.py            all four parts of outputs/, the whole grid included
    python tests/tools/audit.py a d        some

Each outputs/part_X.ipynb is executed from top to bottom with the parameters that its run had and
compared with what it shows: recorded values within their tolerance, text literally, pictures by
eye (how grey they are where). Then the files that this run wrote are compared with the recorded
ones: every row of the table, learning curves, finite differences, pictures.
It writes to a temporary folder, so outputs/ stays as it is; part D reads the recorded network.
Exit status: 0 only if every part agrees, 1 if one does not, 2 if the audit cannot be done.
Left out: what needs no training (tests/deliverable). What it cannot see: a run that did what it
says, but was asked to do the wrong thing, such as choosing by the test images.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.batch.output import OutputError, output_lock
from helpers.files import OUTPUTS, PROJECT, STAGING_VARIABLE, grid_folder
from helpers.notebook.parameters import PARTS

sys.path.insert(0, str(PROJECT))
from tests.nbval_records import picture_distance

CELL_SECONDS = 12 * 3600
"""No cell may take longer; part C's grid is one cell."""
ACCURACY, CROSS_ENTROPY = 0.02, 0.25
"""What one training may differ by on other kernels, the second as a share: twice what was seen."""
MEAN_ACCURACY = 0.003
"""What the mean over a table may differ by: the differences above have no direction."""


def main(arguments=None):
    """Audit the parts that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d; all if none is named")
    parts = dict.fromkeys(parser.parse_args(arguments).parts or PARTS)
    if not parts.keys() <= PARTS.keys():
        parser.error(f"parts are {', '.join(PARTS)}")
    try:
        with output_lock(OUTPUTS):
            refuse_what_is_not_there(parts)
            found = {part: audit(OUTPUTS / f"part_{part}.ipynb") for part in parts}
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


def audit(path):
    """Execute a recorded notebook under nbval, then compare its files; returns what is wrong."""
    command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", path]
    command += [f"--nbval-cell-timeout={CELL_SECONDS}", "-p", "no:cacheprovider", "-v"]
    with tempfile.TemporaryDirectory() as stage:
        environment = os.environ | {STAGING_VARIABLE: stage, "PYTEST_ADDOPTS": ""}
        try:
            done = subprocess.run(command, env=environment, cwd=PROJECT)
        finally:
            if path == OUTPUTS / "part_c.ipynb":
                shutil.rmtree(grid_folder(OUTPUTS), ignore_errors=True)
        lines = ["the notebook shows something else, see above"] if done.returncode else []
        return lines + list(differences(path.parent, Path(stage)))


def differences(recorded, stage):
    """Compare the files of two runs, as far as the second wrote them; yields one line each."""
    for path in sorted(stage.iterdir()):
        was, name = recorded / path.name, path.name
        if not was.exists():
            yield f"{name}: only the run now wrote it"
        elif path.suffix == ".csv":
            yield from compare_tables(name, pd.read_csv(was), pd.read_csv(path))
        elif path.suffix == ".png" and picture_distance(was.read_bytes(), path.read_bytes()) > 0.1:
            yield f"{name}: another picture"
        elif name == "Part_B_grad_weight.txt":
            values = (np.loadtxt(each, skiprows=3, usecols=2) for each in (was, path))
            if not same_values(*values):
                yield f"{name}: other values"


def compare_tables(name, was, came):
    """Compare two tables row by row: settings exactly, accuracies and losses within tolerance."""
    if was.shape != came.shape or list(was) != list(came):
        yield f"{name}: other rows or columns"
        return
    for column in was:
        atol = ACCURACY if "accuracy" in column else 0
        rtol = CROSS_ENTROPY if "cross_entropy" in column else 0
        both = [frame[column].astype(float) for frame in (was, came)]
        if atol and abs(both[0].mean() - both[1].mean()) > MEAN_ACCURACY:
            yield f"{name}: {column}: the mean over all rows differs"
        for row in np.flatnonzero(~np.isclose(*both, rtol, atol, equal_nan=True)):
            values = f"recorded {was[column][row]}, came out {came[column][row]}"
            yield f"{name}, row {row + 1}: {column}: {values}"
    same = (was == came).all(axis=1).sum()
    print(f"{name}: {same} of {len(was)} rows are the same to the last bit")


def same_values(was, came):
    """Compare part B's finite differences, which other kernels move by some 1e-9."""
    return was.shape == came.shape and np.abs(was - came).max() <= 1e-7


if __name__ == "__main__":
    sys.exit(main())
