"""Fashion-MNIST: the real files, and files that are not what they should be."""

import gzip
import hashlib
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from helpers import data, files
from helpers.data import DataError
from helpers.files import DATA

README = " ".join((DATA / "README.md").read_text("utf-8").split())


@pytest.fixture(scope="module")
def raw():
    """Read bytes and labels of the 60,000 and of the 10,000 images."""

    def read(name, header):
        content = gzip.decompress((DATA / f"{name}-ubyte.gz").read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    return [
        (read(f"{part}-images-idx3", 16).reshape(-1, 784), read(f"{part}-labels-idx1", 8))
        for part in ("train", "t10k")
    ]


# ---- the real files


@pytest.mark.parametrize("name", data.SHA256)
def test_checksums_agree_with_the_readme(name):
    content = (DATA / f"{name}-ubyte.gz").read_bytes()
    [row] = re.findall(rf"\| `{name}-ubyte.gz` \|[^|]*\| (.*?) \| `(.*?)` \| `(.*?)` \|", README)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert row == (f"{len(content):,}", md5, hashlib.sha256(content).hexdigest())
    assert row[-1] == data.SHA256[name]


def test_the_readme_names_the_classes_in_order():
    cells = re.findall(r"\| (\d) \| ([^|]+?) (?=\|)", README)
    assert sorted(cells) == [(str(k), name) for k, name in enumerate(data.CLASS_NAMES)]
    assert len(cells) == data.NUM_CLASSES == 10


def test_images_and_labels():
    training, validation, test = parts = *data.load_training(), data.load_test()
    for part, count in zip(parts, (54_000, 6_000, 10_000), strict=True):
        assert (part.images.shape, part.images.dtype) == ((count, 784), np.float32)
        assert (part.images.min(), part.images.max()) == (-0.5, 0.5)
        assert (part.labels.shape, part.labels.dtype) == ((count,), np.int64)
    together = np.bincount(np.concatenate([training.labels, validation.labels]))
    assert together.tolist() == [6_000] * 10
    assert test.labels[:5].tolist() == [9, 2, 1, 1, 6]  # an ankle boot, a pullover, two trousers...
    assert np.bincount(test.labels).tolist() == [1_000] * 10


def test_the_split_is_a_seeded_permutation(raw):
    pixels, labels = raw[0]
    order = np.random.default_rng(0).permutation(60_000)
    training, validation = data.load_training()
    scaled = pixels[order[:6_000]] / 255 - 0.5
    np.testing.assert_allclose(validation.images, scaled, atol=1e-7)
    np.testing.assert_allclose(training.images[::9], pixels[order[6_000::9]] / 255 - 0.5, atol=1e-7)
    np.testing.assert_array_equal(training.labels, labels[order[6_000:]])


def test_number_of_test_images_that_occur_in_training(raw):
    training, test = ({row.tobytes() for row in images} for images, _ in raw)
    assert (len(training), len(test)) == (60_000, 10_000)  # no duplicates within either
    both = len(training & test)
    assert f"**{both} test images occur in training byte for byte**" in README


def test_number_of_near_duplicates(raw):
    training, test = (images.astype(float) for images, _ in raw)
    assert np.abs(test[4998] - training[13360]).max() == 4
    assert "no pixel differs by more than 4 of 255" in README
    # Sums of 7 x 7 blocks, over 7, never lie farther apart than the images themselves do.
    radius = 4 * 28  # 4 grey levels, root mean square
    blocks = [
        x.reshape(-1, 4, 7, 4, 7).sum(axis=(2, 4)).reshape(-1, 16) / 7 for x in (training, test)
    ]
    candidates = cKDTree(blocks[0]).query_ball_point(blocks[1], radius)
    nearest = [
        np.linalg.norm(training[positions] - image, axis=1).min(initial=np.inf)
        for positions, image in zip(candidates, test, strict=True)
    ]
    assert f"{np.sum(np.less(nearest, radius))} test images differ from some training" in README


def test_images_that_are_shared_cannot_be_changed():
    training, _ = data.load_training()
    assert training.images is data.load_training()[0].images
    with pytest.raises(ValueError, match="read-only"):
        training.images[0, 0] = 0


# ---- files that are not what they should be


def truncate(path):
    os.truncate(path, 5_000)


def exchange_for_labels(path):
    shutil.copy(DATA / "t10k-labels-idx1-ubyte.gz", path)


FAULTS = {
    "missing": (Path.unlink, "cannot be read (No such file or directory)"),
    "truncated": (truncate, "not the original file"),
    "another file": (exchange_for_labels, "not the original file"),
}


@pytest.mark.parametrize(("spoil", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", ["train-images-idx3", "t10k-images-idx3"])
def test_a_bad_file_is_refused(tmp_path, monkeypatch, name, spoil, reason):
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    spoil(tmp_path / f"{name}-ubyte.gz")
    monkeypatch.setattr(files, "DATA", tmp_path)
    load = data.load_training.__wrapped__ if name.startswith("train") else data.load_test
    for read in load, data.verify:
        with pytest.raises(DataError) as error:
            read()
        line = str(error.value)
        assert line.startswith(f"{name}-ubyte.gz: {reason}") and "\n" not in line
        # The remedy is the address in data/README.md, which needs no git.
        address = f"{data.SOURCE}/"
        assert line.endswith(f"{address}{name}-ubyte.gz") and address in README
