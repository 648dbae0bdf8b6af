"""The values of README.md: written from committed results, and checked against them.

    python tests/tools/readme.py        write the tables anew

A table stands between two comments. The tests call `disagreements`, which compares each value with
the tolerance it was recorded with, so that they stay green after another machine's full run.
"""

import json
import re

from helpers.files import OUTPUTS, PROJECT, write_text
from helpers.report.runs import PartRun

README = PROJECT / "README.md"
BENCHMARKS = PROJECT / "tests" / "benchmarks"
SOAK = PROJECT / "tests" / "tools" / "soak.json"
LOSSES = "rows_lost", "torn_files", "mixed_sets", "orphans", "temporary_files"
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


def results_table(folder=OUTPUTS):
    """Write the headline values of a run as a Markdown table."""
    lines = ["| part | value | here | reference | in a rerun |", "|---|---|---|---|---|"]
    lines += [
        f"| {value.part.upper()}, {TITLES[value.part]} | {value.record.name} "
        f"| {value.text} | {value.reference} | {value.allowed.removeprefix('a rerun ')} |"
        for value in headlines(folder)
    ]
    return "\n".join(lines)


def headlines(folder=OUTPUTS):
    """List the values that head the report, as `helpers.report.runs.Value`."""
    values = [value for part in TITLES for value in PartRun(folder / f"part_{part}.ipynb").values]
    return [value for value in values if value.reference is not None]


def speed_table():
    """Write the benchmark as Markdown: microseconds a step of one network, the grid's minutes."""
    entries = json.loads((BENCHMARKS / "steps.json").read_text("utf-8"))
    return "\n\n".join(_speed(entry) for entry in entries.values())


def _speed(entry):
    head = (
        f"Microseconds a step and network on one core, OpenBLAS kernels {entry['kernels']} "
        f"(median; 784-units x layers-10):"
    )
    lines = [head, "", f"| units, layers, batch | {' | '.join(COLUMNS.values())} |"]
    lines.append("|---" * (1 + len(COLUMNS)) + "|")
    for shape in entry["shapes"][:NUM_SHAPES]:
        medians = [f"{shape['microseconds'][name]['median']:.0f}" for name in COLUMNS]
        lines.append(f"| {', '.join(map(str, shape['shape']))} | {' | '.join(medians)} |")
    grid = entry["grid"]["projected"]
    grid = grid | {"lane_9": grid["grid_lane"]}
    minutes = [f"{grid[name]['81_trainings']:.1f}" if name in grid else "" for name in COLUMNS]
    lines.append(f"| grid, minutes on two cores, projected | {' | '.join(minutes)} |")
    if measured := entry["grid"]["measured_minutes"]:
        what = "Grid, repeats and what lies beyond, with validation, measured on two cores:"
        lines += ["", f"{what} {measured:.1f} minutes."]
    return "\n".join(lines)


def soak_line():
    """Say the counts of faults and losses of the committed soak."""
    soak = json.loads(SOAK.read_text("utf-8"))
    return (
        f"`tests/tools/soak.py` injected {soak['faults']} faults at random moments, "
        f"{soak['kills']} of them signals\nto the command, its kernel or a worker, and looked "
        f"after each: {soak['rows_lost']} rows lost, {soak['torn_files']} torn files,\n"
        f"{soak['mixed_sets']} mixed sets of files, {soak['orphans']} orphan processes, "
        f"{soak['temporary_files']} temporary files left behind."
    )


BLOCKS = {"results": results_table, "speed": speed_table, "soak": soak_line}


def block(text, name):
    """Cut a text before, in and after a block, which stands between two comments."""
    pattern = rf"(.*<!-- {name}: [^\n]*-->\n)(.*)(<!-- end of {name} -->.*)"
    return re.fullmatch(pattern, text, re.DOTALL).groups()


def disagreements(text, folder=OUTPUTS):
    """Compare the results table of a README with an output folder; a list of lines."""
    rows = [line.split(" | ") for line in block(text, "results")[1].splitlines()[2:]]
    stated = {(row[0].strip("| ")[0].lower(), row[1]): row[2] for row in rows}
    found = {(value.part, value.record.name): value for value in headlines(folder)}
    missing = [
        f"{name}: only in one of README and outputs" for name in stated.keys() ^ found.keys()
    ]
    return missing + [
        f"{name}: README says {stated[name]}, outputs {value.text}, {value.allowed}"
        for name, value in found.items()
        if name in stated and not _agrees(stated[name], value)
    ]


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
        text = before + make() + "\n" + after
    write_text(README, text)


if __name__ == "__main__":
    main()
