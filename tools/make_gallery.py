"""Draw docs/plots.md, a gallery of `fastnn.plots`, and the README's picture of a run; from the bundled digits alone.

    python tools/make_gallery.py

trains for about a minute. The pictures are kept small: few dots, few colours.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastnn as fnn
from fastnn import networks, plots
from fastnn.data import digits
from fastnn.interop import load_safetensors
from fastnn.recipes import lenet
from fastnn.training import History, Trainer, confusion_matrix

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURES = DOCS / "plots.md", DOCS / "images" / "plots"
DPI, WIDEST = 96, 720  # of the gallery; dots
HEAD = """# Pictures

Each picture of `fastnn.plots` is one call that returns a matplotlib `Figure`. `plots.save(figure, "a.png")` writes it;
`.pdf` and `.svg` work, too. A notebook shows a figure that is the last value of a cell. matplotlib comes with
`pip install ".[train]"`. A run of a recipe has all of its pictures on one page, `report.html`.

All pictures here are drawn from the digits that come with the package, by `python tools/make_gallery.py`. Images are
`(H, W)`, `(1, H, W)` or `(3, H, W)`, as networks have them. The docstrings list all arguments. The calls below go with
a network that has been trained like this one:

```python
import fastnn as fnn
from fastnn import plots, training
from fastnn.data import digits

x_train, y_train, x, y = digits()
net = fnn.Sequential(
    fnn.Conv2d(1, 20, 5), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Conv2d(20, 50, 5), fnn.ReLU(), fnn.MaxPool2d(2),
    fnn.Flatten(), fnn.Linear(800, 10),
)
trainer = training.Trainer(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters()))
trainer.fit((x_train, y_train), valid=(x, y), epochs=1)
probabilities = fnn.functional.softmax(trainer.predict(x))
predicted = probabilities.argmax(axis=1)
```
"""


class Entry(NamedTuple):
    """A picture of the gallery: which function draws it, what it is for, how it is called.

    `first` is Python for the tests alone, which run the page: what the call needs and readers have of their own.
    """

    name: str
    text: str
    code: str
    first: str = ""


ENTRIES = (
    Entry("learning_curves", "Loss and metric of a run, with published figures as crosses. A run without a metric has "
          "the loss alone. Give several runs in a dict by their names.",
          'plots.learning_curves(trainer.history, published={500: 0.954, 2000: 0.956}, held_out="test")'),
    Entry("initialisations", "Runs that differ in their initial weights. The spread of the layers' outputs before "
          "training shows why. `histories` is a dict from a name to the history of a run, and `outputs` a dict from "
          "the same names to the outputs of the layers.",
          'plots.initialisations(histories, outputs=outputs, steps_per_epoch=100, held_out="test")',
          'histories = {"normal": trainer.history}\noutputs = {"normal": {"layer 1": net[:1](x[:9])}}'),
    Entry("confusion_matrix", "Which class is taken for which.",
          "plots.confusion_matrix(training.confusion_matrix(y, predicted))"),
    Entry("most_wrong", "The mistakes that a network is surest of.",
          "plots.most_wrong(x, probabilities, y, count=8)"),
    Entry("most_confusing", "The images of each class for which it is least decided.",
          "few = y < 4\nplots.most_confusing(x[few], probabilities[few], y[few], per_class=6)"),
    Entry("feature_maps", "What layers make of an image. Layers of one shape share a scale.",
          'plots.feature_maps(x[0], {"conv1": net[:1](x[:1]), "after ReLU": net[:2](x[:1])})'),
    Entry("kernels", "The kernels of a convolution. They are in colour if the images are.",
          'plots.kernels(net.state_dict()["0.weight"])'),
    Entry("weight_tiles", "The weights of a linear layer, as images of what its units look for. `w0` and `w` are "
          "its weights before and after training.",
          'plots.weight_tiles({"before": w0, "after": w}, (28, 28), count=16)',
          "w0, w = fnn.Linear(784, 64).state_dict()['weight'], fnn.Linear(784, 64).state_dict()['weight']"),
    Entry("reconstructions", "What an autoencoder makes of images.",
          "plots.reconstructions(x[:8], rebuilt, columns=8)", "rebuilt = x[1:9]"),
    Entry("boxes", "A photograph with what was found and read on it. A place is (top, left, bottom, right); `read` and "
          "`truth` have a text for each.",
          "plots.boxes(sheet, places, labels=read, truth=truth)",
          "sheet, places = x[0], [(4, 4, 24, 24)]\nread, truth = ['7'], ['1']"),
    Entry("decision_regions", "Points in the plane, and what a network makes of the plane.",
          "plots.decision_regions(points, labels, lambda p: classifier(p)[:, 0])",
          "import numpy as np\npoints = np.random.default_rng(0).uniform(-2, 2, (50, 2)).astype(np.float32)\n"
          "labels = points[:, 0] > 0\nclassifier = fnn.Sequential(fnn.Linear(2, 1), fnn.Sigmoid()).eval()"),
    Entry("gradient_error", "How far gradients by differences are off, for steps from coarse to fine. `errors64` is a "
          "dict from the step to the error.",
          'plots.gradient_error({"float64": errors64, "float32": errors32})',
          "errors64, errors32 = {1e-2: 1e-4, 1e-3: 1e-6}, {1e-2: 1e-4, 1e-3: 1e-3}"),
    Entry("benchmark_chart", "Ratios of times. `fastnn bench --chart` draws it of a benchmark.",
          'plots.benchmark_chart({"training": {"LeNet": {"1 thread": 2.5, "2 threads": [2.2, 2.9]}}})'),
)  # fmt: skip


def page() -> str:
    """The page's text; its pictures are drawn by `draw`."""
    parts = [HEAD]
    for entry in ENTRIES:
        first = f"<!-- first:\n{entry.first}\n-->\n" if entry.first else ""
        parts.append(f"## {entry.name}\n\n{entry.text}\n\n{first}```python\n{entry.code}\n```\n")
        parts.append(f"![{entry.name}](images/plots/{entry.name}.png)\n")
    return "\n".join(parts)


