"""What the README says of speed follows from what was measured."""

from tests.benchmarks import benchmark_steps as steps


def test_the_grid_is_added_up_by_hand():
    # batches of 16, 32 and 64 take 3375, 1688 and 844 steps an epoch; nine shapes each
    shapes = [
        {"shape": list(shape), "microseconds": times_by_hand(shape)} for shape in steps.SHAPES
    ]
    times = steps.microseconds({"shapes": shapes})
    total = steps.whole_grid(times)
    assert total["stack"] == 9 * (3375 + 1688 + 844) * 40
    assert total["best of jax"] == 9 * (3375 * 50 + (1688 + 844) * 30)


def times_by_hand(shape):
    """Give JAX's two forms an advantage each: one on small batches, one on larger."""
    scan, rates = (50, 60) if shape[-1] == 16 else (80, 30)
    others = dict.fromkeys(("alone", "course", "torch", "sklearn"), 100)
    return {"stack": 40, "jax": scan, "jax, 3 at once": rates, **others}


def test_the_readme_follows_from_the_figures():
    page = steps.README.read_text("utf-8")
    assert page == steps.with_speed(page, steps.read_steps())
