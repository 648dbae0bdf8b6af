"""Fashion-MNIST: the real files, and files that are not what they should be."""

import gzip
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers import data, files
from helpers.data import DataError
from helpers.files import DATA

README = " ".join((DATA / "README.md").read_text("utf-8").split())


# ---- the real files


def test_the_four_files_are_those_of_the_readme():
    data.verify()
    for name, sha256 in data.SHA256.items():
        assert re.search(rf"`{name}-ubyte.gz` [^`]* `[0-9a-f]*` \| `{sha256}`", README)


def test_the_readme_names_the_classes_in_order():
    for label, name in enumerate(data.CLASS_NAMES):
        assert f"| {label} | {name} |" in README


def test_the_test_images_and_their_labels():
    test = data.load_test()
    assert test.images.shape == (10_000, 784)
    assert (test.images.min(), test.images.max()) == (-0.5, 0.5)
    assert test.labels[:5].tolist() == [9, 2, 1, 1, 6]  # an ankle boot, a pullover, two trousers...
    assert np.bincount(test.labels).tolist() == [1_000] * 10


def idx(name, header):
    content = gzip.decompress((DATA / f"{name}-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


def test_the_split_is_a_seeded_permutation():
    pixels = idx("train-images-idx3", 16).reshape(-1, 784)
    labels = idx("train-labels-idx1", 8)
    order = np.random.default_rng(0).permutation(60_000)
    training, validation = data.load_training()
    for part, rows in (validation, order[:6_000]), (training, order[6_000:]):
        np.testing.assert_allclose(part.images[::9], pixels[rows[::9]] / 255 - 0.5, atol=1e-7)
        np.testing.assert_array_equal(part.labels, labels[rows])


def test_images_that_are_shared_cannot_be_changed():
    training, _ = data.load_training()
    assert training.images is data.load_training()[0].images
    with pytest.raises(ValueError, match="read-only"):
        training.images[0, 0] = 0


# ---- files that are not what they should be

BAD_FILES = {
    "missing": (Path.unlink, "cannot be read (No such file or directory)"),
    "of another data set": (lambda path: path.write_bytes(b"MNIST"), "not the original file"),
}


@pytest.mark.parametrize(("spoil", "reason"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused(tmp_path, monkeypatch, spoil, reason):
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(files, "DATA", tmp_path)
    name = "t10k-images-idx3-ubyte.gz"
    spoil(tmp_path / name)
    for read in data.load_test, data.verify:
        with pytest.raises(DataError) as error:
            read()
        line = str(error.value)
        assert line.startswith(f"{name}: {reason}") and "\n" not in line
        assert line.endswith(f"or from {data.SOURCE}/{name}")
