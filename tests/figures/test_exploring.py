"""The figures that explore: where a training diverged can be seen, and how far it was to go."""

import numpy as np

from helpers import figures, history

FALLING = np.linspace(2.3, 0.5, 100)
EXPLODING = np.concatenate([[2.3, 40.0, 1e9], np.full(97, np.nan)])


def test_one_rate_that_diverges_leaves_the_others_readable():
    figure = figures.losses_by_step({0.1: FALLING, 1.0: EXPLODING}).figure
    [ax] = figure.axes
    assert ax.get_xlim() == (0, 100) and ax.get_ylim()[1] <= 10
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "rate 0.1", "rate 1, diverged after step 3"
    ]  # fmt: skip
    assert (
        "0.1 has the lowest loss" in figure.get_suptitle() and "1 diverged" in figure.get_suptitle()
    )


def test_a_training_that_diverges_alone_is_shown_to_its_end():
    figure = figures.losses_by_step({1.0: EXPLODING}).figure
    [ax] = figure.axes
    assert ax.get_ylim()[1] > 1e8 and "explodes" in figure.get_suptitle()


def test_curves_have_room_for_all_epochs_asked_for_and_ticks_beside_a_single_point():
    start = history.History([2.4], [0.1], [2.4], [0.1])
    for num_epochs in 0, 10:
        figure = figures.learning_curves(start, num_epochs).figure
        for ax in figure.axes:
            low, high = ax.get_xlim()
            assert -0.5 < low <= 0 and max(num_epochs, 1) <= high < num_epochs + 1.5
            bottom, top = sorted(ax.get_ylim())
            assert sum(bottom <= tick <= top for tick in ax.get_yticks()) >= 3
        assert figure.get_suptitle().startswith("Before training")


def test_one_image_shows_every_layer_and_says_what_the_network_says():
    probabilities = np.full((10, 1), 0.02)
    probabilities[7] = 0.82
    seen = [np.zeros((784, 1)), np.ones((5, 1)), np.ones((3, 1))], np.ones((10, 1)), probabilities
    wrong = figures.one_image(*seen, label=9, before=seen).figure
    assert wrong.get_suptitle() == "The network says “Sneaker” at 82%, but it is “Ankle boot”"
    assert [len(ax.patches) for ax in wrong.axes[1:]] == [10, 6, 20, 20]
    assert figures.one_image(*seen, label=7).figure.get_suptitle().endswith("rightly")
