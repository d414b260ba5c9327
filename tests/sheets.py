"""Photographs of sheets of digits, made of the bundled ones."""

import numpy as np

from fastnn.data import digits


def sheet(lines, scale=3, slant=0.3, grain=0.02, seed=0):
    """A sheet with these digits: image (H, W) in 0..1, lit from one side, on grainy paper; and where each digit is.

    Each digit is the first of its class in MNIST's test set, `scale` times as large, a little above or below its line.
    """
    rng = np.random.default_rng(seed)
    _, _, x, y = digits()
    cell = 28 * scale
    ink = np.zeros((len(lines) * cell, max(map(len, lines)) * cell), np.float32)
    places = []
    for row, line in enumerate(lines):
        for column, digit in enumerate(line):
            tile = np.kron(x[y == int(digit)][0, 0], np.ones((scale, scale), np.float32))
            rows, columns = (np.flatnonzero((tile > 0.5).any(axis=axis)) for axis in (1, 0))
            tile = tile[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            top = row * cell + int(rng.integers(scale, 6 * scale))
            left = column * cell + (cell - tile.shape[1]) // 2
            ink[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            places.append((top, left, top + tile.shape[0], left + tile.shape[1]))
    light = np.linspace(1, 1 - slant, ink.shape[1], dtype=np.float32)
    image = light * (0.9 - 0.7 * ink) + rng.normal(0, grain, ink.shape)
    return np.clip(image, 0, 1).astype(np.float32), places
