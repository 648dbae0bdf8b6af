"""Pictures show the numbers they were given, whole, legibly, and without objects' addresses."""

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
from helpers.data import CLASS_NAMES, Images
from helpers.figures import style, training
from helpers.figures.grid import FACTORS
from helpers.sgd import History


def make_table(*levels):
    """One row a combination, in the assignment's order, with values drawn from its number."""
    table = pd.MultiIndex.from_product(levels, names=FACTORS).to_frame(index=False)
    table["accuracy"] = 0.85 + 0.0003 * (table.index * 37 % 101)
    return table.assign(cross_entropy=1.3 - table.accuracy)


FULL = make_table((3, 4, 5), (30, 40, 50), (0.005, 0.01, 0.05), (16, 32, 64), (50, 100))
SMALL = make_table((3,), (30, 50), (0.01, 0.05), (64,), (2, 4))
ONE = make_table((0,), (30,), (0.01,), (64,), (2,))
DIVERGED = SMALL.assign(accuracy=np.nan, cross_entropy=np.nan)
CONSTANT, AVERAGE = "constant rate", "rate 0.1, average of 25 epochs, L2 0.0003"
RECIPES = pd.DataFrame({"recipe": [CONSTANT, CONSTANT, AVERAGE], "accuracy": [0.88, 0.886, 0.899]})

rng = np.random.default_rng(0)
IMAGES = rng.uniform(-0.5, 0.5, (300, 784)).astype(np.float32)
LABELS = np.arange(300) % 10
LOGITS = rng.normal(size=(300, 10)) + 3 * np.eye(10)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
COUNTS = analysis.confusion_counts(LABELS, PROBABILITIES.argmax(axis=1))
MATRIX = rng.normal(size=(70, 784))


def history(num_epochs):
    better = 1 - 2 / np.arange(2.0, num_epochs + 3)
    return History(2.3 - better, 0.1 + 0.9 * better, 2.4 - better, 0.09 + 0.8 * better)


def exciting(units, count):
    chosen = analysis.most_exciting(MATRIX[:units], np.zeros(units), IMAGES, count)
    return figures.exciting_images(MATRIX[:units], IMAGES[chosen], range(units))


def gallery(count):
    return figures.mistakes(IMAGES[:count], LABELS[:count], PROBABILITIES[:count])


DRAWN = {
    "samples": lambda: figures.samples(Images(IMAGES, LABELS)),
    "curves of 10 epochs": lambda: figures.learning_curves(history(10)),
    "curves of 100 epochs": lambda: figures.learning_curves(history(100)),
    "curves of 0 epochs": lambda: figures.learning_curves(history(0)),
    "confusion": lambda: figures.confusion(COUNTS),
    "confusion of long names": lambda: figures.confusion(1000 * np.eye(10, dtype=int)[[9] * 10]),
    "per class": lambda: figures.per_class_accuracy(COUNTS),
    "mistakes": lambda: gallery(15),
    "one mistake": lambda: gallery(1),
    "no mistake": lambda: gallery(0),
    "reliability": lambda: figures.reliability(analysis.calibration(LABELS, PROBABILITIES)),
    "tiles of 1": lambda: figures.weight_tiles(MATRIX[:1]),
    "tiles of 50": lambda: figures.weight_tiles(MATRIX[:50]),
    "learned": lambda: figures.learned_tiles(MATRIX[:50], 0.3 * MATRIX[:50], MATRIX[:49]),
    "learned, no recipe": lambda: figures.learned_tiles(MATRIX[:3], 0.3 * MATRIX[:3]),
    "exciting, 1 unit": lambda: exciting(1, 3),
    "exciting, 60 units": lambda: exciting(60, 5),
    "exciting, 20 images": lambda: exciting(7, 20),
    "effects": lambda: figures.grid_main_effects(FULL),
    "effects, one run": lambda: figures.grid_main_effects(ONE),
    "effects, diverged": lambda: figures.grid_main_effects(DIVERGED),
    "maps": lambda: figures.grid_heat_maps(FULL),
    "maps, one run": lambda: figures.grid_heat_maps(ONE),
    "maps, diverged": lambda: figures.grid_heat_maps(DIVERGED),
    "scatter": lambda: figures.accuracy_against_cross_entropy(FULL, 0.005),
    "scatter, diverged": lambda: figures.accuracy_against_cross_entropy(DIVERGED, 0.005),
    "recipes": lambda: figures.recipe_bars(RECIPES),
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
    texts, frame = drawn_texts(fig), fig.bbox.padded(1)
    assert fig.get_figwidth() == style.WIDTH
    assert fig.get_suptitle()
    for text in texts:
        assert text.get_fontsize() >= 9, text
        box = text.get_window_extent()
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1), text
    for ax in fig.axes:
        labels = [t for t in ax.get_xticklabels() if t in texts and not t.get_rotation()]
        boxes = sorted((t.get_window_extent().intervalx for t in labels), key=min)
        for left, right in pairwise(boxes):
            assert max(left) < min(right), f"labels overlap under {ax.get_xlabel()!r}"


