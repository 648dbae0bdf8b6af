"""Pictures are whole and legible, and say the right numbers; cells show them without an address."""

import base64
import io
from itertools import pairwise
from unittest.mock import patch

import matplotlib
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from helpers import analysis, figures
from helpers.data import Images
from helpers.figures import style
from helpers.grid.table import FACTORS
from helpers.history import History


def make_table(*levels):
    """One row a combination, in the assignment's order, with values drawn from its number."""
    table = pd.MultiIndex.from_product(levels, names=FACTORS).to_frame(index=False)
    accuracy = 0.85 + 0.0003 * (table.index * 37 % 101)
    return table.assign(accuracy=accuracy, alpha=0.0, seed=0)


FULL = make_table((3, 4, 5), (30, 40, 50), (0.005, 0.01, 0.05), (16, 32, 64), (50, 100))
SMALL = make_table((3,), (30, 50), (0.01, 0.05), (64,), (2, 4))
ONE = make_table((0,), (30,), (0.01,), (64,), (2,))
HALF_DIVERGED = SMALL.assign(accuracy=SMALL.accuracy.where(SMALL.learning_rate < 0.05))

rng = np.random.default_rng(0)
IMAGES = rng.uniform(-0.5, 0.5, (300, 784)).astype(np.float32)
LABELS = np.arange(300) % 10
SURE = np.full((300, 10), 0.02)
SURE[:, 5] = 0.82  # "Sandal", whatever it is
SURE[0, 5] = 0.9999
COUNTS = 18 * np.eye(10, dtype=int)
COUNTS[8, 8] = 20
COUNTS[6, [0, 4, 6]] = 6, 4, 10  # of 20 shirts half are right
TIED = COUNTS.copy()
TIED[9, [7, 9]] = 6, 14
MATRIX = rng.normal(size=(60, 784))
LENGTHS = np.arange(60)[:, None]  # the longest units are the last ones
TEMPLATES = MATRIX[:10], 0.842
FIRST_LAYERS = {0.0: (MATRIX, 0.893), 0.003: (0.1 * MATRIX, 0.88), 0.006: (LENGTHS * MATRIX, 0.865)}
STEPS = 10.0 ** np.arange(-16, 0)
ERRORS = {"2-point": 1e-16 / STEPS + STEPS, "3-point": np.full(16, 2e-10)}
ERRORS |= {"complex step": np.full(16, 4e-16), "2-point, float32": np.ones(16)}
FALLING = np.linspace(2.3, 0.5, 100)
EXPLODING = np.concatenate([[2.3, 40.0, 1e9], np.full(97, np.nan)])


def curves(num_epochs, asked_for=0):
    better = 1 - 2 / np.arange(2.0, num_epochs + 3)
    history = History(2.3 - better, 0.1 + 0.9 * better, 2.4 - better, 0.09 + 0.8 * better)
    return figures.learning_curves(history, asked_for)


def mistakes(count):
    return figures.mistakes(IMAGES[:count], LABELS[:count], SURE[:count])


def exciting(num_units, num_images):
    images = np.resize(IMAGES, (num_units, num_images, 784))
    return figures.exciting_images(MATRIX, images, range(num_units))


def one_image(num_layers, before=None):
    return figures.one_image(*computed(num_layers), label=9, before=before)


def computed(num_layers):
    hidden = [np.ones((64, 1))] * num_layers
    return [IMAGES[0], *hidden], np.ones((10, 1)), SURE[:1].T


DRAWN = {
    "samples": lambda: figures.samples(Images(IMAGES, LABELS)),
    "rates": lambda: figures.losses_by_step({0.1: FALLING, 1.0: EXPLODING, 2.0: EXPLODING}),
    "rates, at the first step": lambda: figures.losses_by_step({1.0: EXPLODING[[0, 3]]}),
    "curves of 10 epochs": lambda: curves(10),
    "curves of 0 epochs": lambda: curves(0),
    "one image, no hidden layer": lambda: one_image(0),
    "one image, changed": lambda: one_image(3, before=computed(3)),
    "confusion": lambda: figures.confusion(COUNTS),
    "confusion, two alike": lambda: figures.confusion(TIED),
    "mistakes": lambda: mistakes(15),
    "no mistake": lambda: mistakes(0),
    "50 units": lambda: figures.show_W0(MATRIX[:50]),
    "noise to clothes": lambda: figures.noise_to_clothes(TEMPLATES, FIRST_LAYERS),
    "exciting, 10 units": lambda: exciting(10, 10),
    "exciting, 20 images": lambda: exciting(7, 20),
    "effects": lambda: figures.grid_main_effects(FULL),
    "effects, one run": lambda: figures.grid_main_effects(ONE),
    "effects, some diverged": lambda: figures.grid_main_effects(HALF_DIVERGED),
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
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1), text
    for ax in fig.axes:
        labels = [t for t in ax.get_xticklabels() if t in texts and not t.get_rotation()]
        boxes = sorted((t.get_window_extent().intervalx for t in labels), key=min)
        for left, right in pairwise(boxes):
            assert max(left) < min(right), f"labels overlap under {ax.get_xlabel()!r}"


TITLES = {
    "rates": "Rate 0.1 has the lowest loss at the end",
    "rates, at the first step": "Too large a learning rate: the loss explodes",
    "curves of 10 epochs": "After 10 epochs: validation accuracy 75.7%",
    "one image, changed": "The network says Sandal, the label says Ankle boot",
    "confusion": "Most often mistaken (30%): Shirt for T-shirt/top",
    "confusion, two alike": "Most often mistaken (30%): "
    "Shirt for T-shirt/top, Ankle boot for Sneaker",
    "steps": "Complex steps are right to 4e-16, differences to 2e-10",
    "effects, one run": "No two values to compare",
    "map, one run": "Best, 85.00%: 0 × 30 units, rate 0.01, batch 64, 2 epochs",
}


