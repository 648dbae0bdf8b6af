"""Training: its steps against backprop, its order, its stacks, its curves and its interrupts."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from helpers import network, sgd
from helpers.data import Images

SIZES = (6, 5, 4, 3)
RECIPE = sgd.Recipe(SIZES, num_epochs=3, batch_size=4, learning_rate=0.05)


def toy(num_images=22, num_pixels=6, num_classes=3, seed=0):
    """Make images that can be learned: a blob a class, in float32 like the real ones."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_images)
    centres = rng.uniform(-0.4, 0.4, (num_classes, num_pixels))
    images = centres[labels] + rng.normal(0, 0.1, (num_images, num_pixels))
    return Images(images.astype(np.float32), labels)


def iterates(recipe, data):
    """Train by the textbook, in float64: every w after w <- w - rate * gradient, epoch by epoch."""
    weights = network.init_weights(recipe.layer_sizes, recipe.seed)
    epochs = []
    for epoch in range(recipe.num_epochs):
        order = np.random.default_rng([recipe.shuffle_seed, epoch]).permutation(len(data.labels))
        steps = []
        for start in range(0, len(order), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            gradient = network.backprop(
                weights, recipe.layer_sizes, data.images[batch], data.labels[batch], recipe.alpha
            )
            weights = weights - recipe.rate(epoch) * gradient
            steps.append(weights)
        epochs.append(steps)
    return epochs


def after(recipes, data, num_epochs, dtype=np.float32):
    """Run some epochs without the learning curves."""
    trained = sgd.SGD(recipes, data, dtype)
    with sgd.one_blas_thread(), np.errstate(all="ignore"):
        for _ in range(num_epochs):
            trained.run_epoch()
    return trained


def assert_same_bits(actual, expected):
    assert actual.dtype == expected.dtype
    assert actual.tobytes() == expected.tobytes()


# ---- the steps


@pytest.mark.parametrize("alpha", [0, 1e-3, 0.5], ids="alpha={}".format)
@pytest.mark.parametrize("layer_sizes", [(6, 3), (6, 5, 3), (6, 5, 4, 7, 3)], ids=str)
def test_one_step_is_weights_minus_rate_times_gradient(layer_sizes, alpha):
    data = toy(8)
    recipe = sgd.Recipe(layer_sizes, 1, batch_size=8, learning_rate=0.3, alpha=alpha)
    trained = sgd.SGD(recipe, data, np.float64)
    before = trained.weights
    gradient = network.backprop(before, layer_sizes, data.images, data.labels, alpha)
    trained.run_epoch()
    np.testing.assert_allclose(trained.weights, before - 0.3 * gradient, rtol=1e-14, atol=1e-15)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"alpha": 0.1},
        {"schedule": "cosine"},
        {"batch_size": 22},
        {"batch_size": 1},
        {"batch_size": 7, "alpha": 0.1, "schedule": "cosine", "seed": 3, "shuffle_seed": 9},
    ],
    ids=str,
)
def test_whole_runs_equal_the_textbook(change):
    data, recipe = toy(), replace(RECIPE, **change)
    expected = iterates(recipe, data)[-1][-1]
    trained = after(recipe, data, recipe.num_epochs, np.float64)
    np.testing.assert_allclose(trained.weights, expected, rtol=1e-12, atol=1e-13)


def test_float32_stays_near_float64():
    data = toy()
    single, double = (after(RECIPE, data, 3, dtype).weights for dtype in (np.float32, np.float64))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_a_stack_of_different_recipes_equals_the_textbook():
    data = toy()
    recipes = [RECIPE, replace(RECIPE, alpha=0.2, seed=1), replace(RECIPE, learning_rate=0.3)]
    trained = after(recipes, data, 3, np.float64)
    for weights, recipe in zip(trained.weights, recipes, strict=True):
        expected = iterates(recipe, data)[-1][-1]
        np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-13)


