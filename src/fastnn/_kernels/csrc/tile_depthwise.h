/* Depthwise convolution of up to LANES planes at once, one in each lane (see tile_pool_lanes.h); contracts in fnn.h.
 *
 * The forward lays rows out with their padding, so that all windows have whole rows. A tile of up to 8 neighbouring
 * outputs multiplies a vector of weights by a pixel for each output. Here are 3 outputs of windows of 5 columns:
 *
 *      padded row             0  0  a  b  c  d  e  f  0  0
 *      column 0 of windows    0  0  a                          y0 += w0*0   y1 += w0*0   y2 += w0*a
 *      column 1                  0  a  b                       y0 += w1*0   y1 += w1*a   y2 += w1*b
 *      column 2                     a  b  c                    y0 += w2*a   y1 += w2*b   y2 += w2*c     */

#define TILE 8    /* outputs side by side: as many sums as hide the latency of a multiply-add */
#define AHEAD 128 /* elements of a plane that are prefetched */

/* Pixels of the rows of a band: pixel p goes to pixels[places[p]]. */
INLINE void NAME(planes_placed)(vec *pixels, const int32_t *places, const real *x, ptrdiff_t step, ptrdiff_t planes,
                                ptrdiff_t n) {
    vec v[LANES];
#define BLOCK(j, width)                                                                                            \
    {                                                                                                              \
        if (planes == LANES && (width) == LANES) {                                                                 \
            UNROLL for (int i = 0; i < LANES; i++) {                                                               \
                v[i] = NAME(load)(x + i * step + (j));                                                             \
                __builtin_prefetch(x + i * step + (j) + AHEAD, 0, 2);                                              \
            }                                                                                                      \
        } else {                                                                                                   \
            UNROLL for (int i = 0; i < LANES; i++)                                                                 \
                v[i] = i < planes ? NAME(load_part)(x + i * step + (j), width, 0) : NAME(splat)(0);                \
        }                                                                                                          \
        NAME(transpose_block)(v);                                                                                  \
        UNROLL for (int i = 0; i < LANES; i++) if (i < (width)) pixels[places[(j) + i]] = v[i];                    \
    }
    EACH_PIXELS(n, BLOCK);
#undef BLOCK
}

/* The products of column c of the windows */
#define COLUMN(c, DW)                                                                                              \
    {                                                                                                              \
        vec factor = factors[c];                                                                                   \
        IN_REGISTER(factor);                                                                                       \
        UNROLL for (int o = 0; o < outputs; o++) acc[o] += factor * line[o * stride + (c) * (DW)];                 \
    }

/* `outputs` neighbours of each of the rows of a band, whose first windows begin at column `pixels`. KW is 0 for windows
 * of any width and dilation. */
INLINE void NAME(depthwise_tile)(const int outputs, const ptrdiff_t KW, const ptrdiff_t stride, const fnn_depthwise *d,
                                 const fnn_span *row, ptrdiff_t rows, ptrdiff_t top, const vec *pixels,
                                 const vec *kernel, vec start, vec *out, int flags) {
    const fnn_windows *w = &d->w;
    for (const fnn_span *last = row + rows; row < last; row++, out += w->OW) {
        const vec *line = pixels + (row->start - top) * d->pitch, *factors = kernel + row->skipped * w->KW;
        vec acc[TILE];
        UNROLL
        for (int o = 0; o < outputs; o++)
            acc[o] = start;
        for (ptrdiff_t i = 0; i < row->count; i++, line += w->DH * d->pitch, factors += w->KW) {
            if (KW == 0) {
                for (ptrdiff_t c = 0; c < w->KW; c++)
                    COLUMN(c, w->DW)
            } else {
                UNROLL
                for (ptrdiff_t c = 0; c < KW; c++)
                    COLUMN(c, 1)
            }
        }
        UNROLL
        for (int o = 0; o < outputs; o++)
            out[o] = flags & FNN_RELU ? NAME(positive)(acc[o]) : acc[o];
    }
}

/* With a width that the compiler knows, windows that overlap share the loads of their pixels. */
#define TILE_OF(KW, stride)                                                                                        \
    NAME(depthwise_tile)(outputs, KW, stride, d, row, rows, top, pixels, kernel, start, out, flags)
INLINE void NAME(depthwise_columns)(const int outputs, const fnn_depthwise *d, const fnn_span *row, ptrdiff_t rows,
                                    ptrdiff_t top, const vec *pixels, const vec *kernel, vec start, vec *out,
                                    int flags) {
    const ptrdiff_t KW = d->w.DW == 1 ? d->w.KW : 0;
    if (d->stride == 1 && KW == 3)
        TILE_OF(3, 1);
    else if (d->stride == 1 && KW == 5)
        TILE_OF(5, 1);
    else if (d->stride == 1 && KW == 7)
        TILE_OF(7, 1);
    else if (d->stride == 2 && KW == 3)
        TILE_OF(3, 2);
    else if (d->stride == 2 && KW == 5)
        TILE_OF(5, 2);
    else
        TILE_OF(0, d->stride);
}
#define COLUMNS(outputs)                                                                                           \
    case outputs:                                                                                                  \
        NAME(depthwise_columns)(outputs, d, row, rows, top, from, kernel, start, to, flags);                       \
        break;