@pytest.mark.parametrize("name", TITLES)
def test_titles_say_what_the_picture_shows(name):
    assert DRAWN[name]().figure.get_suptitle() == TITLES[name]


def test_a_cell_shows_picture_and_caption_without_an_address(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda data, **more: shown.append((data, more)))
    picture = mistakes(2)
    assert DisplayFormatter().format(picture) == ({}, {})
    [(data, more), (caption, _)] = shown
    assert (data, more["metadata"]) == picture.bundle()
    assert more["metadata"]["image/png"]["alt"] == data["text/plain"] == picture.alt
    assert more["metadata"]["caption"] == caption["text/plain"] == picture.caption
    assert "\n" not in picture.caption + picture.alt
    assert Image.open(io.BytesIO(picture.png)).width > more["metadata"]["image/png"]["width"]
    assert base64.b64decode(data["image/png"]) == picture.png


def test_saving_writes_what_is_shown_and_leaves_matplotlib_as_it_was(tmp_path):
    before = dict(matplotlib.rcParams)
    picture = mistakes(2)
    assert picture.save(tmp_path / "a.png") is picture
    assert (tmp_path / "a.png").read_bytes() == picture.png == mistakes(2).png
    assert dict(matplotlib.rcParams) == before


def test_rates_that_diverge_are_named_and_leave_the_others_readable():
    [ax] = DRAWN["rates"]().figure.axes
    assert ax.get_ylim()[1] <= 10 and ax.get_xlim()[1] == 100
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "rate 0.1", "rate 1, diverged after step 3", "rate 2, diverged after step 3"
    ]  # fmt: skip
    means = ax.lines[0].get_ydata()
    assert means[[0, 1, 99]] == pytest.approx([2.3, FALLING[:2].mean(), FALLING[50:].mean()])


@pytest.mark.parametrize("num_epochs", [0, 10])
def test_curves_have_room_for_all_epochs_asked_for_and_ticks_beside_a_single_point(num_epochs):
    for ax in curves(0, num_epochs).figure.axes:
        low, high = ax.get_xlim()
        assert -1 < low < 0 and num_epochs < high < num_epochs + 2
        bottom, top = sorted(ax.get_ylim())
        assert sum(bottom <= tick <= top for tick in ax.get_yticks()) >= 3


def test_one_image_shows_every_layer_and_what_it_was_before():
    _, *axes = one_image(2, before=computed(2)).figure.axes
    assert [len(ax.patches) for ax in axes] == [128, 128, 20, 20]
    assert [bar.get_width() for bar in axes[-1].patches[4:6]] == [0.02, 0.9999]


def test_a_mistake_is_never_100_percent_sure():
    first, second, *_ = mistakes(2).figure.axes
    assert first.get_title("center") == "said Sandal\nat 99.9%\nis T-shirt/top"
    assert second.get_title("center") == "said Sandal\nat 82.0%\nis Trouser"


def test_confusion_writes_counts_and_shares():
    [ax] = figures.confusion(COUNTS).figure.axes
    written = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    assert len(written) == 12
    assert (written[6, 0], written[6, 6], written[8, 8]) == ("6\n30.0%", "10\n50.0%", "20\n100.0%")


def test_every_line_shows_the_same_units_each_on_its_own_scale():
    above, below = figures.noise_to_clothes(TEMPLATES, FIRST_LAYERS).figure.axes
    names = [label.get_text() for label in below.get_yticklabels()]
    assert names == ["alpha = 0\n89.3%", "alpha = 0.003\n88.0%", "alpha = 0.006\n86.5%"]
    tiles = np.asarray(below.images[0].get_array())
    assert tiles.shape == (3 * 30 - 2, 10 * 30 - 2)
    np.testing.assert_allclose(tiles[:28], tiles[30:58])  # the second layer is a tenth as large
    longest = analysis.order_by_norm(LENGTHS * MATRIX)[0]
    assert below.get_xticklabels()[0].get_text() == f"unit {longest}"
    correlation = np.corrcoef(tiles[:28, :28].ravel(), MATRIX[longest])
    assert correlation[0, 1] == pytest.approx(1)
    assert len(above.get_xticklabels()) == 10


def test_a_unit_stands_beside_its_own_images():
    weights, clothes = exciting(2, 3).figure.axes
    tiles = np.asarray(weights.images[0].get_array())
    np.testing.assert_array_equal(tiles[30:58], MATRIX[1].reshape(28, 28))
    tiles = np.asarray(clothes.images[0].get_array())
    np.testing.assert_array_equal(tiles[30:58, 30:58], IMAGES[4].reshape(28, 28))


def test_effects_are_drawn_in_points():
    """Rates differ by 2 points in both pairs, widths by 1 point."""
    table = SMALL.assign(accuracy=SMALL.num_units / 2000 + SMALL.learning_rate / 2)
    fig = figures.grid_main_effects(table).figure
    title = "Largest effect: learning rate 0.01 to 0.05, +2.00 points (pairs: 2)"
    assert fig.get_suptitle() == title
    below = fig.axes[len(FACTORS) + FACTORS.index("num_units")]
    assert list(below.lines[0].get_ydata()) == pytest.approx([0, 1])


def test_heat_map_averages_over_seeds_and_marks_what_diverged():
    again = SMALL.assign(accuracy=SMALL.accuracy - 0.01, seed=1)
    table = pd.concat([SMALL, again]).assign(accuracy=lambda t: t.accuracy.mask(t.index == 0))
    [ax] = figures.grid_heat_map(table).figure.axes
    assert [cell.get_text() for cell in ax.texts][:3] == ["–", "86.72", "85.61"]
