"""Pictures show the numbers they were given, whole, legibly, and without objects' addresses."""

import base64
import io
import itertools

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
from helpers.figures import grid, style, training
from helpers.sgd import History

FACTORS = list(grid.FACTORS)


def make_table(*levels):
    """One row a combination, in the assignment's order, with values drawn from its number."""
    table = pd.DataFrame(list(itertools.product(*levels)), columns=FACTORS)
    table["accuracy"] = 0.85 + 0.0003 * (table.index * 37 % 101)
    return table.assign(cross_entropy=1.3 - table.accuracy)


FULL = make_table((3, 4, 5), (30, 40, 50), (0.005, 0.01, 0.05), (16, 32, 64), (50, 100))
SMALL = make_table((3,), (30, 50), (0.01, 0.05), (64,), (2, 4))
ONE = make_table((0,), (30,), (0.01,), (64,), (2,))
DIVERGED = SMALL.assign(accuracy=np.nan, cross_entropy=np.nan)

rng = np.random.default_rng(0)
IMAGES = rng.uniform(-0.5, 0.5, (300, 784)).astype(np.float32)
LABELS = np.arange(300) % 10
LOGITS = rng.normal(size=(300, 10)) + 3 * np.eye(10)[LABELS]
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
COUNTS = analysis.confusion_counts(LABELS, PROBABILITIES.argmax(axis=1))
MATRIX = rng.normal(size=(70, 784))


def history(num_epochs):
    made = History()
    for epoch in range(num_epochs + 1):
        better = epoch / (epoch + 2)
        made.add(
            (np.float64(2.3 - better), np.float64(0.1 + 0.9 * better)),
            (np.float64(2.4 - better), np.float64(0.09 + 0.8 * better)),
        )
    return made


def exciting(units, count):
    chosen = analysis.most_exciting(MATRIX[:units], np.zeros(units), IMAGES, count)
    return figures.exciting_images(MATRIX[:units], IMAGES[chosen], range(units))


def gallery(count):
    return figures.mistakes(IMAGES[:count], LABELS[:count], PROBABILITIES[:count])


RECIPES = pd.DataFrame(
    {
        "recipe": ["constant rate", "constant rate", "rate 0.1, average of 25 epochs, L2 0.0003"],
        "accuracy": [0.880, 0.886, 0.899],
    }
)
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
    "effects, small": lambda: figures.grid_main_effects(SMALL),
    "effects, one run": lambda: figures.grid_main_effects(ONE),
    "effects, diverged": lambda: figures.grid_main_effects(DIVERGED),
    "maps": lambda: figures.grid_heat_maps(FULL),
    "maps, small": lambda: figures.grid_heat_maps(SMALL),
    "maps, one run": lambda: figures.grid_heat_maps(ONE),
    "maps, diverged": lambda: figures.grid_heat_maps(DIVERGED),
    "scatter": lambda: figures.accuracy_against_cross_entropy(FULL, 0.005),
    "scatter, small": lambda: figures.accuracy_against_cross_entropy(SMALL, 0.005),
    "scatter, diverged": lambda: figures.accuracy_against_cross_entropy(DIVERGED, 0.005),
    "recipes": lambda: figures.recipe_bars(RECIPES),
}


def visible_texts(fig):
    """Texts that are drawn; labels of ticks outside their axis are not."""
    hidden = set()
    for ax in fig.axes:
        if not ax.axison:
            hidden |= {*ax.get_xticklabels(), *ax.get_yticklabels()}
        for axis, limits in (ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()):
            for tick in axis.get_major_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    hidden |= {tick.label1, tick.label2}
    texts = set(fig.findobj(Text)) - hidden
    return {text for text in texts if text.get_visible() and text.get_text().strip()}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_picture_is_whole_and_legible(name):
    picture = DRAWN[name]()
    assert picture.caption[-1] in ".?" and picture.alt[-1] == "."
    fig = picture.figure
    with matplotlib.rc_context(fname=style.STYLE):
        FigureCanvasAgg(fig).draw()
    assert fig.get_figwidth() == style.WIDTH
    assert fig.get_suptitle()
    frame, texts = fig.bbox.padded(1), visible_texts(fig)
    for text in texts:
        assert text.get_fontsize() >= 9, text
        box = text.get_window_extent()
        assert frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1), text
    for ax in fig.axes:
        labels = [t for t in ax.get_xticklabels() if t in texts and not t.get_rotation()]
        boxes = sorted((t.get_window_extent().intervalx for t in labels), key=min)
        for left, right in itertools.pairwise(boxes):
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
    assert (tmp_path / "a.png").read_bytes() == figures.grid_main_effects(SMALL).png()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert dict(matplotlib.rcParams) == before


