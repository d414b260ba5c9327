"""Convolution of small maps, many images at a time, and its input gradient.

A vector of pixels of one image is seldom full where maps are small, and windows at the border meet little but padding.
So images are laid side by side, and each output pixel is a matrix product of its own, over those taps alone that lie
inside the map. Here is the window of the first output of a 3 x 3 map under a 3 x 3 kernel with padding 1; four of its
nine taps are inside::

      .  .  .            taps  (1,1) (1,2) (2,1) (2,2)
      . [a  b] c         meet    a     b     d     e
      . [d  e] f
         g  h  i

Strides and dilation only change which pixel a tap meets. So does the input gradient: there an output pixel is one of
dx, and its taps are the windows that saw it.

The images lie as (C, pixels, images). Two ways to multiply serve, and both take the terms of a sum in one order,
(kh, kw, c), so that they have the same bits:

    images in lanes     tile: outputs x images      weights (kh, kw, c, outputs of a block), the left factor
    outputs in lanes    tile: images x outputs      weights (kh, kw, c, outputs of a panel), the right factor

The taps inside are a rectangle of a x b kernel elements. With images in lanes, its rows are the segments of the left
factor: the b*C weights of a row are neighbours, and a table for each b says where their pixels lie. With outputs in
lanes each tap is a segment. The taps that a pixel of dx meets at a stride are `tap_step` columns apart: weights are
packed with their columns sorted by kw % tap_step, and are neighbours again.
"""
from fastnn._kernels._conv_cost cimport images_in_lanes
from fastnn._kernels._table cimport allocate, parallel, release, threads
from fastnn._kernels.conv_gradients cimport Gradients
from fastnn._kernels.conv_output cimport Output
from fastnn._kernels.conv_shape cimport ConvShape
from fastnn._kernels.fnn cimport FNN_BIAS_OF_COLUMNS, ceil_div, fits, fnn_tiles, split_at

cdef enum:
    LAID_BYTES = 524288  # of images laid side by side: they stay in the second-level cache
    LINE = 64            # bytes of a cache line

# The taps of a window that lie inside the map, along one axis.
cdef struct Span:
    Py_ssize_t tap, count  # the first one, and how many
    Py_ssize_t pixel       # that the first one meets

cdef struct Axis:
    Py_ssize_t length, outputs       # of the map that is read, and of the one that is written
    Py_ssize_t taps, stride, padding, dilation
    Py_ssize_t tap_step, pixel_step  # from one tap inside to the next, and between the pixels that they meet
    Py_ssize_t most                  # taps inside, of any output
    Span *spans

cdef struct Batch:
    fnn_tiles *t
    Py_ssize_t N, G, C, O       # images, groups; channels of a group: those that are summed, those of the output
    const char *x               # (N, G*C, rows.length, columns.length)
    const char *w
    const char *bias
    char *y                     # (N, G*O, rows.outputs, columns.outputs)
    int flags
    Py_ssize_t w_out, w_in      # from a weight to that of the next output, and of the next channel
    Axis rows, columns
    bint gradient               # y is dx, and x is dy
    bint images_in_lanes
    Py_ssize_t images, batches  # together, and how many such batches there are
    Py_ssize_t height, blocks   # outputs of a block, and their blocks
    Py_ssize_t parts            # of the blocks, each a chunk of its own
    Py_ssize_t step             # elements from a channel of the images laid out to the next
    Py_ssize_t *tap_places      # of the elements of a kernel, among packed weights
    Py_ssize_t *in_places       # of the elements that are laid out
    Py_ssize_t *out_places      # of the results
    Py_ssize_t *starts          # of segments; where outputs are in lanes, for each number of columns inside
    Py_ssize_t *koff            # of terms, for each number of columns inside
    char *weights               # (G, blocks, kh, kw, c, height)
    Py_ssize_t block_size
    char *workspace             # for each thread: images laid out, results of a block
    Py_ssize_t laid_size, workspace_step  # elements, bytes


