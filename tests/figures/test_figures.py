"""Pictures are whole and legible, and say the right numbers; cells show them without an address."""

import base64
from itertools import pairwise
from unittest.mock import patch

import matplotlib
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from helpers import figures
from helpers.data import Images
from helpers.figures import style
from helpers.grid.table import FACTORS
from helpers.history import History


def make_table(*levels):
    """One row a combination; ten units more give a point, a rate larger by 0.1 gives five."""
    table = pd.MultiIndex.from_product(levels, names=FACTORS).to_frame(index=False)
    accuracy = 0.8 + table.num_units / 1000 + table.learning_rate / 2
    return table.assign(accuracy=accuracy, alpha=0.0, seed=0)


FULL = make_table((3, 4, 5), (30, 40, 50), (0.005, 0.01, 0.05), (16, 32, 64), (50, 100))
SMALL = make_table((3,), (30, 50), (0.01, 0.05), (64,), (2, 4))
ONE = make_table((0,), (30,), (0.01,), (64,), (2,))
HALF_DIVERGED = SMALL.assign(accuracy=SMALL.accuracy.where(SMALL.learning_rate < 0.05))

IMAGES = np.random.default_rng(0).uniform(-0.5, 0.5, (120, 784))
UNITS = IMAGES[:60]
FIRST_LAYERS = {0.0: (UNITS, 0.893), 0.003: (UNITS / 10, 0.88), 0.006: (9 * UNITS, 0.865)}
SANDAL = np.array([[0.0, 0, 0, 0, 0, 0.9999, 0.0001, 0, 0, 0]] * 20)
COUNTS = np.diag([20] * 10)
COUNTS[6, [0, 4, 6]] = 6, 4, 10  # of 20 shirts half are right
TIED = COUNTS.copy()
TIED[9, [7, 9]] = 6, 14
STEPS = 10.0 ** np.arange(-16, 0)
ERRORS = {"3-point": 2e-10 + STEPS, "complex step": 4e-16 + STEPS**2}
FALLING = np.linspace(2.3, 0.5, 100)
EXPLODING = np.array([2.3, 40.0, 1e9, np.nan])


def curves(num_epochs, asked_for=0):
    better = 1 - 2 / np.arange(2.0, num_epochs + 3)
    history = History(2.3 - better, 0.1 + 0.9 * better, 2.4 - better, 0.09 + 0.8 * better)
    return figures.learning_curves(history, asked_for)


def mistakes(count):
    return figures.mistakes(IMAGES[:count], np.arange(count) % 10, SANDAL[:count])


def exciting(num_units, num_images):
    images = np.resize(IMAGES, (num_units, num_images, 784))
    return figures.exciting_images(UNITS, images, range(num_units))


def computed(num_layers):
    hidden = [np.ones((64, 1))] * num_layers
    return [IMAGES[0], *hidden], np.ones((10, 1)), SANDAL[:1].T


DRAWN = {
    "samples": lambda: figures.samples(Images(IMAGES, np.arange(120) % 10)),
    "rates": lambda: figures.losses_by_step({0.1: FALLING, 1.0: EXPLODING, 2.0: EXPLODING}),
    "rates, at the first step": lambda: figures.losses_by_step({1.0: EXPLODING[[0, 3]]}),
    "curves of 0 epochs": lambda: curves(0),
    "one image, no hidden layer": lambda: figures.one_image(*computed(0), 9),
    "one image, changed": lambda: figures.one_image(*computed(3), 9, computed(3)),
    "confusion": lambda: figures.confusion(50 * COUNTS),
    "confusion, two alike": lambda: figures.confusion(TIED),
    "mistakes": lambda: mistakes(15),
    "no mistake": lambda: mistakes(0),
    "50 units": lambda: figures.show_W0(UNITS[:50]),
    "noise to clothes": lambda: figures.noise_to_clothes((UNITS[:10], 0.842), FIRST_LAYERS),
    "exciting, 20 images": lambda: exciting(7, 20),
    "effects": lambda: figures.grid_main_effects(FULL),
    "effects, one run": lambda: figures.grid_main_effects(ONE),
    "map": lambda: figures.grid_heat_map(FULL),
    "map, one run": lambda: figures.grid_heat_map(ONE),
    "map, some diverged": lambda: figures.grid_heat_map(HALF_DIVERGED),
    "steps": lambda: figures.error_against_step(STEPS, ERRORS),
}


@matplotlib.rc_context(fname=style.STYLE)
def drawn_texts(fig):
    """Draw a figure, and find the texts that are then to be seen."""
    with patch.object(Text, "draw", autospec=True, side_effect=Text.draw) as draw:
        FigureCanvasAgg(fig).draw()
    return {call.args[0] for call in draw.call_args_list if call.args[0].get_text().strip()}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_picture_is_whole_and_legible(name):
    fig = DRAWN[name]().figure
    texts = drawn_texts(fig)
    frame = fig.bbox.padded(1)
    assert fig.get_figwidth() == style.WIDTH
    for text in texts:
        assert text.get_fontsize() >= 9, text
        box = text.get_window_extent()
        assert frame.contains(*box.min), text
        assert frame.contains(*box.max), text
    for ax in fig.axes:
        labels = [t for t in ax.get_xticklabels() if t in texts and not t.get_rotation()]
        spans = sorted(tuple(label.get_window_extent().intervalx) for label in labels)
        for (_, end), (start, _) in pairwise(spans):
            assert end < start, f"labels overlap under {ax.get_xlabel()!r}"


