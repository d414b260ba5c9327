"""Damaged files for every reader, made by atheris: all that may come is an error that names the file.

    python tools/fuzz_readers.py READER [SECONDS]

READER is one of those below; `pip install atheris`, which fastnn itself does not use. The first byte of an example says
whether checksums of the container (zip, PNG) count: a changed byte behind one would hardly ever come further. What
ends it, an error of another kind, is printed, and the example is kept as crash-... in the working folder. Memory of the
process is limited, so that sizes in a header cannot take the machine's: a MemoryError counts as an answer.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastnn", "json", "numpy.lib", "PIL", "safetensors", "scipy.io"]):
    import numpy as np
    from PIL import Image, PngImagePlugin
    from scipy.io import savemat

    import fastnn as fnn
    from fastnn.data import read_arrays, read_image
    from fastnn.data.idx import read_idx
    from fastnn.interop import load_safetensors, load_torch, load_torch_optimizer, save_safetensors
    from fastnn.interop.onnx import Function
    from fastnn.interop.onnx import load as load_onnx
    from fastnn.layers import Constant
    from fastnn.training import Trainer, load_checkpoint, save_checkpoint
    from fastnn.training.history import History

CHECKED, UNCHECKED = b"\0", b"\1"
ADDRESS_SPACE = 4 << 30
OUTCOMES: Counter[str] = Counter()

# Seeds: what the library itself writes, or reads in its tests, small.

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.uint8), "c": np.array(2.5)}


def trainer() -> Trainer:
    net = fnn.Sequential(fnn.Linear(2, 3), fnn.BatchNorm1d(3), fnn.Dropout(0.2), fnn.Linear(3, 2))
    return Trainer(net, fnn.CrossEntropyLoss(), fnn.Adam(net.parameters(), lr=0.1), rng=0)


def written(write, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def checkpoints() -> list[bytes]:
    rng, made = np.random.default_rng(0), trainer()
    data = rng.standard_normal((8, 2)).astype(np.float32), rng.integers(0, 2, 8)
    made.fit(data, data, epochs=2, batch_size=4, progress=False)
    return [written(lambda path: save_checkpoint(path, made), "c.npz")]


def histories() -> list[bytes]:
    content = {name: [0.5, 2] for name in ("loss", "accuracy", "lr", "eval_iteration", "eval_loss", "eval_accuracy")}
    return [json.dumps(content).encode(), b"[" * 2000]


def idx_files() -> list[bytes]:
    images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (2, 3, 4)) + bytes(24)
    return [images, gzip.compress(images), b"\0\0\x08\x01\0\0\0\x02\1\2"]


def npz_files() -> list[bytes]:
    content = [io.BytesIO(), io.BytesIO()]
    np.savez(content[0], **ARRAYS)
    np.savez_compressed(content[1], **ARRAYS)
    return [each.getvalue() for each in content]


def mat_files() -> list[bytes]:
    return [
        written(partial(savemat, mdict=ARRAYS, format=version, do_compression=packed), "m.mat")
        for version, packed in (("5", False), ("5", True), ("4", False))
    ]


def images() -> list[bytes]:
    rng, made = np.random.default_rng(0), []
    for mode, shape in (("L", (5, 7)), ("RGB", (5, 7, 3)), ("RGBA", (4, 4, 4))):
        image = Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode)
        for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "PPM", "WEBP"):
            if mode != "RGBA" or kind in ("PNG", "TIFF", "WEBP"):
                content = io.BytesIO()
                image.save(content, kind)
                made.append(content.getvalue())
    return made


def onnx_models() -> list[bytes]:
    """Those of ONNX's own tests of operators."""
    warnings.simplefilter("ignore")
    from onnx.backend.test.loader import load_model_tests

    made = [test.model.SerializeToString() for test in load_model_tests(kind="node")]
    return [each for each in made if len(each) < 8192]


