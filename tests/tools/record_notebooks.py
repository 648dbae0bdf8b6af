"""Record notebooks again: one clean top-to-bottom run at their defaults, in place.

python tests/tools/record_notebooks.py            all four
python tests/tools/record_notebooks.py part_a     some
"""

import sys
import tempfile
from pathlib import Path

import nbformat

from helpers.batch.execution import execute
from helpers.files import NOTEBOOKS, write_text
from helpers.notebook.parameters import PARTS


def main(names):
    """Run each notebook in its own folder and replace it with the executed one."""
    for name in names or [f"part_{part}" for part in PARTS]:
        path = NOTEBOOKS / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder) / ".partial.ipynb", {})
        write_text(path, nbformat.writes(notebook) + "\n")
        print(f"{name}: recorded")


if __name__ == "__main__":
    main(sys.argv[1:])
