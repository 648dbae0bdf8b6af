"""The results in README.md: five lines, made from outputs/.

    python -m tests.tools.readme        write them anew

They stand between two comments; the tests compare them with outputs/.
"""

import re

import nbformat

from helpers.files import OUTPUTS, PROJECT, write_text
from helpers.notebook.records import read_records
from helpers.report.runs import HEADLINES

README = PROJECT / "README.md"
BLOCK = re.compile(r"(<!-- results: [^\n]*-->\n)(.*)(<!-- end of results -->)", re.DOTALL)
LINES = """\
| | here | reference |
|---|---|---|
| A: one network, test accuracy | {a[test accuracy]:.2%} | |
| B: `check_grad` over {b[number of weights]:,} weights | {b[check_grad]:.2e} | {check_grad} |
| C: best of {c[grid rows]} runs, validation accuracy | {c[best validation accuracy]:.2%} | {grid} |
| C: that network, test accuracy | {c[test accuracy, best of the grid]:.2%} | |
| C: three wider networks together, test accuracy | \
{c[test accuracy, ensemble of 3 x 512-256]:.2%} | |
"""


def results(folder):
    """Write the headline figures of an output folder as a table in Markdown."""
    values = {}
    for part in "abc":
        notebook = nbformat.read(folder / f"part_{part}.ipynb", as_version=4)
        values[part] = {name: record.value for name, record in read_records(notebook).items()}
    return LINES.format(
        **values,
        check_grad=HEADLINES["b"]["check_grad"],
        grid=HEADLINES["c"]["best validation accuracy"].replace(" %", "%"),
    )


def with_results(text, folder):
    """Put the headline figures of an output folder into the text of a README."""
    above, begin, _, end, below = BLOCK.split(text)
    return "".join([above, begin, results(folder), end, below])


if __name__ == "__main__":
    write_text(README, with_results(README.read_text("utf-8"), OUTPUTS))
