"""S3: text of photographs: characters found, put in lines and words, and read by one network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import networks, plots
from fastnn.data import CHARACTERS, digits, hw36, letters26, mnist, read_image
from fastnn.data.transforms import Compose, RandomAffine, RandomStrokeWidth
from fastnn.interop import load_safetensors
from fastnn.recipes._frame.card import Card, System, percent
from fastnn.recipes._frame.printing import EpochTable
from fastnn.recipes._frame.record import RECORD
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.recipes._frame.settings import CommonSettings, at_least_one, folder_name, number, option
from fastnn.recipes._frame.sheets import photographs_in, picture_of, printable, truth_of
from fastnn.training import Trainer, accuracy, write
from fastnn.vision import by_context, like_nist, read_lines

# What is written on the course's photographs, but for full stops, and the share of the characters that was read right.
TRUTH = {
    "01_list.jpg": (
        "TO DO LIST\n1 MAKE A TO DO LIST\n2 CHECK OFF THE FIRST\nTHING ON TO DO LIST\n"
        "3 REALIZE YOU HAVE ALREADY\nCOMPLETED 2 THINGS\n4 REWARD YOURSELF WITH\nA NAP"
    ),
    "02_letters.jpg": "ABCDEFG\nHIJKLMN\nOPQRSTU\nVWXYZ\n1234567890",
    "03_haiku.jpg": "HAIKUS ARE EASY\nBUT SOMETIMES THEY DONT MAKE SENSE\nREFRIGERATOR",
    "04_deep.jpg": "DEEP LEARNING\nDEEPER LEARNING\nDEEPEST LEARNING",
}
PUBLISHED = {"01_list.jpg": 0.8087, "02_letters.jpg": 0.8333, "03_haiku.jpg": 0.8889, "04_deep.jpg": 0.8537}

CARD = Card(
    source="16-720, Carnegie Mellon University",
    systems=(System("S3", "text of photographs of handwriting", "4 min", PUBLISHED),),
    data="hw36, letters26, digits; four photographs",
    size="397,540 parameters",
)
SCORE = "valid_accuracy"

_WEIGHTS = "weights.safetensors"
_BATCH = 250  # characters that are read at a time


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S3's settings; a photograph of your own may have a text beside it (photo.txt) that says what is on it."""

    network: str = option("cnn", "cnn: that of S6; perceptron: that of S2, 1024-64-36", choices=("cnn", "perceptron"))
    data: str = option(
        "digits", "digits beside the letters: the bundled ones, or all of mnist", choices=("digits", "mnist")
    )
    epochs: int = option(
        lambda settings: 15 if settings.network == "cnn" else 60,
        "passes over the characters; by default 15, for the perceptron 60",
        at_least_one,
        quick=1,
        length=True,
    )
    batch_size: int = option(64, "characters in a minibatch", at_least_one)
    lr: float = option(1e-3, "learning rate of Adam at the start, falls to 0 along a cosine", number)
    photographs: str | None = option(
        None, "folder of photographs (default: nist36/ in the folder FASTNN_DATA)", folder_name
    )


def network(name: str) -> fnn.Sequential:
    """The network of a setting: (N, 1, 32, 32) to 36 scores."""
    if name == "cnn":
        return networks.cnn(len(CHARACTERS), in_channels=1)
    return networks.mlp(32 * 32, (64,), len(CHARACTERS), activation=fnn.Sigmoid)


