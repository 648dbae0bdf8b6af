"""Tolerances of long float32 runs follow from the measured spread; float64 runs are sharp."""

import math

import pytest

from tests.deliverable import spread

ROWS = list(spread.tolerances().dropna(subset="measured").itertuples())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row.Index))
def test_a_tolerance_is_three_deviations_rounded_up(row):
    experiment, name = row.measured.split(": ")
    assert row.bound == "abs"
    assert 1 <= row.limit / spread.three_deviations(experiment, name) <= 1.25


def test_part_a_was_measured_with_five_seeds_and_four_kinds_of_kernels():
    assert len(spread.measured("part A", "validation accuracy")) >= 20


def test_float64_runs_agree_on_every_processor():
    values = spread.measured("short run in float64", "cross-entropy")
    assert len(values) >= 4
    assert all(math.isclose(value, values[0], rel_tol=1e-12) for value in values)


def test_three_deviations_by_hand(monkeypatch):
    # 1, 2, 3 have the standard deviation 1; a difference of two draws has sqrt(2)
    monkeypatch.setattr(spread, "measured", lambda *which: [1, 2, 3])
    assert spread.three_deviations("some", "value") == pytest.approx(3 * 2**0.5)