def test_recipes_are_means_over_seeds_compared_with_the_first():
    title = figures.recipe_bars(RECIPES).figure.get_suptitle()
    assert title.endswith("L2 0.0003,\n+1.60 points over constant rate")
    ax = figures.recipe_bars(RECIPES).figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["88.30%", "89.90%"]
    [bar] = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bar[:, 0], 0.883 + np.array([-1, 1]) * np.std([0, 0.006], ddof=1))


def test_curves_begin_at_epoch_0():
    fig = figures.learning_curves(history(4)).figure
    for ax, quantity in zip(fig.axes, ("cross_entropy", "accuracy"), strict=True):
        assert "logarithmic" in ax.get_ylabel()
        for line, part in zip(ax.lines, ("training", "validation"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), range(5))
            expected = getattr(history(4), f"{part}_{quantity}")
            np.testing.assert_array_equal(line.get_ydata(), expected)


def test_confusion_writes_counts_and_shares():
    fig = figures.confusion(np.array(COUNTS)).figure
    written = {t.get_position(): t.get_text() for t in fig.axes[0].texts}
    for (row, column), count in np.ndenumerate(COUNTS):
        if not count:
            assert (column, row) not in written
            continue
        number, share = written[column, row].split("\n")
        assert int(number) == count
        assert float(share.rstrip("%")) / 100 == pytest.approx(count / 30, abs=0.005)


def test_classes_stand_in_the_order_of_their_accuracy():
    ax = figures.per_class_accuracy(COUNTS).figure.axes[0]
    accuracy = dict(zip(CLASS_NAMES, COUNTS.diagonal() / COUNTS.sum(axis=1), strict=True))
    names = [label.get_text() for label in ax.get_yticklabels()]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths) == pytest.approx([accuracy[name] for name in names])


@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 50, 64, 70])
def test_every_unit_is_drawn_on_a_symmetric_scale(units):
    W, W_0 = MATRIX[:units], 0.3 * MATRIX[:units]
    drawn = figures.weight_tiles(W), figures.learned_tiles(W, W_0, W, len(W))
    shown = [ax.images[0] for picture in drawn for ax in picture.figure.axes if ax.images]
    for picture, weights in zip(shown, (W, W - W_0, W), strict=True):
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
    fig = figures.exciting_images(MATRIX[:7], IMAGES[chosen], [4, 2]).figure
    [first, second] = (ax for ax in fig.axes)
    for ax, unit in (first, 4), (second, 2):
        weights, clothes = (picture.get_array() for picture in ax.images)
        np.testing.assert_array_equal(weights[:28, :28], MATRIX[unit].reshape(28, 28))
        last = IMAGES[chosen[unit, 2]].reshape(28, 28)
        np.testing.assert_array_equal(clothes[:28, -28:], last)
        assert [label.get_text() for label in ax.get_yticklabels()] == [str(unit)]


def test_main_effects_are_means_over_all_other_factors_with_standard_errors():
    fig = figures.grid_main_effects(FULL).figure
    for ax, factor in zip(fig.axes, FACTORS, strict=True):
        values = sorted(set(FULL[factor]))
        groups = [FULL.accuracy[FULL[factor] == value].to_numpy() for value in values]
        [bars] = ax.containers
        np.testing.assert_allclose(bars.lines[0].get_ydata(orig=False), [g.mean() for g in groups])
        lengths = [np.ptp(segment[:, 1]) / 2 for segment in bars.lines[2][0].get_segments()]
        expected = [g.std(ddof=1) / np.sqrt(len(g)) for g in groups]
        np.testing.assert_allclose(lengths, expected)
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
    best = FULL.loc[FULL.accuracy.idxmax()]
    title = fig.get_suptitle()
    assert f"{best.accuracy:.2%}: {best.num_hidden_layers:g} × {best.num_units:g}" in title
    assert f"rate {best.learning_rate:g}, batch {best.batch_size:g}" in title


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
    made = analysis.Calibration(counts, np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 1, 0.5, 0.9]))
    ax, below = figures.reliability(made).figure.axes
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0.6, 0.9])
    assert [bar.get_height() for bar in below.patches] == list(counts)


def test_a_probability_is_never_rounded_up_to_certainty():
    assert training._percent(0.99996) == "over 99.9%"
    assert training._percent(0.9876) == "98.8%"
