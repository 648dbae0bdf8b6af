"""`python -m helpers.notebook.checks`: the verdicts of all exercises, in any editor's terminal."""

import sys

from helpers.notebook.checks.verdict import report

if __name__ == "__main__":
    lines, all_right = report()
    print("\n".join(lines))
    sys.exit(0 if all_right else 1)
