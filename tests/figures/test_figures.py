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
from helpers.gradient_check import step_curve
from helpers.grid.table import FACTORS
from helpers.history import History
from tests.course.problems import a_problem


def make_table(*levels):
    """One row a combination, in the assignment's order, with values drawn from its number."""
    table = pd.MultiIndex.from_product(levels, names=FACTORS).to_frame(index=False)
    table["accuracy"] = 0.85 + 0.0003 * (table.index * 37 % 101)
    return table.assign(cross_entropy=1.3 - table.accuracy, alpha=0.0, seed=0)


FULL = make_table((3, 4, 5), (30, 40, 50), (0.005, 0.01, 0.05), (16, 32, 64), (50, 100))
SMALL = make_table((3,), (30, 50), (0.01, 0.05), (64,), (2, 4))
ONE = make_table((0,), (30,), (0.01,), (64,), (2,))
HALF_DIVERGED = SMALL.assign(accuracy=SMALL.accuracy.where(SMALL.learning_rate < 0.05))
CONSTANT, AVERAGE = "constant rate", "rate 0.1, average of 25 epochs, L2 0.0003"
RECIPES = pd.DataFrame({"recipe": [CONSTANT, CONSTANT, AVERAGE], "accuracy": [0.88, 0.886, 0.899]})

rng = np.random.default_rng(0)
IMAGES = rng.uniform(-0.5, 0.5, (300, 784)).astype(np.float32)
LABELS = np.arange(300) % 10
SURE = np.full((300, 10), 0.02)
SURE[:, 5] = 0.82  # "Sandal", whatever it is
COUNTS = 18 * np.eye(10, dtype=int)
COUNTS[8, 8] = 20
COUNTS[6, [0, 4, 6]] = 6, 4, 10  # of 20 shirts half are right
MATRIX = rng.normal(size=(60, 784))
LENGTHS = np.arange(60)[:, None]  # the longest units are the last ones
TEMPLATES = MATRIX[:10], 0.842
FIRST_LAYERS = {0.0: (MATRIX, 0.893), 0.003: (0.1 * MATRIX, 0.88), 0.006: (LENGTHS * MATRIX, 0.865)}
CURVE = step_curve(*a_problem()[:3], 10.0 ** np.arange(-16, 0), np.arange(20))


def history(num_epochs):
    better = 1 - 2 / np.arange(2.0, num_epochs + 3)
    return History(2.3 - better, 0.1 + 0.9 * better, 2.4 - better, 0.09 + 0.8 * better)


def mistakes(count):
    return figures.mistakes(IMAGES[:count], LABELS[:count], SURE[:count])


def reliability():
    confidence = np.array([np.nan, 0.3, 0.6, 0.9])
    accuracy = np.array([np.nan, 0.1, 0.5, 0.86])
    counts = np.array([0, 9, 10, 100])
    made = analysis.Calibration(counts, confidence, accuracy, error=0.045, bias=0.045)
    return figures.reliability(made)


def exciting(num_units, num_images):
    images = np.resize(IMAGES, (num_units, num_images, 784))
    return figures.exciting_images(MATRIX, images, range(num_units))


DRAWN = {
    "samples": lambda: figures.samples(Images(IMAGES, LABELS)),
    "curves of 10 epochs": lambda: figures.learning_curves(history(10)),
    "curves of 100 epochs": lambda: figures.learning_curves(history(100)),
    "curves of 0 epochs": lambda: figures.learning_curves(history(0)),
    "confusion": lambda: figures.confusion(COUNTS),
    "confusion of long names": lambda: figures.confusion(1000 * np.eye(10, dtype=int)[[9] * 10]),
    "per class": lambda: figures.per_class_accuracy(COUNTS),
    "mistakes": lambda: mistakes(15),
    "one mistake": lambda: mistakes(1),
    "no mistake": lambda: mistakes(0),
    "reliability": reliability,
    "one unit": lambda: figures.show_W0(MATRIX[:1]),
    "50 units": lambda: figures.show_W0(MATRIX[:50]),
    "noise to clothes": lambda: figures.noise_to_clothes(TEMPLATES, FIRST_LAYERS),
    "exciting, 1 unit": lambda: exciting(1, 3),
    "exciting, 10 units": lambda: exciting(10, 10),
    "exciting, 20 images": lambda: exciting(7, 20),
    "effects": lambda: figures.grid_main_effects(FULL),
    "effects, one run": lambda: figures.grid_main_effects(ONE),
    "effects, some diverged": lambda: figures.grid_main_effects(HALF_DIVERGED),
    "map": lambda: figures.grid_heat_map(FULL),
    "map, one run": lambda: figures.grid_heat_map(ONE),
    "map, some diverged": lambda: figures.grid_heat_map(HALF_DIVERGED),
    "scatter": lambda: figures.accuracy_against_cross_entropy(SMALL, 0.005),
    "recipes": lambda: figures.recipe_bars(RECIPES),
    "steps": lambda: figures.error_against_step(CURVE),
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
    "curves of 10 epochs": "Validation accuracy 75.7% after 10 epochs, 9.3 points under training",
    "confusion": "The most frequent confusion: 30% of “Shirt” are taken for “T-shirt/top”",
    "per class": "“Ankle boot” is easiest (100%), “Shirt” hardest (50%)",
    "mistakes": "Sure and wrong: 15 mistakes made at 82.0% or more",
    "no mistake": "Sure and wrong: 0 mistakes made at over 99.9% or more",  # never "100.0%"
    "reliability": "Too sure: confidence and accuracy differ by 4.5 points on average",
    "noise to clothes": "L2 turns noise into outlines of clothes; alpha = 0.006 costs 2.8 points",
    "effects, one run": "No two values to compare",
    "map, one run": "Best, 85.00%: 0 × 30 units, rate 0.01, batch 64, 2 epochs",
    "scatter": "2 of 8 runs lie within the noise of the best",
    "recipes": f"Best: {AVERAGE},\n+1.60 points over {CONSTANT}",
}


