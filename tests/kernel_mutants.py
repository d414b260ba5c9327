"""Faults that are planted in the kernels, and the tests that must notice them: see test_kernel_mutants.py."""

from typing import NamedTuple

PARITY = "test_parity.py"
AMX = ("", "test_amx.py")


class Mutant(NamedTuple):
    """What is planted, and who must notice it."""

    name: str
    file: str  # of csrc, or a .pyx beside it
    old: str  # stands in the file once
    new: str
    cases: str  # of the tests that must fail: pytest's -k
    tests: str = PARITY


MUTANTS = (
    # Matrix products and what is made of them
    Mutant("panel: rows of a are neighbours", "tile_matrix.h", "as[m * a_row]", "as[m]", "conv2d or matmul or linear"),
    Mutant("panel: one bias for all rows", "tile_matrix.h", "value += bias[m];", "value += bias[0];", "conv2d"),
    Mutant(
        "panel: the last element is left out",
        "tile_matrix.h",
        "NAME(store_part)(cm + v * LANES, value, left);",
        "NAME(store_part)(cm + v * LANES, value, left - 1);",
        "matmul",
    ),
    Mutant(
        "panel: sums begin anew",
        "tile_matrix.h",
        "if (flags & FNN_ACCUMULATE)\n                value += left",
        "if (0)\n                value += left",
        "matmul or linear or conv2d",
    ),
    Mutant(
        "panel: the last segment is skipped",
        "tile_matrix.h",
        "for (ptrdiff_t s = 0; s < segments; s++, koff",
        "for (ptrdiff_t s = 0; s == 0 || s + 1 < segments; s++, koff",
        "conv2d",
    ),
    Mutant(
        "panel: ReLU loses NaN",
        "template.h",
        "choose)(x <= NAME(splat)(0), NAME(splat)(0), x)",
        "choose)(x > NAME(splat)(0), x, NAME(splat)(0))",
        "conv2d",
    ),
    Mutant(
        "dot: the tail counts twice",
        "tile_dot.h",
        "ivec mask = NAME(iota)() >= (integer)(LANES - (length - whole)) - (ivec){0};",
        "ivec mask = ~(ivec){0};",
        "linear",
    ),
    Mutant("dot: short rows are skipped", "tile_dot.h", "DOT_STEP(DOT_SHORT);", ";", "linear"),
    Mutant("dot: a bias is added to whole vectors only", "tile_dot.h", "value += bias[j];", ";", "linear"),
    Mutant(
        "linear: the last output of a turned tile is lost",
        "_matmul_dot.pyx",
        "t.transpose(g.y + n * g.O * size, offsets, sums, cols, g.O, live)",
        "t.transpose(g.y + n * g.O * size, offsets, sums, cols, g.O - 1, live)",
        "linear",
    ),
    Mutant(
        "taps: no tail",
        "tile_matrix.h",
        "j = j + (vectors) * LANES > n ? n - (vectors) * LANES : j;",
        "if (j + (vectors) * LANES > n) break;",
        "conv2d",
    ),
    Mutant(
        "row: no tail of one", "tile_matrix.h", "if ((left = cols - j) > 0)", "if ((left = cols - j) > 1)", "linear"
    ),
    Mutant(
        "sum_rows: the first block is skipped",
        "tile_matrix.h",
        "for (ptrdiff_t i = 0; i < rows; i += SUM_ROWS)",
        "for (ptrdiff_t i = SUM_ROWS; i < rows; i += SUM_ROWS)",
        "linear_backward",
    ),
    Mutant(
        "gemm: the last block of rows is skipped",
        "_matmul.pyx",
        "for block in range(first, last):",
        "for block in range(first, last - (last - first > 1)):",
        "matmul",
    ),
    Mutant(
        "linear: long rows begin anew",
        "_matmul_dot.pyx",
        "(FNN_ACCUMULATE if k0 else 0) | (FNN_RELU if g.relu and",
        "(FNN_RELU if g.relu and",
        "linear",
    ),
    Mutant(
        "sums: one accumulator takes all terms",
        "tile_sums.h",
        "#define SUM_TERMS 16",
        "#define SUM_TERMS 100000000",
        "",
        "test_long_sums.py",
    ),
    # Moving data
    Mutant(
        "copy: no tail",
        "tile_image.h",
        "NAME(store)(d + cols - LANES, NAME(load)(s + cols - LANES));",
        ";",
        "conv2d or pad",
    ),
    Mutant(
        "unfold: the right padding begins late",
        "tile_image.h",
        "for (ptrdiff_t j = to; j < cols; j++)",
        "for (ptrdiff_t j = to + 1; j < cols; j++)",
        "conv2d",
    ),
    Mutant(
        "unfold: the last column of a stride is lost",
        "tile_image.h",
        "(W - iw0 - 1) / step + 1;",
        "(W - iw0) / step;",
        "conv2d or unfold",
    ),
    Mutant(
        "fold: the last row is skipped",
        "tile_image.h",
        "if (ih < 0 || ih >= H)",
        "if (ih < 0 || ih >= H - 1)",
        "conv2d_backward or fold",
    ),
    Mutant(
        "transpose: no tail",
        "tile_image.h",
        "j0 = j0 + width > cols ? cols - width : j0;",
        "if (j0 + width > cols) break;",
        "matmul or linear",
    ),
    # The nests of convolution
    Mutant(
        "planes: weights in the order of the array",
        "_conv_planes.pyx",
        "c, tap = c // together * together * taps + c % together, tap * together",
        "c, tap = c * taps, tap",
        "conv2d",
    ),
    Mutant(
        "planes: the parts of the channels begin anew",
        "_conv_planes.pyx",
        "flags |= FNN_ACCUMULATE",
        "flags |= 0",
        "conv2d and parts",
    ),
    Mutant(
        "planes: a group has the first group's weights",
        "_conv_planes.pyx",
        "first = i % s.G * s.O",
        "first = 0",
        "conv2d and grouped",
    ),
    Mutant(
        "fold: the padding above is not left out",
        "_conv_input.pyx",
        "p.AW * size, s.PH, s.PW,",
        "p.AW * size, 0, s.PW,",
        "conv2d_backward",
    ),
    Mutant(
        "fold: the second group of channels has the weights of the first",
        "_conv_input.pyx",
        "weights + (k0 + m) * s.O * size, NULL",
        "weights + m * s.O * size, NULL",
        "conv2d_backward",
    ),
    Mutant(
        "dx as a convolution: kernels are not turned",
        "_conv_input.pyx",
        "w[o * s.C * K + K - 1 - k]",
        "w[o * s.C * K + k]",
        "conv2d_backward",
    ),
    Mutant(
        "dx as a convolution: a group has the kernels of the first group",
        "_conv_input.pyx",
        "w += (c // s.C * s.O * s.C + c % s.C) * K",
        "w += c % s.C * K",
        "conv2d_backward",
    ),
    Mutant(
        "one pass: the parts after the first are left out",
        "_conv_one_pass.pyx",
        "parts * length * t.itemsize, length, parts,",
        "parts * length * t.itemsize, length, 1,",
        "conv2d_backward",
    ),
    Mutant(
        "pixels: rows below a band are not cleared",
        "_conv_weight.pyx",
        "memset(pixels + (above + rows) * row, 0, (p.HP - above - rows) * row)",
        "memset(pixels + (above + rows) * row, 0, 0)",
        "conv2d_backward",
    ),
    Mutant(
        "pixels: a part is not added",
        "_conv_weight.pyx",
        "for part in range(1, p.parts):\n        a.t.add",
        "for part in range(2, p.parts):\n        a.t.add",
        "conv2d_backward",
    ),
    Mutant(
        "batch: a tap too many at the border",
        "_conv_batch.pyx",
        "if 0 <= pixel < axis.length:",
        "if 0 <= pixel <= axis.length:",
        "conv2d and batch",
    ),
    Mutant(
        "batch: taps of a stride are not sorted",
        "_conv_batch.pyx",
        "phase = k % axis.tap_step, longer",
        "phase = 0, longer",
        "conv2d_backward and batch",
    ),
    Mutant(
        "batch: the last image is left out",
        "_conv_batch.pyx",
        "t.transpose(y, b.out_places, results, b.images, outputs * P, images)",
        "t.transpose(y, b.out_places, results, b.images, outputs * P, max(images - 1, <Py_ssize_t> 1))",
        "conv2d and batch",
    ),
    Mutant(
        "batch: dw of images that are not there",
        "_conv_batch_weight.pyx",
        "memset(lanes, 0, (p.lanes.size + p.rows.blocks * p.rows.size) * size)",
        "pass",
        "conv2d_backward and batch",
    ),
    Mutant(
        "batch: dw begins anew with each batch",
        "_conv_batch_weight.pyx",
        "flags = 0 if first else FNN_ACCUMULATE",
        "flags = 0",
        "conv2d_backward and batch",
    ),
    Mutant(
        "depthwise: the columns of dx are not dilated",
        "tile_pool_lanes.h",
        "top[c * w->DW] += given * factor[c];",
        "top[c] += given * factor[c];",
        "conv2d_backward and depthwise",
    ),
    # Pooling
    Mutant(
        "maximum: NaN is lost",
        "tile_pool_span.h",
        "return ~(value <= most) & (most == most);",
        "return value > most;",
        "pool",
    ),
    Mutant(
        "maximum: rows are not dilated",
        "tile_pool_span.h",
        "corner + i * dh * W + c * dw, sw);",
        "corner + i * W + c * dw, sw);",
        "pool",
    ),
    Mutant(
        "pool: no tail",
        "tile_pool_span.h",
        "j = j + SPAN < n && j + 2 * SPAN > n ? n - SPAN : j + SPAN",
        "j = j + 2 * SPAN > n ? n : j + SPAN",
        "pool",
    ),
    Mutant(
        "average: windows are neighbours",
        "tile_pool.h",
        "total += columns[j * sw + c];",
        "total += columns[j + c];",
        "pool",
    ),
    Mutant(
        "unpool: a corner is lost",
        "tile_pool_span.h",
        "even += SPAN_NAME(given)(h + j + 1, here + j + 1, first, placed);",
        ";",
        "pool",
    ),
    Mutant(
        "pool: the last pixel does not get into the lanes",
        "tile_pool_lanes.h",
        "if (i < (width)) pixels[(j) + i] = v[i];",
        "if (i + 1 < (width)) pixels[(j) + i] = v[i];",
        "pool",
    ),
    # Normalisation
    Mutant(
        "norm: the tail counts twice",
        "tile_norm.h",
        "DO((n)-LANES, 3, NAME(iota)() >= (integer)(LANES - (n) + i));",
        "DO((n)-LANES, 3, ALL);",
        "norm",
    ),
    Mutant(
        "norm: the rounding of the mean stays",
        "tile_norm.h",
        "*m2 = squares - count * rest * rest;",
        "*m2 = squares;",
        "norm",
    ),
    Mutant(
        "norm: blocks weigh the same", "tile_norm.h", "share = (double)m / (double)(seen + m);", "share = 0.5;", "norm"
    ),
    Mutant(
        "norm: the head is one short",
        "tile_norm.h",
        "DO(0, 3, NAME(iota)() < (integer)i);",
        "DO(0, 3, NAME(iota)() < (integer)i - 1);",
        "norm",
    ),
    Mutant(
        "wide norm: a row in five is skipped",
        "tile_norm_wide.h",
        "for (; r + 4 <= (rows); r += 4)",
        "for (; r + 4 <= (rows); r += 5)",
        "batch_norm",
    ),
    Mutant(
        "row norm: eps is left out",
        "tile_norm_row.h",
        "scale = (real)(1 / sqrt(*var + eps));",
        "scale = (real)(1 / sqrt(*var));",
        "layer_norm",
    ),
    Mutant(
        "local norm: the last row is skipped",
        "tile_local.h",
        "for (ptrdiff_t r = 1; r < rows; r++)",
        "for (ptrdiff_t r = 1; r + 1 < rows; r++)",
        "local_response_norm",
    ),
    # Softmax, element-wise functions, losses
    Mutant(
        "softmax: the maximum without the tail",
        "tile_softmax.h",
        "most[1] = NAME(larger)(NAME(load_part)(x + i, n - i, -(real)INFINITY), most[1]);",
        ";",
        "softmax",
    ),
    Mutant(
        "softmax backward: no tail",
        "tile_softmax.h",
        "for (; i < n; i += LANES) {",
        "for (; i + LANES <= n; i += LANES) {",
        "softmax",
    ),
    Mutant(
        "map: the last element is left out",
        "tile_map.h",
        "NAME(load_part)(x + i, n - i, 0), a, b), n - i);",
        "NAME(load_part)(x + i, n - i, 0), a, b), n - i - 1);",
        "relu or tanh",
    ),
    Mutant("gelu: no limit at minus infinity", "tile_map.h", "WHERE(s > TAIL_MOST, ZERO, less)", "less", "gelu"),
    Mutant(
        "add: ReLU loses NaN", "tile_map.h", "WHERE(sum <= least, least, sum)", "WHERE(sum > least, sum, least)", "add"
    ),
    Mutant("exp: a wrong coefficient", "tile_math.h", "(real)(1.0 / 24.0)", "(real)(1.0 / 24.1)", "sigmoid or softmax"),
    Mutant("loss: no tail of one", "tile_loss.h", "if ((left = n - i) > 0) {", "if ((left = n - i) > 1) {", "loss"),
    Mutant(
        "cross entropy: lanes beyond the row count",
        "tile_loss.h",
        "NAME(load)(p), NAME(splat)(fill));",
        "NAME(load)(p), NAME(splat)(0));",
        "cross_entropy",
    ),
    Mutant(
        "cross entropy: the maximum without the tail",
        "tile_loss.h",
        "largest = NAME(larger)(NAME(row_end)(row + whole, n - whole, end, lowest), largest);",
        ";",
        "cross_entropy",
    ),
    Mutant(
        "softmax of short rows: every lane has the first row",
        "tile_softmax.h",
        "NAME(planes_in)(room, x + r * n, some, n);",
        "NAME(planes_in)(room, x, some, n);",
        "softmax",
    ),
    Mutant(
        "max pool backward: the fourth plane gets the third's gradient",
        "_pool_backward.pyx",
        "+= dy[3 * outputs + ow]",
        "+= dy[2 * outputs + ow]",
        "max_pool2d",
    ),
    Mutant(
        "frame: the last row below is left",
        "_im2col.pyx",
        "memset(y, 0, end - y)",
        "memset(y, 0, max(end - y - g.OW * size, <Py_ssize_t> 0))",
        "pad",
    ),
    # Optimisers, dropout
    Mutant(
        "sgd: no dampening",
        "tile_optim.h",
        "v[i] = momentum * v[i] + fresh * g;",
        "v[i] = momentum * v[i] + g;",
        "sgd_step",
    ),
    Mutant(
        "adam: no step of the gradient's own", "tile_optim.h", "(of_m * m[i] + of_g * g)", "(of_m * m[i])", "nadam_step"
    ),
    Mutant(
        "norm of gradients: the last element is left out",
        "tile_optim.h",
        "for (int j = 0; i + j < n; j++) {",
        "for (int j = 0; i + j < n - 1; j++) {",
        "clip_grad_norm_",
    ),
    Mutant(
        "optimisers: the last chunk is skipped",
        "_optim.pyx",
        "self.chunks += ceil_div(n, CHUNK)",
        "self.chunks += max(n // CHUNK, <Py_ssize_t> 1)",
        "step",
    ),
    Mutant(
        "dropout: not scaled",
        "tile_drop.h",
        "? x[i] * scale : 0;",
        "? x[i] : 0;",
        "dropout",
    ),
    Mutant("dropout: bits behind the last", "philox.h", "j < 8 && i + j < n", "j < 8 && i < n", "dropout and kept"),
    # Winograd
    Mutant(
        "winograd: a pixel of six is forgotten",
        "tile_winograd.h",
        "WINO_SUM * d[3] + d[5];",
        "WINO_SUM * d[3];",
        "winograd",
    ),
    Mutant(
        "winograd: the tiles of a row from left to right",
        "_conv_winograd.pyx",
        "for c in range(p.cols - 1, -1, -1):",
        "for c in range(p.cols):",
        "winograd",
    ),
    Mutant("winograd: no bias", "tile_winograd.h", "vec value = y[j] + b;", "vec value = y[j];", "winograd"),
    Mutant(
        "winograd: half of the spoilt tiles are seen",
        "tile_winograd.h",
        "if (i == 0 || i == tile - 1)",
        "if (i == 0)",
        "nan",
        "test_winograd.py",
    ),
    Mutant(
        "winograd: taps are turned",
        "tile_winograd.h",
        "NAME(store)(room + (taps * i + j) * LANES, g[j]);",
        "NAME(store)(room + (taps * j + i) * LANES, g[j]);",
        "winograd",
    ),
    Mutant(
        "winograd: the fourth power of a point is another",
        "tile_winograd.h",
        "even_b += at_b * WINO_B2 * WINO_B2 * c[4];",
        "even_b += at_b * WINO_B2 * c[4];",
        "winograd-5x5",
    ),
    Mutant(
        "winograd: a row of tiles ends early",
        "tile_winograd.h",
        "for (ptrdiff_t j = 0; j < n * tile + taps - 1; j++) {",
        "for (ptrdiff_t j = 0; j < n * tile + taps - 2; j++) {",
        "winograd",
    ),
    Mutant(
        "winograd: windows do not overlap",
        "tile_winograd.h",
        "columns[6 * (t * tile + j) + i] += d[j];",
        "columns[6 * (t * tile + j) + i] = d[j];",
        "winograd-5x5",
    ),
    Mutant(
        "winograd: windows do not tell of NaN",
        "tile_winograd.h",
        "spoilt += 0 * (d[4] + d[5]); /* every",
        "/* every",
        "belong_5x5",
        "test_winograd.py",
    ),
    Mutant(
        "winograd: the sums of a chunk are not added",
        "_conv_winograd_weight.pyx",
        "for chunk in range(1, p.chunks):",
        "for chunk in range(2, p.chunks):",
        "winograd",
    ),
    Mutant(
        "winograd: a band of dy goes to the rows of the first",
        "_conv_winograd_input.pyx",
        "spread(p, dx + (row * p.tile * p.dx_line + c0) * size,",
        "spread(p, dx + c0 * size,",
        "winograd-5x5",
    ),
    # Matrix tiles, which a CPU without them emulates
    Mutant(
        "amx: the third part of a is left out",
        "amx.c",
        "LOAD_A(2);\n            LOAD_B(0);\n            ADD_PRODUCTS;",
        "LOAD_B(0);",
        *AMX,
    ),
    Mutant(
        "amx: the second parts are not multiplied", "amx.c", "LOAD_B(1);\n            ADD_PRODUCTS;", "LOAD_B(1);", *AMX
    ),
    Mutant("amx: pairs are not neighbours", "amx.c", "_mm512_set1_epi32(16)), 16)", "_mm512_set1_epi32(0)), 16)", *AMX),
    Mutant("amx: half transposed", "amx.c", "round < 4; round++", "round < 3; round++", *AMX),
    Mutant(
        "amx: the last row is not stored",
        "amx.c",
        "finish(sums[(blocks - 1) % 2], 0, rows,",
        "finish(sums[(blocks - 1) % 2], 0, rows - 1,",
        *AMX,
    ),
    Mutant(
        "amx: both halves of a block have 16 rows",
        "amx.c",
        "tile_store(2, &sums[block % 2][upper][0]",
        "tile_store(2, &sums[block % 2][16][0]",
        *AMX,
    ),
    Mutant(
        "amx: reads beyond the last step of k",
        "amx.c",
        "end = first_lanes(depth - 16);",
        "end = first_lanes(depth);",
        *AMX,
    ),
    Mutant("amx: sums begin anew", "amx.c", "if (flags & FNN_ACCUMULATE)", "if (0)", *AMX),
    Mutant("amx: every block has the first one's bias", "amx.c", "bias ? bias + before : NULL", "bias", *AMX),
    Mutant("amx: ReLU loses NaN", "amx.c", "_CMP_NLE_UQ", "_CMP_GT_OQ", *AMX),
    Mutant("amx: large numbers are not seen", "amx.c", "highest > *most ? highest : *most", "*most", *AMX),
    Mutant("amx: small numbers are not seen", "amx.c", "lowest < *least ? lowest : *least", "*least", *AMX),
)
