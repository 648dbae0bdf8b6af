"""Training: its steps against the textbook, its order, its curves and its interrupts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import SIZES, some_images
from threadpoolctl import threadpool_info

from helpers import network, sgd
from helpers import recipe as recipes

DATA = some_images()  # 22 images in batches of 4 are 6 steps an epoch
for part in DATA:
    part.flags.writeable = False  # training leaves what it is given alone
RECIPE = sgd.Recipe(SIZES, num_epochs=3, batch_size=4, learning_rate=0.05)


def train(recipe=RECIPE, on_epoch=lambda history: None, dtype=np.float32, **change):
    return sgd.train(replace(recipe, **change), DATA, some_images(9), on_epoch, dtype)


def initial_layers(dtype=np.float64):
    return network.unpack(network.init_weights(SIZES, 0, dtype), SIZES)


def textbook(recipe):
    """Train in float64: every w after w <- w - rate * gradient, a list for each epoch."""
    weights = network.init_weights(recipe.layer_sizes, recipe.seed)
    epochs = []
    for epoch in range(recipe.num_epochs):
        order = np.random.default_rng([recipe.shuffle_seed, epoch]).permutation(len(DATA.labels))
        epochs.append([])
        for start in range(0, len(order), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            problem = network.unpack(weights, recipe.layer_sizes), *(part[batch] for part in DATA)
            gradient = network.pack(network.backprop(*problem, recipe.alpha))
            weights = weights - recipe.rate(epoch) * gradient
            epochs[-1].append(weights)
    return epochs


def curves(history):
    return np.array(list(vars(history).values()))


# ---- the steps


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"alpha": 0.1},
        {"schedule": "cosine"},
        {"batch_size": 22},
        {"batch_size": 1},
        {"batch_size": 7, "alpha": 0.1, "schedule": "cosine", "seed": 3, "shuffle_seed": 9},
        {"layer_sizes": (7, 3)},
    ],
    ids=str,
)
def test_whole_runs_equal_the_textbook(change):
    trained = train(dtype=np.float64, **change)
    expected = textbook(replace(RECIPE, **change))[-1][-1]
    np.testing.assert_allclose(trained.weights, expected, rtol=1e-12, atol=1e-13)
    assert not trained.interrupted
    assert np.shares_memory(trained.layers[0][0], trained.weights)


def test_training_learns_and_float32_stays_near_float64():
    single, double = (
        train(num_epochs=60, learning_rate=0.2, dtype=dtype) for dtype in (np.float32, np.float64)
    )
    assert single.weights.dtype == np.float32
    np.testing.assert_allclose(single.weights, double.weights, atol=1e-4)
    losses = single.history.training_cross_entropy
    assert losses[-1] < 0.1 < losses[0]
    assert single.history.training_accuracy[-1] == 1


@given(st.integers(1, 50), st.integers(1, 60))
def test_an_epoch_visits_each_image_once_and_ends_with_the_rest(num_images, batch_size):
    batches = sgd.minibatches(num_images, batch_size, [0, 2])
    assert sorted(np.concatenate(batches)) == list(range(num_images))
    full, rest = divmod(num_images, batch_size)
    assert [len(batch) for batch in batches] == [batch_size] * full + [rest] * bool(rest)


def test_every_epoch_and_shuffle_seed_has_an_order_of_its_own():
    drawn = [sgd.minibatches(22, 4, [seed, epoch]) for seed in (0, 1) for epoch in range(4)]
    orders = {tuple(np.concatenate(batches)) for batches in drawn}
    assert len(orders | {tuple(range(22))}) == 9


def test_cosine_and_constant_rates_by_hand():
    # 0.8 / 2 * (1 + cos(pi * epoch / 4)): cos is 1, sqrt(1/2), 0, -sqrt(1/2).
    recipe = replace(RECIPE, num_epochs=4, learning_rate=0.8, schedule="cosine")
    expected = [0.8, 0.682842712, 0.4, 0.117157288]
    assert [recipe.rate(epoch) for epoch in range(4)] == pytest.approx(expected, rel=1e-8)
    assert {RECIPE.rate(epoch) for epoch in range(10)} == {0.05}


@pytest.mark.parametrize("every", [2, 3, 100])
@pytest.mark.parametrize("average_epochs", [1, 2, 3, 5])
def test_averaging_equals_the_plain_mean_of_its_iterates(monkeypatch, every, average_epochs):
    # An epoch of 6 steps, shorter than `every`, gives its last iterate.
    monkeypatch.setattr(recipes, "AVERAGE_EVERY", every)
    trained = train(average_epochs=average_epochs, dtype=np.float64)
    epochs = textbook(RECIPE)[-average_epochs:]
    included = [w for steps in epochs for w in steps[min(every, 6) - 1 :: min(every, 6)]]
    np.testing.assert_allclose(trained.weights, np.mean(included, axis=0), rtol=1e-12, atol=1e-13)
    assert np.abs(trained.weights - epochs[-1][-1]).max() > 1e-4 or len(included) == 1


# ---- seeds and checkpoints


def test_the_seeds_decide_every_bit():
    first, again, *others = (
        train(**change) for change in ({}, {}, {"seed": 1}, {"shuffle_seed": 1})
    )
    assert again.weights.tobytes() == first.weights.tobytes()
    assert all((other.weights != first.weights).any() for other in others)


@pytest.mark.parametrize("alpha", [0, 0.01], ids="alpha={}".format)
def test_the_shorter_run_is_a_checkpoint_of_the_longer(alpha):
    short, recipe = train(num_epochs=5, alpha=alpha), replace(RECIPE, num_epochs=10, alpha=alpha)
    long = train(recipe)
    np.testing.assert_array_equal(curves(long.history)[:, :6], curves(short.history))
    stopped = train(recipe, interrupt_at(6))
    assert stopped.weights.tobytes() == short.weights.tobytes() != long.weights.tobytes()


# ---- interrupts and divergence


def interrupt_at(count):
    """Make a function of anything that raises KeyboardInterrupt at one call, counted from 1."""
    calls = []

    def call(*_):
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    return call


def test_an_interrupt_between_epochs_keeps_them():
    trained = train(on_epoch=interrupt_at(3))
    assert trained.interrupted
    assert len(trained.history) == 3
    assert trained.weights.tobytes() == train(num_epochs=2).weights.tobytes()


@pytest.mark.parametrize("count", [1, 6, 7, 15])
def test_an_interrupt_inside_an_epoch_drops_that_epoch_alone(monkeypatch, count):
    completed, step, interrupt = (count - 1) // 6, sgd.step, interrupt_at(count)
    expected = train(num_epochs=completed)
    monkeypatch.setattr(sgd, "step", lambda *arguments: (step(*arguments), interrupt()))
    trained = train()
    assert trained.interrupted
    assert trained.weights.tobytes() == expected.weights.tobytes()
    np.testing.assert_array_equal(curves(trained.history), curves(expected.history))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("change", "at_least"),
    # L2 alone makes each matrix 1 - 0.001 * 2400 = -1.4 times as large a step, slowly enough that
    # some epochs end with a finite loss.
    [({"learning_rate": 1e30}, 1), ({"learning_rate": 0.001, "alpha": 2400}, 2)],
    ids=["at once", "slowly"],
)
def test_divergence_names_its_place_and_keeps_the_curves(monkeypatch, change, at_least):
    losses, steps, step = [], [], sgd.step
    monkeypatch.setattr(sgd, "step", lambda *problem: (steps.append(1), step(*problem)))
    with pytest.raises(sgd.DivergedError) as error:
        train(
            on_epoch=lambda h: losses.append(h.training_cross_entropy[-1]), num_epochs=50, **change
        )
    diverged = error.value
    assert diverged.history.training_cross_entropy == losses and len(losses) >= at_least
    assert (diverged.epoch - 1) * 6 + diverged.step == len(steps)
    assert diverged.epoch == len(losses) and diverged.rate == change["learning_rate"]
    line = str(diverged)
    assert f"epoch {diverged.epoch}, step {diverged.step}, at learning rate" in line
    assert f"before this epoch: {losses[-1]:.4g})" in line


def test_weights_that_start_infinite_diverge_at_the_first_step(monkeypatch):
    monkeypatch.setattr(network, "init_weights", lambda sizes, *_: np.full(79, np.inf, np.float32))
    with pytest.raises(sgd.DivergedError, match=r"epoch 1, step 1, .*before this epoch: nan"):
        train()


def test_the_losses_of_first_steps_are_those_of_their_minibatches():
    recipe = replace(RECIPE, alpha=0.1)
    losses = sgd.step_losses(recipe, DATA, 8, np.float64)  # two steps into the second epoch
    first_epoch, second_epoch, _ = textbook(recipe)
    iterates = [network.init_weights(SIZES, 0), *first_epoch, *second_epoch]
    batches = sgd.minibatches(22, 4, [0, 0]) + sgd.minibatches(22, 4, [0, 1])
    for loss, weights, batch in zip(losses, iterates, batches, strict=False):
        problem = network.unpack(weights, SIZES), DATA.images[batch], DATA.labels[batch]
        assert loss == pytest.approx(network.cross_entropy(*problem), rel=1e-12)


def test_the_losses_of_steps_that_explode_end_with_nan():
    losses = sgd.step_losses(replace(RECIPE, learning_rate=1e30), DATA, 8)
    num_finite = np.isfinite(losses).sum()
    assert 1 <= num_finite < 8 and np.isfinite(losses[:num_finite]).all()


# ---- learning curves


@pytest.mark.parametrize("num_epochs", [0, 1, 3])
def test_history_starts_before_the_first_epoch_and_is_free_of_the_penalty(num_epochs):
    trained = train(num_epochs=num_epochs, alpha=0.3, dtype=np.float64)
    assert len(trained.history) == num_epochs + 1
    measured = curves(trained.history).reshape(2, 2, -1)  # set, loss or accuracy, epoch
    for data, (losses, shares) in zip((DATA, some_images(9)), measured, strict=True):
        for layers, epoch in ((initial_layers(), 0), (trained.layers, num_epochs)):
            expected = network.cross_entropy(layers, *data)
            assert losses[epoch] == pytest.approx(expected, rel=1e-14)
            assert shares[epoch] == (network.predict(layers, data.images) == data.labels).mean()


@pytest.mark.parametrize("average_epochs", [0, 2])
def test_curves_measure_the_network_that_is_returned(average_epochs):
    trained = train(average_epochs=average_epochs)
    expected = sgd.evaluate(trained.layers, some_images(9))
    last = [curve[-1] for curve in vars(trained.history).values()]
    assert last[2:] == [float(value) for value in expected]


def test_curves_watch_the_first_images_only(monkeypatch):
    monkeypatch.setattr(sgd, "NUM_WATCHED", 5)
    expected = network.cross_entropy(initial_layers(np.float32), *DATA.first(5))
    assert train().history.training_cross_entropy[0] == pytest.approx(expected, rel=1e-12)


def test_progress_is_reported_after_each_epoch():
    lines = []
    history = train(on_epoch=lambda h: lines.append(h.line())).history
    assert [line.split()[1] for line in lines] == ["0", "1", "2", "3"]
    values = f"{history.training_cross_entropy[-1]:.4f}, {history.training_accuracy[-1]:6.2%}"
    assert values in lines[-1]
    assert max(map(len, lines)) <= 75


# ---- the machine


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_training_holds_blas_to_one_thread_and_lets_go():
    before, during = blas_threads(), []
    train(on_epoch=lambda _: during.extend(blas_threads()))
    assert before
    assert set(during) == {1}
    assert blas_threads() == before


def test_a_thread_that_leaves_does_not_free_the_others():
    before = blas_threads()
    with sgd.one_blas_thread():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: train(num_epochs=1), range(8)))
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_networks_trained_in_four_threads_are_those_trained_alone():
    # Large enough for products that OpenBLAS would split over its threads.
    data = some_images(200, num_pixels=784, num_classes=10)
    recipes = [sgd.Recipe((784, 50, 10), 2, 64, 0.1, seed=seed) for seed in range(8)]

    def run(recipe):
        return sgd.train(recipe, data, data).weights.tobytes()

    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(run, recipes))
    assert side_by_side == [run(recipe) for recipe in recipes]
