"""The generated tables of the Markdown pages: written from committed results, checked by the tests.

    python -m tests.tools.readme        write the tables anew

A table stands between two comments. The tests call `disagreements`, which compares each value with
the tolerance it was recorded with, so that they stay green after another machine's full run.
"""

import json
import re

import nbformat

from helpers.files import OUTPUTS, PROJECT, write_text
from helpers.report.runs import recorded_values
from tests.benchmarks.report import against_jax

README = PROJECT / "README.md"
STEPS = PROJECT / "tests" / "benchmarks" / "steps.json"
SOAK = PROJECT / "tests" / "tools" / "soak.json"
COLUMNS = {
    "blas": "BLAS calls alone",
    "alone": "fast step, alone",
    "stack_9": "stack of 9",
    "paper": "part A's step",
    "jax": "JAX, compiled",
    "jax_rates": "JAX, 3 rates",
    "notebook": "notebook style",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
}
"""Contenders of the speed table, and what it calls them."""
NUM_SHAPES = 5
"""The shapes measured for the table come first in steps.json; the rest serve the projection."""


def markdown(rows):
    """Write a table in Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |\n" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|\n")
    return "".join(lines)


def headlines(folder=OUTPUTS):
    """List the values that head the report, as `helpers.report.runs.Value`."""
    values = []
    for part in "abcd":
        notebook = nbformat.read(folder / f"part_{part}.ipynb", as_version=4)
        values += recorded_values(part, notebook)
    return [value for value in values if value.reference is not None]


def results_table(folder=OUTPUTS):
    """Write the headline values of a run beside the reference's."""
    rows = [["part", "value", "here", "reference"]]
    for value in headlines(folder):
        rows.append([value.part.upper(), value.record.name, value.text, value.reference])
    return markdown(rows)


def disagreements(text, folder=OUTPUTS):
    """List in what the results table of a README and an output folder differ."""
    lines = block(text, "results")[1].splitlines()[2:]
    rows = [line.strip("| ").split(" | ") for line in lines]
    stated = {(part.lower(), name): here for part, name, here, *_ in rows}
    found = {(value.part, value.record.name): value for value in headlines(folder)}
    wrong = [
        (name, stated[name])
        for name in stated.keys() & found.keys()
        if not _agrees(stated[name], found[name])
    ]
    return [*(stated.keys() ^ found.keys()), *wrong]


def _agrees(text, value):
    if text == value.text:
        return True
    number = text.replace(",", "")
    if number.endswith(" %"):
        return value.record.admits(float(number.removesuffix(" %")) / 100)
    return value.record.admits(float(number))


def speed_table():
    """Write the benchmark: microseconds a step of one network, and the grid's minutes."""
    entries = json.loads(STEPS.read_text("utf-8"))
    return "\n".join(map(_speed, entries.values()))


def _speed(entry):
    rows = [["units, layers, batch", *COLUMNS.values()]]
    for each in entry["shapes"][:NUM_SHAPES]:
        medians = [f"{each['microseconds'][name]['median']:.0f}" for name in COLUMNS]
        rows.append([", ".join(map(str, each["shape"])), *medians])
    grid = entry["grid"]["projected"]
    grid = grid | {"stack_9": grid["grid_stack"]}
    minutes = [f"{grid[name]['81_trainings']:.1f}" for name in COLUMNS]
    rows.append(["grid, minutes on two cores, projected", *minutes])
    kernels = entry["kernels"]
    head = f"""\
Microseconds a step and network on one core, median, OpenBLAS kernels {kernels}, {entry["cpu"]},
JAX {entry["jax"]}:"""
    measured = entry["grid"]["measured_minutes"]
    last = f"\nAll of part C took {measured:.1f} minutes on two cores.\n" if measured else ""
    jax = f"\nThe grid's stacks take {against_jax(entry):.2f} of the time of JAX's best form.\n"
    return f"{head}\n\n{markdown(rows)}{jax}{last}"


def soak_line():
    """Say the counts of faults and losses of the committed endurance test."""
    return SOAK_LINE.format_map(json.loads(SOAK.read_text("utf-8")))


SOAK_LINE = """\
{faults} faults at random moments, {kills} of them signals to the command, its kernel or a worker:
{rows_lost} rows lost, {torn_files} torn files, {mixed_sets} mixed sets of files, \
{orphans} orphan processes,
{temporary_files} temporary files left behind.
"""
BLOCKS = {
    "results": (README, results_table),
    "speed": (PROJECT / "tests" / "benchmarks" / "README.md", speed_table),
    "soak": (PROJECT / "tests" / "README.md", soak_line),
}
"""Name of a block -> the page that holds it, and what writes it."""


def block(text, name):
    """Cut a text before, in and after a block, which stands between two comments."""
    pattern = rf"(.*<!-- {name}: [^\n]*-->\n)(.*)(<!-- end of {name} -->.*)"
    return re.fullmatch(pattern, text, re.DOTALL).groups()


def main():
    """Write every block anew."""
    for name, (page, make) in BLOCKS.items():
        before, _, after = block(page.read_text("utf-8"), name)
        write_text(page, before + make() + after)


if __name__ == "__main__":
    main()
