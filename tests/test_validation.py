"""Bad input: one clear error that names the argument, what came, and what was expected.

Every row is refused in the same words by `functional` and by `reference`.
"""

import re

import numpy as np
import pytest

import fastnn as fnn


def f32(*shape):
    return np.ones(shape, np.float32)


X, W, B = f32(2, 3, 6, 7), f32(4, 3, 3, 2), f32(4)
DY = f32(2, 4, 4, 6)
SCORES, LABELS = f32(3, 5), np.array([0, 4, 2])
PROBABILITIES = np.full((3, 5), 0.2, np.float32)
POSITIONS = np.zeros((2, 3, 3, 3), np.uint8)
INDICES = np.zeros((1, 1, 1, 1), np.int64)
READ_ONLY = f32(4)
READ_ONLY.flags.writeable = False

OF_INPUT = ["leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "hardtanh", "hardswish", "relu6"]

# function, arguments, keywords, error, the argument named, what came
ROWS = [
    # dtypes
    ("conv2d", (X.astype(np.int64), W), {}, TypeError, "x", "int64"),
    ("conv2d", (X.astype(np.float16), W), {}, TypeError, "x", "float16"),
    ("conv2d", (X.astype(complex), W), {}, TypeError, "x", "complex128"),
    ("conv2d", (X.astype(bool), W), {}, TypeError, "x", "bool"),
    ("conv2d", (X.astype(object), W), {}, TypeError, "x", "object"),
    ("conv2d", (X.astype(">f4"), W), {}, TypeError, "x", ">f4"),
    ("conv2d", (X.tolist(), W), {}, TypeError, "x", "list"),
    ("conv2d", (None, W), {}, TypeError, "x", "NoneType"),
    ("conv2d", (np.ma.masked_array(X), W), {}, TypeError, "x", "MaskedArray"),
    ("conv2d", (X, W.astype(np.float64)), {}, TypeError, "weight", "float64"),
    ("conv2d", (X, W, B.astype(np.float64)), {}, TypeError, "bias", "float64"),
    ("conv2d_backward", (DY.astype(np.float64), X, W), {}, TypeError, "dy", "float64"),
    ("matmul", (f32(2, 3), np.ones((3, 2))), {}, TypeError, "b", "float64"),
    ("relu", (np.arange(3),), {}, TypeError, "x", "int64"),
    ("relu_backward", (f32(3), np.ones(3)), {}, TypeError, "dy", "float32"),
    ("max_pool2d", (X.astype(np.uint8), 2), {}, TypeError, "x", "uint8"),
    ("max_pool2d_backward", (f32(2, 3, 3, 3), POSITIONS.astype(int), (6, 7), 2), {}, TypeError, "positions", "int64"),
    ("max_pool2d_backward", (f32(2, 3, 3, 3), POSITIONS.tolist(), (6, 7), 2), {}, TypeError, "positions", "list"),
    # ranks and shapes
    ("conv2d", (X[0, 0], W), {}, ValueError, "x", "(6, 7)"),
    ("conv2d", (X, W[0]), {}, ValueError, "weight", "(3, 3, 2)"),
    ("conv2d", (X[:, :2], W), {}, ValueError, "weight", "(4, 3, 3, 2)"),
    ("conv2d", (X, W, f32(3)), {}, ValueError, "bias", "(3,)"),
    ("conv2d", (X, W, f32(4, 1)), {}, ValueError, "bias", "(4, 1)"),
    ("conv2d", (f32(2, 0, 6, 7), W), {}, ValueError, "x", "(2, 0, 6, 7)"),
    ("conv2d", (X, f32(0, 3, 3, 2)), {}, ValueError, "weight", "(0, 3, 3, 2)"),
    ("conv2d", (X, f32(4, 3, 7, 2)), {}, ValueError, "kernel_size", "(7, 2)"),
    ("conv2d", (X, f32(4, 3, 9, 2)), {"padding": 1}, ValueError, "kernel_size", "(9, 2)"),
    ("conv2d_backward", (DY[:, :, :3], X, W), {}, ValueError, "dy", "(2, 4, 3, 6)"),
    ("unfold", (X[0, 0], 2), {}, ValueError, "x", "(6, 7)"),
    ("unfold", (X, 8), {}, ValueError, "kernel_size", "(8, 8)"),
    ("unfold", (X, 4), {"dilation": 2}, ValueError, "kernel_size", "(4, 4)"),
    ("fold", (f32(2, 13, 30), (6, 7), 2), {}, ValueError, "x", "13"),
    ("fold", (f32(2, 12, 31), (6, 7), 2), {}, ValueError, "x", "31"),
    ("fold", (f32(30), (6, 7), 2), {}, ValueError, "x", "(30,)"),
    ("max_pool2d", (X[0, 0], 2), {}, ValueError, "x", "(6, 7)"),
    ("max_pool2d", (X, 8), {}, ValueError, "kernel_size", "(8, 8)"),
    ("avg_pool2d", (X, (2, 8)), {}, ValueError, "kernel_size", "(2, 8)"),
    ("max_pool2d_backward", (f32(2, 3, 3, 2), POSITIONS, (6, 7), 2), {}, ValueError, "dy", "(2, 3, 3, 2)"),
    ("max_pool2d_backward", (f32(2, 3, 3, 3), POSITIONS[:1], (6, 7), 2), {}, ValueError, "positions", "(1, 3, 3, 3)"),
    ("max_pool2d_backward", (f32(2, 3, 3, 3), POSITIONS + 4, (6, 7), 2), {}, ValueError, "positions", "4"),
    ("avg_pool2d_backward", (f32(2, 3, 3, 2), (6, 7), 2), {}, ValueError, "dy", "(2, 3, 3, 2)"),
    ("matmul", (f32(2, 3), f32(2, 3)), {}, ValueError, "b", "(2, 3)"),
    ("matmul", (f32(3), f32(3, 2)), {}, ValueError, "a", "(3,)"),
    ("matmul", (f32(3, 2), f32(2)), {}, ValueError, "b", "(2,)"),
    ("linear", (f32(2, 3), f32(4, 2)), {}, ValueError, "x", "(2, 3)"),
    ("linear", (f32(), f32(4, 2)), {}, ValueError, "x", "()"),
    ("linear", (f32(2, 3), f32(3)), {}, ValueError, "weight", "(3,)"),
    ("linear", (f32(2, 3), f32(4, 3), f32(1)), {}, ValueError, "bias", "(1,)"),
    ("linear_backward", (f32(2, 5), f32(2, 3), f32(4, 3)), {}, ValueError, "dy", "(2, 5)"),
    ("relu_backward", (f32(3), f32(4)), {}, ValueError, "dy", "(3,)"),
    ("softmax_backward", (f32(3, 1), f32(3, 4)), {}, ValueError, "dy", "(3, 1)"),
    # functions element by element
    *((op, (np.arange(3),), {}, TypeError, "x", "int64") for op in OF_INPUT),
    *((f"{op}_backward", (f32(3), f32(4)), {}, ValueError, "dy", "(3,)") for op in OF_INPUT),
    *((f"{op}_backward", (f32(3), np.ones(3)), {}, TypeError, "dy", "float32") for op in OF_INPUT),
    ("leaky_relu", (B, "0.1"), {}, TypeError, "negative_slope", "'0.1'"),
    ("leaky_relu_backward", (B, B, np.nan), {}, ValueError, "negative_slope", "nan"),
    ("elu", (B, None), {}, TypeError, "alpha", "None"),
    ("elu_backward", (B, B, np.inf), {}, ValueError, "alpha", "inf"),
    ("gelu", (B,), {"approximate": "erf"}, ValueError, "approximate", "'erf'"),
    ("gelu_backward", (B, B), {"approximate": None}, ValueError, "approximate", "None"),
    ("softplus", (B, 0.0), {}, ValueError, "beta", "0.0"),
    ("softplus", (B, 1.0, "high"), {}, TypeError, "threshold", "'high'"),
    ("softplus_backward", (B, B, np.nan), {}, ValueError, "beta", "nan"),
    ("hardtanh", (B, 1.0, 0.5), {}, ValueError, "min_val", "1.0"),
    ("hardtanh", (B, np.nan), {}, ValueError, "min_val", "nan"),
    ("hardtanh_backward", (B, B, 0.0, None), {}, TypeError, "max_val", "None"),
    ("prelu", (X, f32(2)), {}, ValueError, "weight", "(2,)"),
    ("prelu", (X, f32(1, 3)), {}, ValueError, "weight", "(1, 3)"),
    ("prelu", (X, f32(0)), {}, ValueError, "weight", "(0,)"),
    ("prelu", (B, f32(4)), {}, ValueError, "weight", "(4,)"),
    ("prelu", (X, np.ones(3)), {}, TypeError, "weight", "float64"),
    ("prelu_backward", (X[:1], X, f32(3)), {}, ValueError, "dy", "(1, 3, 6, 7)"),
    ("prelu_backward", (X, X, f32(3)), {"needs": ("db",)}, ValueError, "needs", "'db'"),
    # windows
    ("conv2d", (X, W), {"stride": 0}, ValueError, "stride", "0"),
    ("conv2d", (X, W), {"stride": -1}, ValueError, "stride", "-1"),
    ("conv2d", (X, W), {"stride": (1, 0)}, ValueError, "stride", "(1, 0)"),
    ("conv2d", (X, W), {"stride": (1, 1, 1)}, ValueError, "stride", "(1, 1, 1)"),
    ("conv2d", (X, W), {"stride": 1.5}, TypeError, "stride", "1.5"),
    ("conv2d", (X, W), {"stride": "2"}, TypeError, "stride", "'2'"),
    ("conv2d", (X, W), {"stride": None}, TypeError, "stride", "None"),
    ("conv2d", (X, W), {"padding": -1}, ValueError, "padding", "-1"),
    ("conv2d", (X, W), {"padding": "full"}, ValueError, "padding", "'full'"),
    ("conv2d", (X, W), {"padding": "same", "stride": (1, 2)}, ValueError, "padding", "(1, 2)"),
    ("conv2d", (X, W), {"dilation": 0}, ValueError, "dilation", "0"),
    ("conv2d", (X, W), {"dilation": (3, 1)}, ValueError, "kernel_size", "(3, 1)"),
    ("conv2d", (X, W), {"groups": 2}, ValueError, "groups", "2"),
    ("conv2d", (X, f32(6, 3, 3, 2)), {"groups": 3}, ValueError, "weight", "(6, 3, 3, 2)"),
    ("conv2d", (X, W), {"groups": 0}, ValueError, "groups", "0"),
    ("conv2d", (X, W), {"groups": 1.5}, TypeError, "groups", "1.5"),
    ("conv_transpose2d", (X[0, 0], W), {}, ValueError, "x", "(6, 7)"),
    ("conv_transpose2d", (X, W), {}, ValueError, "weight", "(4, 3, 3, 2)"),
    ("conv_transpose2d", (X, W[0]), {}, ValueError, "weight", "(3, 3, 2)"),
    ("conv_transpose2d", (X, f32(3, 0, 2, 2)), {}, ValueError, "weight", "(3, 0, 2, 2)"),
    ("conv_transpose2d", (X, f32(3, 4, 2, 2), f32(3)), {}, ValueError, "bias", "(3,)"),
    ("conv_transpose2d", (X, f32(3, 4, 2, 2)), {"groups": 2}, ValueError, "groups", "2"),
    ("conv_transpose2d", (X, f32(3, 4, 2, 2)), {"padding": 4}, ValueError, "padding", "4"),
    ("conv_transpose2d", (X, f32(3, 4, 2, 2)), {"output_padding": 1}, ValueError, "output_padding", "1"),
    ("conv_transpose2d", (X, f32(3, 4, 2, 2)), {"output_padding": -1}, ValueError, "output_padding", "-1"),
    ("conv_transpose2d_backward", (X, X, f32(3, 4, 2, 2)), {}, ValueError, "dy", "(2, 3, 6, 7)"),
    ("pixel_shuffle", (X, 2), {}, ValueError, "upscale_factor", "2"),
    ("pixel_shuffle", (X[0, 0], 1), {}, ValueError, "x", "(6, 7)"),
    ("pixel_unshuffle", (X, 2), {}, ValueError, "downscale_factor", "2"),
    ("pixel_unshuffle", (X, 0), {}, ValueError, "downscale_factor", "0"),
    ("pad", (X[0, 0, 0], 1), {}, ValueError, "x", "(7,)"),
    ("pad", (X[0, 0], 1), {"mode": "reflect"}, ValueError, "x", "(6, 7)"),
    ("pad", (X, (1, 2)), {"mode": "replicate"}, ValueError, "x", "(2, 3, 6, 7)"),
    ("pad", (X, (1, 2, 1)), {}, ValueError, "pad", "(1, 2, 1)"),
    ("pad", (X, ()), {}, ValueError, "pad", "()"),
    ("pad", (X, -4), {}, ValueError, "pad", "(-4, -4, -4, -4)"),
    ("pad", (X, (-8, 3)), {}, ValueError, "pad", "(-8, 3)"),
    ("pad", (X, (1,) * 6), {"mode": "circular"}, ValueError, "pad", "(1, 1, 1, 1, 1, 1)"),
    ("pad", (X, 1), {"value": "0"}, TypeError, "value", "'0'"),
    ("pad", (X, 1), {"value": 2.0, "mode": "reflect"}, ValueError, "value", "2.0"),
    ("pad", (X, 1.0), {}, TypeError, "pad", "1.0"),
    ("pad", (X, 1), {"mode": "edge"}, ValueError, "mode", "edge"),
    ("pad", (X, (0, 0, 6, 0)), {"mode": "reflect"}, ValueError, "pad", "(0, 0, 6, 0)"),
    ("pad", (X, (8, 0, 0, 0)), {"mode": "circular"}, ValueError, "pad", "(8, 0, 0, 0)"),
    ("pad_backward", (X, 4), {}, ValueError, "dy", "(2, 3, 6, 7)"),
    ("conv1d", (X, W), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("conv1d", (f32(2, 3, 0), f32(4, 3, 2)), {}, ValueError, "x", "(2, 3, 0)"),
    ("conv1d", (X[0], W), {}, ValueError, "weight", "(4, 3, 3, 2)"),
    ("conv1d", (X[0], f32(4, 6, 2)), {"stride": (1, 1)}, ValueError, "stride", "(1, 1)"),
    ("conv1d", (X[0], f32(4, 6, 8)), {}, ValueError, "kernel_size", "8"),
    ("conv1d", (X[0], f32(4, 6, 2), f32(3)), {}, ValueError, "bias", "(3,)"),
    ("conv1d", (X[0], f32(4, 6, 2)), {"padding": "same", "stride": 2}, ValueError, "padding", "(2,)"),
    ("conv1d_backward", (f32(3, 4, 7), X[0], f32(4, 6, 2)), {}, ValueError, "dy", "(3, 4, 7)"),
    ("conv2d", (X, W), {"activation": "gelu"}, ValueError, "activation", "gelu"),
    ("conv2d_backward", (DY, X, W), {"needs": ("dz",)}, ValueError, "needs", "dz"),
    ("conv2d_backward", (DY, X, W), {"needs": "dx"}, TypeError, "needs", "dx"),
    ("conv2d_backward", (DY, X, W), {"dilation": (1, 2)}, ValueError, "dy", "(2, 4, 4, 6)"),
    ("unfold", (X, 0), {}, ValueError, "kernel_size", "0"),
    ("max_pool2d", (X, 0), {}, ValueError, "kernel_size", "0"),
    ("max_pool2d", (X, 2.0), {}, TypeError, "kernel_size", "2.0"),
    ("max_pool2d", (X, 2), {"stride": 0}, ValueError, "stride", "0"),
    ("max_pool2d", (X, 3), {"padding": 2}, ValueError, "padding", "2"),
    ("max_pool2d", (X, 2), {"padding": -1}, ValueError, "padding", "-1"),
    ("max_pool2d", (X, 2), {"ceil_mode": 1}, TypeError, "ceil_mode", "1"),
    ("max_pool2d", (X, 2), {"dilation": 0}, ValueError, "dilation", "0"),
    ("max_pool2d", (X, 2), {"dilation": 1.0}, TypeError, "dilation", "1.0"),
    ("max_pool2d", (X, 3), {"dilation": 3}, ValueError, "kernel_size", "(3, 3) with dilation (3, 3)"),
    ("max_pool2d", (X, 3), {"padding": 2, "dilation": 2}, ValueError, "padding", "2"),
    ("max_pool2d", (f32(2, 3, 1, 7), (2, 1)), {"padding": (1, 0), "dilation": 2}, ValueError, "dilation", "(2, 2)"),
    ("avg_pool2d", (X, 2), {"count_include_pad": 1}, TypeError, "count_include_pad", "1"),
    ("avg_pool2d", (X, 2), {"divisor_override": 0}, ValueError, "divisor_override", "0"),
    ("avg_pool2d", (X, 2), {"divisor_override": 2**70}, ValueError, "divisor_override", "1180591620717411303424"),
    ("avg_pool2d", (X, 2), {"divisor_override": 2.0}, TypeError, "divisor_override", "2.0"),
    ("avg_pool2d_backward", (f32(2, 3, 3, 3), (6, 0), 2), {}, ValueError, "input_size", "(6, 0)"),
    ("max_pool1d", (X, 2), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("max_pool1d", (X[0].astype(int), 2), {}, TypeError, "x", "int64"),
    ("max_pool1d", (f32(2, 0, 6), 2), {}, ValueError, "x", "(2, 0, 6)"),
    ("max_pool1d", (X[0], (2, 2)), {}, TypeError, "kernel_size", "(2, 2)"),
    ("max_pool1d", (X[0], 8), {}, ValueError, "kernel_size", "8"),
    ("max_pool1d", (X[0], 4), {"dilation": 3}, ValueError, "kernel_size", "4 with dilation 3"),
    ("max_pool1d", (X[0], 3), {"padding": 2}, ValueError, "padding", "2"),
    ("max_pool1d_backward", (f32(3, 6, 3), np.full((3, 6, 3), 2, np.uint8), 7, 2), {}, ValueError, "positions", "2"),
    ("avg_pool1d", (X[0], 2), {"stride": 0}, ValueError, "stride", "0"),
    ("avg_pool1d", (X[0], 2), {"ceil_mode": None}, TypeError, "ceil_mode", "None"),
    ("avg_pool1d", (X[0], 2), {"count_include_pad": None}, TypeError, "count_include_pad", "None"),
    ("avg_pool1d_backward", (f32(3, 6, 3), 8, 2), {}, ValueError, "dy", "(3, 6, 3)"),
    # A place that fits the window but not the image would be written to outside of it.
    *(
        (
            "max_pool2d_backward",
            (f32(2, 3, *out), np.full((2, 3, *out), place, dtype), (5, 6), kernel),
            {"stride": 2, "padding": padding, "ceil_mode": ceil_mode},
            ValueError,
            "positions",
            "padding",
        )
        for kernel, out, place, padding, ceil_mode, dtype in (
            (3, (3, 3), 0, 1, False, np.uint8),
            (3, (3, 3), 8, 1, False, np.uint8),
            (3, (3, 4), 8, 1, True, np.uint8),
            (2, (3, 3), 3, 0, True, np.uint8),
            ((17, 18), (3, 4), 0, (8, 9), False, np.int32),
            ((17, 18), (3, 4), 305, (8, 9), False, np.int32),
        )
    ),
    (
        "max_pool2d_backward",
        (f32(2, 3, 3, 4), np.zeros((2, 3, 3, 4), np.uint8), (5, 6), 3),
        {"stride": 1, "padding": 1, "dilation": 2},
        ValueError,
        "positions",
        "padding",
    ),
    # planes of another size
    ("adaptive_avg_pool2d", (X[0, 0], 1), {}, ValueError, "x", "(6, 7)"),
    ("adaptive_avg_pool2d", (X, 0), {}, ValueError, "output_size", "(0, 0)"),
    ("adaptive_avg_pool2d", (X, (1, 2, 3)), {}, ValueError, "output_size", "(1, 2, 3)"),
    ("adaptive_avg_pool2d", (X, 1.5), {}, TypeError, "output_size", "1.5"),
    ("adaptive_avg_pool2d_backward", (f32(2, 3, 2, 2), (6, 0)), {}, ValueError, "input_size", "(6, 0)"),
    ("adaptive_max_pool2d", (X.astype(int), 1), {}, TypeError, "x", "int64"),
    ("adaptive_max_pool2d_backward", (X[:1, :1, :1, :1], INDICES + 42, (6, 7)), {}, ValueError, "indices", "42"),
    ("adaptive_max_pool2d_backward", (X[:1, :1, :1, :1], INDICES - 1, (6, 7)), {}, ValueError, "indices", "-1"),
    ("adaptive_max_pool2d_backward", (X[:1, :1, :1, :1], INDICES[0], (6, 7)), {}, ValueError, "indices", "(1, 1, 1)"),
    ("adaptive_max_pool2d_backward", (X, X, 6), {}, TypeError, "indices", "float32"),
    ("interpolate", (X[0, 0], 2), {}, ValueError, "x", "(6, 7)"),
    ("interpolate", (X[0], (2, 2)), {}, ValueError, "size", "(2, 2)"),
    ("interpolate", (X[0], None, (2, 2)), {}, ValueError, "scale_factor", "(2, 2)"),
    ("interpolate", (X[0], 2), {"mode": "bilinear"}, ValueError, "mode", "'bilinear' for (N, C, L)"),
    ("interpolate", (X, 2), {"mode": "linear"}, ValueError, "mode", "'linear' for (N, C, H, W)"),
    ("interpolate", (X, 2), {"mode": "area", "align_corners": False}, ValueError, "align_corners", "False"),
    ("interpolate", (X, 2), {"mode": "bicubic", "antialias": True}, ValueError, "antialias", "True"),
    ("interpolate", (X, 2), {"recompute_scale_factor": True}, ValueError, "size", "2"),
    ("interpolate_backward", (X[0], 3, 5), {}, ValueError, "dy", "(3, 6, 7)"),
    ("adaptive_avg_pool1d", (X, 1), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("adaptive_avg_pool1d", (X[0], (1, 2)), {}, ValueError, "output_size", "(1, 2)"),
    ("adaptive_avg_pool1d", (X[0], 0), {}, ValueError, "output_size", "0"),
    ("adaptive_avg_pool1d_backward", (X[0], 0), {}, ValueError, "input_size", "0"),
    ("adaptive_max_pool1d", (X, 1), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("adaptive_max_pool1d_backward", (X[0, :1, :1], INDICES[0] + 7, 7), {}, ValueError, "indices", "(1, 1, 1)"),
    ("conv_transpose1d", (X, W), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("conv_transpose1d", (X[0], W), {}, ValueError, "weight", "(4, 3, 3, 2)"),
    ("conv_transpose1d", (X[0], f32(6, 4, 2)), {"padding": 7}, ValueError, "padding", "7"),
    ("conv_transpose1d_backward", (X[0], X[0], f32(6, 4, 2)), {}, ValueError, "dy", "(3, 6, 7)"),
    ("interpolate", (X,), {}, ValueError, "size", "neither"),
    ("interpolate", (X, 2, 2), {}, ValueError, "size", "2, and scale_factor 2"),
    ("interpolate", (X, 0), {}, ValueError, "size", "0"),
    ("interpolate", (X, None, 0), {}, ValueError, "scale_factor", "0"),
    ("interpolate", (X, None, 0.1), {}, ValueError, "scale_factor", "0.1"),
    ("interpolate", (X, None, 1e308), {}, ValueError, "scale_factor", "1e+308"),
    ("interpolate", (X, None, (1, 2, 3)), {}, ValueError, "scale_factor", "(1, 2, 3)"),
    ("interpolate", (X, None, "2"), {}, TypeError, "scale_factor", "'2'"),
    ("interpolate", (X, 2), {"mode": "cubic"}, ValueError, "mode", "cubic"),
    ("interpolate", (X, 2), {"align_corners": True}, ValueError, "align_corners", "True"),
    ("interpolate", (X, 2), {"mode": "bilinear", "align_corners": 1}, TypeError, "align_corners", "1"),
    ("interpolate_backward", (X, (3, 3), 6), {}, ValueError, "dy", "(2, 3, 6, 7)"),
    # tables
    ("embedding", (LABELS.astype(float), SCORES), {}, TypeError, "x", "float64"),
    ("embedding", ([0, 1], SCORES), {}, TypeError, "x", "list"),
    ("embedding", (np.array([[0, 3]]), SCORES), {}, ValueError, "x", "index 3 at place (0, 1)"),
    ("embedding", (np.array([-1]), SCORES), {}, ValueError, "x", "index -1"),
    ("embedding", (LABELS, f32(3)), {}, ValueError, "weight", "(3,)"),
    ("embedding", (LABELS, f32(0, 2)), {}, ValueError, "weight", "(0, 2)"),
    ("embedding", (np.array([0]), SCORES), {"padding_idx": 3}, ValueError, "padding_idx", "3"),
    ("embedding", (np.array([0]), SCORES), {"padding_idx": 0.5}, TypeError, "padding_idx", "0.5"),
    ("embedding_backward", (f32(2, 4), LABELS, 5), {}, ValueError, "dy", "(2, 4)"),
    ("embedding_backward", (f32(3, 4), LABELS, 4), {}, ValueError, "x", "index 4"),
    ("embedding_backward", (f32(3, 4), LABELS, 0), {}, ValueError, "num_embeddings", "0"),
    ("index_select", (SCORES, 0, np.array([[0]])), {}, ValueError, "index", "(1, 1)"),
    ("index_select", (SCORES, 0, np.array([0.0])), {}, TypeError, "index", "float64"),
    ("index_select", (SCORES, -1, np.array([0, len(SCORES[0])])), {}, ValueError, "index", "at place (1,)"),
    ("index_select", (SCORES, 2, LABELS), {}, ValueError, "dim", "2"),
    ("index_select", (np.array([None]), 0, LABELS), {}, TypeError, "x", "object"),
    # axes
    ("softmax", (SCORES,), {"dim": 2}, ValueError, "dim", "2"),
    ("log_softmax", (SCORES,), {"dim": -3}, ValueError, "dim", "-3"),
    ("softmax", (SCORES,), {"dim": 0.0}, TypeError, "dim", "0.0"),
    ("softmax", (f32(),), {}, ValueError, "x", "()"),
    ("flatten", (X, 4), {}, ValueError, "start_dim", "4"),
    ("flatten", (X, 1, 4), {}, ValueError, "end_dim", "4"),
    ("flatten", (X, 2, 1), {}, ValueError, "end_dim", "1"),
    ("unflatten", (X, 4, (2, 3)), {}, ValueError, "dim", "4"),
    ("unflatten", (X, 2, (2, 2)), {}, ValueError, "sizes", "(2, 2)"),
    ("unflatten", (X, 2, (4, -1)), {}, ValueError, "sizes", "(4, -1)"),
    ("unflatten", (X, 2, (-1, -1)), {}, ValueError, "sizes", "(-1, -1)"),
    ("unflatten", (X, 2, (-2, 3)), {}, ValueError, "sizes", "-2"),
    ("unflatten", (X, 2, 6), {}, TypeError, "sizes", "6"),
    ("unflatten", (X, 2, ()), {}, TypeError, "sizes", "()"),
    ("unflatten", (f32(), 0, (1,)), {}, ValueError, "x", "()"),
    # losses
    ("cross_entropy", (SCORES, np.array([0, 5, 1])), {}, ValueError, "target", "5"),
    ("cross_entropy", (SCORES, np.array([0, -1, 1])), {}, ValueError, "target", "-1"),
    ("cross_entropy", (SCORES, LABELS[:2]), {}, ValueError, "target", "(2,)"),
    ("cross_entropy", (SCORES, np.array([0.0, np.nan, 1.0])), {}, TypeError, "target", "NaN"),
    ("cross_entropy", (SCORES, LABELS.astype(np.float32)), {}, TypeError, "target", "float32"),
    ("cross_entropy", (SCORES, LABELS.tolist()), {}, TypeError, "target", "list"),
    ("cross_entropy", (SCORES, PROBABILITIES[:, :4]), {}, ValueError, "target", "(3, 4)"),
    ("cross_entropy", (SCORES, PROBABILITIES.astype(np.float64)), {}, TypeError, "target", "float64"),
    ("cross_entropy", (SCORES, PROBABILITIES * np.float32(np.nan)), {}, ValueError, "target", "NaN"),
    ("cross_entropy", (f32(3, 5, 2), LABELS), {}, ValueError, "target", "(3,)"),
    ("cross_entropy", (f32(5), LABELS[:1]), {}, ValueError, "target", "(5,)"),
    ("cross_entropy", (f32(3, 5, 2), np.full((3, 2), 5)), {}, ValueError, "target", "label 5 at place (0, 0)"),
    ("cross_entropy", (SCORES, LABELS), {"weight": f32(4)}, ValueError, "weight", "(4,)"),
    ("cross_entropy", (SCORES, LABELS), {"weight": np.ones(5)}, TypeError, "weight", "float64"),
    ("cross_entropy", (SCORES, LABELS), {"weight": [1.0] * 5}, TypeError, "weight", "list"),
    ("cross_entropy", (SCORES, LABELS), {"ignore_index": 0.5}, TypeError, "ignore_index", "0.5"),
    ("cross_entropy", (SCORES, PROBABILITIES), {"ignore_index": 1}, ValueError, "ignore_index", "1 with probabilities"),
    ("cross_entropy", (SCORES, LABELS), {"label_smoothing": 1.5}, ValueError, "label_smoothing", "1.5"),
    ("cross_entropy", (SCORES, LABELS), {"label_smoothing": -0.1}, ValueError, "label_smoothing", "-0.1"),
    ("cross_entropy", (SCORES, LABELS), {"label_smoothing": np.nan}, ValueError, "label_smoothing", "nan"),
    ("cross_entropy", (SCORES, LABELS), {"label_smoothing": "0.1"}, TypeError, "label_smoothing", "'0.1'"),
    ("cross_entropy", (f32(3, 0), LABELS), {}, ValueError, "x", "(3, 0)"),
    ("cross_entropy", (SCORES, LABELS), {"reduction": "avg"}, ValueError, "reduction", "avg"),
    ("cross_entropy_backward", (SCORES, np.array([0, 5, 1])), {}, ValueError, "target", "5"),
    ("cross_entropy_backward", (SCORES, LABELS), {"dloss": f32(3)}, ValueError, "dloss", "(3,)"),
    (
        "cross_entropy_backward",
        (SCORES, LABELS),
        {"dloss": f32(2), "reduction": "none"},
        ValueError,
        "dloss",
        "(2,)",
    ),
    ("cross_entropy", (SCORES, np.array([0, 300, 1], np.uint16)), {}, ValueError, "target", "300"),
    ("nll_loss", (SCORES, np.array([0, 5, 1])), {}, ValueError, "target", "5"),
    ("nll_loss", (SCORES, np.array([0, 5, 1])), {"reduction": "none"}, ValueError, "target", "5"),
    ("nll_loss", (SCORES, PROBABILITIES), {}, TypeError, "target", "float32"),
    ("nll_loss", (SCORES, np.array([0.0, np.nan, 1.0])), {}, TypeError, "target", "NaN"),
    ("nll_loss", (SCORES, LABELS), {"weight": f32(4)}, ValueError, "weight", "(4,)"),
    ("nll_loss_backward", (SCORES, np.array([0, -1, 1])), {}, ValueError, "target", "-1"),
    ("l1_loss", (X, X[:1]), {}, ValueError, "target", "(1, 3, 6, 7)"),
    ("smooth_l1_loss", (X, X), {"beta": -1.0}, ValueError, "beta", "-1.0"),
    ("smooth_l1_loss", (X, X), {"beta": None}, TypeError, "beta", "None"),
    ("huber_loss", (X, X), {"delta": 0.0}, ValueError, "delta", "0.0"),
    ("huber_loss_backward", (X, X), {"delta": np.inf}, ValueError, "delta", "inf"),
    ("binary_cross_entropy", (X * 2, X), {}, ValueError, "x", "2.0"),
    ("binary_cross_entropy", (X, X * 2), {}, ValueError, "target", "2.0"),
    ("binary_cross_entropy", (X, -X), {"reduction": "none"}, ValueError, "target", "-1.0"),
    ("binary_cross_entropy", (X * np.float32(np.nan), X), {}, ValueError, "x", "nan"),
    ("binary_cross_entropy", (X, X), {"weight": f32(2)}, ValueError, "weight", "(2,)"),
    ("binary_cross_entropy", (X, X), {"weight": f32(1, 2, 3, 6, 7)}, ValueError, "weight", "(1, 2, 3, 6, 7)"),
    ("binary_cross_entropy_with_logits", (X, X), {"pos_weight": f32(3)}, ValueError, "pos_weight", "(3,)"),
    ("binary_cross_entropy_with_logits", (X, X), {"pos_weight": np.ones(7)}, TypeError, "pos_weight", "float64"),
    ("kl_div", (X, X), {"reduction": "average"}, ValueError, "reduction", "average"),
    ("kl_div", (X, X), {"log_target": 1}, TypeError, "log_target", "1"),
    ("kl_div", (f32(), f32()), {"reduction": "batchmean"}, ValueError, "x", "()"),
    ("kl_div_backward", (X, X), {"dloss": X}, ValueError, "dloss", "(2, 3, 6, 7)"),
    ("mse_loss", (X.astype(int), X), {}, TypeError, "x", "int64"),
    ("mse_loss", (X, X.astype(np.float64)), {}, TypeError, "target", "float64"),
    ("mse_loss", (X, X[:1]), {}, ValueError, "target", "(1, 3, 6, 7)"),
    ("mse_loss", (X, LABELS), {}, TypeError, "target", "int64"),
    ("mse_loss", (X, X), {"reduction": "avg"}, ValueError, "reduction", "avg"),
    ("mse_loss_backward", (X, X), {"dloss": X}, ValueError, "dloss", "(2, 3, 6, 7)"),
    ("mse_loss_backward", (X, X), {"dloss": f32(2), "reduction": "none"}, ValueError, "dloss", "(2,)"),
    # normalisation
    ("batch_norm", (X.astype(np.float16),), {"training": True}, TypeError, "x", "float16"),
    ("batch_norm", (f32(5),), {"training": True}, ValueError, "x", "(5,)"),
    ("batch_norm", (f32(2, 0),), {"training": True}, ValueError, "x", "(2, 0)"),
    ("batch_norm", (f32(1, 3),), {"training": True}, ValueError, "x", "(1, 3), one value"),
    ("batch_norm", (f32(1, 3, 1, 1), f32(3), f32(3)), {"training": True}, ValueError, "x", "(1, 3, 1, 1), one value"),
    ("batch_norm", (X,), {}, ValueError, "running_mean", "None"),
    ("batch_norm", (X, f32(3)), {}, ValueError, "running_var", "None"),
    ("batch_norm", (X, None, f32(3)), {}, ValueError, "running_mean", "None"),
    ("batch_norm", (X, f32(4), f32(3)), {}, ValueError, "running_mean", "(4,)"),
    ("batch_norm", (X, f32(3), f32(1, 3)), {}, ValueError, "running_var", "(1, 3)"),
    ("batch_norm", (X, f32(3), np.ones(3)), {}, TypeError, "running_var", "float64"),
    ("batch_norm", (X, f32(3), f32(3), f32(2)), {}, ValueError, "weight", "(2,)"),
    ("batch_norm", (X, f32(3), f32(3), None, f32(2)), {}, ValueError, "bias", "(2,)"),
    ("batch_norm", (f32(2, 4), READ_ONLY, f32(4)), {"training": True}, ValueError, "running_mean", "read-only"),
    ("batch_norm", (f32(2, 4), f32(4), READ_ONLY), {"training": True}, ValueError, "running_var", "read-only"),
    ("batch_norm", (f32(2, 4), B, B), {"training": True}, ValueError, "running_mean", "twice"),
    ("batch_norm", (X,), {"training": True, "eps": -1e-5}, ValueError, "eps", "-1e-05"),
    ("batch_norm", (X,), {"training": True, "momentum": None}, TypeError, "momentum", "None"),
    ("batch_norm", (X,), {"training": True, "activation": "tanh"}, ValueError, "activation", "tanh"),
    ("batch_norm_backward", (X[:1], X, None, f32(3), f32(3)), {}, ValueError, "dy", "(1, 3, 6, 7)"),
    ("batch_norm_backward", (X, X, f32(2), f32(3), f32(3)), {}, ValueError, "weight", "(2,)"),
    ("batch_norm_backward", (X, X, None, f32(2), f32(3)), {}, ValueError, "mean", "(2,)"),
    ("batch_norm_backward", (X, X, None, f32(3), f32(3, 1)), {}, ValueError, "invstd", "(3, 1)"),
    ("batch_norm_backward", (X, X, None, f32(3), f32(3)), {"y": X[:1]}, ValueError, "y", "(1, 3, 6, 7)"),
    ("batch_norm_backward", (X, X, None, f32(3), f32(3)), {"needs": "dx"}, TypeError, "needs", "dx"),
    ("layer_norm", (X.astype(int), 7), {}, TypeError, "x", "int64"),
    ("layer_norm", (X, 6), {}, ValueError, "x", "(2, 3, 6, 7)"),
    ("layer_norm", (f32(7), (6, 7)), {}, ValueError, "x", "(7,)"),
    ("layer_norm", (X, ()), {}, ValueError, "normalized_shape", "()"),
    ("layer_norm", (X, 0), {}, ValueError, "normalized_shape", "0"),
    ("layer_norm", (X, (6, 7.0)), {}, TypeError, "normalized_shape", "7.0"),
    ("layer_norm", (X, (6, 7), f32(42)), {}, ValueError, "weight", "(42,)"),
    ("layer_norm", (X, 7, None, np.ones(7)), {}, TypeError, "bias", "float64"),
    ("layer_norm", (X, 7), {"eps": -1}, ValueError, "eps", "-1"),
    ("layer_norm_backward", (X, X, 7, None, f32(2, 3, 6), f32(2, 3)), {}, ValueError, "invstd", "(2, 3)"),
    ("layer_norm_backward", (X[:1], X, 7, None, f32(2, 3, 6), f32(2, 3, 6)), {}, ValueError, "dy", "(1, 3, 6, 7)"),
    ("group_norm", (X, 2), {}, ValueError, "num_groups", "2"),
    ("group_norm", (X, 0), {}, ValueError, "num_groups", "0"),
    ("group_norm", (f32(5), 1), {}, ValueError, "x", "(5,)"),
    ("group_norm", (f32(1, 3), 3), {}, ValueError, "x", "(1, 3), one value"),
    ("group_norm", (X, 3, f32(2)), {}, ValueError, "weight", "(2,)"),
    ("group_norm_backward", (X, X, 3, None, f32(2, 2), f32(2, 3)), {}, ValueError, "mean", "(2, 2)"),
    ("group_norm_backward", (X, X, 3, None, f32(2, 3), f32(2, 3)), {"needs": "dx"}, TypeError, "needs", "dx"),
    ("instance_norm", (f32(4, 3, 1),), {}, ValueError, "x", "(4, 3, 1), one value"),
    ("instance_norm", (X, f32(3)), {}, ValueError, "running_var", "None"),
    ("instance_norm", (f32(2, 4, 3), READ_ONLY, f32(4)), {}, ValueError, "running_mean", "read-only"),
    ("instance_norm", (X, None, None, f32(4)), {}, ValueError, "weight", "(4,)"),
    ("instance_norm_backward", (X, X, None, f32(3), f32(2, 3)), {}, ValueError, "mean", "(3,)"),
    ("local_response_norm", (f32(2, 3), 3), {}, ValueError, "x", "(2, 3)"),
    ("local_response_norm", (X, 0), {}, ValueError, "size", "0"),
    ("local_response_norm", (X, 2**70), {}, ValueError, "size", "1180591620717411303424"),
    ("local_response_norm", (X, 3), {"beta": "1"}, TypeError, "beta", "'1'"),
    ("local_response_norm_backward", (X[:1], X, 3), {}, ValueError, "dy", "(1, 3, 6, 7)"),
    # dropout
    ("dropout", (X.astype(int), 0.5), {"key": (0, 0)}, TypeError, "x", "int64"),
    ("dropout", (X, 1.1), {"key": (0, 0)}, ValueError, "p", "1.1"),
    ("dropout", (X, -0.1), {"key": (0, 0)}, ValueError, "p", "-0.1"),
    ("dropout", (X, None), {"key": (0, 0)}, TypeError, "p", "None"),
    ("dropout", (X, 0.5), {"key": 3}, TypeError, "key", "3"),
    ("dropout", (X, 0.5), {"key": (0, 1, 2)}, TypeError, "key", "(0, 1, 2)"),
    ("dropout", (X, 0.5), {"key": (0, -1)}, ValueError, "key", "-1"),
    ("dropout", (X, 0.5), {"key": (2**64, 0)}, ValueError, "key", "18446744073709551616"),
    ("dropout", (X, 0.5), {"key": (0, 0.5)}, TypeError, "key", "0.5"),
    ("dropout_backward", (X.astype(int), 0.5), {"key": (0, 0)}, TypeError, "dy", "int64"),
    ("dropout2d", (X[0], 0.5), {"key": (0, 0)}, ValueError, "x", "(3, 6, 7)"),
    ("dropout2d_backward", (X[0], 0.5), {"key": (0, 0)}, ValueError, "dy", "(3, 6, 7)"),
    # joined
    ("add", (f32(2, 3), f32(3)), {}, ValueError, "b", "(3,)"),
    ("add", (f32(3), np.ones(3)), {}, TypeError, "a and b", "float64"),
    ("add", (f32(3), f32(3)), {"activation": "tanh"}, ValueError, "activation", "tanh"),
    ("cat", (f32(2, 3),), {}, TypeError, "arrays", "ndarray"),
    ("cat", ([],), {}, ValueError, "arrays", "none"),
    ("cat", ([f32(2, 3), f32(3, 3)], 1), {}, ValueError, "arrays", "(3, 3)"),
    ("cat", ([f32(2, 3), f32(2)], 1), {}, ValueError, "arrays", "(2,)"),
    ("cat", ([f32(2, 3), np.ones((2, 3))], 1), {}, TypeError, "arrays", "float64"),
    ("cat", ([f32(2, 3)], 2), {}, ValueError, "dim", "2"),
    ("cat", ([f32()],), {}, ValueError, "arrays", "()"),
    # steps
    ("sgd_step", (READ_ONLY, f32(4), None), {"lr": 0.1}, ValueError, "p", "read-only"),
    ("sgd_step", ([1.0], [f32(1)]), {"lr": 0.1}, TypeError, "p[0]", "float"),
    ("sgd_step", (f32(4), f32(3), None), {"lr": 0.1}, ValueError, "g", "(3,)"),
    ("sgd_step", (f32(4), f32(4).astype(np.float64)), {"lr": 0.1}, TypeError, "p and g", "float64"),
    ("sgd_step", (f32(4), None), {"lr": 0.1}, TypeError, "g", "None"),
    ("sgd_step", (f32(4), [f32(4)]), {"lr": 0.1}, TypeError, "g", "list"),
    ("sgd_step", ([f32(4)], f32(4)), {"lr": 0.1}, TypeError, "g", "ndarray"),
    ("sgd_step", ([f32(4), f32(3)], [f32(4)]), {"lr": 0.1}, ValueError, "g", "1 arrays"),
    ("sgd_step", ([f32(4), f32(3)], [f32(4), f32(4)]), {"lr": 0.1}, ValueError, "g[1]", "(4,)"),
    ("sgd_step", (f32(4), f32(4), None), {"lr": -0.1}, ValueError, "lr", "-0.1"),
    ("sgd_step", (f32(4), f32(4), None), {"lr": np.nan}, ValueError, "lr", "nan"),
    ("sgd_step", (f32(4), f32(4), None), {"lr": "0.1"}, TypeError, "lr", "'0.1'"),
    ("sgd_step", (f32(4), f32(4), None), {"lr": 0.1, "momentum": 0.9}, ValueError, "momentum_buffer", "None"),
    ("sgd_step", (f32(4), f32(4), READ_ONLY), {"lr": 0.1, "momentum": 0.9}, ValueError, "momentum_buffer", "read-only"),
    ("sgd_step", (f32(4), f32(4), f32(5)), {"lr": 0.1, "momentum": 0.9}, ValueError, "momentum_buffer", "(5,)"),
    ("sgd_step", (f32(4), f32(4), f32(4)), {"lr": 0.1, "nesterov": True}, ValueError, "nesterov", "True"),
    (
        "sgd_step",
        (f32(4), f32(4), f32(4)),
        {"lr": 0.1, "momentum": 1, "dampening": 0.1, "nesterov": True},
        ValueError,
        "nesterov",
        "0.1",
    ),
    ("sgd_step", (f32(4), f32(4), f32(4)), {"lr": 0.1, "weight_decay": -1}, ValueError, "weight_decay", "-1"),
    ("sgd_step", (X, X), {"lr": 0.1}, ValueError, "p, g", "twice"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 0}, ValueError, "step", "0"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1.0}, TypeError, "step", "1.0"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(3)), {"step": 1}, ValueError, "exp_avg_sq", "(3,)"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4), READ_ONLY), {"step": 1}, ValueError, "max_exp_avg_sq", "read-only"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1, "betas": (0.9, 1)}, ValueError, "betas", "(0.9, 1)"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1, "betas": 0.9}, TypeError, "betas", "0.9"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1, "betas": (0.9,)}, ValueError, "betas", "(0.9,)"),
    ("adam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1, "eps": -1}, ValueError, "eps", "-1"),
    ("nadam_step", (f32(4), f32(4), f32(4), f32(4)), {"step": 1, "mu_product": -1}, ValueError, "mu_product", "-1"),
    (
        "nadam_step",
        (f32(4), f32(4), f32(4), f32(4)),
        {"step": 1, "mu_product": 1, "momentum_decay": -1},
        ValueError,
        "momentum_decay",
        "-1",
    ),
    ("rmsprop_step", (f32(4), f32(4), f32(4)), {"alpha": 1.5}, ValueError, "alpha", "1.5"),
    ("rmsprop_step", (f32(4), f32(4), f32(4)), {"momentum": 0.5}, ValueError, "momentum_buffer", "None"),
    ("adagrad_step", (f32(4), f32(4), f32(4)), {"step": 1, "lr_decay": -1}, ValueError, "lr_decay", "-1"),
    ("clip_grad_norm_", (f32(4), -1), {}, ValueError, "max_norm", "-1"),
    ("clip_grad_norm_", (f32(4), 1), {"norm_type": 0}, ValueError, "norm_type", "0"),
    ("clip_grad_norm_", ([f32(4), READ_ONLY], 1), {}, ValueError, "grads[1]", "read-only"),
    ("clip_grad_norm_", (np.array([np.inf]), 1), {"error_if_nonfinite": True}, RuntimeError, "grads", "inf"),
    ("clip_grad_value_", (f32(4), np.inf), {}, ValueError, "clip_value", "inf"),
    ("clip_grad_value_", (None, 1), {}, TypeError, "grads", "None"),
]


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error", "argument", "came"),
    [pytest.param(*row, id=f"{row[0]}-{row[4]}-{row[5]}") for row in ROWS],
)
def test_refused(name, args, kwargs, error, argument, came):
    messages = []
    for module in (fnn.functional, fnn.reference):
        with pytest.raises(error) as caught:
            getattr(module, name)(*args, **kwargs)
        assert type(caught.value) is error
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert re.match(rf"(\w+ and )?{re.escape(argument)}(?!\w)", messages[0]), f"does not name {argument}: {messages[0]}"
    assert came in messages[0], f"does not say that {came} came: {messages[0]}"
    assert "expected" in messages[0] or "only" in messages[0], f"does not say what was expected: {messages[0]}"
    assert "\n" not in messages[0]