@pytest.mark.parametrize("name", TITLES)
def test_titles_say_what_was_found(name):
    assert DRAWN[name]().figure.get_suptitle() == TITLES[name]


def test_a_cell_shows_picture_and_caption_without_an_address(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda data, **more: shown.append((data, more)))
    picture = figures.recipe_bars(RECIPES)
    assert DisplayFormatter().format(picture) == ({}, {})
    [(data, more), (caption, _)] = shown
    assert (data, more["metadata"]) == picture.bundle()
    assert more["metadata"]["image/png"]["alt"] == data["text/plain"] == picture.alt
    assert more["metadata"]["caption"] == caption["text/plain"] == picture.caption
    assert "\n" not in picture.caption + picture.alt
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width > more["metadata"]["image/png"]["width"] > 600


def test_saving_writes_what_is_shown(tmp_path):
    before = dict(matplotlib.rcParams)
    picture = figures.grid_main_effects(SMALL)
    assert picture.save(tmp_path / "a.png") is picture
    assert (tmp_path / "a.png").read_bytes() == figures.grid_main_effects(SMALL).png
    assert dict(matplotlib.rcParams) == before


def test_recipes_are_means_over_seeds():
    [ax] = figures.recipe_bars(RECIPES).figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [f"{CONSTANT}: 88.30%", f"{AVERAGE}: 89.90%"]
    [bar, _] = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bar[:, 0], 0.883 + np.array([-1, 1]) * np.std([0, 0.006], ddof=1))


def test_confusion_writes_counts_and_shares():
    [ax] = figures.confusion(COUNTS).figure.axes
    written = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    assert len(written) == 12
    assert (written[6, 0], written[6, 6], written[8, 8]) == ("6\n30.0%", "10\n50.0%", "20\n100.0%")


def test_classes_stand_in_the_order_of_their_accuracy():
    counts = COUNTS + np.roll(np.diag(np.arange(10)), 1, axis=1)
    [ax] = figures.per_class_accuracy(counts).figure.axes
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert (names[0], names[1], names[-1]) == ("Shirt", "Ankle boot", "T-shirt/top")
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths)
    assert widths[1] == pytest.approx(18 / 27)


def test_every_line_shows_the_same_units_each_on_its_own_scale():
    above, below = figures.noise_to_clothes(TEMPLATES, FIRST_LAYERS).figure.axes
    names = [label.get_text() for label in below.get_yticklabels()]
    assert names == ["alpha = 0\n89.3%", "alpha = 0.003\n88.0%", "alpha = 0.006\n86.5%"]
    tiles = np.asarray(below.images[0].get_array())
    assert tiles.shape == (3 * 30 - 2, 10 * 30 - 2)
    np.testing.assert_allclose(tiles[:28], tiles[30:58])  # the second layer is a tenth as large
    longest = MATRIX[analysis.order_by_norm(LENGTHS * MATRIX)[0]].reshape(28, 28)
    assert np.corrcoef(tiles[:28, :28].ravel(), longest.ravel())[0, 1] == pytest.approx(1)
    assert len(above.get_xticklabels()) == 10


def test_effects_are_means_of_paired_differences():
    """Rates differ by 2 points in every pair, widths by 1 point; one run less leaves its pair."""
    table = SMALL.assign(accuracy=SMALL.num_units / 2000 + SMALL.learning_rate / 2)
    fig = figures.grid_main_effects(table).figure
    title = "Largest effect: learning rate 0.01 to 0.05, +2.00 points (pairs: {})"
    assert fig.get_suptitle() == title.format(2)
    below = fig.axes[len(FACTORS) + FACTORS.index("num_units")]
    assert list(below.lines[0].get_ydata()) == pytest.approx([0, 1])
    table.loc[0, "accuracy"] = np.nan
    assert figures.grid_main_effects(table).figure.get_suptitle() == title.format(1)


def test_heat_map_averages_over_seeds_and_marks_what_diverged():
    again = SMALL.assign(accuracy=SMALL.accuracy - 0.01, seed=1)
    table = pd.concat([SMALL, again]).assign(accuracy=lambda t: t.accuracy.mask(t.index == 0))
    [ax] = figures.grid_heat_map(table).figure.axes
    assert [cell.get_text() for cell in ax.texts][:3] == ["–", "86.72", "85.61"]


def test_reliability_leaves_out_bins_of_a_few_predictions():
    [ax] = reliability().figure.axes
    assert list(ax.lines[1].get_xdata()) == [0.6, 0.9]
