#!/usr/bin/env python3
"""The coefficients of the normal distribution's tail in tile_math.h. Needs mpmath.

    Q(s) = erfc(s/sqrt(2))/2 = 2**(-1 - s (c[0] + c[1] s + ...)), 0 <= s <= top        (tail)
    2**r = e[0] + e[1] r + ..., -1/2 <= r <= 1/2                                        (power)

Remez's exchange, in many digits. The largest error that results is as small as can be: for the tail relative to
1 - 2 Q, for the power relative to it.

    tools/make_normal.py tail 10 5.66      # float: how many coefficients, top
    tools/make_normal.py tail 23 8.49      # double
    tools/make_normal.py power 6           # float
    tools/make_normal.py power 12          # double
"""

import sys

import mpmath as mp

mp.mp.dps = 60
HALF = mp.mpf("0.5")


def tail(s):
    """-(1 + log2(Q(s)))/s"""
    return mp.sqrt(2 / mp.pi) / mp.log(2) if s == 0 else -mp.log(mp.erfc(s / mp.sqrt(2)), 2) / s


def tail_weight(s):
    """What an error of the polynomial does to 1 - 2 Q, relative to it."""
    at = s / mp.sqrt(2)
    return mp.log(2) * (mp.sqrt(mp.pi / 2) if s == 0 else s * mp.erfc(at) / mp.erf(at))


def exchange(wanted, weight, count, low, top):
    """The coefficients, and their largest weighted error."""
    grid = [low + (top - low) * (1 - mp.cos(mp.pi * i / 1500)) / 2 for i in range(1501)]
    aims, weights = [wanted(t) for t in grid], [weight(t) for t in grid]
    # Points where the error alternates: for the tail closest together where it weighs most, at the lower end.
    points = sorted({round(1500 * (i / count) ** (1.2 if low == 0 else 1)) for i in range(count + 1)})
    for _ in range(60):
        rows = [[grid[p] ** k for k in range(count)] + [(-1) ** i / weights[p]] for i, p in enumerate(points)]
        *c, level = mp.lu_solve(mp.matrix(rows), mp.matrix([aims[p] for p in points]))
        errors = [(mp.polyval(c[::-1], t) - a) * w for t, a, w in zip(grid, aims, weights, strict=True)]
        runs = [[0]]
        for i in range(1, len(grid)):
            if errors[i] * errors[runs[-1][-1]] < 0:
                runs.append([])
            runs[-1].append(i)
        peaks = [max(run, key=lambda i: abs(errors[i])) for run in runs]
        while len(peaks) > count + 1:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        worst = max(map(abs, errors))
        if len(peaks) < count + 1 or worst < abs(level) * mp.mpf("1.001"):
            break
        points = peaks
    return c, worst


if __name__ == "__main__":
    kind, count = sys.argv[1], int(sys.argv[2])
    if kind == "tail":
        coefficients, error = exchange(tail, tail_weight, count, mp.mpf(0), mp.mpf(sys.argv[3]))
    else:
        coefficients, error = exchange(lambda r: 2**r, lambda r: 2**-r, count, -HALF, HALF)
    for coefficient in coefficients:
        print(mp.nstr(coefficient, 17 if len(coefficients) > 11 else 9))
    print(f"largest relative error {mp.nstr(error, 3)}")
