"""The numbers in the developers' drawings are those of the code.

Where Python can ask a kernel, it is asked. Where it cannot, the test takes the expression out of the source and
evaluates it.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn as fnn
import winograd
from fastnn import functional as F
from fastnn._kernels import _activation, _table

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "src" / "fastnn" / "_kernels"

pytestmark = pytest.mark.skipif(not KERNELS.is_dir(), reason="needs the sources")


def fences(page):
    """The drawings of a page, one text each."""
    text = (ROOT / "docs" / "dev" / f"{page}.md").read_text()
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S)


def drawing(page, words):
    """The one drawing of the page that has these words."""
    (found,) = [fence for fence in fences(page) if words in fence]
    return found


def numbers(text):
    return [int(n) for n in re.findall(r"-?\d+", text)]


def source(name, pattern):
    """What the one match of a pattern captures in a file of the kernels."""
    (found,) = set(re.findall(pattern, (KERNELS / name).read_text(), flags=re.S))
    return found


def constant(name, word):
    return int(eval(source(name, rf"\b{word}(?: = | +)([0-9][0-9<. ]*)").strip()))


# Convolution

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxy")).reshape(5, 5)


def patch_rows(geometry):
    """The table of offsets of a 3 x 3 kernel over one channel, by the kernel's own expression."""
    offset = source("_conv_planes.pyx", r"offsets\[k\] = ([^\n]*)")
    return [
        [eval(offset, {"s": geometry, "u": geometry, "c": 0, "kh": kh, "kw": kw}) for kw in range(3)] for kh in range(3)
    ]


def geometry(stride):
    out = (5 - 3) // stride + 1
    rows = out + 2 // stride
    return SimpleNamespace(C=1, DH=1, SH=stride, OH=out, OW=out, phases=stride, plane=rows * out)


def drawn_offsets(text):
    return [numbers(line.split("offset")[0])[1:] for line in text.splitlines() if "kh =" in line]


def patches(stride):
    """The patch rows (9, pixels) of the letters, by the operation itself."""
    index = fnn.Unfold(3, stride=stride)(np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5))[0].astype(int)
    return LETTERS.ravel()[index]


def test_the_unfold_over_the_width():
    shape = geometry(1)
    planes = [LETTERS[:, kw : kw + 3] for kw in range(3)]
    picture = drawing("convolution", "copy for kw = 2")
    for row, line in enumerate(picture.splitlines()[1:6]):
        assert line.split() == [*LETTERS[row], *(letter for plane in planes for letter in plane[row])]
    assert numbers(picture.splitlines()[6]) == [kw * shape.plane for kw in range(3)]
    memory = np.concatenate(planes).ravel()
    assert drawing("convolution", "a b c f g h k l m").splitlines()[1].split() == list(memory)
    offsets = patch_rows(shape)
    assert drawn_offsets(drawing("convolution", "kw * 15 + kh * 3")) == offsets
    page = (ROOT / "docs/dev/convolution.md").read_text()
    assert " ".join(map(str, np.ravel(offsets))) in " ".join(page.split())
    for start, patch in zip(np.ravel(offsets), patches(1), strict=True):
        assert list(memory[start : start + 9]) == list(patch)
    assert offsets[1][2] == 33
    assert "from place 33 on" in " ".join(page.split())
    assert "".join(memory[33:42]) == "hijmnorst"


def test_a_row_stride_sorts_rows_by_phase():
    offsets = patch_rows(geometry(2))
    picture = drawing("convolution", "phase 0: a c")
    assert drawn_offsets(picture) == offsets
    memory = np.full(36, ".")
    for kw in range(3):
        for phase, rows in enumerate(((0, 2, 4), (1, 3))):
            plane = LETTERS[list(rows), kw : kw + 3 : 2].ravel()
            memory[(kw * 2 + phase) * 6 :][: plane.size] = plane
    drawn = "".join(re.findall(r"(?<= )[a-z.](?![\w:])", picture.splitlines()[0].partition("0:")[2]))
    assert drawn == "".join(memory[:12])
    for start, patch in zip(np.ravel(offsets), patches(2), strict=True):
        assert list(memory[start : start + 4]) == list(patch)


