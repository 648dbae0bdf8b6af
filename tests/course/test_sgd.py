"""Training: its steps and their order, averages, curves, interrupts, and what it refuses.

That whole trainings are right is for test_oracle.py, where scikit-learn takes the same steps.
"""

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


def record_steps(monkeypatch):
    """Give a list that will hold each step: its arguments, and the weights after it."""
    steps, step = [], sgd.step

    def recorded(layers, *arguments):
        before = network.unpack(network.pack(layers), SIZES)
        step(layers, *arguments)
        steps.append(((before, *arguments), network.pack(layers)))

    monkeypatch.setattr(sgd, "step", recorded)
    return steps


# ---- the steps


def test_each_step_has_the_rate_of_its_epoch_and_the_penalty(monkeypatch):
    steps = record_steps(monkeypatch)
    recipe = replace(RECIPE, schedule="cosine", alpha=0.1)
    train(recipe)
    expected = [(recipe.rate(epoch), 0.1) for epoch in range(3) for _ in range(6)]
    assert [arguments[3:] for arguments, _ in steps] == expected


@given(st.integers(1, 50), st.integers(1, 60))
def test_an_epoch_visits_each_image_once_and_ends_with_the_rest(num_images, batch_size):
    batches = sgd.minibatches(num_images, batch_size, [0, 2])
    assert sorted(np.concatenate(batches)) == list(range(num_images))
    full, rest = divmod(num_images, batch_size)
    assert [len(batch) for batch in batches] == [batch_size] * full + [rest] * bool(rest)


@pytest.mark.parametrize(("every", "number"), [(4, 4), (100, 6)])  # of 6 steps, the fourth or last
@pytest.mark.parametrize("average_epochs", [1, 5])
def test_averaging_gives_the_plain_mean_of_late_iterates(
    monkeypatch, every, number, average_epochs
):
    monkeypatch.setattr(recipes, "AVERAGE_EVERY", every)
    steps = record_steps(monkeypatch)
    trained = train(average_epochs=average_epochs, dtype=np.float64)
    iterates = [weights for _, weights in steps]
    one_an_epoch = iterates[number - 1 :: 6]
    mean = np.mean(one_an_epoch[-average_epochs:], axis=0)
    np.testing.assert_allclose(trained.weights, mean, rtol=1e-12, atol=1e-13)


# ---- interrupts and divergence


def interrupt_at(count):
    """Make a function of anything that raises KeyboardInterrupt at one call, counted from 1."""
    calls = []

    def call(*_):
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    return call


def test_an_interrupt_inside_an_epoch_drops_that_epoch_alone(monkeypatch):
    expected = train(num_epochs=2)  # a shorter run is the first part of the longer one
    step, interrupt = sgd.step, interrupt_at(13)  # the first step of the third epoch
    monkeypatch.setattr(sgd, "step", lambda *arguments: (step(*arguments), interrupt()))
    trained = train()
    assert trained.interrupted
    np.testing.assert_array_equal(trained.weights, expected.weights)
    assert trained.history == expected.history


def test_an_interrupt_after_an_epoch_keeps_it():
    trained = train(on_epoch=interrupt_at(3))
    np.testing.assert_array_equal(trained.weights, train(num_epochs=2).weights)


@pytest.mark.parametrize("function", ["evaluate", "step"])
def test_an_interrupt_before_the_first_epoch_is_complete_is_told(monkeypatch, function):
    monkeypatch.setattr(sgd, function, interrupt_at(1))
    with pytest.raises(StoppedError, match=r"^stopped before the first epoch was complete"):
        train()


