"""The committed benchmark figures are complete, and what is said of them follows from them."""

import importlib.util
import json
import math
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
ENTRIES = json.loads((FOLDER / "steps.json").read_text("utf-8"))


def load_report():
    """Import tests/benchmarks/report.py, which lies beside a script and not in a package."""
    spec = importlib.util.spec_from_file_location("benchmark_report", FOLDER / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load_report()
NAMES = report.CONTENDERS | report.GRID_CONTENDERS


def made_up_entry(microseconds):
    """Make an entry in which every contender takes given times on every shape."""
    found = {name: {"median": time, "quartiles": [time, time]} for name, time in microseconds}
    shapes = dict.fromkeys(report.STEP_SHAPES + report.GRID_SHAPES)
    return {
        "kernels": "Haswell",
        "shapes": [{"shape": list(shape), "microseconds": found} for shape in shapes],
    }


def test_grid_projection_by_hand():
    # 9 shapes each with 3375, 1688 and 844 steps an epoch: 53,163 steps of 60 microseconds,
    # times 100 epochs, times 3 rates, is 956.934 s of one core
    entry = made_up_entry([(name, 60.0) for name in NAMES])
    minutes = report.project_grid(entry)["jax"]
    assert math.isclose(minutes["81_trainings"], 956.934 / 60 / 2)
    assert math.isclose(minutes["162_runs"], 1.5 * 956.934 / 60 / 2)


def test_targets_tell_fast_from_slow():
    ours = {"blas", "blas_9", "alone", "lane_9", "grid_lane"}
    for factor, expected in ((5.0, True), (0.5, False)):
        times = [(name, 10.0 if name in ours else 10.0 * factor) for name in NAMES]
        entry = made_up_entry(times)
        entry["grid"] = {"projected": report.project_grid(entry), "measured_minutes": None}
        verdicts = [t["met"] for t in report.targets(entry) if "/ BLAS" not in t["what"]]
        assert set(verdicts) == {expected, None}
        assert verdicts.count(None) == 2  # two peers at batch 8


def test_entries_are_filed_under_their_kernels():
    assert ENTRIES
    assert all(entry["kernels"] == name for name, entry in ENTRIES.items())


@pytest.mark.parametrize("kernels", ENTRIES)
def test_every_contender_was_measured_on_every_shape(kernels):
    shapes = {tuple(f["shape"]): f["microseconds"] for f in ENTRIES[kernels]["shapes"]}
    assert set(shapes) == set(report.STEP_SHAPES + report.GRID_SHAPES)
    for shape, found in shapes.items():
        in_table, in_grid = shape in report.STEP_SHAPES, shape in report.GRID_SHAPES
        wanted = set(report.CONTENDERS if in_table else ())
        assert set(found) == wanted | set(report.GRID_CONTENDERS if in_grid else ())
        for figures in found.values():
            first, third = figures["quartiles"]
            assert 0 < first <= figures["median"] <= third


@pytest.mark.parametrize("kernels", ENTRIES)
def test_stated_projections_and_ratios_follow_from_the_numbers(kernels):
    entry = ENTRIES[kernels]
    assert entry["grid"]["projected"] == report.project_grid(entry)
    assert entry["targets"] == report.targets(entry)