TITLES = {
    "rates": "Rate 0.1 has the lowest loss at the end",
    "rates, at the first step": "Too large a learning rate: the loss explodes",
    "curves of 0 epochs": "After 0 epochs: validation accuracy 9.0%",
    "one image, changed": "The network says Sandal at 100%, the label says Ankle boot",
    "confusion": "Most often mistaken (30%): Shirt for T-shirt/top",
    "confusion, two alike": "Most often mistaken (30%): "
    "Shirt for T-shirt/top, Ankle boot for Sneaker",
    "steps": "Complex steps are right to 4e-16, differences to 2e-10",
    "effects": "Largest effect: learning rate 0.005 to 0.05, +2.25 points (pairs: 27)",
    "effects, one run": "No two values to compare",
    "map, one run": "Best, 83.50%: 0 × 30 units, rate 0.01, batch 64, 2 epochs",
}


@pytest.mark.parametrize("name", TITLES)
def test_titles_say_what_the_picture_shows(name):
    assert DRAWN[name]().figure.get_suptitle() == TITLES[name]


def test_a_cell_shows_and_saves_picture_and_caption_without_an_address(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(style, "display", lambda data, **more: shown.append(data | more))
    picture = mistakes(2).save(tmp_path / "a.png")
    assert DisplayFormatter().format(picture) == ({}, {})
    image, caption = shown
    assert image["text/plain"] == image["metadata"]["image/png"]["alt"] == picture.alt
    assert image["metadata"]["caption"] == caption["text/plain"] == picture.caption
    assert base64.b64decode(image["image/png"]) == (tmp_path / "a.png").read_bytes()


def test_rates_that_diverge_are_named_and_leave_the_others_readable():
    [ax] = DRAWN["rates"]().figure.axes
    assert ax.get_ylim()[1] <= 10
    _, *diverged = [text.get_text() for text in ax.get_legend().get_texts()]
    assert diverged == ["rate 1, diverged after step 3", "rate 2, diverged after step 3"]
    means = ax.lines[0].get_ydata()
    assert means[[0, 1, 99]] == pytest.approx([2.3, FALLING[:2].mean(), FALLING[50:].mean()])


def test_curves_have_room_for_all_epochs_asked_for():
    for ax in curves(0, 10).figure.axes:
        assert 10 < ax.get_xlim()[1] < 11


def test_one_image_shows_every_layer_and_what_it_was_before():
    _, *axes = DRAWN["one image, changed"]().figure.axes
    assert [len(ax.patches) for ax in axes] == [128, 128, 128, 20, 20]
    assert [axes[-1].patches[k].get_width() for k in (5, 15)] == [0.9999, 0.9999]


def test_a_mistake_is_never_100_percent_sure():
    ax, *_ = mistakes(1).figure.axes
    assert ax.get_title("center") == "said Sandal\nat 99.9%\nis T-shirt/top"


def test_confusion_writes_counts_and_shares():
    [ax] = DRAWN["confusion, two alike"]().figure.axes
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[0, 6] == "6\n30.0%"
    assert written[6, 6] == "10\n50.0%"


def tile(ax, line, column):
    """Cut a tile out of a mosaic, as 784 numbers."""
    mosaic = np.asarray(ax.images[0].get_array())
    return mosaic[30 * line :, 30 * column :][:28, :28].ravel()


def test_every_line_shows_the_same_units_each_on_its_own_scale():
    _, units = DRAWN["noise to clothes"]().figure.axes
    names = [label.get_text() for label in units.get_yticklabels()]
    assert names == ["alpha = 0\n89.3%", "alpha = 0.003\n88.0%", "alpha = 0.006\n86.5%"]
    np.testing.assert_allclose(tile(units, 0, 3), tile(units, 1, 3))  # a tenth as large
    number = int(units.get_xticklabels()[3].get_text().removeprefix("unit "))
    for line in range(3):
        assert np.corrcoef(tile(units, line, 3), UNITS[number])[0, 1] == pytest.approx(1)


def test_a_unit_stands_beside_its_own_images():
    weights, clothes = exciting(2, 3).figure.axes
    np.testing.assert_array_equal(tile(weights, 1, 0), UNITS[1])
    np.testing.assert_array_equal(tile(clothes, 1, 1), IMAGES[4])


def test_heat_map_averages_over_seeds_and_marks_what_diverged():
    again = ONE.assign(accuracy=0.8, seed=1)
    [ax] = figures.grid_heat_map(pd.concat([ONE, again])).figure.axes
    assert ax.texts[0].get_text() == "81.75"
    [ax] = DRAWN["map, some diverged"]().figure.axes
    assert [text.get_text() for text in ax.texts][:2] == ["83.50", "–"]