static void NAME(depthwise_lanes)(const fnn_depthwise *d, ptrdiff_t first, ptrdiff_t rows, const void *x,
                                  const void *weight, const void *bias, void *y, ptrdiff_t planes, int flags,
                                  void *room) {
    const fnn_windows *w = &d->w;
    const fnn_span *row = w->rows + first;
    const ptrdiff_t tiles = (w->OW + TILE - 1) / TILE;
    const vec start = bias ? NAME(load_part)(bias, planes, 0) : NAME(splat)(0);
    vec *kernel = room, *pixels = kernel + d->taps + 1, *out; /* one vector for the pixels that no window sees */
    ptrdiff_t top = w->H, end = 0, j = 0;
    for (ptrdiff_t r = 0; r < rows; r++) {
        if (row[r].count <= 0)
            continue;
        const ptrdiff_t below = row[r].start + (row[r].count - 1) * w->DH + 1;
        top = row[r].start < top ? row[r].start : top;
        end = below > end ? below : end;
    }
    top = top < end ? top : end;
    out = pixels + (end - top) * d->pitch;
    NAME(planes_in)(kernel, weight, planes, d->taps);
    for (ptrdiff_t r = 0; r < end - top; r++) {
        vec *line = pixels + r * d->pitch;
        for (ptrdiff_t c = 0; c < d->left; c++)
            line[c] = NAME(splat)(0);
        for (ptrdiff_t c = d->right; c < d->pitch; c++)
            line[c] = NAME(splat)(0);
    }
    NAME(planes_placed)(pixels, d->places, (const real *)x + top * w->W, w->H * w->W, planes, (end - top) * w->W);
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        const ptrdiff_t next = (tile + 1) * w->OW / tiles;
        const vec *from = pixels + j * d->stride;
        vec *to = out + j;
        switch (next - j) {
            COLUMNS(1) COLUMNS(2) COLUMNS(3) COLUMNS(4) COLUMNS(5) COLUMNS(6) COLUMNS(7) COLUMNS(8)
        }
        j = next;
    }
    NAME(planes_out)((real *)y + first * w->OW, w->OH * w->OW, out, planes, rows * w->OW);
}
#undef TILE
#undef TILE_OF
#undef COLUMNS
#undef COLUMN
#undef AHEAD

static void NAME(depthwise_lanes_backward)(const fnn_windows *w, const void *dy, const void *x, const void *weight,
                                           ptrdiff_t taps, void *dx, void *sums, ptrdiff_t planes, void *room) {
    vec *pixels = room, *gradients = pixels + w->H * w->W, *kernel = gradients + w->OH * w->OW;
    NAME(planes_in)(gradients, dy, planes, w->OH * w->OW);
    if (sums) {
        real *of_weight = sums;
        vec total = {0};
        NAME(planes_in)(pixels, x, planes, w->H * w->W);
        memset(kernel, 0, (size_t)taps * sizeof(vec));
        EACH_WINDOW(w, {
            const vec given = gradients[o];
            const vec *top = pixels + corner;
            vec *sum = kernel + row->skipped * w->KW + column->skipped;
            total += given;
            for (ptrdiff_t i = 0; i < kh; i++, top += w->DH * w->W, sum += w->KW)
                for (ptrdiff_t c = 0; c < kw; c++)
                    sum[c] += given * top[c * w->DW];
        });
        for (ptrdiff_t k = 0; k < taps; k++)
            NAME(store)(of_weight + k * LANES, NAME(load)(of_weight + k * LANES) + kernel[k]);
        NAME(store)(of_weight + taps * LANES, NAME(load)(of_weight + taps * LANES) + total);
    }
    if (dx) {
        NAME(planes_in)(kernel, weight, planes, taps);
        memset(pixels, 0, (size_t)(w->H * w->W) * sizeof(vec));
        EACH_WINDOW(w, {
            const vec given = gradients[o];
            const vec *factor = kernel + row->skipped * w->KW + column->skipped;
            vec *top = pixels + corner;
            for (ptrdiff_t i = 0; i < kh; i++, top += w->DH * w->W, factor += w->KW)
                for (ptrdiff_t c = 0; c < kw; c++)
                    top[c * w->DW] += given * factor[c];
        });
        NAME(planes_out)(dx, w->H * w->W, pixels, planes, w->H * w->W);
    }
}
#undef EACH_PIXELS
#undef EACH_WINDOW
