"""The fast step is the paper's step, and each network of a stack is the network trained alone."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers import data, sgd
from helpers.files import PROJECT
from helpers.grid import machine, products, stack
from helpers.grid.workspace import Workspace
from helpers.recipe import Recipe

RNG = np.random.default_rng(0)
FEW = data.Images(RNG.uniform(-0.5, 0.5, (120, 784)), RNG.integers(0, 10, 120))


def recipe(depth, width=30, num_epochs=3, batch_size=50, learning_rate=0.1, **more):
    return Recipe((784, *[width] * depth, 10), num_epochs, batch_size, learning_rate, **more)


STACKS = {
    "depths 3, 4, 5, two rates, width 30, two lengths": [
        recipe(depth, 30, num_epochs, learning_rate=rate)
        for depth in (3, 4, 5)
        for rate in (0.005, 0.05)
        for num_epochs in (1, 3)
    ],
    "own minibatches, last batch of one image": [
        recipe(depth, 20, batch_size=17, alpha=1e-3 * depth, seed=depth, shuffle_seed=depth)
        for depth in (1, 3, 2)
    ],
    "averages that begin and end elsewhere, cosine and none, L2 and none": [
        recipe(2, 10, num_epochs, alpha=alpha, schedule=schedule, average_epochs=average)
        for num_epochs in (2, 3)
        for alpha in (0.0, 1e-3)
        for schedule in ("constant", "cosine")
        for average in (0, 1, 5)
    ],
    "no hidden layer": [recipe(0, shuffle_seed=n, average_epochs=n) for n in (0, 2)],
    "different widths": [
        Recipe((784, 32, 16, 10), 3, 64, 0.1, seed=n, average_epochs=2) for n in (0, 1)
    ],
    "first product cut in pieces": [
        recipe(depth, 50, batch_size=64, alpha=0.01 * depth, schedule="cosine") for depth in (2, 3)
    ],
    "L2 that shrinks to nothing": [recipe(1, 40, batch_size=16, alpha=10.0)],
    "fewer images than a minibatch": [recipe(2, batch_size=500, learning_rate=0.5)],
}


@pytest.mark.parametrize("kernels", ["SkylakeX", "Haswell"])
@pytest.mark.parametrize("name", STACKS)
def test_each_network_is_the_papers_and_byte_for_byte_the_one_trained_alone(
    name, kernels, monkeypatch
):
    monkeypatch.setattr(products, "blas_kernels", lambda: kernels)  # other cuts, other updates
    double, single = (stack.train(STACKS[name], FEW, dtype) for dtype in (np.float64, np.float32))
    assert set(double) == set(single) == set(STACKS[name])
    for each, weights in double.items():
        expected = trained_on_paper(each)
        assert np.linalg.norm(weights - expected) <= 1e-12 * np.linalg.norm(expected)
        assert single[each].dtype == np.float32
        assert single[each].tobytes() == stack.train([each], FEW)[each].tobytes()


CPU_INFO = Path("/proc/cpuinfo")  # of Linux
CAN_CHOOSE = CPU_INFO.exists() and " avx2 " in CPU_INFO.read_text("utf-8")


@pytest.mark.skipif(not CAN_CHOOSE, reason="kernels can be chosen on Linux with AVX2")
@pytest.mark.parametrize("kernels", ["Haswell", "Sandybridge", "Nehalem"])
def test_networks_keep_their_bytes_with_other_kernels_of_blas(kernels):
    code = "from tests.grid import test_stack; print(test_stack.networks_that_depend_on_others())"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels}
    found = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert found.stdout == f"{kernels} []\n", found.stderr


def networks_that_depend_on_others():
    """Give the kernels in use, and the recipes whose bytes another stack changes."""
    changed = []
    for recipes in STACKS.values():
        together = stack.train(recipes, FEW)
        for each, weights in together.items():
            if stack.train([each], FEW)[each].tobytes() != weights.tobytes():
                changed.append(each)
    return f"{machine.blas_kernels()} {changed}"


@cache
def trained_on_paper(recipe):
    return sgd.train(recipe, FEW, FEW, dtype=np.float64).weights


@given(
    width=st.integers(1, 60),
    batch_size=st.integers(1, 54_000),
    depth=st.integers(0, 5),
    kernels=st.sampled_from(["SkylakeX", "Haswell"]),
)
@example(width=1, batch_size=5000, depth=1, kernels="SkylakeX")
def test_every_product_is_computed_whole_or_in_equal_pieces(width, batch_size, depth, kernels):
    with mock.patch.object(products, "blas_kernels", lambda: kernels):
        small = data.Images(np.zeros((2, 784), np.float32), np.zeros(2, int))
        networks = stack.networks_of([recipe(depth, width, batch_size=batch_size)])
        workspace = Workspace(stack.Stack(networks, small), batch_size)
    _, images, z = workspace._first_forward
    delta, _, change = workspace._first_backward
    assert z.size == delta.size == batch_size * (width if depth else 10)
    assert images.size == 784 * batch_size and change.size == workspace.stack.first_matrix.size


def test_runs_of_one_trajectory_are_trained_once():
    several = [recipe(3), recipe(3, num_epochs=1), recipe(3, average_epochs=2)]
    assert len(stack.networks_of(several)) == 1


OTHERS = [
    {"batch_size": 40},
    {"layer_sizes": (784, 10)},
    {"layer_sizes": (784, 20, 30, 10)},
    {"layer_sizes": (784, 30, 30, 8)},
]


@pytest.mark.parametrize("other", OTHERS)
def test_what_cannot_share_a_stack_is_refused(other):
    first = recipe(2)
    with pytest.raises(ValueError, match="cannot share a stack"):
        stack.train([first, replace(first, **other)], FEW)