def test_training_learns():
    data = toy(60)
    recipe = sgd.Recipe(SIZES, num_epochs=60, batch_size=4, learning_rate=0.1)
    history = sgd.train(recipe, data, toy(30)).history
    assert history.training_cross_entropy[-1] < 0.1 < history.training_cross_entropy[0]
    assert history.training_accuracy[-1] == 1


# ---- the order of the images


def watch_batches(monkeypatch, data, num_epochs, batch_size=4, shuffle_seed=0):
    """Run epochs and note, for each, the index of every image in its batches, as they come."""
    seen, original = [], network.Passes.backward

    def backward(passes, one_hot, scale):
        index = passes.images[:, 0].astype(int)
        np.testing.assert_array_equal(one_hot.argmax(axis=0), data.labels[index])
        seen[-1].append(index.tolist())
        return original(passes, one_hot, scale)

    monkeypatch.setattr(network.Passes, "backward", backward)
    recipe = replace(RECIPE, batch_size=batch_size, shuffle_seed=shuffle_seed)
    trained = sgd.SGD(recipe, data)
    for _ in range(num_epochs):
        seen.append([])
        trained.run_epoch()
    return seen


@pytest.fixture
def numbered():
    """Give 22 images whose first pixel is their number."""
    data = toy()
    data.images[:, 0] = np.arange(22)
    return data


@pytest.mark.parametrize("batch_size", [1, 4, 5, 21, 22])
def test_each_image_is_visited_once_an_epoch_with_its_own_label(monkeypatch, numbered, batch_size):
    for batches in watch_batches(monkeypatch, numbered, 3, batch_size):
        assert sorted(chain(*batches)) == list(range(22))
        full, rest = divmod(22, batch_size)
        assert [len(b) for b in batches] == [batch_size] * full + [rest] * bool(rest)


def test_orders_differ_between_epochs_and_shuffle_seeds(monkeypatch, numbered):
    orders = watch_batches(monkeypatch, numbered, 4)
    orders += watch_batches(monkeypatch, numbered, 4, shuffle_seed=1)
    orders.append([list(range(22))])
    flat = {tuple(chain(*batches)) for batches in orders}
    assert len(flat) == 9


def test_the_short_last_batch_is_averaged_over_its_own_size():
    # With 5 images and batches of 4, the last image alone takes a whole step.
    data = toy(5)
    recipe = replace(RECIPE, num_epochs=1)
    last = np.random.default_rng([0, 0]).permutation(5)[4:]
    before, expected = iterates(recipe, data)[0]
    gradient = network.backprop(before, SIZES, data.images[last], data.labels[last])
    np.testing.assert_allclose(expected, before - 0.05 * gradient, rtol=1e-15)
    trained = after(recipe, data, 1, np.float64)
    np.testing.assert_allclose(trained.weights, expected, rtol=1e-13, atol=1e-14)


# ---- seeds and checkpoints


def test_same_seed_same_bytes():
    assert_same_bits(after(RECIPE, toy(), 3).weights, after(RECIPE, toy(), 3).weights)


@pytest.mark.parametrize("name", ["seed", "shuffle_seed"])
def test_other_seed_other_bytes(name):
    other = replace(RECIPE, **{name: 1})
    assert after(RECIPE, toy(), 3).weights.tobytes() != after(other, toy(), 3).weights.tobytes()


@pytest.mark.parametrize("alpha", [0, 0.01], ids="alpha={}".format)
def test_the_shorter_run_is_a_checkpoint_of_the_longer(alpha):
    data = toy(50)
    recipe = replace(RECIPE, num_epochs=50, alpha=alpha)
    short = sgd.train(recipe, data, data)
    long = after(replace(recipe, num_epochs=100), data, 50)
    assert_same_bits(long.weights, short.weights)
    for _ in range(50):
        long.run_epoch()
    assert long.weights.tobytes() != short.weights.tobytes()


def test_measuring_does_not_disturb_training():
    data = toy()
    assert_same_bits(sgd.train(RECIPE, data, toy(9)).weights, after(RECIPE, data, 3).weights)


# ---- stacks

