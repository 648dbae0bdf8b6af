"""Pictures show the numbers they were given, whole, legibly, and without objects' addresses."""

import base64
import io
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from helpers import analysis
from helpers.data import CLASS_NAMES, Images
from helpers.figures import drawing as figures
from helpers.sgd import History

FACTORS = tuple(figures.FACTOR_NAMES)


def make_rows(*levels):
    """One row a combination, with figures drawn from its number."""
    rows = []
    for number, values in enumerate(itertools.product(*levels)):
        accuracy = 0.85 + 0.0003 * (number * 37 % 101)
        figures_of_it = {"accuracy": accuracy, "cross_entropy": 1.3 - accuracy}
        rows.append(dict(zip(FACTORS, values, strict=True)) | figures_of_it)
    return rows


FULL = make_rows((3, 4, 5), (30, 40, 50), (50, 100), (16, 32, 64), (0.005, 0.01, 0.05))
SMALL = make_rows((3,), (30, 50), (2, 4), (64,), (0.01, 0.05))
ONE = make_rows((0,), (30,), (2,), (64,), (0.01,))
DIVERGED = [row | {"accuracy": None, "cross_entropy": None} for row in SMALL]

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


RECIPES = [
    {"name": "constant rate", "mean": 0.883, "sd": 0.003},
    {"name": "rate 0.1, average of 25 epochs, L2 0.0003", "mean": 0.899, "sd": None},
]
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
    "tiles before and after": lambda: figures.weight_tiles(MATRIX, 0.3 * MATRIX),
    "exciting, 1 unit": lambda: exciting(1, 3),
    "exciting, 60 units": lambda: exciting(60, 5),
    "exciting, 20 images": lambda: exciting(7, 20),
    "effects": lambda: figures.grid_main_effects(FULL, FACTORS),
    "effects, small": lambda: figures.grid_main_effects(SMALL, FACTORS),
    "effects, one run": lambda: figures.grid_main_effects(ONE, FACTORS),
    "effects, diverged": lambda: figures.grid_main_effects(DIVERGED, FACTORS),
    "maps": lambda: figures.grid_heat_maps(FULL),
    "maps, small": lambda: figures.grid_heat_maps(SMALL),
    "maps, one run": lambda: figures.grid_heat_maps(ONE),
    "maps, diverged": lambda: figures.grid_heat_maps(DIVERGED),
    "scatter": lambda: figures.accuracy_against_cross_entropy(FULL, 0.005),
    "scatter, small": lambda: figures.accuracy_against_cross_entropy(SMALL, 0.005),
    "scatter, no band": lambda: figures.accuracy_against_cross_entropy(ONE),
    "scatter, diverged": lambda: figures.accuracy_against_cross_entropy(DIVERGED, 0.005),
    "recipes": lambda: figures.recipe_bars(RECIPES),
}


@figures.in_style
def drawn(fig):
    """Draw a figure as it is saved, so that texts know where they are."""
    FigureCanvasAgg(fig).draw()
    return fig


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
@pytest.mark.filterwarnings("error")
def test_every_picture_is_whole_and_legible(name):
    fig = drawn(DRAWN[name]())
    assert fig.get_figwidth() == figures.WIDTH
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


