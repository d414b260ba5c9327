"""S1c: digits on photographs of sheets, found, cut out, scaled as MNIST's are, and read by S1's LeNet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastnn as fnn
from fastnn import plots
from fastnn.data import read_image
from fastnn.interop import load_lenet_mat, load_safetensors
from fastnn.networks import lenet
from fastnn.recipes._frame.card import Card, System
from fastnn.recipes._frame.report import Comparison, Page, Picture, Table
from fastnn.recipes._frame.run import Run, run_folder
from fastnn.recipes._frame.settings import CommonSettings, option
from fastnn.recipes._frame.sheets import photographs_in, picture_of, printable, truth_of
from fastnn.recipes._frame.split import hold_out, mixed, validate_option, whole
from fastnn.recipes.lenet import iterations_option, schedule
from fastnn.training import Trainer, accuracy, write
from fastnn.vision import Mark, find_marks, like_mnist

PUBLISHED = {"digits like MNIST's": "5 of 5", "thin strokes": "under 40 %"}

CARD = Card(
    source="CMPT 412, Simon Fraser University",
    systems=(System("S1c", "LeNet on photographs of digits", "15 s", PUBLISHED),),
    data="bundled digits, four photographs",
    size="431,080 parameters",
)
SCORE = "valid_accuracy"
SWEEP = {"validate": True}

# What is written on the course's photographs, and what is published of which. The last one is a sheet of MNIST's own
# test images.
TRUTH = {
    "image1.JPG": "1234567890",
    "image2.JPG": "1234567890",
    "image3.png": "60624",
    "image4.jpg": "72104149590690159734966540740131347271211742351244",
}
GROUPS = {"thin strokes": ("image1.JPG", "image2.JPG"), "digits like MNIST's": ("image3.png", "image4.jpg")}
_STROKE = 2.1  # pixels: one in twenty of MNIST's digits has thinner strokes


@dataclass(frozen=True)
class Settings(CommonSettings):
    """S1c's settings; a photograph of your own may have a text beside it (photo.txt) that says what is on it."""

    photographs: str | None = option(None, "folder of photographs (default: cmpt412/ in the folder FASTNN_DATA)")
    weights: str | None = option(None, "of LeNet, .safetensors or the course's .mat, instead of training")
    data: str = option("digits", "digits: the 6,000 bundled images; mnist: all 70,000", choices=("digits", "mnist"))
    iterations: int = iterations_option()
    validate: bool = validate_option()


def run(settings: Settings) -> Path:
    """Train or load LeNet, read the photographs, and write the run folder; returns its path."""
    paths = photographs_in(settings.photographs, "cmpt412", "digits")
    with run_folder("photographs", settings) as run:
        net = lenet()
        result: dict[str, Any] = {}
        if settings.weights is None:
            result |= _train(run, net, settings)
        else:
            load = load_lenet_mat if settings.weights.lower().endswith(".mat") else load_safetensors
            net.load_state_dict(load(settings.weights))
        net.eval()
        result["photographs"] = [_read(run, net, path) for path in paths]
        read = [each for each in result["photographs"] if "error" not in each]
        unread = [each for each in result["photographs"] if "error" in each]
        figures = _figures(read)
        known = [each for each in read if "right" in each]
        if known:
            result["right"] = sum(each["right"] for each in known) / sum(each["written"] for each in known)
        pictures = [Picture(picture_of(each["name"]), each["name"], each["line"]) for each in read]
        summary = "Marks are found on the photographs, cut out, scaled as MNIST's digits are, and read by LeNet."
        tables = [Table("Not read", ["photograph", "why"], [(each["name"], each["error"]) for each in unread])]
        run.finish(result, Page("Digits on photographs", summary, figures, tables if unread else [], pictures))
    return run.folder


def _figures(photographs: list[dict[str, Any]]) -> list[Comparison]:
    """What was read right, of the photographs that something is published of, and of all whose text is known."""
    groups = {what: [each for each in photographs if each["name"] in GROUPS[what]] for what in PUBLISHED}
    groups["all"] = [each for each in photographs if "right" in each]
    rows = []
    for what, members in groups.items():
        if members:
            right, written = (sum(each[name] for each in members) for name in ("right", "written"))
            rows.append(CARD.beside("S1c", what, f"{right} of {written}"))
    return rows


def _train(run: Run, net: fnn.Sequential, settings: Settings) -> dict[str, float]:
    """Train as the recipe of S1 does; returns the share of test images that are right, and of validation images."""
    x, y, x_test, y_test = whole(settings.data)
    train, valid = hold_out(*mixed(x, y)) if settings.validate else ((x, y), None)
    iterations = settings.iterations
    optimizer = fnn.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    trainer = Trainer(net, fnn.CrossEntropyLoss(), optimizer, schedule=schedule(optimizer, iterations))
    run.fit(trainer, train, iterations=iterations, batch_size=64, drop_last=True)
    run.keep(trainer)
    right = accuracy(trainer.predict(x_test), y_test)
    write(
        f"LeNet after {iterations} iterations in {trainer.seconds:.1f} s: {right:.4f} of {len(x_test):,} test images\n"
    )
    result = {"test_accuracy": right}
    return result if valid is None else {**result, SCORE: accuracy(trainer.predict(valid[0]), valid[1])}


def _read(run: Run, net: fnn.Sequential, path: Path) -> dict[str, Any]:
    """Read one photograph: print what is on it, draw it, and return what the record keeps of it.

    Of one that cannot be read that is the reason: the others are to be read nevertheless.
    """
    name = printable(path)
    try:
        image, text = read_image(path), truth_of(path, TRUTH)
        truth = text and "".join(text.split())
        marks = find_marks(image)
        read, thickened = (_predict(net, marks, stroke) for stroke in (None, _STROKE))
    except (OSError, ValueError) as error:
        write(f"{name}: not read: {error}")
        return {"name": name, "error": str(error)}
    result: dict[str, Any] = {"name": name, "found": len(marks), "read": read, "read_thickened": thickened}
    line = f"{len(marks)} digits found, read {read}"
    if truth is not None:
        right, right_thickened = (_agreeing(text, truth) for text in (read, thickened))
        result |= {"written": len(truth), "right": right, "right_thickened": right_thickened}
        line += f", {right} of {len(truth)} right (with strokes thickened: {right_thickened})"
    write(f"{name}: {line}")
    result["line"] = line
    known = list(truth) if truth is not None and len(truth) == len(marks) else None
    picture = plots.boxes(image, [mark.box for mark in marks], labels=list(read), truth=known, title=name)
    run.save(picture, Path(picture_of(name)).stem)
    return result


def _agreeing(read: str, truth: str) -> int:
    return sum(a == b for a, b in zip(read, truth, strict=False))


def _predict(net: fnn.Sequential, marks: list[Mark], stroke: float | None) -> str:
    if not marks:
        return ""
    x = np.stack([like_mnist(mark.ink, stroke=stroke) for mark in marks])[:, None]
    return "".join(map(str, net(x).argmax(axis=1)))