MEMBERS = [
    {},
    {"learning_rate": 0.01},
    {"alpha": 0.05, "seed": 4},
    {"schedule": "cosine", "learning_rate": 0.02},
    {"average_epochs": 2, "seed": 5},
    {"average_epochs": 2, "schedule": "cosine", "alpha": 1e-3, "seed": 6},
]


@pytest.mark.parametrize("batch_size", [1, 8, 13, 16, 41], ids="batch={}".format)
@pytest.mark.parametrize(
    "layer_sizes",
    [
        (784, 10),
        (784, 30, 30, 30, 10),
        (784, 50, 50, 50, 50, 50, 10),
        (9, 1, 7, 4),
        (784, 64, 33, 10),
    ],
    ids=str,
)
def test_a_stack_equals_each_member_alone_bit_for_bit(monkeypatch, layer_sizes, batch_size):
    monkeypatch.setattr(sgd, "AVERAGE_EVERY", 2)
    data = toy(41, layer_sizes[0], layer_sizes[-1])  # 41 leaves a last batch of 1, 2 or 9
    base = sgd.Recipe(layer_sizes, num_epochs=3, batch_size=batch_size, learning_rate=0.03)
    recipes = [replace(base, **change) for change in MEMBERS]
    together = after(recipes, data, 3)
    for k, recipe in enumerate(recipes):
        alone = after(recipe, data, 3)
        assert np.isfinite(alone.weights).all()
        assert_same_bits(together.weights[k], alone.weights)
        assert_same_bits(together.result[k], alone.result)


@settings(max_examples=25)
@given(
    hidden=st.lists(st.integers(1, 70), max_size=4),
    num_pixels=st.integers(1, 300),
    batch_size=st.integers(1, 70),
    rates=st.lists(st.floats(1e-4, 0.03), min_size=1, max_size=5),
)
def test_any_stack_equals_each_member_alone_bit_for_bit(hidden, num_pixels, batch_size, rates):
    data = toy(70, num_pixels, 10)
    base = sgd.Recipe((num_pixels, *hidden, 10), 1, batch_size, learning_rate=1)
    recipes = [
        replace(base, learning_rate=rate, seed=k, alpha=0.01 * (k % 2))
        for k, rate in enumerate(rates)
    ]
    together = after(recipes, data, 1)
    for k, recipe in enumerate(recipes):
        assert_same_bits(together.weights[k], after(recipe, data, 1).weights)


def test_a_stack_has_the_curves_of_its_members():
    data, validation = toy(), toy(9, seed=0)
    recipes = [RECIPE, replace(RECIPE, learning_rate=0.3), replace(RECIPE, seed=8)]
    together = sgd.train(recipes, data, validation).history
    for k, recipe in enumerate(recipes):
        alone = sgd.train(recipe, data, validation).history
        for name in vars(alone):
            np.testing.assert_array_equal(
                np.array(getattr(together, name))[:, k], getattr(alone, name)
            )


def test_a_diverging_member_does_not_disturb_the_others():
    data = toy()
    recipes = [RECIPE, replace(RECIPE, learning_rate=1e30), replace(RECIPE, alpha=0.1, seed=2)]
    together = after(recipes, data, 3)
    assert not np.isfinite(together.weights[1]).all()
    for k in (0, 2):
        assert_same_bits(together.weights[k], after(recipes[k], data, 3).weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_epochs": 4}, "one num_epochs, found [3, 4]"),
        ({"batch_size": 5}, "one batch_size, found [4, 5]"),
        ({"shuffle_seed": 1}, "one shuffle_seed, found [0, 1]"),
        ({"layer_sizes": (6, 3)}, "one layer_sizes"),
        ({"average_epochs": 2}, "one number of epochs, found [1, 2]"),
    ],
    ids=str,
)
def test_recipes_that_cannot_share_minibatches_are_refused(change, message):
    first = replace(RECIPE, average_epochs=1)
    with pytest.raises(ValueError) as error:
        sgd.SGD([first, replace(first, **change)], toy())
    assert message in str(error.value)