def torch_files() -> list[bytes]:
    """What PyTorch writes, now and before its version 1.6: a state dict, and the state of an optimiser."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    content = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "half": torch.ones(3).half()}
    content["turned"] = torch.ones(2, 3).bfloat16().T
    ways = ({"_use_new_zipfile_serialization": new} for new in (True, False))
    return [written(partial(torch.save, content, **way), "t.pt") for way in ways]


def read_torch(path: Path) -> object:
    load_torch_optimizer(path, "optimizer")
    return load_torch(path)


def networks() -> list[bytes]:
    """A Sequential, and a graph with a constant and an operator of ONNX's."""
    graph = {"linear": (fnn.Linear(2, 3), "x"), "parts": (fnn.Split((1, 2)), "linear")}
    graph |= {"scale": (Constant(fnn.Parameter(np.ones(2, np.float32))),), "mul": (fnn.Mul(), "parts[1]", "scale")}
    graph |= {"pow": (Function("Pow", constants={1: np.float32(3)}), "mul")}
    nets = fnn.Sequential(fnn.Conv2d(1, 2, 3), fnn.BatchNorm2d(2), fnn.ReLU()), fnn.Graph(graph)
    return [written(partial(fnn.save, net), "n.safetensors") for net in nets]


def read_idx_packed(path: Path) -> object:
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):  # inside a .gz file whose checksum is right
        path.write_bytes(gzip.compress(content, 1))
    return read_idx(path, 3)


# name: file name, seeds, reader
READERS = {
    "safetensors": ("w.safetensors", lambda: [written(lambda p: save_safetensors(p, ARRAYS), "w")], load_safetensors),
    "checkpoint": ("c.npz", checkpoints, lambda path: load_checkpoint(path, trainer())),
    "history": ("h.json", histories, History.load),
    "idx": ("i.gz", idx_files, read_idx_packed),
    "npz": ("a.npz", npz_files, read_arrays),
    "mat": ("m.mat", mat_files, read_arrays),
    "onnx": ("n.onnx", onnx_models, load_onnx),
    "torch": ("t.pt", torch_files, read_torch),
    "network": ("n.safetensors", networks, fnn.load),
    "image": ("picture", images, lambda path: read_image(path, size=8)),
}

ZIP_CHECK, PNG_CHECK = zipfile.ZipExtFile._update_crc, PngImagePlugin.ChunkStream.crc


def count_checksums(they_count: bool) -> None:
    zipfile.ZipExtFile._update_crc = ZIP_CHECK if they_count else lambda self, data: None
    PngImagePlugin.ChunkStream.crc = PNG_CHECK if they_count else PngImagePlugin.ChunkStream.crc_skip


def main() -> None:
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in READERS:
        raise SystemExit(f"usage: fuzz_readers.py {'|'.join(READERS)} [seconds]")
    name, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 600
    file, seeds, read = READERS[name]
    folder = tempfile.mkdtemp()  # of one process, which libFuzzer ends without a word to Python
    corpus, path = Path(folder) / "corpus", Path(folder) / file
    corpus.mkdir()
    for number, content in enumerate(seeds()):
        (corpus / f"{number}c").write_bytes(CHECKED + content)
        (corpus / f"{number}u").write_bytes(UNCHECKED + content)
    warnings.simplefilter("ignore")  # a warning beside a result, or beside a clean error, is as good
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    def one(data: bytes) -> None:
        count_checksums(not data or not data[0] & 1)
        path.write_bytes(data[1:])
        try:
            read(path)
            OUTCOMES["read"] += 1
        except MemoryError:
            OUTCOMES["no memory"] += 1
        except (ValueError, OSError) as error:
            if str(path) not in str(error):
                raise
            OUTCOMES["named error"] += 1
        if sum(OUTCOMES.values()) % 1000 == 0:
            (Path(folder) / "outcomes").write_text(json.dumps(OUTCOMES))

    print(f"{name}: examples in {folder}, counts in {folder}/outcomes", flush=True)
    options = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=0", "-max_len=16384", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, os.fspath(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