def test_columns_of_a_folded_plane():
    place = source("conv_folded.pxd", r"folded_at\([^)]*\) noexcept nogil:\s*return ([^\n]*)")
    _, _, line, *_ = drawing("convolution", "place in memory").splitlines()
    expected = [eval(place, {"row": 0, "column": column, "SW": 2, "AW": 3}) for column in range(6)]
    assert numbers(line.split("the row")[0]) == expected


def test_winograd_in_one_dimension():
    lines = dict(line.split("=") for line in drawing("winograd", "B^T d").splitlines() if "=" in line)
    d, g, v, u, m, y = (np.array(numbers(re.sub("[A-Za-z^, ]+$", "", lines[f"{name} "]))) for name in "dgvumy")
    np.testing.assert_allclose(winograd.BT @ d, v, atol=1e-10)
    np.testing.assert_allclose(winograd.G @ g, u, atol=1e-10)
    np.testing.assert_array_equal(u * v, m)
    np.testing.assert_allclose(winograd.AT @ m, y, atol=1e-8)
    np.testing.assert_array_equal(np.convolve(d, g[::-1], "valid"), y)


def test_the_36_planes():
    assert constant("_conv_winograd.pxd", "VALUES") == 36
    tiles = source("_conv_winograd.pyx", r"\.tiles = ([^\n#]*)")
    room = eval(tiles, {"p": SimpleNamespace(images=1, band=2, cols=2)})
    assert f"values   [36][tiles = {room}][channels]" in drawing("winograd", "plane 35")


# Register tiles


def tile_sizes():
    """(bytes of a vector, rows of a panel, rows and columns of a dot tile) by the macro that selects them."""
    text = (KERNELS / "csrc" / "tiles.c").read_text()
    found = re.findall(
        r"defined\((\w+)\)\n#define VECTOR (\d+)\n#define PANEL_ROWS (\d+)\n"
        r"#define DOT_ROWS (\d+)\n#define DOT_COLS (\d+)",
        text,
    )
    return {macro: tuple(map(int, sizes)) for macro, *sizes in found}


def test_register_tiles():
    sizes = tile_sizes()
    vector, rows, dot_rows, dot_columns = sizes["__AVX512F__"]
    vectors = constant("csrc/tiles.c", "PANEL_VECTORS")
    assert (vector, rows, vectors) == (64, 14, 2)
    assert f"{rows * vectors} sums  +  2 vectors of b" in drawing("matrix-products", "row 13")
    assert f"{dot_rows + dot_columns} loads for {dot_rows * dot_columns}" in drawing("matrix-products", "rows of b (9)")
    page = (ROOT / "docs/dev/kernels.md").read_text()
    for tier, macro in ("v4", "__AVX512F__"), ("v3", "__AVX2__"):
        vector, rows, dot_rows, dot_columns = sizes[macro]
        row = f"| {tier} | {vector} bytes | {rows} x {vectors} vectors | {dot_rows} x {dot_columns} |"
        assert row in page


