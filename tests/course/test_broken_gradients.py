"""Every broken gradient is caught, and the right one by none of the checks."""

import numpy as np
import pytest

from helpers import broken_gradients, network
from helpers.broken_gradients import FAULTS, break_network

SMALL = {
    "one entry off by 1e-6",
    "1e-8 added under the softmax, for safety",
    "rounded to float32 on the way out",
}
RIGHT = "none: the code as it is"


def a_problem(layer_sizes=(12, 8, 8, 8, 4), num_images=5, alpha=1e-3):
    rng = np.random.default_rng(0)
    layers = network.unpack(network.init_weights(layer_sizes, 0), layer_sizes)
    for _, b in layers:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)
    images = rng.uniform(-0.5, 0.5, (num_images, layer_sizes[0]))
    return layers, images, np.arange(num_images) % layer_sizes[-1], alpha


@pytest.fixture(scope="module")
def trials():
    return {trial.name: trial for trial in broken_gradients.try_all(*a_problem())}


def test_every_gradient_is_tried_and_the_right_one_passes(trials):
    assert list(trials) == [RIGHT, *FAULTS]
    assert len(FAULTS) >= 10
    assert not any(trial.note for trial in trials.values())
    assert not any(trials[RIGHT].caught.values())


@pytest.mark.parametrize("name", FAULTS)
def test_complex_steps_catch_every_fault_and_coarse_checks_the_gross_ones(trials, name):
    caught = trials[name].caught
    assert caught["complex step"]
    assert caught["directions"]
    assert caught["check_grad"] == caught["2-point"] == (name not in SMALL)
    # Off by 1e-6 is more than a 3-point difference is wrong by; the other two are not.
    assert caught["3-point"] == (name not in SMALL - {"one entry off by 1e-6"})


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_leaves_the_objective_and_the_real_network_alone(name):
    problem = a_problem()
    before = network.pack(network.backprop(*problem))
    broken = break_network(name)
    assert broken.cross_entropy(*problem) == network.cross_entropy(*problem)
    assert not np.array_equal(network.pack(broken.backprop(*problem)), before)
    np.testing.assert_array_equal(network.pack(network.backprop(*problem)), before)


@pytest.mark.parametrize("text", ["no such text", "import"], ids=["absent", "ambiguous"])
def test_a_fault_that_does_not_fit_the_code_gives_a_row_that_says_so(monkeypatch, text):
    stale = {"stale": ("return gradient[::-1]", "return gradients[::-1]")}
    monkeypatch.setattr(broken_gradients, "FAULTS", {"misfit": (text, "")} | stale | FAULTS)
    with pytest.raises(LookupError, match=f"does not fit the present code: '{text}'"):
        break_network("misfit")
    trials = broken_gradients.try_all(*a_problem())
    [_, misfit, stale, *others] = broken_gradients.table(trials)
    assert misfit["fault"].startswith(f"misfit: does not fit the present code: '{text}'")
    assert stale["fault"].startswith("stale: does not run in the present code: name 'gradients'")
    for row in (misfit, stale):
        assert {row[check] for check in broken_gradients.LIMITS} == {"–"}
    assert len(others) == len(FAULTS)


def test_a_gradient_with_nan_is_caught_by_every_check(monkeypatch):
    fault = ("return gradient[::-1]", "gradient[0][1][0] = np.nan; return gradient[::-1]")
    monkeypatch.setattr(broken_gradients, "FAULTS", {"nan": fault})
    assert all(broken_gradients.try_all(*a_problem())[1].caught.values())


@pytest.mark.parametrize(
    ("change", "harmless"),
    [
        ({"num_images": 1}, {"mean over images forgotten (no 1/n)", "1/n taken twice"}),
        ({"alpha": 0.0}, {"L2 left out", "L2 doubled", "L2 on the biases, too"}),
        (
            {"layer_sizes": (12, 9, 8, 4)},
            {
                "gradient of square layers transposed",
                "delta sent down through W, not its transpose",
            },
        ),
    ],
    ids=["one image", "no penalty", "no square layer"],
)
def test_faults_without_effect_are_named_as_such(change, harmless):
    _, *trials = broken_gradients.try_all(*a_problem(**change))
    notes = {trial.name: trial.note for trial in trials if trial.note}
    assert notes == dict.fromkeys(harmless, "changes nothing in this network")
    assert all(trial.caught["complex step"] for trial in trials if not trial.note)


def test_the_table_brackets_what_passed(trials):
    right, wrong, *_ = broken_gradients.table(list(trials.values()))
    assert [str(row).count("'(") for row in (right, wrong)] == [5, 0]
