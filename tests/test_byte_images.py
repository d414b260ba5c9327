"""Images kept as bytes give what the same images as floats give."""

import numpy as np
import pytest

import fastnn as fnn
from fastnn.data import ByteImages, batches
from fastnn.data.transforms import Normalize
from fastnn.training import Trainer

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 5), np.uint8)
FLOATS = PIXELS / np.float32(255)


@pytest.mark.parametrize(
    "index",
    [3, -1, slice(2, 9), slice(None, None, 3), np.array([4, 4, 0]), [1, 2], (slice(2), 1), PIXELS[:, 0, 0, 0] > 99],
)
def test_indexed_as_floats_are(index):
    found = ByteImages(PIXELS)[index]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, FLOATS[index])


def test_all_bytes_become_floats_of_0_to_1():
    each = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    floats = ByteImages(each)[:]
    np.testing.assert_array_equal(floats, each.astype(np.float32) / np.float32(255))
    assert (floats.min(), floats.max()) == (0, 1)


def test_it_looks_like_the_array_of_floats():
    images = ByteImages(PIXELS)
    assert (images.shape, images.dtype, images.ndim, len(images)) == ((20, 3, 4, 5), np.float32, 4, 20)
    np.testing.assert_array_equal(np.asarray(images), FLOATS)
    np.testing.assert_array_equal(np.asarray(images, np.float64), FLOATS.astype(np.float64))
    assert np.asarray(images, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        images.__array__(copy=False)
    with pytest.raises(IndexError):
        images[20]


def test_a_part_stays_as_bytes():
    part = ByteImages(PIXELS).subset(np.array([5, 1]))
    np.testing.assert_array_equal(part.pixels, PIXELS[[5, 1]])
    np.testing.assert_array_equal(part[:], FLOATS[[5, 1]])
    assert np.shares_memory(ByteImages(PIXELS).subset(slice(5)).pixels, PIXELS)


@pytest.mark.parametrize("pixels", [FLOATS, PIXELS[0], PIXELS.astype(np.int64)], ids=["floats", "one image", "int64"])
def test_what_is_no_batch_of_bytes_is_refused(pixels):
    with pytest.raises(ValueError, match=r"pixels: got .*, expected uint8 \(N, C, H, W\)"):
        ByteImages(pixels)


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_those_of_floats(shuffle):
    y = np.arange(20)
    own, theirs = (
        list(batches(x, y, 6, shuffle=shuffle, rng=np.random.default_rng(1))) for x in (ByteImages(PIXELS), FLOATS)
    )
    for (x, labels), (x2, labels2) in zip(own, theirs, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(labels, labels2)


def test_training_evaluation_and_prediction_are_those_of_floats():
    y = np.arange(20) % 3
    results = []
    for x in (ByteImages(PIXELS), FLOATS):
        fnn.manual_seed(0)
        net = fnn.Sequential(fnn.Flatten(), fnn.Linear(60, 3))
        trainer = Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.1), rng=0)
        normalise = Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
        history = trainer.fit((x, y), (x, y), epochs=2, batch_size=6, transform=normalise, progress=False)
        results.append((history.loss, trainer.evaluate((x, y)), trainer.predict(x).tolist()))
    assert results[0] == results[1]