def of_lenet(net: Any, history: History, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, Any]]:
    """The pictures of a classifier."""
    probabilities = fnn.functional.softmax(net(x))
    predicted = probabilities.argmax(axis=1)
    yield (
        "learning_curves",
        plots.learning_curves(history, published=lenet.PUBLISHED, held_out="test", title="LeNet on 5,000 digits"),
    )
    yield "confusion_matrix", plots.confusion_matrix(confusion_matrix(y, predicted))
    yield "most_wrong", plots.most_wrong(x, probabilities, y, count=8)
    few = y < 4
    yield "most_confusing", plots.most_confusing(x[few], probabilities[few], y[few])
    conv1 = net[0](x[:1])
    yield "feature_maps", plots.feature_maps(x[0], {"conv1": conv1, "after ReLU": fnn.functional.relu(conv1)})
    yield "kernels", plots.kernels(net.state_dict()["0.weight"])
    yield "boxes", sheet(x, y, net)


def sheet(x: np.ndarray, y: np.ndarray, net: Any) -> Any:
    """Digits side by side on paper, one of them wrongly read, as if they had been photographed."""
    wrong = np.flatnonzero(net(x).argmax(axis=1) != y)[0]
    chosen = [1, 2, int(wrong), 4, 7, 8]
    paper = (
        np.full((3, 48, 40 * len(chosen) + 8), 0.0, np.float32) + np.array([0.93, 0.9, 0.84], np.float32)[:, None, None]
    )
    places = []
    for i, which in enumerate(chosen):
        top, left = 10 + 3 * (i % 3), 10 + 40 * i
        paper[:, top : top + 28, left : left + 28] -= 0.75 * x[which]
        places.append((top, left, top + 28, left + 28))
    read = [str(k) for k in net(x[chosen]).argmax(axis=1)]
    return plots.boxes(paper, places, labels=read, truth=[str(y[i]) for i in chosen])


