#!/usr/bin/env python3
"""The coefficients of erf in tile_math.h: those of c in log(1 - erf(t)) = -t (c[0] + c[1] t + ...), 0 <= t <= top.

Remez's exchange, in many digits: the largest error relative to erf(t) that results is as small as can be. Needs mpmath.

    tools/make_erf.py 10 4      # float: coefficients, top
    tools/make_erf.py 23 6      # double
"""

import sys

import mpmath as mp

mp.mp.dps = 60


def wanted(t):
    """-log(1 - erf(t))/t"""
    return 2 / mp.sqrt(mp.pi) if t == 0 else -mp.log(mp.erfc(t)) / t


def weight(t):
    """What an error of the polynomial does to erf(t), relative to it."""
    return mp.sqrt(mp.pi) / 2 if t == 0 else t * mp.erfc(t) / mp.erf(t)


def exchange(count, top):
    """The coefficients, and their largest weighted error."""
    grid = [top * (1 - mp.cos(mp.pi * i / 1500)) / 2 for i in range(1501)]
    aims, weights = [wanted(t) for t in grid], [weight(t) for t in grid]
    # Points where the error alternates: closest together where it weighs most, at the lower end.
    points = sorted({round(1500 * (i / count) ** 1.2) for i in range(count + 1)})
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
    coefficients, error = exchange(int(sys.argv[1]), mp.mpf(sys.argv[2]))
    for coefficient in coefficients:
        print(mp.nstr(coefficient, 17 if len(coefficients) > 12 else 9))
    print(f"largest relative error {mp.nstr(error, 3)}")