# ---- divergence and limits


def test_divergence_names_epoch_and_last_loss():
    losses = []
    # L2 alone makes each matrix 1 - 0.001 * 2400 = -1.4 times as large a step, slowly enough that
    # some epochs end with a finite loss.
    recipe = replace(RECIPE, num_epochs=50, learning_rate=0.001, alpha=2400)
    with pytest.raises(sgd.DivergedError) as error:
        sgd.train(recipe, toy(), toy(), lambda h: losses.append(h.training_cross_entropy[-1]))
    assert len(losses) >= 2
    assert np.isfinite(losses).all()
    message = str(error.value)
    assert f"in epoch {len(losses)} " in message
    assert f"{losses[-1]:.4g}" in message
    assert "smaller learning_rate" in message


@pytest.mark.filterwarnings("error")
def test_divergence_in_the_first_epoch_names_the_initial_loss():
    data = toy()
    start, _ = sgd.evaluate(network.init_weights(SIZES, 0, np.float32), SIZES, data)
    with pytest.raises(sgd.DivergedError, match=f"in epoch 1 .*{start:.4g}"):
        sgd.train(replace(RECIPE, learning_rate=1e30), data, data)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"batch_size = 23: expected at most .* 22"):
        sgd.train(replace(RECIPE, batch_size=23), toy(), toy())
    assert sgd.train(replace(RECIPE, batch_size=22), toy(), toy()).history


# ---- the rate


def test_cosine_rates_by_hand():
    # 0.8 / 2 * (1 + cos(pi * epoch / 4)): cos is 1, sqrt(1/2), 0, -sqrt(1/2).
    recipe = replace(RECIPE, num_epochs=4, learning_rate=0.8, schedule="cosine")
    expected = [0.8, 0.682842712, 0.4, 0.117157288]
    assert [recipe.rate(epoch) for epoch in range(4)] == pytest.approx(expected, rel=1e-8)


def test_constant_rate():
    assert {RECIPE.rate(epoch) for epoch in range(10)} == {0.05}


# ---- the average


@pytest.mark.parametrize("every", [2, 3, 100])
@pytest.mark.parametrize("average_epochs", [1, 2, 3, 5])
def test_averaging_equals_the_plain_mean_of_its_iterates(monkeypatch, every, average_epochs):
    # 22 images in batches of 4 are 6 steps; an epoch shorter than `every` gives its last iterate.
    monkeypatch.setattr(sgd, "AVERAGE_EVERY", every)
    data, recipe = toy(), replace(RECIPE, average_epochs=average_epochs)
    epochs = iterates(recipe, data)[-average_epochs:]
    included = [w for steps in epochs for w in steps[min(every, 6) - 1 :: min(every, 6)]]
    trained = after(recipe, data, 3, np.float64)
    np.testing.assert_allclose(trained.average, np.mean(included, axis=0), rtol=1e-12, atol=1e-13)
    assert_same_bits(trained.result, trained.average)
    assert np.abs(trained.average - trained.weights).max() > 1e-4 or len(included) == 1


def test_the_average_begins_with_the_late_epochs():
    recipe = replace(RECIPE, average_epochs=1)
    early = after(recipe, toy(), 2)
    assert_same_bits(early.average, early.weights)
    assert_same_bits(sgd.train(recipe, toy(), toy()).weights, after(recipe, toy(), 3).average)


def test_without_averaging_the_result_is_the_last_iterate():
    trained = after(RECIPE, toy(), 3)
    assert_same_bits(trained.result, trained.weights)


# ---- learning curves