def test_a_cell_shows_picture_and_caption_without_an_address(monkeypatch):
    shown = []
    monkeypatch.setattr(style, "display", lambda data, **more: shown.append((data, more)))
    picture = figures.recipe_bars(RECIPES)
    assert DisplayFormatter().format(picture) == ({}, {})
    [(data, more), (caption, _)] = shown
    assert more["metadata"]["image/png"]["alt"] == data["text/plain"] == picture.alt
    assert more["metadata"]["caption"] == caption["text/plain"] == picture.caption
    assert caption["text/markdown"] == f"*{picture.caption}*"
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width > more["metadata"]["image/png"]["width"] > 600
    assert (data, more["metadata"]) == picture.bundle()


def test_saving_writes_what_is_shown(tmp_path):
    before = dict(matplotlib.rcParams)
    picture = figures.grid_main_effects(SMALL)
    assert picture.save(tmp_path / "a.png") is picture
    assert (tmp_path / "a.png").read_bytes() == figures.grid_main_effects(SMALL).png
    assert dict(matplotlib.rcParams) == before


def test_recipes_are_means_over_seeds_compared_with_the_first():
    fig = figures.recipe_bars(RECIPES).figure
    assert fig.get_suptitle().endswith("L2 0.0003,\n+1.60 points over constant rate")
    [ax] = fig.axes
    assert [text.get_text() for text in ax.texts] == ["88.30%", "89.90%"]
    [bar] = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bar[:, 0], 0.883 + np.array([-1, 1]) * np.std([0, 0.006], ddof=1))


def test_curves_begin_at_epoch_0():
    axes = figures.learning_curves(history(4)).figure.axes
    loss, validation_loss, accuracy, validation = (line for ax in axes for line in ax.lines)
    curves = loss, accuracy, validation_loss, validation
    for line, expected in zip(curves, vars(history(4)).values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata().T, [range(5), expected])


def test_confusion_writes_counts_and_shares():
    [ax, _] = figures.confusion(COUNTS).figure.axes
    written = {t.get_position()[::-1]: t.get_text().split("\n") for t in ax.texts}
    assert {place: int(number) for place, (number, _) in written.items()} == {
        place: count for place, count in np.ndenumerate(COUNTS) if count
    }
    for place, (_, share) in written.items():
        assert float(share.rstrip("%")) / 100 == pytest.approx(COUNTS[place] / 30, abs=0.005)


def test_classes_stand_in_the_order_of_their_accuracy():
    ax = figures.per_class_accuracy(COUNTS).figure.axes[0]
    accuracy = dict(zip(CLASS_NAMES, COUNTS.diagonal() / COUNTS.sum(axis=1), strict=True))
    names = [label.get_text() for label in ax.get_yticklabels()]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths) == pytest.approx([accuracy[name] for name in names])


@pytest.mark.parametrize("units", [1, 2, 5, 25, 50, 64, 70])
def test_every_unit_is_drawn_on_a_symmetric_scale(units):
    W, few = MATRIX[:units], MATRIX[: min(units, 25)]
    drawn = figures.weight_tiles(W), figures.learned_tiles(few, 0.3 * few, few)
    shown = [ax.images[0] for picture in drawn for ax in picture.figure.axes if ax.images]
    for picture, weights in zip(shown, (W, few - 0.3 * few, few), strict=True):
        low, high = picture.get_clim()
        assert low == -high == -np.percentile(np.abs(weights), 99.9)
        pixels = np.ma.compressed(picture.get_array())
        np.testing.assert_array_equal(np.sort(pixels), np.sort(weights.ravel()))
    first = shown[0].get_array()[:28, :28].ravel()
    np.testing.assert_array_equal(first, W[np.linalg.norm(W, axis=1).argmax()])


