"""Every broken gradient is caught, and the right one by none of the checks."""

import numpy as np
import pytest

from helpers import broken_gradients, network
from helpers.broken_gradients import FAULTS, Fault, break_network

SIZES = (12, 8, 8, 8, 4)
SMALL = {
    "one entry off by 1e-6",
    "1e-8 added under the softmax, for safety",
    "rounded to float32 on the way out",
}


def a_problem(layer_sizes=SIZES, num_images=5, alpha=1e-3):
    rng = np.random.default_rng(0)
    weights = network.init_weights(layer_sizes, 0)
    for b in network.unpack(weights, layer_sizes)[1]:
        b[...] = rng.uniform(-0.1, 0.1, b.shape)
    images = rng.uniform(-0.5, 0.5, (num_images, layer_sizes[0]))
    return weights, layer_sizes, images, np.arange(num_images) % layer_sizes[-1], alpha


@pytest.fixture(scope="module")
def trials():
    return {trial.name: trial for trial in broken_gradients.try_all(*a_problem())}


def test_there_are_many_different_faults():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 10


def test_the_right_gradient_passes_every_check(trials):
    right = trials["none: the code as it is"]
    assert not right.changed
    assert not any(right.caught.values())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_complex_steps_catch_every_fault(trials, fault):
    trial = trials[fault.name]
    assert trial.changed
    assert trial.caught["complex step"]
    assert trial.caught["directions"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_coarse_checks_catch_the_gross_faults_only(trials, fault):
    caught = trials[fault.name].caught
    assert caught["check_grad"] == caught["2-point"] == (fault.name not in SMALL)
    # Off by 1e-6 is more than a 3-point difference is wrong by; the other two are not.
    assert caught["3-point"] == (fault.name not in SMALL - {"one entry off by 1e-6"})


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_the_objective_and_the_real_network_alone(fault):
    problem = a_problem()
    before = network.backprop(*problem)
    broken = break_network(fault)
    assert broken.cross_entropy(*problem) == network.cross_entropy(*problem)
    assert not np.array_equal(broken.backprop(*problem), before)
    np.testing.assert_array_equal(network.backprop(*problem), before)


@pytest.mark.parametrize("text", ["no such text", "import"])
def test_a_fault_that_does_not_fit_the_code_is_refused(text):
    assert occurrences(text) != 1
    with pytest.raises(LookupError, match=f"'misfit'.*{occurrences(text)} times: '{text}'"):
        break_network(Fault("misfit", text, "anything"))


def occurrences(text):
    with open(network.__file__, encoding="utf-8") as file:
        return file.read().count(text)


@pytest.mark.parametrize(
    ("problem", "harmless"),
    [
        (a_problem(num_images=1), {"mean over images forgotten (no 1/n)", "1/n taken twice"}),
        (a_problem(alpha=0.0), {"L2 left out", "L2 doubled", "L2 on the biases, too"}),
        (
            a_problem((12, 9, 8, 4)),
            {
                "gradient of square layers transposed",
                "delta sent down through W, not its transpose",
            },
        ),
    ],
    ids=["one image", "no penalty", "no square layer"],
)
def test_faults_without_effect_are_named_as_such(problem, harmless):
    trials = broken_gradients.try_all(*problem)
    assert {trial.name for trial in trials[1:] if not trial.changed} == harmless
    assert all(trial.caught["complex step"] == trial.changed for trial in trials)
    lines = broken_gradients.table(trials).splitlines()
    assert {line[:46].strip() for line in lines if "changes nothing" in line} == harmless


def test_the_table_brackets_what_passed(trials):
    lines = broken_gradients.table(list(trials.values())).splitlines()
    assert len(lines) == len(FAULTS) + 2
    assert [line.count("(") for line in lines[1:3]] == [5, 0]
