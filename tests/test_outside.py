"""Outside oracles: SciPy everywhere, PyTorch where it is installed.

They are evaluated in float64 on the inputs of the case list, so kernels and reference are both held to the bound of
their parity class against somebody else's mathematics and somebody else's reading of strides, padding and ceil_mode.
"""

import numpy as np
import pytest

import fastnn as fnn
from cases import CASES, EXACT, cases_of
from cases.activation import OF_INPUT
from checks import as_float64, assert_within, scales_of
from torch_oracles import oracle, pair, torch

IMPLEMENTATIONS = ("kernels", "reference")


def compare(case, oracle_results):
    """Hold both implementations, in float32, to the bound around an oracle's float64 results."""
    op = case.operation
    args, kwargs = case.inputs(np.float32)
    terms = op.terms(*args, **kwargs)
    scales = scales_of(case, as_float64(args), as_float64(kwargs))
    for implementation in IMPLEMENTATIONS:
        with fnn.implementation(implementation):
            ours = op.call(fnn.functional, args, kwargs)
        for i, (got, truth) in enumerate(zip(ours, oracle_results, strict=True)):
            if got is None:
                continue
            name = f"{case} {implementation}, result {i}"
            truth = np.asarray(truth)
            assert got.shape == truth.shape, f"{name}: shape {got.shape}, the oracle's {truth.shape}"
            if terms[i] is EXACT:
                np.testing.assert_array_equal(got, truth, name)
            else:
                assert_within(name, got, truth, terms[i], scales[i], np.float32)


# SciPy


def scipy_conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    signal = pytest.importorskip("scipy.signal")
    (sh, sw), (dh, dw) = (v if isinstance(v, tuple) else (v, v) for v in (stride, dilation))
    filters, channels, kh, kw = w.shape
    sparse = np.zeros((filters, channels, (kh - 1) * dh + 1, (kw - 1) * dw + 1))
    sparse[..., ::dh, ::dw] = w
    if padding == "same":
        frame = [(n // 2, n - n // 2) for n in ((kh - 1) * dh, (kw - 1) * dw)]
    else:
        frame = [(0, 0)] * 2 if padding == "valid" else [(n, n) for n in pair(padding)]
    x = np.pad(x, ((0, 0), (0, 0), *frame))
    first = np.arange(filters) // (filters // groups) * channels

    def plane(image, kernels, first):
        return sum(signal.correlate2d(image[first + c], kernel, "valid") for c, kernel in enumerate(kernels))

    y = np.array([[plane(n, o, c) for o, c in zip(sparse, first, strict=True)] for n in x])
    y = y if b is None else y + b[:, None, None]
    y = y[:, :, ::sh, ::sw]
    return np.maximum(y, 0) if activation == "relu" else y


CORRELATED = [c for c in cases_of("conv2d") if not c.large and "no-images" not in c.label and "channels" not in c.label]


@pytest.mark.parametrize("case", CORRELATED, ids=str)
def test_conv2d_is_scipys_correlation(case):
    args, kwargs = case.inputs(np.float32)
    compare(case, (scipy_conv2d(*as_float64(args), **kwargs),))


@pytest.mark.parametrize("case", cases_of("sigmoid", "softmax", "log_softmax"), ids=str)
def test_activations_are_scipys(case):
    special = pytest.importorskip("scipy.special")
    args, kwargs = case.inputs(np.float32)
    x = as_float64(args)[0]
    if x.size == 0 or not np.isfinite(x).all():
        return  # SciPy's own rules for infinities differ
    if case.op == "sigmoid":
        compare(case, (special.expit(x),))
    else:
        compare(case, (getattr(special, case.op)(x, axis=kwargs.get("dim", -1)),))


PLAIN = [c for c in cases_of("cross_entropy") if "x" in c.label and "x1-" not in c.label]


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_cross_entropy_is_scipys(case):
    special = pytest.importorskip("scipy.special")
    args, kwargs = case.inputs(np.float32)
    x, target = as_float64(args)
    weights = np.eye(x.shape[1])[target] if target.ndim == 1 else target
    losses = -np.where(weights == 0, 0.0, weights * special.log_softmax(x, axis=1)).sum(axis=1)
    compare(case, ({"mean": np.mean, "sum": np.sum, "none": np.asarray}[kwargs["reduction"]](losses),))


# PyTorch


def answerable(case):
    """Whether PyTorch has an answer: it refuses some empty batches, and of several NaN it reports the last."""
    if case.op.startswith(("dropout", "weigh_losses")):
        # PyTorch has another generator, see test_dropout_layers.py; and no weights of examples, see test_losses.py
        return False
    args, _ = case.inputs(np.float32)
    empty = any(isinstance(a, np.ndarray) and a.size == 0 for a in args)
    return not empty and case.label != "all-nan"


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss:UserWarning")
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # of its own speed
@pytest.mark.parametrize("case", [c for c in CASES if answerable(c)] if torch else [None], ids=str)
def test_pytorch_agrees(case):
    args, kwargs = case.inputs(np.float32)
    tensors = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in as_float64(args)]
    result = oracle(case.op)(*tensors, **as_float64(kwargs))
    results = result if isinstance(result, tuple) else (result,)
    results = [None if r is None else r.numpy() for r in results]
    compare(case, results)


SPECIAL = np.repeat([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 2.5, -2.5], 8)  # whole vectors of each


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("op", ["sigmoid", "tanh", "prelu", *(f.name for f in OF_INPUT)])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_pytorch_has_the_same_nan_and_infinities(op, implementation):
    slopes = (np.array([-0.5]),) if op == "prelu" else ()
    ours = getattr(fnn.functional, op)
    special = SPECIAL[~np.isinf(SPECIAL)] if op == "gelu" else SPECIAL  # at infinity ours has the limits: see below
    with fnn.implementation(implementation):
        y = ours(special, *slopes)
        seen = y if op in ("sigmoid", "tanh") else special
        dx = getattr(fnn.functional, f"{op}_backward")(np.ones_like(special), seen, *slopes)
    dx = dx[0] if op == "prelu" else dx
    tensors = [torch.from_numpy(a) for a in (special, *slopes)]
    np.testing.assert_allclose(y, oracle(op)(*tensors), rtol=1e-14)
    theirs = oracle(f"{op}_backward")(
        torch.ones(special.size, dtype=torch.float64), torch.from_numpy(seen), *tensors[1:]
    )
    theirs = theirs if isinstance(theirs, torch.Tensor) else theirs[0]
    np.testing.assert_allclose(dx, theirs, rtol=1e-14)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_has_its_limits_at_infinity(implementation, dtype):
    ends = np.repeat(np.array([-np.inf, np.inf], dtype), 20)
    with fnn.implementation(implementation):
        np.testing.assert_array_equal(fnn.functional.gelu(ends), np.maximum(ends, 0))
        np.testing.assert_array_equal(fnn.functional.gelu_backward(np.ones_like(ends), ends), (ends > 0).astype(dtype))