def test_learned_units_come_smoothest_first():
    smooth = np.tile(np.linspace(0, 1, 28), 28)
    W = np.vstack([MATRIX[:30], smooth])
    [ax, other, *_] = figures.learned_tiles(W, 0 * W, MATRIX[:5]).figure.axes
    np.testing.assert_allclose(ax.images[0].get_array()[:28, :28].ravel(), smooth)
    assert np.isfinite(np.ma.compressed(ax.images[0].get_array())).sum() == 25 * 784
    middle = np.median(analysis.neighbour_correlation(MATRIX[:5]))
    assert other.get_title("left") == f"best recipe, with L2: r = {middle:.2f}"


def test_exciting_images_stand_beside_their_unit():
    chosen = analysis.most_exciting(MATRIX[:7], np.zeros(7), IMAGES, 3)
    axes = figures.exciting_images(MATRIX[:7], IMAGES[chosen], [4, 2]).figure.axes
    for ax, unit in zip(axes, (4, 2), strict=True):
        weights, clothes = (picture.get_array() for picture in ax.images)
        np.testing.assert_array_equal(weights[:28, :28].ravel(), MATRIX[unit])
        np.testing.assert_array_equal(clothes[:28, -28:].ravel(), IMAGES[chosen[unit, 2]])
        assert [label.get_text() for label in ax.get_yticklabels()] == [str(unit)]


def test_main_effects_are_means_over_all_other_factors_with_standard_errors():
    fig = figures.grid_main_effects(FULL).figure
    for ax, factor in zip(fig.axes, FACTORS, strict=True):
        groups = [group.to_numpy() for _, group in FULL.groupby(factor).accuracy]
        [bars] = ax.containers
        np.testing.assert_allclose(bars.lines[0].get_ydata(orig=False), [g.mean() for g in groups])
        lengths = [np.ptp(segment[:, 1]) / 2 for segment in bars.lines[2][0].get_segments()]
        np.testing.assert_allclose(lengths, [g.std(ddof=1) / np.sqrt(len(g)) for g in groups])
        dots = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "."])
        assert sorted(dots) == sorted(FULL.accuracy)


def test_a_diverged_run_is_counted_and_left_out():
    table = SMALL.assign(accuracy=SMALL.accuracy.mask(SMALL.index == 0))
    assert figures.grid_main_effects(table).figure.get_suptitle().endswith("1 diverged")
    cells = figures.grid_heat_maps(table).figure.axes[0].texts
    assert [cell.get_text() for cell in cells].count("–") == 1


def test_heat_maps_hold_every_run():
    fig = figures.grid_heat_maps(FULL).figure
    maps = np.array([ax.images[0].get_array() for ax in fig.axes[:3]])
    # layers, units, rate, batch, epochs
    by_levels = FULL.accuracy.to_numpy().reshape(3, 3, 3, 3, 2)
    expected = by_levels.transpose(0, 1, 4, 3, 2).reshape(maps.shape)
    np.testing.assert_array_equal(maps, expected)
    best = "Best, 88.00%: 3 × 40 units, rate 0.05, batch 16, 50 epochs"
    assert fig.get_suptitle() == best


def test_runs_of_one_combination_are_averaged():
    twice = pd.concat([ONE, ONE.assign(accuracy=ONE.accuracy + 0.01)])
    [[mean]] = figures.grid_heat_maps(twice).figure.axes[0].images[0].get_array()
    assert mean == pytest.approx(ONE.accuracy[0] + 0.005)


def test_the_band_counts_who_cannot_be_told_from_the_best():
    table = pd.concat([ONE] * 5).assign(accuracy=[0.88, 0.876, 0.8751, 0.8749, 0.86])
    fig = figures.accuracy_against_cross_entropy(table, 0.005).figure
    assert fig.get_suptitle().startswith("3 of 5 runs")
    [band] = fig.axes[0].patches
    assert (band.get_y(), band.get_height()) == (pytest.approx(0.875), pytest.approx(0.005))


def test_reliability_leaves_out_bins_of_a_few_predictions():
    counts = np.array([0, 9, 10, 100])
    made = analysis.Calibration(counts, np.arange(4.0), np.array([0, 1, 0.5, 0.9]), 0, 0)
    ax, below = figures.reliability(made).figure.axes
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [2, 3])
    assert [bar.get_height() for bar in below.patches] == list(counts)


def test_a_probability_is_never_rounded_up_to_certainty():
    assert training._percent(0.99996) == "over 99.9%"
    assert training._percent(0.9876) == "98.8%"
