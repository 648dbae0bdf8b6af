"""A recipe is checked and made plain where it is made: equal recipes look alike."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from helpers.recipe import Recipe, RecipeError

RECIPE = Recipe((7, 5, 3), 3, 4, 0.5, 0.0, "cosine", 1, 2, 6)


@pytest.mark.parametrize("kind", [list, np.array, np.int64], ids=["list", "array", "scalars"])
def test_equal_recipes_look_alike(kind):
    numbers = np.int64(3), np.uint8(4), np.float32(0.5), np.float64(-0.0)
    recipe = Recipe(kind([7, 5, 3]), *numbers, np.str_("cosine"), *np.arange(3))
    plain = Recipe((7, 5, 3), 3, 4, 0.5, 0, "cosine", 0, 1, 2)  # 0 becomes 0.0
    assert recipe == plain == Recipe(**json.loads(json.dumps(asdict(recipe))))
    assert repr(recipe) == repr(plain)


WHOLE = "a whole number of at least {}"
REAL = "a finite number of at least 0"
WRONG = [
    ("learning_rate", "1e-1", REAL),
    ("learning_rate", float("nan"), REAL),
    ("learning_rate", np.inf, REAL),
    ("learning_rate", -0.1, REAL),
    ("alpha", True, REAL),
    ("seed", 1.0, WHOLE.format(0)),
    ("shuffle_seed", -1, WHOLE.format(0)),
    ("num_epochs", False, WHOLE.format(0)),
    ("batch_size", 0, WHOLE.format(1)),
    ("schedule", "Constant", "'constant' or 'cosine'"),
    ("schedule", np.ones((2, 2)), "'constant' or 'cosine'"),
    ("layer_sizes", 784, "a width for each layer, at least two"),
]


@pytest.mark.parametrize(("field", "value", "allowed"), WRONG, ids=str)
def test_a_value_that_cannot_be_is_refused_in_one_line(field, value, allowed):
    with pytest.raises(RecipeError) as refusal:
        replace(RECIPE, **{field: value})
    line = str(refusal.value)
    assert line.startswith(f"recipe: {field} = ") and line.endswith(f"expected {allowed}")
    assert "\n" not in line


def test_a_layer_without_units_is_refused():
    with pytest.raises(RecipeError, match=r"layer_sizes\[1\] = 0 .* whole number of at least 1$"):
        replace(RECIPE, layer_sizes=(784, 0, 10))


def test_the_cosine_by_hand():
    # 0.8 / 2 * (1 + cos(pi * epoch / 4)): cos is 1, sqrt(1/2), 0, -sqrt(1/2).
    recipe = Recipe((7, 3), 4, 4, learning_rate=0.8, schedule="cosine")
    expected = [0.8, 0.682842712, 0.4, 0.117157288]
    assert [recipe.rate(epoch) for epoch in range(4)] == pytest.approx(expected, rel=1e-8)
