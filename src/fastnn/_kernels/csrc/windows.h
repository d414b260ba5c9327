/* Which pixels a window of a pool, a depthwise convolution or a tile of Winograd's sees. */
#ifndef FNN_WINDOWS_H
#define FNN_WINDOWS_H

#include <stddef.h>
#include <stdint.h>

/* One window of a pool, along one axis of the image. `start` is its first pixel inside the image, `count` says how many
 * of its pixels are inside, and `skipped` how many lie before the image. An average divides by the `divisor` of the row
 * times that of the column. For KH = 3 at stride 2 with padding 1, over H = 4:
 *
 *      row            -1  0  1  2  3      start  count  skipped
 *      window 0       [------]              0      2       1
 *      window 1             [------]        1      3       0     */
typedef struct fnn_span {
    ptrdiff_t start, count, skipped, divisor;
} fnn_span;
typedef struct fnn_windows {
    ptrdiff_t H, W, OH, OW, KW, DH, DW; /* position i*KW + c of a window is pixel (i*DH, c*DW) of it */
    const fnn_span *rows, *columns;     /* OH and OW of them */
} fnn_windows;

/* The windows of a depthwise convolution, over rows of `pitch` pixels with their padding: window j begins at pixel
 * j*stride. Pixels from `left` on, before `right`, are columns of the image. Pixel p of the rows of a band goes to
 * places[p], or to -1 if no window sees it. */
typedef struct fnn_depthwise {
    fnn_windows w; /* its columns are not in use */
    ptrdiff_t taps, stride, pitch, left, right;
    const int32_t *places;
} fnn_depthwise;

/* A depthwise convolution of one plane, by K x K at one stride both ways: K is 1, 3 or 5, the stride 1 or 2, and for K =
 * 1 it is 1 without padding. 0 <= PH, PW < K. `zeros` are as many as a row of either map has. */
enum { FNN_PLANE_ROWS = 4 }; /* output rows of a tile */
typedef struct fnn_plane {
    ptrdiff_t H, W, OH, OW, K, stride, PH, PW;
    const void *zeros;
} fnn_plane;

/* Tiles of a row, whose pixels and values are vectors of images. */
enum { FNN_SIDE_TILES = 4 };
typedef struct fnn_side {
    int taps;                  /* of the kernel, each way: 3 or 5 */
    ptrdiff_t ins, tiles;      /* tiles <= FNN_SIDE_TILES; a value of a tile and that of the next are neighbours */
    ptrdiff_t plane, row_step; /* from the pixels of an output to those of the next, and from row to row */
    ptrdiff_t step, in_step;   /* from a value to the next of the 36, and from those of an input to those of the next */
} fnn_side;

#endif
