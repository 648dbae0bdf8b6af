"""Fashion-MNIST: the real files, and files that are not what they should be."""

import gzip
import hashlib
import os
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from helpers import data
from helpers.data import DataError, Images
from helpers.files import DATA

NAMES = tuple(data.SHA256)
README = (DATA / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def training_files():
    """Read the bytes and the labels of the 60,000."""
    return data._read_pair("train", DATA)


@pytest.fixture(scope="module")
def test_files():
    """Read the bytes and the labels of the 10,000."""
    return data._read_pair("t10k", DATA)


# ---- the real files


@pytest.mark.parametrize("name", NAMES)
def test_checksums_agree_with_the_readme(name):
    content = (DATA / name).read_bytes()
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
    _, size, md5, sha256 = [cell.strip(" `") for cell in row.split("|")[2:6]]
    assert int(size.replace(",", "")) == len(content)
    assert md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert sha256 == hashlib.sha256(content).hexdigest() == data.SHA256[name]


def test_the_readme_names_the_classes_in_order():
    cells = re.findall(r"\| (\d) \| ([^|]+?) (?=\|)", README)
    assert [name for _, name in sorted(cells)] == list(data.CLASS_NAMES)
    assert len(cells) == data.NUM_CLASSES == 10


def test_all_classes_have_the_same_size(training_files, test_files):
    assert np.bincount(training_files[1]).tolist() == [6_000] * 10
    assert np.bincount(test_files[1]).tolist() == [1_000] * 10


def test_training_and_validation_images():
    training, validation = data.load_training()
    for part, count in ((training, 54_000), (validation, 6_000)):
        assert part.images.shape == (count, 784)
        assert part.images.dtype == np.float32
        assert (part.images.min(), part.images.max()) == (-0.5, 0.5)
        assert part.labels.shape == (count,)
        assert part.labels.dtype == np.int64
        assert np.bincount(part.labels).min() > 0.09 * count
    together = np.bincount(np.concatenate([training.labels, validation.labels]))
    assert together.tolist() == [6_000] * 10


def test_test_images():
    test = data.load_test()
    assert test.images.shape == (10_000, 784)
    assert test.images.dtype == np.float32
    assert test.labels[:5].tolist() == [9, 2, 1, 1, 6]  # an ankle boot, a pullover, two trousers...


def test_the_split_is_a_seeded_permutation(training_files):
    raw, labels = training_files
    order = np.random.default_rng(0).permutation(60_000)
    training, validation = data.load_training()
    np.testing.assert_array_equal(validation.images, data.scale(raw[order[:6_000]]))
    np.testing.assert_array_equal(training.labels, labels[order[6_000:]])


def test_training_and_validation_have_no_image_in_common():
    training, validation = ({row.tobytes() for row in part.images} for part in data.load_training())
    assert (len(training), len(validation)) == (54_000, 6_000)  # no duplicates within either
    assert training.isdisjoint(validation)


def test_number_of_test_images_that_occur_in_training(training_files, test_files):
    training, test = (
        {row.tobytes() for row in images} for images, _ in (training_files, test_files)
    )
    assert (len(training), len(test)) == (60_000, 10_000)
    found = len(training & test)
    assert f"**{found} test images occur in training byte for byte**" in README


def test_number_of_near_duplicates(training_files, test_files):
    training, test = (images.astype(float) for images, _ in (training_files, test_files))
    difference = np.abs(test[4998] - training[13360])
    assert difference.max() == 4
    assert "no pixel differs by more than 4 of 255" in " ".join(README.split())
    # Sums of 7 x 7 blocks, over 7, never lie farther apart than the images themselves do.
    radius = 4 * 28  # 4 grey levels, root mean square
    blocks = [
        x.reshape(-1, 4, 7, 4, 7).sum(axis=(2, 4)).reshape(-1, 16) / 7 for x in (training, test)
    ]
    candidates = cKDTree(blocks[0]).query_ball_point(blocks[1], radius)
    near = [
        i
        for i, found in enumerate(candidates)
        if found and np.linalg.norm(training[found] - test[i], axis=1).min() < radius
    ]
    assert f"{len(near)} test images differ from some training image" in " ".join(README.split())


def test_scaling():
    scaled = data.scale(np.array([0, 51, 255], np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [-0.5, -0.3, 0.5], atol=1e-7)


def test_first_images():
    few = Images(np.zeros((5, 784)), np.arange(5)).first(2)
    assert few.images.shape == (2, 784)
    assert few.labels.tolist() == [0, 1]


def test_images_that_are_shared_cannot_be_changed():
    training, _ = data.load_training()
    assert training.images is data.load_training()[0].images
    with pytest.raises(ValueError, match="read-only"):
        training.images[0, 0] = 0


# ---- files that are not what they should be


def idx(array):
    """Write an array of bytes as a gzipped IDX file."""
    header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes(), compresslevel=1, mtime=0)


def flip_a_pixel(path):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content), compresslevel=1, mtime=0))


def exchange(path):
    kinds = "images-idx3", "labels-idx1"
    here, there = kinds if kinds[0] in path.name else kinds[::-1]
    path.write_bytes((DATA / path.name.replace(here, there)).read_bytes())


NOT_ORIGINAL = "not the original file: expected SHA-256"
FAULTS = {
    "missing": (Path.unlink, "cannot be read (No such file or directory)"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be read (not a regular file)"),
    "a FIFO": (lambda path: (path.unlink(), os.mkfifo(path)), "cannot be read (not a regular"),
    "empty": (lambda path: path.write_bytes(b""), NOT_ORIGINAL),
    "truncated": (lambda path: os.truncate(path, 5_000), NOT_ORIGINAL),
    "a web page": (lambda path: path.write_bytes(b"<html>404</html>"), NOT_ORIGINAL),
    "one pixel changed": (flip_a_pixel, NOT_ORIGINAL),
    "images and labels exchanged": (exchange, NOT_ORIGINAL),
}


@pytest.mark.parametrize(("spoil", "expected"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_file_is_refused(tmp_path, name, spoil, expected):
    for other in NAMES:
        shutil.copy(DATA / other, tmp_path)
    spoil(tmp_path / name)
    load = data.load_training if name.startswith("train") else data.load_test
    for read in load, data.verify:
        with pytest.raises(DataError) as error:
            read(tmp_path)
        message = str(error.value)
        assert message.startswith(f"{name}: {expected}")
        assert "git checkout -- data" in message
        assert "data/README.md" in message
        assert "\n" not in message


def test_the_message_says_what_was_expected_and_found(tmp_path):
    (tmp_path / NAMES[0]).write_bytes(b"")
    with pytest.raises(DataError, match=f"expected SHA-256 {data.SHA256[NAMES[0]]}, found e3b0c44"):
        data.read_idx(tmp_path / NAMES[0])


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_the_layout_of_an_idx_file(tmp_path, monkeypatch, shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (tmp_path / "some.gz").write_bytes(idx(array))
    monkeypatch.setitem(data.SHA256, "some.gz", hashlib.sha256(idx(array)).hexdigest())
    np.testing.assert_array_equal(data.read_idx(tmp_path / "some.gz"), array)
