"""A CNN with augmentation on a folder of images, one subfolder for each class.

    python image_folder.py FOLDER

Without a folder it draws one first: circles, squares and triangles of all colours, in ``shapes/``.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import fastnn as fnn
from fastnn.data import image_folder
from fastnn.data.transforms import ColorJitter, Compose, Normalize, RandomAffine, RandomHorizontalFlip
from fastnn.training import Trainer


def draw_shapes(root: Path, count: int, rng: np.random.Generator) -> Path:
    """Write `count` images of each class below `root`."""
    for name, sides in (("circle", 0), ("square", 4), ("triangle", 3)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            paper, ink = (tuple(rng.integers(low, low + 120, 3).tolist()) for low in (0, 130))
            image = Image.new("RGB", (48, 48), paper)
            draw, radius = ImageDraw.Draw(image), rng.uniform(12, 20)
            x, y = rng.uniform(radius, 48 - radius, 2)
            if sides:
                draw.regular_polygon((x, y, radius), sides, rotation=int(rng.integers(360)), fill=ink)
            else:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
            image.save(root / name / f"{number:03}.png")
    return root


fnn.manual_seed(0)
root = Path(sys.argv[1]) if len(sys.argv) > 1 else draw_shapes(Path("shapes"), 200, np.random.default_rng(0))
files, y, classes = image_folder(root, size=32)
order = np.random.default_rng(0).permutation(len(y))
held_out, train = order[: len(order) // 5], order[len(order) // 5 :]

net = fnn.Sequential(
    fnn.Conv2d(3, 16, 3, padding=1, bias=False), fnn.BatchNorm2d(16), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Conv2d(16, 32, 3, padding=1, bias=False), fnn.BatchNorm2d(32), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Conv2d(32, 64, 3, padding=1, bias=False), fnn.BatchNorm2d(64), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Flatten(), fnn.Linear(1024, len(classes)),
)  # fmt: skip
epochs, batch_size = 16, 16
optimizer = fnn.Adam(net.parameters(), lr=2e-3)
steps = epochs * -(-len(train) // batch_size)
trainer = Trainer(
    net,
    fnn.CrossEntropyLoss(),
    optimizer,
    schedule=fnn.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps),
)
trainer.fit(
    (files.subset(train), y[train]),  # read from the files again for each minibatch; np.asarray(...) reads them once
    valid=(files.subset(held_out), y[held_out]),
    epochs=epochs,
    batch_size=batch_size,
    augment=Compose([RandomHorizontalFlip(), RandomAffine(10, (0.1, 0.1)), ColorJitter(0.2, 0.2, 0.2)]),
    transform=Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
)
_, accuracy = trainer.evaluate((files.subset(held_out), y[held_out]))
print(f"{', '.join(classes)}: {accuracy:.1%} of {len(held_out)} images that it was not trained on are right")