@pytest.mark.parametrize(
    ("call", "of_layer"),
    [
        (lambda F: F.conv2d(X.astype(np.float64), W), True),
        (lambda F: F.linear(X.astype(np.float64), f32(2, 7)), True),
        (lambda F: F.batch_norm(X.astype(np.float64), f32(3), f32(3)), True),
        (lambda F: F.cross_entropy(np.ones((2, 3)), np.zeros(2, int), f32(3)), False),
        (lambda F: F.matmul(np.ones((2, 3)), f32(3, 2)), False),
    ],
)
def test_another_dtype_may_be_that_of_the_layers(call, of_layer):
    with pytest.raises(TypeError, match="expected one dtype") as caught:
        call(fnn.functional)
    assert ("or the layers, as in net.to(np.float64)" in str(caught.value)) is of_layer


def test_nothing_is_updated_by_a_refused_step():
    p, v = f32(4), f32(4)
    with pytest.raises(ValueError, match=r"^g: got shape"):
        fnn.functional.sgd_step(p, f32(3), v, lr=0.1, momentum=0.9)
    assert np.all(p == 1)
    assert np.all(v == 1)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(3, 1, 1, 1), ((3, 2), 2, (1, 1), 1), (3, 2, 1, 2), ((2, 5), 3, (1, 2), 1)],
)
def test_every_place_of_every_window(kernel, stride, padding, dilation):
    """A position is taken if its pixel is inside the image, and refused if it is in the padding."""
    functional, (H, W) = fnn.functional, (5, 7)
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = (
        pair if isinstance(pair, tuple) else (pair, pair) for pair in (kernel, stride, padding, dilation)
    )
    y, good = functional.max_pool2d(f32(1, 2, H, W), kernel, stride, padding, dilation, True, return_positions=True)
    for oh, ow, place in np.ndindex(*y.shape[2:], KH * KW + 1):
        positions = good.copy()
        positions[0, 1, oh, ow] = place
        ih, iw = oh * SH - PH + place // KW * DH, ow * SW - PW + place % KW * DW
        if 0 <= ih < H and 0 <= iw < W and place < KH * KW:
            functional.max_pool2d_backward(y, positions, (H, W), kernel, stride, padding, dilation, True)
            continue
        with pytest.raises(ValueError, match=r"^positions: "):
            functional.max_pool2d_backward(y, positions, (H, W), kernel, stride, padding, dilation, True)


