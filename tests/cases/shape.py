"""Arrays of another shape with the same elements."""

from __future__ import annotations

from collections.abc import Iterator

from cases._base import EXACT, Case, Operation, register

register(
    Operation("flatten", terms=lambda *_, **__: (EXACT,)),
    Operation("pixel_shuffle", terms=lambda *_: (EXACT,)),
    Operation("pixel_unshuffle", terms=lambda *_: (EXACT,)),
    Operation("unflatten", terms=lambda *_, **__: (EXACT,)),
)

FLATTENED = (
    ((2, 3, 4, 5), (1,)),
    ((2, 3, 4, 5), (2,)),
    ((2, 3, 4, 5), (0, -2)),
    ((2, 3, 4, 5), (-3, 2)),
    ((2, 3, 4, 5), (1, 1)),
    ((2, 3), (0,)),
    ((4, 1), (1,)),
    ((0, 3, 4), (1,)),
)

UNFLATTENED = (
    ((2, 12), 1, (3, 4)),
    ((2, 12), -1, (2, -1, 2)),
    ((6, 5), 0, [3, 2]),
    ((2, 7, 3), 1, (7,)),
    ((0, 6), 1, (-1, 3)),
    ((3, 0), 1, (2, -1)),
)


SHUFFLED = (((2, 12, 3, 5), 2), ((9, 2, 4), 3), ((2, 3, 4, 2, 2), 1), ((0, 4, 2, 2), 2))


def shuffled_cases(label: str, shape: tuple[int, ...], r: int) -> list[Case]:
    """pixel_shuffle of this shape, and the way back."""
    *first, C, H, W = shape
    back = (*first, C // (r * r), H * r, W * r)
    return [
        Case("pixel_shuffle", label, lambda draw: ((draw(shape), r), {})),
        Case("pixel_unshuffle", label, lambda draw: ((draw(back), r), {})),
    ]


def _cases() -> Iterator[Case]:
    for shape, r in SHUFFLED:
        yield from shuffled_cases(f"{'x'.join(map(str, shape))}-by-{r}", shape, r)
    for shape, dims in FLATTENED:
        yield Case(
            "flatten",
            f"{'x'.join(map(str, shape))}-from-{'-to-'.join(map(str, dims))}",
            lambda draw, shape=shape, dims=dims: ((draw(shape), *dims), {}),
        )
    for shape, dim, sizes in UNFLATTENED:
        yield Case(
            "unflatten",
            f"{'x'.join(map(str, shape))}-dim{dim}-{'x'.join(map(str, sizes))}",
            lambda draw, shape=shape, dim=dim, sizes=sizes: ((draw(shape), dim, sizes), {}),
        )


CASES = tuple(_cases())