def training_data(data: str = "digits") -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Characters to train and to validate on, in one form.

    hw36 has characters that were cut out of S3's photographs. They are in neither part.

    Returns
    -------
    train : (x, y) of hw36's training part, letters26 and the digits
    valid : (x, y) of hw36's test part
    """
    characters = hw36()
    x_letters, y_letters = letters26()
    x_digits, y_digits = (mnist if data == "mnist" else digits)()[:2]
    as_written = np.stack([like_nist(image) for image in x_digits[:, 0]])[:, None]
    x = np.concatenate([characters.train.x, x_letters, as_written])
    y = np.concatenate([characters.train.y, y_letters, y_digits + CHARACTERS.index("0")])
    return (x, y), (characters.test.x, characters.test.y)


def augmentation() -> Compose:
    """Other pens and other hands."""
    affine = RandomAffine(10, translate=(0.06, 0.06), scale=(0.85, 1.1), shear=15, fill=1)
    return Compose([RandomStrokeWidth((-0.8, 1.6)), affine])


def reader(net: fnn.Module) -> Callable[[np.ndarray], list[str]]:
    """A function of images, as `fastnn.vision.read_lines` needs it: which character the network sees on each."""
    net.eval()

    def classify(images: np.ndarray) -> list[str]:
        pieces = [net(images[i : i + _BATCH]).argmax(axis=1) for i in range(0, len(images), _BATCH)]
        return [CHARACTERS[place] for place in np.concatenate(pieces)]

    return classify


def load_reader(folder: str | Path) -> Callable[[np.ndarray], list[str]]:
    """`reader` of the network in the folder of a run of this recipe.

    Raises
    ------
    ValueError
        It is no folder of such a run, or of one that has not ended.
    """
    try:
        record = json.loads((Path(folder) / RECORD).read_bytes())
        if record["recipe"] != "text":
            raise ValueError(f"it is one of {record['recipe']}")
        net = network(record["settings"]["network"])
        net.load_state_dict(load_safetensors(Path(folder) / _WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"model: got {str(folder)!r}, expected the folder of a run of `fastnn train text` ({error})"
        ) from error
    return reader(net)


def right(read: str, truth: str) -> int:
    """How many characters of `truth` were read right: its length less what must be changed, put in or taken out."""
    distances = np.arange(len(truth) + 1)
    for place, sign in enumerate(read, 1):
        other = distances[:-1] + np.array([sign != each for each in truth], int)
        shortest = np.concatenate([[place], np.minimum(distances[1:] + 1, other)])
        # What follows from the left: a character of `truth` more, each at the cost of 1.
        steps = np.arange(len(shortest))
        distances = np.minimum.accumulate(shortest - steps) + steps
    return max(len(truth) - int(distances[-1]), 0)


def run(settings: Settings) -> Path:
    """Train, read the photographs, and write the run folder; returns its path."""
    paths = photographs_in(settings.photographs, "nist36", "handwriting")
    train, valid = training_data(settings.data)
    with run_folder("text", settings) as run:
        net = network(settings.network)
        write(f"{len(train[0]):,} characters to train, {len(valid[0]):,} to validate; seed {settings.seed}\n")
        write(f"{net.summary((1, 1, 32, 32))}\n")
        trainer = _train(run, net, train, valid, settings)
        run.keep(trainer)
        result: dict[str, Any] = {
            "valid_accuracy": accuracy(trainer.predict(valid[0]), valid[1]),
            "seconds": round(trainer.seconds, 1),
        }
        classify = reader(net)
        photographs = [_read(run, classify, path) for path in paths]
        result["photographs"] = photographs
        figures = _figures(photographs)
        run.draw("curves", plots.learning_curves, trainer.history, title="Characters", held_out="validation")
        run.finish(result, _page(photographs, figures))
    return run.folder


def _train(
    run: Run,
    net: fnn.Sequential,
    train: tuple[np.ndarray, np.ndarray],
    valid: tuple[np.ndarray, np.ndarray],
    settings: Settings,
) -> Trainer:
    steps = settings.epochs * -(-len(train[0]) // settings.batch_size)
    optimizer = fnn.Adam(net.parameters(), lr=settings.lr)
    schedule = fnn.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=schedule, callbacks=[EpochTable()])
    run.fit(trainer, train, valid, epochs=settings.epochs, batch_size=settings.batch_size, augment=augmentation())
    return trainer


def _read(run: Run, classify: Callable[[np.ndarray], Sequence[str]], path: Path) -> dict[str, Any]:
    """Read one photograph: print it beside its truth, draw it, and return what the record keeps of it.

    Of one that cannot be read that is the reason: the others are to be read nevertheless.
    """
    name = printable(path)
    try:
        image, truth = read_image(path), truth_of(path, TRUTH)
        plain, marks = read_lines(image, classify, context=False)
    except (OSError, ValueError) as error:
        write(f"\n{name}: not read: {error}")
        return {"name": name, "error": str(error)}
    text = by_context(plain)
    result: dict[str, Any] = {"name": name, "text": text, "text_without_context": plain}
    characters, written = "".join(text.split()), "".join((truth or "").upper().split())
    if written:
        plainly = right("".join(plain.split()), written)
        result |= {"truth": truth, "written": len(written), "right": right(characters, written)}
        result |= {"right_without_context": plainly}
    write("\n".join(_beside(name, text, truth)))
    known = list(written) if len(written) == len(marks) else None
    picture = plots.boxes(image, [mark.box for mark in marks], labels=list(characters), truth=known)
    run.save(picture, Path(picture_of(name)).stem)
    return result


def _beside(name: str, text: str, truth: str | None) -> list[str]:
    """The text of a photograph, beside its truth where that is known."""
    if truth is None:
        return [f"\n{name}", *text.splitlines()]
    lines = list(zip_longest(text.splitlines(), truth.splitlines(), fillvalue=""))
    width = max(len(read) for read in (name, *text.splitlines()))
    return [f"\n{name:{width}}   truth", *(f"{read:{width}}   {written}" for read, written in lines)]


def _figures(photographs: list[dict[str, Any]]) -> list[Comparison]:
    """The share of characters that were read right: of each photograph whose text is known, and of all of them."""
    known = [each for each in photographs if "truth" in each]
    rows = [CARD.beside("S3", each["name"], _shares([each])) for each in known]
    return [*rows, CARD.beside("S3", "all", _shares(known))] if known else []


def _shares(photographs: list[dict[str, Any]]) -> str:
    written = sum(each["written"] for each in photographs)
    with_context, without = (sum(each[name] for each in photographs) for name in ("right", "right_without_context"))
    return f"{percent(with_context / written)} ({percent(without / written)} without context)"


def _page(photographs: list[dict[str, Any]], figures: list[Comparison]) -> Page:
    read = [each for each in photographs if "error" not in each]
    tables = [
        Table(each["name"], ["read", "truth"], list(zip_longest(*lines, fillvalue="")))
        for each in read
        if any(lines := [each.get(name, "").splitlines() for name in ("text", "truth")])
    ]
    unread = [(each["name"], each["error"]) for each in photographs if "error" in each]
    if unread:
        tables.append(Table("Not read", ["photograph", "why"], unread))
    pictures = [Picture(picture_of(each["name"]), each["name"]) for each in read]
    summary = (
        "Characters are found on photographs, put in lines and words, and read by one network. "
        "O and 0, I and 1, Z and 2, S and 5 are told apart by the rest of their word."
    )
    curves = Picture("curves.png", "Loss and accuracy", "Validation: the test part of hw36.")
    return Page("Text of photographs", summary, figures, tables, [*pictures, curves])
