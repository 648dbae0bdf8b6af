"""Training: its steps against the textbook, its order, its curves and its interrupts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import SIZES, some_images
from threadpoolctl import threadpool_info, threadpool_limits

from helpers import network, sgd
from helpers import recipe as recipes
from helpers.data import DataError, Images
from helpers.history import StoppedError

DATA = some_images()  # 22 images in batches of 4 are 6 steps an epoch
for part in DATA:
    part.flags.writeable = False  # training leaves what it is given alone
RECIPE = sgd.Recipe(SIZES, num_epochs=3, batch_size=4, learning_rate=0.05)
LAYERS = network.unpack(network.init_weights(SIZES, 0), SIZES)  # what training begins with


def train(recipe=RECIPE, on_epoch=lambda history: None, dtype=np.float32, **change):
    return sgd.train(replace(recipe, **change), DATA, some_images(9), on_epoch, dtype)


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
        {"batch_size": 23},
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


@pytest.mark.parametrize("every", [2, 100])
@pytest.mark.parametrize("average_epochs", [1, 3, 5])
def test_averaging_equals_the_plain_mean_of_its_iterates(monkeypatch, every, average_epochs):
    # Of an epoch of 6 steps, every second one, or the last.
    monkeypatch.setattr(recipes, "AVERAGE_EVERY", every)
    trained = train(average_epochs=average_epochs, dtype=np.float64)
    epochs = textbook(RECIPE)[-average_epochs:]
    included = [w for steps in epochs for w in steps[min(every, 6) - 1 :: min(every, 6)]]
    np.testing.assert_allclose(trained.weights, np.mean(included, axis=0), rtol=1e-12, atol=1e-13)
    assert np.abs(trained.weights - epochs[-1][-1]).max() > 1e-4 or len(included) == 1


# ---- seeds and checkpoints


def test_the_seeds_decide_every_bit():
    changes = {}, {}, {"seed": 1}, {"shuffle_seed": 1}
    first, again, *others = (train(**change).weights for change in changes)
    assert again.tobytes() == first.tobytes()
    assert all((other != first).any() for other in others)


def test_the_shorter_run_is_a_checkpoint_of_the_longer():
    short = train(num_epochs=5, alpha=0.01)
    long = train(num_epochs=10, alpha=0.01)
    np.testing.assert_array_equal(curves(long.history)[:, :6], curves(short.history))
    stopped = train(on_epoch=interrupt_at(6), num_epochs=10, alpha=0.01)
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


@pytest.mark.parametrize("count", [7, 15])
def test_an_interrupt_inside_an_epoch_drops_that_epoch_alone(monkeypatch, count):
    expected = train(num_epochs=(count - 1) // 6)
    step, interrupt = sgd.step, interrupt_at(count)
    monkeypatch.setattr(sgd, "step", lambda *arguments: (step(*arguments), interrupt()))
    trained = train()
    assert trained.interrupted
    assert trained.weights.tobytes() == expected.weights.tobytes()
    np.testing.assert_array_equal(curves(trained.history), curves(expected.history))


@pytest.mark.parametrize("function", ["evaluate", "step"])
def test_an_interrupt_before_the_first_epoch_is_complete_is_told(monkeypatch, function):
    monkeypatch.setattr(sgd, function, interrupt_at(1))
    with pytest.raises(StoppedError, match=r"^stopped before the first epoch was complete"):
        train()


def test_without_epochs_the_initial_weights_are_complete():
    trained = train(on_epoch=interrupt_at(1), num_epochs=0)
    assert not trained.interrupted
    np.testing.assert_array_equal(trained.weights, network.init_weights(SIZES, 0, np.float32))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("change", "at_least"),
    # L2 alone makes each matrix 1 - 0.001 * 2400 = -1.4 times as large a step, slowly enough that
    # some epochs end with a finite loss.
    [({"learning_rate": 1e30}, 1), ({"learning_rate": 0.001, "alpha": 2400}, 2)],
    ids=["at once", "slowly"],
)
def test_divergence_names_epoch_and_step_and_keeps_the_curves(monkeypatch, change, at_least):
    steps, step = [], sgd.step
    monkeypatch.setattr(sgd, "step", lambda *problem: (steps.append(1), step(*problem)))
    with pytest.raises(sgd.DivergedError) as error:
        train(num_epochs=50, **change)
    diverged = error.value
    losses = diverged.history.training_cross_entropy
    assert np.isfinite(losses).all() and diverged.epoch == len(losses) >= at_least
    assert (diverged.epoch - 1) * 6 + diverged.step == len(steps)
    assert diverged.rate == change["learning_rate"]
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


# ---- images and labels that cannot be learned from


def test_own_arrays_train_and_are_refused_unscaled():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    labels = [0, 1, 2, 1, 0]
    fit = Images(pixels / 255 - 0.5, np.array(labels))
    assert len(sgd.train(RECIPE, fit, fit).history) == 4
    nan = np.full((5, 7), np.nan)
    unfit = [
        (fit._replace(images=pixels), "not scaled; helpers.data.scale"),
        (fit._replace(images=-pixels.astype(float)), "not scaled"),
        (fit._replace(images=nan), "not scaled"),
        (fit._replace(images=fit.images[:, 1:]), r"expected shape \(n, 7\)"),
        (fit._replace(images=fit.images[1:]), "expected 4 whole numbers, one for each image"),
        (fit._replace(labels=fit.labels[1:]), "expected 5 whole numbers, one for each image"),
        (fit._replace(labels=fit.labels + 1), "labels go from 1 to 3, but .* 0 to 2"),
    ]
    for wrong, words in unfit:
        for training, validation in (wrong, fit), (fit, wrong):
            with pytest.raises(DataError, match=words):
                sgd.train(RECIPE, training, validation)


# ---- learning curves


@pytest.mark.parametrize("average_epochs", [0, 2])
def test_curves_measure_the_network_that_is_returned_without_the_penalty(average_epochs):
    trained = train(alpha=0.3, average_epochs=average_epochs, dtype=np.float64)
    assert len(trained.history) == 4
    measured = curves(trained.history).reshape(2, 2, -1)  # set, loss or accuracy, epoch
    for data, (losses, shares) in zip((DATA, some_images(9)), measured, strict=True):
        for layers, epoch in ((LAYERS, 0), (trained.layers, -1)):
            expected = network.cross_entropy(layers, *data)
            assert losses[epoch] == pytest.approx(expected, rel=1e-14)
            assert shares[epoch] == (network.predict(layers, data.images) == data.labels).mean()


def test_training_curves_watch_the_first_images_only(monkeypatch):
    monkeypatch.setattr(sgd, "NUM_WATCHED", 5)
    trained = train()
    expected = network.cross_entropy(trained.layers, *DATA.first(5))
    assert trained.history.training_cross_entropy[-1] == pytest.approx(expected, rel=1e-12)


def test_progress_is_told_after_each_epoch():
    lines = []
    history = train(on_epoch=lambda h: lines.append(h.line())).history
    assert [line.split()[1] for line in lines] == ["0", "1", "2", "3"]
    values = f"{history.training_cross_entropy[-1]:.4f}, {history.training_accuracy[-1]:6.2%}"
    assert values in lines[-1]
    assert max(map(len, lines)) <= 75


# ---- the machine


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize(
    "call",
    [train, lambda: sgd.step_losses(RECIPE, DATA, 1), lambda: sgd.evaluate(LAYERS, DATA)],
    ids=["train", "step_losses", "evaluate"],
)
def test_blas_is_held_to_one_thread_from_the_first_training_on(call):
    threadpool_limits(2, user_api="blas")
    assert blas_threads() == {2}
    call()
    assert blas_threads() == {1}


def test_networks_trained_in_four_threads_are_those_trained_alone():
    # Large enough for products that OpenBLAS would split over its threads.
    data = some_images(200, num_pixels=784, num_classes=10)
    recipes = [sgd.Recipe((784, 50, 10), 2, 64, 0.1, seed=seed) for seed in range(8)]

    def run(recipe):
        return sgd.train(recipe, data, data).weights.tobytes()

    with ThreadPoolExecutor(4) as pool:
        side_by_side = list(pool.map(run, recipes))
    assert side_by_side == [run(recipe) for recipe in recipes]
