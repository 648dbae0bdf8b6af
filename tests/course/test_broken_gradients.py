"""Every broken gradient is caught, and the right one by none of the checks."""

import problems
import pytest

from helpers import broken_gradients
from helpers.broken_gradients import FAULTS, LIMITS

ONE_ENTRY = "one entry off by 1e-6"
SMALL = {ONE_ENTRY, "1e-8 added under the softmax, for safety", "rounded to float32 on the way out"}


def a_problem(alpha=1e-3):
    return problems.a_problem((12, 8, 8, 8, 4), 5, alpha)


@pytest.fixture(scope="module")
def trials():
    return broken_gradients.try_all(*a_problem())


def test_every_gradient_is_tried_and_the_right_one_passes(trials):
    assert [trial.name for trial in trials[1:]] == list(FAULTS)
    assert not any(trial.note for trial in trials)
    assert list(trials[0].caught) == list(LIMITS)
    assert not any(trials[0].caught.values())


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=list(FAULTS))
def test_complex_steps_catch_every_fault_and_coarse_checks_the_gross_ones(trials, number):
    trial = trials[1 + number]
    assert trial.caught["complex step"]
    assert trial.caught["check_grad"] == trial.caught["2-point"] == (trial.name not in SMALL)
    # Off by 1e-6 is more than a 3-point difference is wrong by; the other two are not.
    assert trial.caught["3-point"] == (trial.name not in SMALL - {ONE_ENTRY})


def test_a_fault_that_does_not_fit_the_code_gives_a_row_that_says_so(monkeypatch):
    end = "return gradient[::-1]"
    faults = {
        "ambiguous": ("import", ""),
        "stale": (end, "return gradients[::-1]"),
        "not a number": (end, f"gradient[0][1][0] = np.nan; {end}"),
    }
    monkeypatch.setattr(broken_gradients, "FAULTS", faults)
    right, *misfits, nan = broken_gradients.table(broken_gradients.try_all(*a_problem()))
    notes = [
        "ambiguous: does not fit the present code: 'import' is not in it once",
        "stale: does not fit the present code: name 'gradients' is not defined",
    ]
    assert misfits == [{"fault": note} | dict.fromkeys(LIMITS, "–") for note in notes]
    # In brackets is what passed: all of the right gradient, nothing of one with a NaN.
    assert [str(row).count("'(") for row in (right, nan)] == [len(LIMITS), 0]


def test_faults_without_effect_are_named_as_such():
    _, *trials = broken_gradients.try_all(*a_problem(alpha=0))
    for trial in trials:
        expected = "changes nothing in this network" if "L2" in trial.name else ""
        assert trial.note == expected
