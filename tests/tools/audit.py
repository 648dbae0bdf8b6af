"""Run the recorded batch run again and compare: for who trusts nothing.

python tests/tools/audit.py a b c d       all four parts of outputs/
python tests/tools/audit.py c             some; part C trains its whole grid again

Each outputs/part_X.ipynb is executed from top to bottom with the parameters that its run had (its
own injected cell) and compared with what it shows: recorded figures within their tolerance, text
literally. What the notebook writes goes to a temporary folder, so outputs/ stays as it is; part D
reads the recorded network of part C. Exit status: 0 only if every part agrees, 1 if one does not,
2 if the audit cannot be done.
Left out: the other files of outputs/, which the tests compare with the notebooks.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from helpers.batch.output import OutputError, output_lock
from helpers.files import OUTPUTS, PROJECT, STAGING_VARIABLE, grid_folder
from helpers.notebook.parameters import PARTS

CELL_SECONDS = 12 * 3600
"""No cell may take longer; part C's grid is one cell."""


def main(arguments=None):
    """Audit the parts that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help="a, b, c, d")
    parts = dict.fromkeys(parser.parse_args(arguments).parts)
    try:
        with output_lock(OUTPUTS):
            refuse_what_is_not_there(parts)
            agrees = {part: audit(OUTPUTS / f"part_{part}.ipynb") for part in parts}
    except OutputError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    for part, fine in agrees.items():
        print(f"part {part}: {'agrees with its record' if fine else 'DOES NOT AGREE'}")
    return 0 if all(agrees.values()) else 1


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
    """Execute one recorded notebook under nbval and compare it with itself.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bool
        Whether everything agrees; what does not has been printed.
    """
    command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", path]
    command += [f"--nbval-cell-timeout={CELL_SECONDS}", "-p", "no:cacheprovider", "-v"]
    with tempfile.TemporaryDirectory() as stage:
        environment = os.environ | {STAGING_VARIABLE: stage, "PYTEST_ADDOPTS": ""}
        try:
            return subprocess.run(command, env=environment, cwd=PROJECT).returncode == 0
        finally:
            if path == OUTPUTS / "part_c.ipynb":
                shutil.rmtree(grid_folder(OUTPUTS), ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
