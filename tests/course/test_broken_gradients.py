"""Every broken gradient is caught, and the right one by none of the checks."""

import numpy as np
import problems
import pytest

from helpers import broken_gradients, network
from helpers.broken_gradients import FAULTS, LIMITS, break_network

ONE_ENTRY = "one entry off by 1e-6"
SMALL = {ONE_ENTRY, "1e-8 added under the softmax, for safety", "rounded to float32 on the way out"}
RIGHT = "none: the code as it is"


def a_problem(layer_sizes=(12, 8, 8, 8, 4), num_images=5, alpha=1e-3):
    return problems.a_problem(layer_sizes, num_images, alpha)


@pytest.fixture(scope="module")
def trials():
    return {trial.name: trial for trial in broken_gradients.try_all(*a_problem())}


def test_every_gradient_is_tried_and_the_right_one_passes(trials):
    assert list(trials) == [RIGHT, *FAULTS]
    assert not any(trial.note for trial in trials.values())
    assert not any(trials[RIGHT].caught.values())


@pytest.mark.parametrize("name", FAULTS)
def test_complex_steps_catch_every_fault_and_coarse_checks_the_gross_ones(trials, name):
    caught = trials[name].caught
    assert caught["complex step"]
    assert caught["directions"]
    assert caught["check_grad"] == caught["2-point"] == (name not in SMALL)
    # Off by 1e-6 is more than a 3-point difference is wrong by; the other two are not.
    assert caught["3-point"] == (name not in SMALL - {ONE_ENTRY})


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_the_objective_and_the_real_network_alone(name):
    problem = a_problem()
    before = network.pack(network.backprop(*problem))
    broken = break_network(name)
    assert broken.cross_entropy(*problem) == network.cross_entropy(*problem)
    assert not np.array_equal(network.pack(broken.backprop(*problem)), before)
    np.testing.assert_array_equal(network.pack(network.backprop(*problem)), before)


def test_a_fault_that_does_not_fit_the_code_gives_a_row_that_says_so(monkeypatch):
    end = "return gradient[::-1]"
    faults = {
        "absent": ("no such text", ""),
        "ambiguous": ("import", ""),
        "stale": (end, "return gradients[::-1]"),
        "not a number": (end, f"gradient[0][1][0] = np.nan; {end}"),
    }
    monkeypatch.setattr(broken_gradients, "FAULTS", faults)
    right, *misfits, nan = broken_gradients.table(broken_gradients.try_all(*a_problem()))
    notes = [
        "absent: does not fit the present code: 'no such text' is not in it once",
        "ambiguous: does not fit the present code: 'import' is not in it once",
        "stale: does not run in the present code: name 'gradients' is not defined",
    ]
    assert misfits == [{"fault": note} | dict.fromkeys(LIMITS, "–") for note in notes]
    # In brackets is what passed: all of the right gradient, nothing of one with a NaN.
    assert [str(row).count("'(") for row in (right, nan)] == [len(LIMITS), 0]


@pytest.mark.parametrize(
    ("change", "harmless"),
    [({"num_images": 1}, "1/n"), ({"alpha": 0}, "L2"), ({"layer_sizes": (9, 8, 4)}, "transpose")],
)
def test_faults_without_effect_are_named_as_such(change, harmless):
    _, *trials = broken_gradients.try_all(*a_problem(**change))
    for trial in trials:
        expected = "changes nothing in this network" if harmless in trial.name else ""
        assert trial.note == expected
        assert trial.note or trial.caught["complex step"]