cdef void place_taps(Axis *axis, bint gradient) noexcept nogil:
    """Fill in the spans. Those of an input gradient begin at the lowest tap, which meets the highest pixel."""
    cdef Py_ssize_t at, k, pixel
    cdef Span *span
    cdef Py_ssize_t common = axis.dilation, rest = axis.stride
    axis.tap_step, axis.pixel_step, axis.most = 1, axis.dilation, 0
    if gradient:
        while rest:
            common, rest = rest, common % rest
        axis.tap_step = axis.stride // common  # the least number of taps that is a whole number of strides
        axis.pixel_step = -(axis.tap_step * axis.dilation // axis.stride)
    for at in range(axis.outputs):
        span = axis.spans + at
        span.tap = span.count = span.pixel = 0
        for k in range(axis.taps):
            if gradient:
                pixel = at + axis.padding - k * axis.dilation
                if pixel < 0 or pixel % axis.stride:
                    continue
                pixel //= axis.stride
            else:
                pixel = at * axis.stride - axis.padding + k * axis.dilation
            if 0 <= pixel < axis.length:
                if span.count == 0:
                    span.tap, span.pixel = k, pixel
                span.count += 1
        axis.most = max(axis.most, span.count)


cdef inline Py_ssize_t sorted_tap(const Axis *axis, Py_ssize_t k) noexcept nogil:
    """The place of a tap among those of its axis, sorted by k % tap_step."""
    cdef Py_ssize_t phase = k % axis.tap_step, longer = axis.taps % axis.tap_step
    return k // axis.tap_step + phase * (axis.taps // axis.tap_step) + min(phase, longer)


cdef void pack_block(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Batch *b = <const Batch *> job
    cdef Py_ssize_t size = b.t.itemsize, K = b.rows.taps * b.columns.taps, o0 = chunk % b.blocks * b.height, c
    cdef Py_ssize_t outputs = min(b.height, b.O - o0)
    cdef char *packed = b.weights + chunk * b.block_size * size
    cdef const char *w = b.w + (chunk // b.blocks * b.O * b.C * K + o0 * b.w_out) * size
    if b.w_out == 1:
        b.t.copy(packed, b.height, w, b.w_in, b.C, outputs)
        return
    if b.w_in == K:
        b.t.transpose(packed, b.tap_places, w, b.w_out, outputs, b.C * K)
        return
    for c in range(b.C):
        b.t.transpose(packed + c * b.height * size, b.tap_places, w + c * b.w_in * size, b.w_out, outputs, K)


cdef void batch_chunk(void *job, Py_ssize_t chunk, int slot) noexcept nogil:
    """One part of the outputs of one group of one batch."""
    cdef const Batch *b = <const Batch *> job
    cdef fnn_tiles *t = b.t
    cdef Py_ssize_t size = t.itemsize, part = chunk % b.parts, group = chunk // b.parts % b.G
    cdef Py_ssize_t n0 = chunk // b.parts // b.G * b.images, images = min(b.images, b.N - n0), block, o0, outputs, n
    cdef Py_ssize_t pixels = b.rows.length * b.columns.length, P = b.rows.outputs * b.columns.outputs
    cdef const char *x = b.x + (n0 * b.G + group) * b.C * pixels * size
    cdef char *laid = b.workspace + slot * b.workspace_step
    cdef char *results = laid + b.laid_size * size
    cdef char *y
    t.transpose(laid, b.in_places, x, b.G * b.C * pixels, images, b.C * pixels)
    for block in range(split_at(b.blocks, b.parts, part), split_at(b.blocks, b.parts, part + 1)):
        o0 = block * b.height
        outputs = min(b.height, b.O - o0)
        y = b.y + ((n0 * b.G + group) * b.O + o0) * P * size
        if b.images_in_lanes:
            multiply_images(b, laid, results, group, block, images)
            t.transpose(y, b.out_places, results, b.images, outputs * P, images)
        else:
            multiply_outputs(b, laid, results, group, block, images)
            for n in range(images):
                t.transpose(y + n * b.G * b.O * P * size, b.out_places, results + n * P * b.height * size, b.height, P,
                            outputs)


cdef void multiply_images(const Batch *b, const char *laid, char *results, Py_ssize_t group, Py_ssize_t block,
                          Py_ssize_t images) noexcept nogil:
    """results (outputs of a block, P, images)"""
    cdef fnn_tiles *t = b.t
    cdef Py_ssize_t size = t.itemsize, o0 = group * b.O + block * b.height
    cdef Py_ssize_t outputs = min(b.height, b.O - block * b.height)
    cdef Py_ssize_t P = b.rows.outputs * b.columns.outputs, kernel_row = b.columns.taps * b.C * b.height, i, j, count
    cdef const char *weights = b.weights + (group * b.blocks + block) * b.block_size * size
    cdef const char *bias = b.bias + o0 * size if b.bias != NULL else NULL
    cdef const Span *row
    cdef const Span *column
    for i in range(b.rows.outputs):
        row = b.rows.spans + i
        for j in range(b.columns.outputs):
            column = b.columns.spans + j
            count = column.count
            t.panel(outputs, images, row.count if count else 0, count * b.C,
                    weights + (row.tap * kernel_row + sorted_tap(&b.columns, column.tap) * b.C * b.height) * size,
                    b.starts, 1, b.height, laid + (row.pixel * b.columns.length + column.pixel) * b.images * size,
                    b.koff + b.rows.most * b.C * (count * (count - 1) // 2),
                    results + (i * b.columns.outputs + j) * b.images * size, P * b.images, bias, b.flags, NULL)


cdef void multiply_outputs(const Batch *b, const char *laid, char *results, Py_ssize_t group, Py_ssize_t block,
                           Py_ssize_t images) noexcept nogil:
    """results (images, P, outputs of a block)"""
    cdef fnn_tiles *t = b.t
    cdef Py_ssize_t size = t.itemsize, o0 = group * b.O + block * b.height
    cdef Py_ssize_t outputs = min(b.height, b.O - block * b.height)
    cdef Py_ssize_t P = b.rows.outputs * b.columns.outputs, i, j, count, first
    cdef const char *weights = b.weights + (group * b.blocks + block) * b.block_size * size
    cdef const char *bias = b.bias + o0 * size if b.bias != NULL else NULL
    cdef const Span *row
    cdef const Span *column
    for i in range(b.rows.outputs):
        row = b.rows.spans + i
        for j in range(b.columns.outputs):
            column = b.columns.spans + j
            count = column.count
            first = b.rows.most * (count * (count - 1) // 2)
            t.panel(images, outputs, row.count * count, b.C,
                    laid + (row.pixel * b.columns.length + column.pixel) * b.images * size, b.starts + first, 1, b.step,
                    weights + (row.tap * b.columns.taps + sorted_tap(&b.columns, column.tap)) * b.C * b.height * size,
                    b.koff + first * b.C, results + (i * b.columns.outputs + j) * b.height * size, P * b.height, bias,
                    b.flags | FNN_BIAS_OF_COLUMNS, NULL)


cdef void fill_tables(const Batch *b) noexcept nogil:
    cdef Py_ssize_t K = b.rows.taps * b.columns.taps, pixels = b.rows.length * b.columns.length, i, j, c, k, at, count
    cdef Py_ssize_t kernel_row = b.columns.taps * b.C * b.height, channels = b.C if b.w_in == K else 1
    cdef Py_ssize_t *koff = b.koff
    cdef Py_ssize_t tap, there
    for c in range(channels):
        for k in range(K):
            tap = k // b.columns.taps * b.columns.taps + sorted_tap(&b.columns, k % b.columns.taps)
            b.tap_places[c * K + k] = (tap * b.C + c) * b.height
    for c in range(b.C):
        for i in range(pixels):
            b.in_places[c * pixels + i] = c * b.step + i * b.images
    for i in range(b.images if b.images_in_lanes else b.height):
        b.out_places[i] = i * rows_of_y(b)
    if b.images_in_lanes:
        for i in range(b.rows.most):
            b.starts[i] = i * b.rows.tap_step * kernel_row
    at = 0
    for count in range(1, b.columns.most + 1):
        for i in range(b.rows.most):
            for j in range(count):
                there = (i * b.rows.pixel_step * b.columns.length + j * b.columns.pixel_step) * b.images
                tap = i * b.rows.tap_step * kernel_row + j * b.C * b.height
                if not b.images_in_lanes:
                    b.starts[at] = there
                for c in range(b.C):
                    koff[c] = there + c * b.step if b.images_in_lanes else tap + c * b.height
                koff += b.C
                at += 1


cdef inline Py_ssize_t rows_of_y(const Batch *b) noexcept nogil:
    """Elements of y from one vector of results to the next: from image to image, or from output to output."""
    cdef Py_ssize_t P = b.rows.outputs * b.columns.outputs
    return b.G * b.O * P if b.images_in_lanes else P


cdef void lay_out(Batch *b, int workers) noexcept nogil:
    """Blocks, batches and the sizes of what they need. No cut goes through a sum."""
    cdef fnn_tiles *t = b.t
    cdef Py_ssize_t pixels = b.rows.length * b.columns.length, P = b.rows.outputs * b.columns.outputs
    b.step = pixels | 1  # odd, so that channels use all sets of the cache
    if b.images_in_lanes:
        b.images = t.nr if b.N > t.lanes and b.C * b.step * t.nr * t.itemsize <= LAID_BYTES else t.lanes
        b.height = ceil_div(b.O, ceil_div(b.O, t.mr))
    else:
        b.images = ceil_div(b.N, ceil_div(b.N, t.mr))
        b.height = t.nr if b.O > t.lanes else t.lanes
    b.step *= b.images
    b.laid_size = b.C * b.step
    b.blocks = ceil_div(b.O, b.height)
    b.batches = ceil_div(b.N, b.images)
    b.parts = 1
    if workers > 1 and b.batches * b.G < 4 * workers:
        b.parts = min(b.blocks, <Py_ssize_t> workers)
    b.block_size = b.rows.taps * b.columns.taps * b.C * b.height
    b.workspace_step = ceil_div((b.laid_size + b.height * P * b.images) * t.itemsize, LINE) * LINE


cdef bint run(Batch *b) noexcept nogil:
    cdef Py_ssize_t K = b.rows.taps * b.columns.taps, pixels = b.rows.length * b.columns.length, tables, size, terms
    cdef Py_ssize_t P = b.rows.outputs * b.columns.outputs, spans = b.rows.outputs + b.columns.outputs
    cdef int workers = threads()
    lay_out(b, workers)
    size = b.t.itemsize
    terms = b.rows.taps * (b.columns.taps * (b.columns.taps + 1) // 2)
    tables = b.C * K + b.C * pixels + max(b.images, b.height) + terms * (b.C + 1)
    if not fits(<double> b.G * b.blocks * b.block_size * size + workers * b.workspace_step + 8.0 * tables):
        return False
    b.tap_places = <Py_ssize_t *> allocate(tables * sizeof(Py_ssize_t) + spans * sizeof(Span))
    b.weights = <char *> allocate(b.G * b.blocks * b.block_size * size)
    b.workspace = <char *> allocate(workers * b.workspace_step)
    cdef bint enough = b.tap_places != NULL and b.weights != NULL and b.workspace != NULL
    if enough:
        b.in_places = b.tap_places + b.C * K
        b.out_places = b.in_places + b.C * pixels
        b.starts = b.out_places + max(b.images, b.height)
        b.koff = b.starts + terms
        b.rows.spans = <Span *> (b.koff + terms * b.C)
        b.columns.spans = b.rows.spans + b.rows.outputs
        place_taps(&b.rows, b.gradient)
        place_taps(&b.columns, b.gradient)
        fill_tables(b)
        parallel(pack_block, b, b.G * b.blocks, workers, <double> b.G * b.blocks * b.block_size)
        parallel(batch_chunk, b, b.batches * b.G * b.parts, workers, <double> b.N * b.G * b.O * P * b.C * K / 16)
    release(b.tap_places)
    release(b.weights)
    release(b.workspace)
    return enough


cdef void describe_axes(Batch *b, const ConvShape *s) noexcept nogil:
    b.N, b.G, b.C, b.O = s.N, s.G, s.C, s.O
    b.rows.length, b.rows.outputs, b.columns.length, b.columns.outputs = s.H, s.OH, s.W, s.OW
    b.rows.taps, b.rows.stride, b.rows.padding, b.rows.dilation = s.KH, s.SH, s.PH, s.DH
    b.columns.taps, b.columns.stride, b.columns.padding, b.columns.dilation = s.KW, s.SW, s.PW, s.DW


cdef bint batch_forward(const Output *g) noexcept nogil:
    cdef Batch b
    cdef const ConvShape *s = &g.shape
    b.t, b.x, b.w, b.bias, b.y, b.flags, b.gradient = g.t, g.x, g.w, g.bias, g.y, g.flags, False
    describe_axes(&b, s)
    b.w_out, b.w_in = s.C * s.KH * s.KW, s.KH * s.KW
    b.images_in_lanes = images_in_lanes(g.t, s, False)
    return run(&b)


cdef bint batch_input(const Gradients *a) noexcept nogil:
    cdef Batch b
    cdef const ConvShape *s = &a.shape
    b.t, b.x, b.w, b.bias, b.y, b.flags, b.gradient = a.t, a.dy, a.w, a.bias, a.dx, a.flags, True
    describe_axes(&b, s)
    b.C, b.O, b.rows.length, b.rows.outputs = s.O, s.C, s.OH, s.H
    b.columns.length, b.columns.outputs = s.OW, s.W
    b.w_out, b.w_in = s.KH * s.KW, s.C * s.KH * s.KW
    b.images_in_lanes = images_in_lanes(a.t, s, True)
    return run(&b)
