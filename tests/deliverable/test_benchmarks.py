"""The committed benchmark figures are complete, and what is said of them follows from them."""

import json

import pytest

from helpers.files import PROJECT
from tests.benchmarks import report

ENTRIES = json.loads((PROJECT / "tests/benchmarks/steps.json").read_text("utf-8"))


def test_grid_projection_by_hand():
    # 9 shapes each with 3375, 1688 and 844 steps an epoch: 53,163 steps of 60 microseconds,
    # times 100 epochs, times 3 rates, is 956.934 s of one core
    times = {name: {"median": 60.0} for name in report.GRID_CONTENDERS}
    shapes = [{"shape": list(shape), "microseconds": times} for shape in report.GRID_SHAPES]
    minutes = 956.934 / 60 / 2
    wanted = pytest.approx({"81_trainings": minutes, "162_runs": 1.5 * minutes})
    assert report.project_grid({"shapes": shapes})["jax"] == wanted


def test_comparison_with_jax_by_hand():
    # its better form counts for each shape: 30 on the one with 30 units, 60 on the others; the
    # 9 shapes of each width have the same steps
    def times(shape):
        best = 30.0 if shape.num_units == 30 else 60.0
        found = {"grid_stack": 45.0, "jax": 60.0, "jax_rates": best}
        return {name: {"median": median} for name, median in found.items()}

    shapes = [{"shape": list(s), "microseconds": times(s)} for s in report.GRID_SHAPES]
    assert report.against_jax({"shapes": shapes}) == pytest.approx(45 / 50)


@pytest.mark.parametrize("kernels", ENTRIES)
def test_every_contender_was_measured_on_every_shape(kernels):
    shapes = {tuple(f["shape"]): f["microseconds"] for f in ENTRIES[kernels]["shapes"]}
    assert shapes.keys() == {*report.STEP_SHAPES, *report.GRID_SHAPES}
    for shape, found in shapes.items():
        assert set(found) == set(report.contenders(shape))
        for figures in found.values():
            first, third = figures["quartiles"]
            assert 0 < first <= figures["median"] <= third


@pytest.mark.parametrize("kernels", ENTRIES)
def test_stated_projections_follow_from_the_numbers(kernels):
    entry = ENTRIES[kernels]
    assert entry["kernels"] == kernels
    assert entry["grid"]["projected"] == report.project_grid(entry)