def of_perceptrons(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> Iterator[tuple[str, Any]]:
    """One perceptron from three initialisations; the weights of one of them."""
    runs, outputs = {}, {}
    for name, initial in (
        ("zero", fnn.init.zeros_),
        ("normal", fnn.init.normal_),
        ("Glorot", fnn.init.xavier_uniform_),
    ):
        fnn.manual_seed(0)
        net = fnn.Sequential(
            fnn.Flatten(), fnn.Linear(784, 64), fnn.ReLU(), fnn.Linear(64, 64), fnn.ReLU(), fnn.Linear(64, 10)
        )
        for layer in (net[1], net[3], net[5]):
            initial(layer.weight)
            fnn.init.zeros_(layer.bias)
        seen: dict[str, np.ndarray] = {}
        handles = [
            net[i].register_forward_hook(lambda _layer, _x, out, name=f"layer {k}", seen=seen: seen.update({name: out}))
            for k, i in enumerate((1, 3, 5), 1)
        ]
        net(x[:200])
        for handle in handles:
            handle.remove()
        outputs[name], before = seen, net.state_dict()["1.weight"].copy()
        trainer = Trainer(net, fnn.CrossEntropyLoss(), fnn.SGD(net.parameters(), lr=0.02, momentum=0.9))
        trainer.fit((x, y), (x_test, y_test), epochs=5, batch_size=50, progress=False)
        runs[name] = trainer.history
    yield "initialisations", plots.initialisations(runs, outputs=outputs, steps_per_epoch=100, held_out="test")
    tiles = {"before": before, "after": net.state_dict()["1.weight"]}
    yield "weight_tiles", plots.weight_tiles(tiles, (28, 28), count=16)


def of_autoencoder(x: np.ndarray, x_test: np.ndarray) -> Iterator[tuple[str, Any]]:
    fnn.manual_seed(0)
    net = fnn.Sequential(
        fnn.Linear(784, 64), fnn.ReLU(), fnn.Linear(64, 32), fnn.ReLU(), fnn.Linear(32, 784), fnn.Sigmoid()
    )
    criterion, optimizer = fnn.BCELoss(), fnn.Adam(net.parameters(), lr=2e-3)
    flat, order = x.reshape(len(x), -1), np.random.default_rng(0)
    for _ in range(2000):
        batch = flat[order.integers(0, len(flat), 50)]
        criterion(net(batch), batch)
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    net.eval()
    rebuilt = net(x_test[:8].reshape(8, -1)).reshape(8, 1, 28, 28)
    yield "reconstructions", plots.reconstructions(x_test[:8], rebuilt)


def of_points() -> Iterator[tuple[str, Any]]:
    """Points under a parabola; and the gradients of the network that parts them."""
    fnn.manual_seed(0)
    points = np.random.default_rng(0).uniform(-2, 2, (300, 2)).astype(np.float32)
    labels = (points[:, 0] ** 2 > points[:, 1]).astype(np.float32)[:, None]
    net = fnn.Sequential(fnn.Linear(2, 3), fnn.Sigmoid(), fnn.Linear(3, 1), fnn.Sigmoid())
    criterion, optimizer = fnn.BCELoss(), fnn.Adam(net.parameters(), lr=0.05)
    for _ in range(800):
        criterion(net(points), labels)
        net.backward(criterion.backward(), needs_dx=False)
        optimizer.step()
    net.eval()
    yield "decision_regions", plots.decision_regions(points, labels, lambda p: net(p)[:, 0])

    errors = {}
    for eps in (1.0, 0.2, 0.1, 2e-2, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        found = fnn.gradcheck(net, points.astype(np.float64), target=labels.astype(np.float64), criterion=fnn.BCELoss(),
                              eps=eps, samples=None, show=False)  # fmt: skip
        errors[eps] = found.largest_difference
    yield "gradient_error", plots.gradient_error(errors)


def of_times() -> Iterator[tuple[str, Any]]:
    """The README's figures, shortened."""
    training = {
        "LeNet, batch 64": {"1 thread": 2.5, "2 threads": 2.53},
        "MLP, batch 4": {"1 thread": 1.75, "2 threads": 2.73},
    }
    operations = {"pooling forward": {"1 thread": [8.86, 18.8, 39.6], "2 threads": [5.9, 12.9, 22.4]}}
    yield "benchmark_chart", plots.benchmark_chart({"training step": training, "operations": operations})


def small_png(figure: Any, dpi: float) -> bytes:
    """A figure in few colours: a third of the bytes."""
    from PIL import Image

    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    Image.open(drawn).convert("RGB").quantize(256, kmeans=2).save(packed, "png", optimize=True)
    return packed.getvalue()


def readme_picture(folder: Path) -> None:
    """Three pictures of a run side by side, as docs/images/lenet-run.png."""
    from PIL import Image

    names = ("curves", "feature_maps", "confusion")
    curves, maps, confusion = (Image.open(folder / f"{name}.png").convert("RGB") for name in names)
    width = 1050
    curves, maps = (image.resize((width, image.height * width // image.width), 1) for image in (curves, maps))
    height = curves.height + maps.height + 10
    confusion = confusion.resize((confusion.width * height // confusion.height, height), 1)
    whole = Image.new("RGB", (width + 20 + confusion.width, height), "white")
    for image, place in ((curves, (0, 0)), (maps, (0, curves.height + 10)), (confusion, (width + 20, 0))):
        whole.paste(image, place)
    whole.quantize(256, kmeans=2).save(DOCS / "images" / "lenet-run.png", optimize=True)


def main() -> None:
    x, y, x_test, y_test = digits()
    with tempfile.TemporaryDirectory() as scratch:
        folder = lenet.run(lenet.Settings(out=f"{scratch}/run"))
        net = networks.lenet()
        net.load_state_dict(load_safetensors(folder / "weights.safetensors"))
        history = History.load(folder / "history.json")
        readme_picture(folder)
    net.eval()
    makers: list[Callable[[], Iterator[tuple[str, Any]]]] = [
        lambda: of_lenet(net, history, x_test, y_test),
        lambda: of_perceptrons(x, y, x_test, y_test),
        lambda: of_autoencoder(x, x_test),
        of_points,
        of_times,
    ]
    PICTURES.mkdir(exist_ok=True)
    total = 0
    for make in makers:
        for name, figure in make():
            content = small_png(figure, min(DPI, WIDEST / figure.get_figwidth()))
            (PICTURES / f"{name}.png").write_bytes(content)
            total += len(content)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}, {total / 1024:.0f} KB of pictures")


if __name__ == "__main__":
    main()
