"""Fashion-MNIST: the real files, and files that are not what they should be."""

import gzip
import hashlib
import re
import struct
from functools import partial

import numpy as np
import pytest
from scipy.spatial import cKDTree

from helpers import data
from helpers.data import DataError, Images, read_idx
from helpers.files import DATA, sha256

NAMES = tuple(data.SHA256)
README = (DATA / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def training_files():
    """Read the bytes and the labels of the 60,000."""
    return data._read_pair("train", 60_000, DATA)


@pytest.fixture(scope="module")
def test_files():
    """Read the bytes and the labels of the 10,000."""
    return data._read_pair("t10k", 10_000, DATA)


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
    training, validation = data.load_training_once()
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
    training, validation = data.load_training_once()
    np.testing.assert_array_equal(validation.images, data.scale(raw[order[:6_000]]))
    np.testing.assert_array_equal(training.labels, labels[order[6_000:]])
    again = data.load_training()[1]
    assert again.images.tobytes() == validation.images.tobytes()


def test_training_and_validation_have_no_image_in_common():
    training, validation = (
        {row.tobytes() for row in part.images} for part in data.load_training_once()
    )
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
    training, _ = data.load_training_once()
    assert training.images is data.load_training_once()[0].images
    with pytest.raises(ValueError, match="read-only"):
        training.images[0, 0] = 0


def test_the_real_files_are_verified():
    data.verify()


# ---- files that are not what they should be


def idx(array, magic=None, shape=None):
    """Write an array of bytes in the IDX format, or with a header that lies."""
    shape = array.shape if shape is None else shape
    magic = data.IDX_MAGIC[len(shape)] if magic is None else magic
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + array.tobytes()


def pack(content):
    return gzip.compress(content, compresslevel=1, mtime=0)


def shape_of(name):
    count = 60_000 if name.startswith("train") else 10_000
    return (count, 28, 28) if "images" in name else (count,)


def fake(name, **header):
    return pack(idx(np.zeros(shape_of(name), np.uint8), **header))


def flip_a_pixel(name):
    content = bytearray(gzip.decompress((DATA / name).read_bytes()))
    content[-1] ^= 1
    return pack(bytes(content))


def punch_a_hole(name):
    content = (DATA / name).read_bytes()
    return content[:2_000] + bytes(64) + content[2_064:]


def exchange(name):
    kinds = "images-idx3", "labels-idx1"
    here, there = kinds if kinds[0] in name else kinds[::-1]
    return (DATA / name.replace(here, there)).read_bytes()


FAULTS = {
    "missing": (None, "missing in the data folder"),
    "empty": (lambda name: b"", "empty"),
    "truncated": (lambda name: (DATA / name).read_bytes()[:-5_000], "not a whole gzip file"),
    "only its first byte": (lambda name: b"\x1f", "not a whole gzip file"),
    "unzipped": (lambda name: idx(np.zeros(9, np.uint8)), "not a whole gzip file"),
    "a web page": (lambda name: b"<html>404</html>", "not a whole gzip file"),
    "gzip of nothing": (lambda name: pack(b""), "expected 0x0000080"),
    "with a hole": (punch_a_hole, "not a whole gzip file"),
    "one pixel changed": (flip_a_pixel, "SHA-256: expected"),
    "wrong magic": (partial(fake, magic=0x00000D03), "IDX magic: expected 0x0000080"),
    "of another size": (
        lambda name: pack(idx(np.zeros((7, *shape_of(name)[1:]), np.uint8))),
        "shape: expected",
    ),
    "cut before zipping": (
        lambda name: pack(idx(np.zeros(100, np.uint8), shape=shape_of(name))),
        "bytes after the header: expected",
    ),
    "MNIST (right header, other content)": (fake, "SHA-256: expected"),
    "images and labels exchanged": (exchange, "IDX magic: expected"),
}


@pytest.mark.parametrize(("content", "expected"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_file_is_refused(tmp_path, name, content, expected):
    for other in NAMES:
        (tmp_path / other).symlink_to(DATA / other)
    (tmp_path / name).unlink()
    if content:
        (tmp_path / name).write_bytes(content(name))
    load = data.load_training if name.startswith("train") else data.load_test
    with pytest.raises(DataError) as error:
        load(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{name}: ")
    assert expected in message
    assert "git checkout -- data" in message
    assert "data/README.md" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", NAMES)
def test_verify_looks_at_each_file(tmp_path, name):
    for other in set(NAMES) - {name}:
        (tmp_path / other).symlink_to(DATA / other)
    with pytest.raises(DataError, match=f"^{name}: missing"):
        data.verify(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / NAMES[0]).mkdir()
    with pytest.raises(DataError, match=f"{NAMES[0]}: cannot be read"):
        data.load_training(tmp_path)


def test_the_message_says_what_was_expected_and_found(tmp_path):
    path = tmp_path / "some.gz"
    path.write_bytes(pack(idx(np.zeros((2, 3, 4), np.uint8))))
    with pytest.raises(DataError, match=r"shape: expected \(2, 3, 5\), found \(2, 3, 4\)"):
        read_idx(path, (2, 3, 5))
    with pytest.raises(DataError, match="magic: expected 0x00000801, found 0x00000803"):
        read_idx(path, (2,))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"SHA-256: expected {'0' * 64}, found {found}"):
        read_idx(path, (2, 3, 4), "0" * 64)


def test_a_good_file_is_read_as_it_is(tmp_path):
    path = tmp_path / "some.gz"
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path.write_bytes(pack(idx(array)))
    np.testing.assert_array_equal(read_idx(path, (2, 3, 4)), array)
    np.testing.assert_array_equal(read_idx(path, (2, 3, 4), sha256(path)), array)


def fake_pair(folder, labels, monkeypatch):
    """Put three images with these labels into a folder, with checksums that agree."""
    images = np.zeros((3, 28, 28), np.uint8)
    for name, array in zip(NAMES[:2], (images, np.array(labels, np.uint8)), strict=True):
        (folder / name).write_bytes(pack(idx(array)))
        checksum = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        monkeypatch.setitem(data.SHA256, name, checksum)


@pytest.mark.parametrize("label", [10, 255])
def test_labels_out_of_range_are_refused(tmp_path, monkeypatch, label):
    fake_pair(tmp_path, [0, label, 9], monkeypatch)
    with pytest.raises(
        DataError, match=f"{NAMES[1]}: largest label: expected at most 9, found {label}"
    ):
        data._read_pair("train", 3, tmp_path)


def test_labels_in_range_are_taken(tmp_path, monkeypatch):
    fake_pair(tmp_path, [0, 5, 9], monkeypatch)
    images, labels = data._read_pair("train", 3, tmp_path)
    assert images.shape == (3, 784)
    assert labels.tolist() == [0, 5, 9]