@pytest.mark.parametrize("name", ["fast", "", None, "Reference"])
def test_unknown_implementation(name):
    with pytest.raises((ValueError, TypeError), match=r"implementation|name") as caught, fnn.implementation(name):
        pass
    assert "kernels" in str(caught.value)
    assert "reference" in str(caught.value)


def test_implementation_is_restored():
    from fastnn import _runtime

    assert not _runtime.use_reference()
    with fnn.implementation("reference"):
        assert _runtime.use_reference()
        with fnn.implementation("kernels"):
            assert not _runtime.use_reference()
        assert _runtime.use_reference()
    with pytest.raises(KeyError), fnn.implementation("reference"):
        raise KeyError
    assert not _runtime.use_reference()


def test_numpy_integers_and_lists_are_pairs():
    """What a shape computation yields is taken like a plain int."""
    y = fnn.functional.conv2d(X, W, stride=np.int64(2), padding=[1, 0])
    assert y.shape == (2, 4, 3, 3)
    assert fnn.functional.max_pool2d(X, (np.int32(2), 3), stride=[1, 2]).shape == (2, 3, 5, 3)


def test_subclass_of_ndarray_is_taken():
    class Named(np.ndarray):
        pass

    y = fnn.functional.relu(f32(3).view(Named))
    assert type(y) is np.ndarray