@pytest.mark.filterwarnings("error")
def test_divergence_names_epoch_and_step_and_keeps_the_curves(monkeypatch):
    # L2 alone makes each matrix 1 - 0.001 * 2400 = -1.4 times as large a step, slowly enough that
    # some epochs end with a finite loss.
    steps = record_steps(monkeypatch)
    with pytest.raises(sgd.DivergedError) as error:
        train(num_epochs=50, learning_rate=0.001, alpha=2400)
    diverged = error.value
    losses = diverged.history.training_cross_entropy
    assert np.isfinite(losses).all()
    assert diverged.epoch == len(losses) >= 2
    assert (diverged.epoch - 1) * 6 + diverged.step == len(steps)
    where = f"epoch {diverged.epoch}, step {diverged.step}, at learning rate 0.001 "
    assert f"{where}(cross-entropy before this epoch: {losses[-1]:.4g})" in str(diverged)


def test_the_losses_of_first_steps_are_those_of_their_minibatches(monkeypatch):
    steps = record_steps(monkeypatch)
    losses = sgd.step_losses(replace(RECIPE, alpha=0.1), DATA, 8)  # two of the second epoch
    expected = [network.cross_entropy(*problem) for (*problem, _, _), _ in steps]
    assert losses == pytest.approx(expected, rel=1e-6)
    train(alpha=0.1)
    weights = [after for _, after in steps]
    np.testing.assert_array_equal(weights[:8], weights[8:16])


def test_the_losses_of_steps_that_explode_end_with_nan():
    losses = sgd.step_losses(replace(RECIPE, learning_rate=1e30), DATA, 8)
    is_number = (~np.isnan(losses)).tolist()
    assert is_number == sorted(is_number, reverse=True) and set(is_number) == {True, False}


# ---- images and labels that cannot be learned from


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
FIT = Images(PIXELS / 255 - 0.5, np.array([0, 1, 2, 1, 0]))
UNFIT = {
    "bytes": (FIT._replace(images=PIXELS), "not scaled; helpers.data.scale"),
    "far below 0": (FIT._replace(images=FIT.images - 100), "not scaled"),
    "not a number": (FIT._replace(images=FIT.images * np.nan), "not scaled"),
    "too narrow": (FIT._replace(images=FIT.images[:, 1:]), "images: expected shape"),
    "labels from 1": (FIT._replace(labels=FIT.labels + 1), "labels go from 1 to 3"),
}


@pytest.mark.parametrize(("unfit", "words"), UNFIT.values(), ids=UNFIT)
def test_own_arrays_train_and_are_refused_if_they_do_not_fit(unfit, words):
    assert len(sgd.train(RECIPE, FIT, FIT).history) == 4
    for training, validation in (unfit, FIT), (FIT, unfit):
        with pytest.raises(DataError, match=words):
            sgd.train(RECIPE, training, validation)


# ---- learning curves


@pytest.mark.parametrize("average_epochs", [0, 2])
def test_curves_measure_the_network_that_is_returned(monkeypatch, average_epochs):
    monkeypatch.setattr(sgd, "NUM_WATCHED", 5)
    trained = train(alpha=0.3, average_epochs=average_epochs)
    last = [curve[-1] for curve in vars(trained.history).values()]
    on_training = sgd.evaluate(trained.layers, DATA.first(5))
    assert last == [*on_training, *sgd.evaluate(trained.layers, some_images(9))]


def test_evaluation_is_free_of_the_penalty_and_counts_what_is_right():
    loss, accuracy = sgd.evaluate(LAYERS, DATA)
    assert loss == pytest.approx(network.cross_entropy(LAYERS, *DATA), rel=1e-14)
    assert accuracy == (network.predict(LAYERS, DATA.images) == DATA.labels).mean()


@pytest.mark.filterwarnings("error")
def test_evaluation_of_weights_that_overflow_is_nan_without_a_warning():
    loss, _ = sgd.evaluate([(1e308 * W, b) for W, b in LAYERS], DATA)
    assert np.isnan(loss)


# ---- the machine


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize(
    "call", [lambda: sgd.step_losses(RECIPE, DATA, 1), lambda: sgd.evaluate(LAYERS, DATA)]
)
def test_blas_is_held_to_one_thread_from_the_first_training_on(call):
    threadpool_limits(2, user_api="blas")
    assert blas_threads() == {2}
    call()
    assert blas_threads() == {1}
