"""Steps of optimisers.

Roundings, of half an eps each, are counted on the way to each result; their half is its number of terms. A factor is
rounded once when it becomes a float32. d, the gradient with weight decay and sign, has 3, on the scale |g| + decay |p|.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cases._base import EXACT, WIDTHS, Case, Operation, register


def _d_scale(p, g, weight_decay):
    return np.abs(g) + weight_decay * np.abs(p) if weight_decay else np.abs(g)


def _ratio(scale, value):
    """By how much more than its own rounding error a sum can be off, for which terms cancel."""
    return np.where(value == scale, 1.0, scale / value)


def _sgd_scale(p, g, buffer=None, *, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    d = _d_scale(p, g, weight_decay)
    if not momentum:
        return np.abs(p) + lr * d, np.abs(buffer) if buffer is not None else np.zeros(())
    v = momentum * np.abs(buffer) + abs(1 - dampening) * d
    return np.abs(p) + lr * (d + momentum * v if nesterov else v), v


def _averages(p, g, m, v, betas, weight_decay, decoupled):
    """The scales of d, m and v, and v itself, after a step of Adam."""
    d = _d_scale(p, g, 0.0 if decoupled else weight_decay)
    exact = g if decoupled or not weight_decay else g + weight_decay * p
    scale_m = np.abs(m) + (1 - betas[0]) * (d + np.abs(m))
    return d, scale_m, betas[1] * v + (1 - betas[1]) * d * d, betas[1] * v + (1 - betas[1]) * exact * exact


def _adam_scale(
    p, g, m, v, top=None, *, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0,
    decoupled_weight_decay=False, maximize=False,
):  # fmt: skip
    if maximize:
        g = -g
    _, scale_m, scale_v, exact_v = _averages(p, g, m, v, betas, weight_decay, decoupled_weight_decay)
    scale_top, exact = (scale_v, exact_v) if top is None else (np.maximum(top, scale_v), np.maximum(top, exact_v))
    denominator = np.sqrt(exact / (1 - betas[1] ** step)) + eps
    quotient = lr / (1 - betas[0] ** step) * scale_m / denominator
    return np.abs(p) + _ratio(scale_top, exact) * quotient, scale_m, scale_v, scale_top


def _nadam_scale(
    p, g, m, v, *, step, mu_product, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3,
    decoupled_weight_decay=False, maximize=False,
):  # fmt: skip
    if maximize:
        g = -g
    d, scale_m, scale_v, exact = _averages(p, g, m, v, betas, weight_decay, decoupled_weight_decay)
    mu, mu_next = (betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    product = mu_product * mu
    above = (1 - mu) / (1 - product) * d + mu_next / (1 - product * mu_next) * scale_m
    quotient = lr * above / (np.sqrt(exact / (1 - betas[1] ** step)) + eps)
    return None, np.abs(p) + _ratio(scale_v, exact) * quotient, scale_m, scale_v


def _rmsprop_scale(
    p, g, v, buffer=None, m=None, *, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, maximize=False
):
    if maximize:
        g = -g
    d, exact = _d_scale(p, g, weight_decay), g + weight_decay * p if weight_decay else g
    scale_v = scale = alpha * v + (1 - alpha) * d * d
    square, scale_m = alpha * v + (1 - alpha) * exact * exact, np.zeros(())
    if m is not None:
        scale_m = np.abs(m) + (1 - alpha) * (d + np.abs(m))
        square = square - (m + (1 - alpha) * (exact - m)) ** 2
        scale = scale_v + scale_m**2
    u = _ratio(scale, square) * d / (np.sqrt(square) + eps)
    u = momentum * np.abs(buffer) + u if momentum else u
    return np.abs(p) + lr * u, scale_v, u, scale_m


def _adagrad_scale(p, g, v, *, step, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False):
    if maximize:
        g = -g
    d, exact = _d_scale(p, g, weight_decay), g + weight_decay * p if weight_decay else g
    quotient = d / (np.sqrt(v + exact * exact) + eps)
    return np.abs(p) + lr * _ratio(v + d * d, v + exact * exact) * quotient, v + d * d


register(
    # v: momentum, its product, 1 - dampening, its product of d, the sum: 6. Nesterov's sum: 9. lr, product, difference.
    Operation("sgd_step", terms=lambda *_, **__: (6, 3), scale=_sgd_scale, in_place=(0, 2)),
    # m: d, difference, factor, product, sum: 7. v: two of d and its square, factor, product, sum: 10. The denominator:
    # half of v's, root, factor, product, eps, sum: 10. The numerator: m's, factor, product, sum: 10. Quotient, sum: 22.
    Operation("adam_step", terms=lambda *_, **__: (11, 4, 5, 5), scale=_adam_scale, in_place=(0, 2, 3, 4)),
    Operation("nadam_step", terms=lambda *_, **__: (EXACT, 11, 4, 5), scale=_nadam_scale, in_place=(0, 2, 3)),
    # v: 10, m: 7 as above. v - m^2: 16, so the denominator, root, eps, sum: 11. Quotient with d: 15. Momentum, product,
    # sum: 16. lr, product, difference: 19.
    Operation("rmsprop_step", terms=lambda *_, **__: (10, 5, 8, 4), scale=_rmsprop_scale, in_place=(0, 2, 3, 4)),
    # v: two of d and its square, sum: 8. The denominator: 4, root, eps, sum: 7. Quotient: 11. lr, product, difference.
    Operation("adagrad_step", terms=lambda *_, **__: (7, 4), scale=_adagrad_scale, in_place=(0, 2)),
)

DECAY = {"weight_decay": 0.1}
DECOUPLED = {"weight_decay": 2.0, "decoupled_weight_decay": True}
# Options by rule, and what it keeps: "m" of any sign, "v" positive, "w" large enough for v - m^2 to be positive.
RULES: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "sgd_step": (
        ("plain", "", {}),
        ("decay", "", {"weight_decay": 0.01, "maximize": True}),
        ("momentum", "m", {"momentum": 0.9}),
        ("dampening", "m", {"momentum": 0.9, "weight_decay": 5e-4, "dampening": 0.3}),
        ("nesterov", "m", {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
    ),
    "adam_step": (
        ("first", "00", {"step": 1}),
        ("later", "mv", {"step": 7, "betas": (0.8, 0.9), "eps": 1e-3, "maximize": True}),
        ("decay", "mv", {"step": 3, **DECAY}),
        ("decoupled", "mv", {"step": 3, **DECOUPLED}),
        ("amsgrad", "mvv", {"step": 2, **DECAY}),
    ),
    "nadam_step": (
        ("first", "00", {"step": 1, "mu_product": 1.0}),
        ("later", "mv", {"step": 7, "mu_product": 0.01, "betas": (0.8, 0.9), "momentum_decay": 0.1, "maximize": True}),
        ("decay", "mv", {"step": 3, "mu_product": 0.2, **DECAY}),
        ("decoupled", "mv", {"step": 3, "mu_product": 0.2, **DECOUPLED}),
    ),
    "rmsprop_step": (
        ("first", "0", {}),
        ("decay", "v", {**DECAY, "maximize": True}),
        ("momentum", "vm", {"momentum": 0.9, "alpha": 0.9, "eps": 1e-2}),
        ("centered", "wNm", {**DECAY, "alpha": 0.9}),
        ("centered-momentum", "wmm", {"momentum": 0.5}),
    ),
    "adagrad_step": (
        ("first", "0", {"step": 1}),
        ("later", "v", {"step": 9, "lr_decay": 0.1, "eps": 1e-2, "maximize": True, **DECAY}),
    ),
}


def kept(draw, shape, kind):
    if kind == "N":
        return None
    x = draw(shape, "state")
    return {"m": x, "v": x * x + x.dtype.type(0.01), "w": x * x + 30, "0": np.zeros_like(x)}[kind]


def _cases() -> Iterator[Case]:
    for op, rules in RULES.items():
        shapes = WIDTHS if op == "sgd_step" else (1, 17, 63)
        for shape in (*((n,) for n in shapes), (20, 1, 5, 5), (0,), (30_000,)):
            for label, state, options in rules:
                yield Case(
                    op,
                    f"{'x'.join(map(str, shape))}-{label}",
                    lambda draw, shape=shape, state=state, options=options: (
                        (draw(shape), draw(shape, "g"), *(kept(draw, shape, kind) for kind in state)),
                        {"lr": 0.03, **options},
                    ),
                    ("normal", "special"),
                    ("x", "g"),
                    large=shape == (30_000,),
                )


CASES = tuple(_cases())
