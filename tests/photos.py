"""Data sets of photographs in their real layout, with small made images."""

import numpy as np


def put_pets(folder, per_class=40, test=3, size=(70, 64)):
    """dogs-vs-cats/ with images that are easily told apart: cats have a bright left half, dogs a bright right one."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for place, name in enumerate(("Cat", "Dog")):
        inside = folder / "dogs-vs-cats" / "trainset" / name
        inside.mkdir(parents=True)
        for number in range(per_class):
            pixels = rng.integers(0, 90, (*size, 3))
            half = size[1] // 2
            pixels[:, place * half : (place + 1) * half] += rng.integers(60, 160)
            Image.fromarray(pixels.astype(np.uint8)).save(inside / f"{number}.{name}.jpg")
    inside = folder / "dogs-vs-cats" / "testset" / "test"
    inside.mkdir(parents=True)
    for number in range(test):
        Image.fromarray(rng.integers(0, 255, (*size, 3)).astype(np.uint8)).save(inside / f"{number}.jpg")


def put_flowers(folder, size=(20, 16)):
    """flowers17/ with 1,360 images, each class in one grey level of its own, and its splits."""
    from PIL import Image
    from scipy.io import savemat

    inside = folder / "flowers17" / "17flowers" / "jpg"
    inside.mkdir(parents=True)
    for number in range(1, 1361):
        pixels = np.full((*size, 3), (number - 1) // 80 * 15, np.uint8)
        Image.fromarray(pixels).save(inside / f"image_{number:04}.jpg")
    splits = {}
    for split in (1, 2, 3):
        order = np.random.default_rng(split).permutation(1360) + 1
        for name, part in zip(("trn", "val", "tst"), np.split(order, [680, 1020]), strict=True):
            splits[f"{name}{split}"] = part[None].astype(np.uint16)
    savemat(folder / "flowers17" / "datasplits.mat", splits)


def torchvision_arrays(seed=0):
    """Arrays of SqueezeNet 1.1 in torchvision's layout."""
    keras = squeezenet_arrays(seed)
    places = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))
    arrays = {}
    for name, array in keras.items():
        layer, part = name.rsplit("/", 1)
        theirs = {"conv1": "features.0", "conv10": "classifier.1"}.get(layer)
        if theirs is None:
            number, kind = layer.removeprefix("fire").split("/")
            theirs = f"features.{places[int(number)]}.{kind.replace('squeeze1x1', 'squeeze')}"
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
        arrays[f"{theirs}.{part.replace('_HWIO', '')}"] = np.ascontiguousarray(array)
    return arrays


def squeezenet_arrays(seed=0):
    """Arrays of SqueezeNet 1.1 in Keras' layout."""
    rng = np.random.default_rng(seed)
    arrays, inputs = {}, 64
    shapes = [("conv1", 3, 3, 64)]
    for number, squeezed in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64), strict=True):
        shapes.append((f"fire{number}/squeeze1x1", 1, inputs, squeezed))
        shapes.append((f"fire{number}/expand1x1", 1, squeezed, 4 * squeezed))
        shapes.append((f"fire{number}/expand3x3", 3, squeezed, 4 * squeezed))
        inputs = 8 * squeezed
    shapes.append(("conv10", 1, inputs, 1000))
    for name, kernel, i, o in shapes:
        arrays[f"{name}/weight_HWIO"] = rng.normal(0, (2 / (i * kernel**2)) ** 0.5, (kernel, kernel, i, o)).astype("f4")
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, o).astype("f4")
    return arrays