def test_the_packed_product():
    rows, columns, nr = 20, 150, 2 * 16
    blocks, panels = -(-rows // 14), -(-columns // nr)
    assert panels > constant("_matmul.pyx", "PLAIN_PANELS"), "a would be read where it lies"
    picture = drawing("matrix-products", "packed_a, block 0")
    assert f"two even blocks of {rows // blocks}" in picture
    assert f"{panels} panels of {nr}, the last one {columns - (panels - 1) * nr} wide" in picture


def bfloat16(x):
    """Rounded to nearest, halves to even."""
    bits = np.float32(x).view(np.uint32)
    return np.uint32((int(bits) + 0x7FFF + (int(bits) >> 16 & 1)) >> 16 << 16).view(np.float32)


def test_a_float32_is_three_bfloat16():
    picture = drawing("amx", "x0 + x1 + x2")
    x = np.float32(1 / 3)
    first = bfloat16(x)
    second = bfloat16(x - first)
    third = bfloat16(x - first - second)
    for name, part in ("x ", x), ("x0", first), ("x1", second), ("x2", third):
        (line,) = [line for line in picture.splitlines() if line.startswith(f"{name} = ")]
        assert float(line.split()[2]) == float(part)
        assert float.fromhex(re.sub(r".* (-?)1\.(\w+) +\* 2\^(-\d+).*", r"\g<1>0x1.\2p\3", line)) == part
    assert float(first) + float(second) + float(third) == float(x)


# Pools, resampling, rows of a table


def test_positions_of_maxima():
    x = np.array([[1, 5, 2, 0], [3, 4, 8, 7], [9, 6, 1, 1], [2, 2, 3, 3]], np.float32)[None, None]
    drawn = [numbers(line)[:4] for line in drawing("pooling", "position in a window").splitlines() if numbers(line)]
    assert drawn == x[0, 0].tolist()
    y, positions = F.max_pool2d(x, 2, return_positions=True)
    rows = [numbers(line) for line in drawing("pooling", "y          positions").splitlines()[1:]]
    assert rows == np.concatenate([y, positions], axis=3)[0, 0].tolist()
    dy = np.array([[10, 20], [30, 40]], np.float32)[None, None]
    dx = F.max_pool2d_backward(dy, positions, (4, 4), 2)
    drawn = [numbers(line) for line in drawing("pooling", "dx\n").splitlines()[1:] if numbers(line)]
    assert drawn == dx[0, 0].tolist()
    _, indices = F.max_pool2d(x, 2, return_indices=True)
    assert "here 1, 6, 8 and 14" in (ROOT / "docs/dev/pooling.md").read_text()
    assert indices.ravel().tolist() == [1, 6, 8, 14]


def test_windows_of_adaptive_pools():
    for line, share in zip(
        drawing("resampling", "window 0").splitlines()[1:],
        F.adaptive_avg_pool2d(np.eye(5, dtype=np.float32).reshape(5, 1, 5, 1), (3, 1)).reshape(5, 3).T,
        strict=True,
    ):
        rows = np.flatnonzero(share)
        assert numbers(line.partition("from")[2]) == [rows[0], rows[-1] + 1]
        assert [place for place in range(5) if line[11 + 4 * place] == "x"] == rows.tolist()


def test_bilinear_weights():
    picture = drawing("resampling", "low, high").splitlines()
    parts = {"¾": 0.75, "¼": 0.25, "1": 1.0, "0": 0.0}
    pairs = re.findall(r"(\d), (\d)", picture[1])
    weights = [(parts[a], parts[b]) for a, b in re.findall(r"([¾¼01]), ([¾¼01])", picture[2])]
    y = F.interpolate(np.eye(2, dtype=np.float32).reshape(2, 1, 2, 1), (4, 1), mode="bilinear").reshape(2, 4)
    assert len(pairs) == len(weights) == 4
    for output, ((low, high), (first, second)) in enumerate(zip(pairs, weights, strict=True)):
        expected = np.zeros(2)
        expected[int(low)] += first
        expected[int(high)] += second
        np.testing.assert_array_equal(y[:, output], expected)


def test_rows_of_an_embedding():
    picture = drawing("embedding", "indices")
    indices = np.array(numbers(picture.splitlines()[0]))
    dy = np.eye(len(indices), dtype=np.float32)
    dw = F.embedding_backward(dy, indices, 4)
    for row in range(4):
        (terms,) = re.findall(rf"dw row {row} = (.*?)(?:   |\n)", picture)
        assert [int(n) for n in re.findall(r"dy\[(\d)\]", terms)] == np.flatnonzero(dw[row]).tolist()


# Functions, random words, sums


def test_places_of_functions():
    rows = re.findall(r"X\((\w+), \d, \d\) +(\d)", drawing("activations", "FNN_FUNCTIONS"))
    assert len(rows) >= 4
    assert {name: int(place) for name, place in rows}.items() <= _activation.FUNCTIONS.items()


def test_chunks_of_a_function():
    chunk = constant("_activation.pyx", "CHUNK")
    drawn = numbers(drawing("activations", "40,000").splitlines()[0].partition("elements")[2])
    assert drawn == [edge for first in range(0, 40000, chunk) for edge in (first, min(40000, first + chunk) - 1)]


def test_random_words_of_a_group():
    page = drawing("random-numbers", "word 16*k")
    group, word = divmod(100, 64)
    k, lane = divmod(word, 16)
    counter = 16 * group + lane
    text = " ".join((ROOT / "docs/dev/random-numbers.md").read_text().split())
    assert f"word {word} of group {group}" in text
    assert f"word {k} of the counter {counter}" in text
    assert "word 16*k + lane of group g" in page
    from fastnn.reference import drop

    words = drop._words(128, 5, 7)
    assert words[100] == drop._philox(np.array([counter], np.uint64), 7, 5)[k][0]
    x = np.ones(128, np.float32)
    kept = F.dropout(x, 0.5, key=(5, 7)) > 0
    assert np.array_equal(kept, words >= 2**31)


def test_blocks_of_batch_normalisation():
    assert constant("csrc/fnn.h", "FNN_NORM_BLOCK") == 64 * 64
    assert drawing("normalisation", "first read").splitlines()[0].split("block")[1:] == [
        f" {i}{' ' * 7 * (i < 3)}" for i in range(4)
    ]


# Threads and memory


def test_the_state_word():
    parts = {
        name: source("csrc/threads.c", rf"{name}_of\(uint64_t state\) {{ return \(\w+\)\(?(state[^;]*?)\)?; }}")
        for name in ("first", "end", "generation")
    }
    claims = source("csrc/threads.c", r"compare_exchange_weak\(&pool\.state, &state, (slot \?[^;]*)\)\)\n")
    assert claims == "slot ? state - 1 : state + (1 << 16)"
    lines = [line for line in drawing("threads", "caller publishes").splitlines() if "0x" in line]
    state = 7 << 32 | 5
    for line in lines:
        if "claims" in line:
            caller = line.startswith("caller")
            chunk = eval(parts["first"]) if caller else eval(parts["end"]) - 1
            assert f"claims chunk {chunk} " in line
            state = state + (1 << 16) if caller else state - 1
        drawn, first, end = re.findall(r"(0x\w+) +(\d) +(\d)", line)[0]
        assert (int(drawn, 16), int(first), int(end)) == (state, eval(parts["first"]), eval(parts["end"]))
        assert eval(parts["generation"]) == 7
    assert eval(parts["first"]) == eval(parts["end"])


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("SPINS_BEFORE_SLEEP", "4,000"),
        ("WORK_WORTH_WAKING", "60,000"),
        ("WORK_WORTH_SHARING", "20,000"),
        ("MOST_CHUNKS", "65,535"),
    ],
)
def test_bounds_of_the_pool(word, number):
    assert f"{constant('csrc/threads.c', word):,}" == number
    assert number in (ROOT / "docs/dev/threads.md").read_text()


