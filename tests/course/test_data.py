"""Fashion-MNIST: the real files, and files that are not what they should be."""

import gzip

import numpy as np
import pytest

from helpers import data, files
from helpers.data import DataError
from helpers.files import DATA

# ---- the real files


def test_the_readme_names_the_classes_in_order():
    readme = (DATA / "README.md").read_text("utf-8")
    for label, name in enumerate(data.CLASS_NAMES):
        assert f"| {label} | {name} |" in readme


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
    assert not training.images.flags.writeable


# ---- files that are not what they should be


@pytest.mark.parametrize(
    ("read", "first"),
    [(data.load_test, "t10k-labels-idx1-ubyte.gz"), (data.verify, "train-images-idx3-ubyte.gz")],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_a_bad_file_is_refused(tmp_path, monkeypatch, read, first, is_there):
    monkeypatch.setattr(files, "DATA", tmp_path)
    reason = "cannot be read (No such file or directory)"
    if is_there:
        reason = "not the original file"
        for name in data.SHA256:
            (tmp_path / f"{name}-ubyte.gz").write_bytes(b"of another data set")
    with pytest.raises(DataError) as error:
        read()
    line = str(error.value)
    assert line.startswith(f"{first}: {reason}") and "\n" not in line
    assert line.endswith(f"or from {data.SOURCE}/{first}")
