"""The values of README.md: written from committed results, and checked against them.

    python tests/tools/readme.py        write the tables anew

A table stands between two comments. The tests call `disagreements`, which compares each value with
the tolerance it was recorded with, so that they stay green after another machine's full run.
"""

import json
import re

from helpers.files import OUTPUTS, PROJECT, write_text
from helpers.report.runs import read_part

README = PROJECT / "README.md"
STEPS = PROJECT / "tests" / "benchmarks" / "steps.json"
SOAK = PROJECT / "tests" / "tools" / "soak.json"
COLUMNS = {
    "blas": "BLAS calls alone",
    "alone": "fast step, alone",
    "lane_9": "lane of 9",
    "paper": "part A's step",
    "jax": "JAX, compiled",
    "notebook": "notebook style",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
}
"""Contenders that the README names, and how."""
NUM_SHAPES = 5
"""The shapes measured for the table come first in the JSON; the rest serve the projection."""
TITLES = {
    "a": "one network",
    "b": "gradient check",
    "c": "grid and beyond",
    "d": "best of the grid",
}


def markdown(rows):
    """Write a table in Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|\n")
    return "".join(lines)


def results_table(folder=OUTPUTS):
    """Write the headline values of a run as a Markdown table."""
    rows = [["part", "value", "here", "reference", "in a rerun"]]
    for value in headlines(folder):
        part = f"{value.part.upper()}, {TITLES[value.part]}"
        allowed = value.allowed.removeprefix("a rerun ")
        rows.append([part, value.record.name, value.text, value.reference, allowed])
    return markdown(rows)


def headlines(folder=OUTPUTS):
    """List the values that head the report, as `helpers.report.runs.Value`."""
    values = [value for part in TITLES for value in read_part(folder / f"part_{part}.ipynb").values]
    return [value for value in values if value.reference is not None]


def speed_table():
    """Write the benchmark as Markdown: microseconds a step of one network, the grid's minutes."""
    entries = json.loads(STEPS.read_text("utf-8"))
    return "\n".join(map(_speed, entries.values()))


def _speed(entry):
    head = f"on one core, OpenBLAS kernels {entry['kernels']} (median; 784-units x layers-10):"
    rows = [["units, layers, batch", *COLUMNS.values()]]
    for each in entry["shapes"][:NUM_SHAPES]:
        medians = [f"{each['microseconds'][name]['median']:.0f}" for name in COLUMNS]
        rows.append([", ".join(map(str, each["shape"])), *medians])
    grid = entry["grid"]["projected"]
    grid = grid | {"lane_9": grid["grid_lane"]}
    minutes = [f"{grid[name]['81_trainings']:.1f}" for name in COLUMNS]
    rows.append(["grid, minutes on two cores, projected", *minutes])
    measured = entry["grid"]["measured_minutes"]
    what = "Grid, repeats and what lies beyond, with validation, measured on two cores:"
    last = f"\n{what} {measured:.1f} minutes.\n" if measured else ""
    return f"Microseconds a step and network {head}\n\n{markdown(rows)}{last}"


def soak_line():
    """Say the counts of faults and losses of the committed soak."""
    return SOAK_LINE.format_map(json.loads(SOAK.read_text("utf-8")))


SOAK_LINE = """\
`tests/tools/soak.py` injected {faults} faults at random moments, {kills} of them signals
to the command, its kernel or a worker, and looked after each: {rows_lost} rows lost, \
{torn_files} torn files,
{mixed_sets} mixed sets of files, {orphans} orphan processes, {temporary_files} temporary files \
left behind.
"""
BLOCKS = {"results": results_table, "speed": speed_table, "soak": soak_line}


def block(text, name):
    """Cut a text before, in and after a block, which stands between two comments."""
    pattern = rf"(.*<!-- {name}: [^\n]*-->\n)(.*)(<!-- end of {name} -->.*)"
    return re.fullmatch(pattern, text, re.DOTALL).groups()


def disagreements(text, folder=OUTPUTS):
    """List in what the results table of a README and an output folder differ."""
    rows = [line.strip("| ").split(" | ") for line in block(text, "results")[1].splitlines()[2:]]
    stated = {(row[0][0].lower(), row[1]): row[2] for row in rows}
    found = {(value.part, value.record.name): value for value in headlines(folder)}
    both = [(text, found[name]) for name, text in stated.items() if name in found]
    wrong = [pair for pair in both if not _agrees(*pair)]
    return [*(stated.keys() ^ found.keys()), *wrong]


def _agrees(text, value):
    if text == value.text:
        return True
    number = text.replace(",", "")
    share = float(number.removesuffix(" %")) / (100 if number.endswith(" %") else 1)
    return value.record.admits(share)


def main():
    """Write every block anew."""
    text = README.read_text("utf-8")
    for name, make in BLOCKS.items():
        before, _, after = block(text, name)
        text = before + make() + after
    write_text(README, text)


if __name__ == "__main__":
    main()