def test_size_classes():
    for asked, rounded in re.findall(r"a request of (\d+) bytes +→ +(\d+) bytes", drawing("memory", "a request")):
        before, _ = _table.memory_stats()
        block = fnn._runtime.empty((int(asked),), np.uint8)
        after, _ = _table.memory_stats()
        assert after - before == int(rounded)
        del block


# Plans


def test_the_lifetimes_of_a_plans_buffers():
    fnn.manual_seed(0)
    net = fnn.Sequential(
        fnn.Conv2d(1, 2, 3, padding=1), fnn.ReLU(),
        fnn.Residual(fnn.Sequential(fnn.Conv2d(2, 2, 3, padding=1), fnn.ReLU(), fnn.Conv2d(2, 2, 3, padding=1))),
        fnn.Conv2d(2, 2, 3, padding=1), fnn.ReLU(), fnn.MaxPool2d(2), fnn.Flatten(), fnn.Linear(8, 3),
    ).eval()  # fmt: skip
    with fnn.num_threads(2):
        net(np.ones((8, 1, 4, 4), np.float32))
    (run,) = net._inference.parts
    (planned,) = run._bound.plans.values()
    steps = [line for line in drawing("plans", "last used by").splitlines() if re.match(r"\d  ", line)]
    assert len(planned.steps) == len(steps)
    assert planned.steps.stages() == [(0, 6, 2), (6, 7, 8)]
    assert "2 images of 2 x 4 x 4 floats are 256 bytes" in " ".join((ROOT / "docs/dev/plans.md").read_text().split())
    rows = [line for line in drawing("plans", "buffer 0").splitlines() if "buffer" in line or "apart" in line]
    drawn = {}
    for row, line in enumerate(rows):
        place = ("local", 256 * row) if "buffer" in line else ("apart", 0)
        drawn |= {value: place for value in re.findall(r"[A-Z](?=─)", line)}
    written = [step[28] for step in steps]
    assert written[:-1] == list("ABCSDP")
    assert planned.steps.places() == [drawn.get(value, ("output", 0)) for value in written]
