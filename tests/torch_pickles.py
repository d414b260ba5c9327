"""Files of PyTorch's, made by hand: pickles opcode by opcode, in both of its formats."""

import zipfile

KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "u1": "ByteStorage"}
KINDS |= {"i4": "IntStorage", "i2": "ShortStorage", "i1": "CharStorage", "b1": "BoolStorage"}
MAGIC = 0x1950A86A20F9469CFC6C


def text(value):
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def integer(value):
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + len(raw).to_bytes(1, "little") + raw


def several(*items):
    return b"(" + b"".join(items) + b"t"


def known(module, name):
    return f"c{module}\n{name}\n".encode()


def call(function, *arguments):
    return function + several(*arguments) + b"R"


def mapping(items):
    pairs = b"".join((text(name) if isinstance(name, str) else integer(name)) + value for name, value in items.items())
    return call(known("collections", "OrderedDict")) + b"(" + pairs + b"u"


def storage(kind, key, elements, *more):
    return several(text("storage"), known("torch", kind), text(key), text("cpu"), integer(elements), *more) + b"Q"


def tensor(of, offset, shape, strides, function="_rebuild_tensor_v2"):
    sizes = (several(*map(integer, numbers)) for numbers in (shape, strides))
    hooks = mapping({})
    return call(known("torch._utils", function), of, integer(offset), *sizes, b"\x89", hooks)


def tensors(arrays, *more):
    """A state dict, and its storages' bytes."""
    items = {}
    for place, (name, array) in enumerate(arrays.items()):
        strides = [step // array.itemsize for step in array.strides]
        kind = KINDS[array.dtype.str[1:]]
        items[name] = tensor(storage(kind, str(place), array.size, *more), 0, array.shape, strides)
    return mapping(items), {str(place): array.tobytes() for place, array in enumerate(arrays.values())}


def pickled(content):
    return b"\x80\x02" + content + b"."


def archive(path, content, storages, **others):
    """A file of PyTorch 1.6 and later; `others` are further entries."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled(content))
        for name, raw in [*((f"data/{key}", raw) for key, raw in storages.items()), *others.items()]:
            file.writestr(f"archive/{name}", raw)
    return path


def stream(path, content, storages, elements):
    """A file before PyTorch 1.6; `elements` of each storage."""
    machine = mapping({"little_endian": b"\x88"})
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    parts = [integer(MAGIC), integer(1001), machine, content, keys]
    raw = b"".join(map(pickled, parts))
    for key, values in storages.items():
        raw += elements[key].to_bytes(8, "little") + values
    path.write_bytes(raw)
    return path