def test_showing_carries_alt_text_and_caption_and_no_address(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", lambda data, **more: shown.append((data, more)))
    fig = figures.recipe_bars(RECIPES)
    assert figures.show(fig, "Good: *high*.", "Bars.") is None
    [(picture, more), (caption, _)] = shown
    assert more["metadata"]["image/png"]["alt"] == "Bars."
    assert more["metadata"]["caption"] == "Good: *high*."
    image = Image.open(io.BytesIO(base64.b64decode(picture["image/png"])))
    assert image.width > more["metadata"]["image/png"]["width"] > 600
    assert picture["text/plain"] == "Bars."
    assert "Good" in caption["text/markdown"]
    assert " at 0x" not in repr(picture["text/plain"]) + repr(caption)
    assert fig.axes == []
    assert capsys.readouterr() == ("", "")


def test_recipes_are_compared_with_the_first():
    constant, averaged = RECIPES
    title = figures.recipe_bars([constant, averaged]).get_suptitle()
    assert title.endswith("L2 0.0003,\n+1.6 points over constant rate")
    title = figures.recipe_bars([averaged, constant]).get_suptitle()
    assert title.startswith("None is better than rate 0.1")


def test_the_notebooks_own_style_is_left_alone():
    before = dict(matplotlib.rcParams)
    figures.png(figures.recipe_bars(RECIPES))
    assert dict(matplotlib.rcParams) == before


def test_the_same_numbers_give_the_same_bytes():
    assert figures.png(DRAWN["effects"]()) == figures.png(DRAWN["effects"]())


def test_curves_begin_at_epoch_0():
    fig = figures.learning_curves(history(4))
    for ax, quantity in zip(fig.axes, ("cross_entropy", "accuracy"), strict=True):
        for line, part in zip(ax.lines, ("training", "validation"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), range(5))
            expected = getattr(history(4), f"{part}_{quantity}")
            np.testing.assert_array_equal(line.get_ydata(), expected)


def test_confusion_writes_counts_and_shares():
    fig = figures.confusion(np.array(COUNTS))
    written = {t.get_position(): t.get_text() for t in fig.axes[0].texts}
    for (row, column), count in np.ndenumerate(COUNTS):
        if not count:
            assert (column, row) not in written
            continue
        number, share = written[column, row].split("\n")
        assert int(number) == count
        assert float(share.rstrip("%")) / 100 == pytest.approx(count / 30, abs=0.005)


def test_classes_stand_in_the_order_of_their_accuracy():
    ax = figures.per_class_accuracy(COUNTS).axes[0]
    accuracy = dict(zip(CLASS_NAMES, COUNTS.diagonal() / COUNTS.sum(axis=1), strict=True))
    names = [label.get_text() for label in ax.get_yticklabels()]
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == sorted(widths) == pytest.approx([accuracy[name] for name in names])


@pytest.mark.parametrize("units", [1, 2, 3, 4, 5, 50, 64, 70])
def test_every_unit_is_drawn_on_one_symmetric_scale(units):
    matrix, before = MATRIX[:units], 0.3 * MATRIX[:units]
    fig = figures.weight_tiles(matrix, before)
    pictures = [ax.images[0] for ax in fig.axes[:2]]
    for picture, weights in zip(pictures, (before, matrix), strict=True):
        low, high = picture.get_clim()
        assert low == -high == -np.percentile(np.abs(matrix), 99.9)
        drawn = np.ma.compressed(picture.get_array())
        np.testing.assert_array_equal(np.sort(drawn), np.sort(weights.ravel()))
    first = pictures[1].get_array()[:28, :28]
    longest = matrix[np.linalg.norm(matrix, axis=1).argmax()]
    np.testing.assert_array_equal(first, longest.reshape(28, 28))


def test_main_effects_are_means_over_all_other_factors():
    fig = figures.grid_main_effects(FULL, FACTORS)
    for ax, factor in zip(fig.axes, FACTORS, strict=True):
        values = sorted({row[factor] for row in FULL})
        groups = [[r["accuracy"] for r in FULL if r[factor] == value] for value in values]
        np.testing.assert_allclose(ax.lines[-1].get_ydata(), [np.mean(g) for g in groups])
        dots = np.concatenate([line.get_ydata() for line in ax.lines[:-1]])
        assert sorted(dots) == sorted(row["accuracy"] for row in FULL)


def test_a_diverged_run_is_counted_and_left_out():
    rows = [SMALL[0] | {"accuracy": None, "cross_entropy": None}, *SMALL[1:]]
    fig = figures.grid_main_effects(rows, FACTORS)
    assert fig.get_suptitle().endswith("1 diverged")
    cells = figures.grid_heat_maps(rows).axes[0].texts
    assert [cell.get_text() for cell in cells].count("–") == 1


def test_heat_maps_hold_every_run():
    fig = figures.grid_heat_maps(FULL)
    maps = np.array([ax.images[0].get_array() for ax in fig.axes[:3]])
    shape = 3, 3, 2, 3, 3  # depths, units, epochs, batches, rates: the order of the rows
    expected = np.reshape([row["accuracy"] for row in FULL], shape)
    np.testing.assert_array_equal(maps.reshape(shape), expected)
    best = max(FULL, key=lambda row: row["accuracy"])
    title = fig.get_suptitle()
    assert f"{best['accuracy']:.2%}: {best['num_hidden_layers']} × {best['num_units']}" in title
    assert f"batch {best['batch_size']}, rate {best['learning_rate']:g}" in title


def test_runs_of_one_combination_are_averaged():
    twice = [ONE[0], ONE[0] | {"accuracy": ONE[0]["accuracy"] + 0.01}]
    [[mean]] = figures.grid_heat_maps(twice).axes[0].images[0].get_array()
    assert mean == pytest.approx(ONE[0]["accuracy"] + 0.005)


def test_the_band_counts_who_cannot_be_told_from_the_best():
    rows = [SMALL[0] | {"accuracy": a} for a in (0.88, 0.876, 0.8751, 0.8749, 0.86)]
    fig = figures.accuracy_against_cross_entropy(rows, 0.005)
    assert fig.axes[0].get_title("left").startswith("3 of 5 runs")
    [band] = fig.axes[0].patches
    assert (band.get_y(), band.get_height()) == (pytest.approx(0.875), pytest.approx(0.005))


def test_reliability_leaves_out_bins_of_a_few_predictions():
    counts = np.array([0, 9, 10, 100])
    made = analysis.Calibration(counts, np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 1, 0.5, 0.9]))
    ax, below = figures.reliability(made).axes
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), [0.6, 0.9])
    assert [bar.get_height() for bar in below.patches] == list(counts)


def test_a_probability_is_never_rounded_up_to_certainty():
    assert figures._percent(0.99996) == "over 99.9%"
    assert figures._percent(0.9876) == "98.8%"
