"""Pages of writing drawn with pillow's own font, and a reader of that font: photographs whose text is known."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fastnn.data import CHARACTERS
from fastnn.vision import like_nist


@functools.cache
def _font(size):
    return ImageFont.load_default(size)


def page(text, size=48, margin=60, spacing=8, turn=0.0):
    """Ink (H, W) in 0..1 of a text, its letters `spacing` pixels apart, turned by so many degrees."""
    font = _font(size)
    rows = text.split("\n")
    width = max(sum(font.getlength(sign) + spacing for sign in row) for row in rows)
    sheet = Image.new("L", (int(width) + 2 * margin, int(1.8 * size * len(rows)) + 2 * margin))
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        left = float(margin)
        for sign in row:
            draw.text((left, margin + 1.8 * size * number), sign, fill=255, font=font)
            left += (2 if sign == " " else 1) * font.getlength(sign) + spacing
    if turn:
        sheet = sheet.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(sheet, np.float32) / 255


def photograph(ink, paper=(0.9, 0.9, 0.9), pen=(0.15, 0.15, 0.15), dark=0.0, grain=0.02, seed=0):
    """(3, H, W): ink of a pen on paper, `dark` times less light at the right edge than at the left, and grain."""
    colours = (np.array(colour, np.float32)[:, None, None] for colour in (paper, pen))
    sheet, stroke = colours
    image = sheet + (stroke - sheet) * ink
    image = image * np.linspace(1, 1 - dark, ink.shape[1], dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, grain, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


@functools.cache
def _templates(turns=(-8, -4, 0, 4, 8)):
    """What the characters look like, turned a little: (36 * turns, 32, 32)."""
    return np.stack([like_nist(page(sign, size=64, turn=turn)) for sign in CHARACTERS for turn in turns])


def classify(images):
    """The character of the font that each image is most like."""
    templates = _templates()
    apart = ((images - templates) ** 2).sum(axis=(2, 3))
    return [CHARACTERS[place * len(CHARACTERS) // len(templates)] for place in apart.argmin(axis=1)]
