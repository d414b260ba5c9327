"""What the tests with PyTorch's own suites share: arrays for tensors, and the bound of what is compared."""

import warnings

import numpy as np

warnings.filterwarnings("ignore", category=DeprecationWarning)


def array(value):
    """Arrays for tensors, in lists and tuples, too; anything else as it is."""
    if hasattr(value, "detach"):
        return value.detach().resolve_neg().numpy().copy()
    if isinstance(value, list | tuple):
        return type(value)(array(each) for each in value)
    return value


def in_double(torch, value):
    """Copies of tensors of floats in float64, as leaves; anything else as it is."""
    if isinstance(value, torch.Tensor):
        if not value.is_floating_point():
            return value.clone()
        return value.detach().double().requires_grad_(value.requires_grad)
    if isinstance(value, list | tuple):
        return type(value)(in_double(torch, each) for each in value)
    return value


def scale_of(*values):
    """The largest finite magnitude among arrays, at least 1."""
    found = 1.0
    for value in values:
        numbers = np.abs(np.asarray(value, np.float64))
        numbers = numbers[np.isfinite(numbers)]
        if numbers.size:
            found = max(found, float(numbers.max()))
    return found


def assert_reduction(found, expected, dtype, terms, scale, label):
    """REDUCTION(K): within (K + 2) eps of a scale; `expected` was computed in float64."""
    found, expected = np.asarray(found), array(expected)
    assert found.shape == expected.shape, f"{label}: {found.shape} for {expected.shape}"
    bound = (terms + 2) * float(np.finfo(dtype).eps) * scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound, err_msg=label)