@pytest.mark.parametrize("num_epochs", [0, 1, 3])
def test_history_starts_before_the_first_epoch(num_epochs):
    data, validation = toy(), toy(9)
    recipe = replace(RECIPE, num_epochs=num_epochs)
    trained = sgd.train(recipe, data, validation, dtype=np.float64)
    history, initial = trained.history, network.init_weights(SIZES, 0)
    assert [len(curve) for curve in vars(history).values()] == [num_epochs + 1] * 4
    for images, losses, shares in (
        (data, history.training_cross_entropy, history.training_accuracy),
        (validation, history.validation_cross_entropy, history.validation_accuracy),
    ):
        for weights, i in ((initial, 0), (trained.weights, -1)):
            assert losses[i] == pytest.approx(
                network.cross_entropy(weights, SIZES, *images), rel=1e-14
            )
            hits = network.predict(weights, SIZES, images.images) == images.labels
            assert shares[i] == hits.mean()


def test_training_curves_watch_the_first_images_only(monkeypatch):
    monkeypatch.setattr(sgd, "NUM_WATCHED", 5)
    data = toy()
    loss = sgd.train(RECIPE, data, data).history.training_cross_entropy[0]
    initial = network.init_weights(SIZES, 0, np.float32)
    assert loss == pytest.approx(network.cross_entropy(initial, SIZES, *data.first(5)), rel=1e-12)


def test_the_curves_are_without_penalty():
    data = toy()
    with_penalty, without = (
        sgd.train(replace(RECIPE, alpha=alpha), data, data).history for alpha in (5, 0)
    )
    assert with_penalty.training_cross_entropy[0] == without.training_cross_entropy[0]


def test_progress_is_reported_after_each_epoch():
    lines = []
    history = sgd.train(RECIPE, toy(), toy(), lambda h: lines.append(h.line())).history
    assert [line.split()[1] for line in lines] == ["0", "1", "2", "3"]
    assert f"cross-entropy {history.training_cross_entropy[-1]:.4f}" in lines[-1]
    assert lines[-1] in repr(history)


def test_evaluate_measures_finished_networks():
    data = toy()
    weights = np.stack([network.init_weights(SIZES, seed) for seed in range(3)])
    losses, shares = sgd.evaluate(weights, SIZES, data)
    for k in range(3):
        assert losses[k] == network.cross_entropy(weights[k], SIZES, *data)
        hits = network.predict(weights[k], SIZES, data.images) == data.labels
        assert shares[k] == hits.mean()


# ---- interrupts


def test_an_interrupt_between_epochs_keeps_what_was_completed():
    def stop(history):
        if len(history) == 3:
            raise KeyboardInterrupt

    recipe = replace(RECIPE, num_epochs=10)
    trained = sgd.train(recipe, toy(), toy(), stop)
    assert trained.interrupted
    assert len(trained.history) == 3
    assert_same_bits(trained.weights, after(recipe, toy(), 2).weights)


@pytest.mark.parametrize("step", [1, 6, 7, 15])
def test_an_interrupt_inside_an_epoch_drops_that_epoch_alone(monkeypatch, step):
    completed = (step - 1) // 6  # 22 images in batches of 4 are 6 steps
    expected = after(RECIPE, toy(), completed).weights
    calls, original = [], network.Passes.backward

    def backward(*arguments):
        calls.append(arguments)
        if len(calls) == step:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(network.Passes, "backward", backward)
    trained = sgd.train(RECIPE, toy(), toy())
    assert trained.interrupted
    assert len(trained.history) == completed + 1
    assert_same_bits(trained.weights, expected)


def test_a_whole_run_is_not_called_interrupted():
    assert not sgd.train(RECIPE, toy(), toy()).interrupted


# ---- the machine


def test_training_holds_blas_to_one_thread_and_lets_go():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, during = threads(), []
    sgd.train(RECIPE, toy(), toy(), lambda history: during.extend(threads()))
    assert before
    assert set(during) == {1}
    assert threads() == before


def test_given_images_are_left_alone():
    data, copy = toy(), toy()
    for array in data:
        array.flags.writeable = False
    sgd.train(RECIPE, data, data)
    np.testing.assert_array_equal(data.images, copy.images)


def test_weights_given_out_are_copies():
    trained = sgd.SGD(RECIPE, toy())
    expected = trained.weights
    for given_out in (trained.weights, trained.result, trained.average):
        given_out[...] = 7
    assert_same_bits(trained.weights, expected)
