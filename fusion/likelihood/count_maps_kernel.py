"""Newton steps of one row of counts after the other, compiled, and the slopes that they leave.

A row of L is found within its bounds while its counts lie in the nearest cache; the slopes by R are
added up from what its last look left there. What is done channel by channel is in single precision,
each step in double.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fusion.algebra.compiling import compiled
from fusion.likelihood.count_maps_parts import (
    LEAST,
    add_of,
    begun,
    bend_of,
    fall,
    look_of,
    step,
)

COARSE = 8
"""Channels that go together where a row is far off."""
FAR, NEAR = 10.0, 0.1
"""Squared Newton decrement above which a row goes on with channels taken together, by steps of
expected curvature; and below which it comes back to all of them."""
FAR_OFF, SEEN = 100.0, 0.01
"""The most that the decrement along one component can be, above which it is not even asked for;
share of the counts from which on a component that is to fall is asked."""
LOOKS, SCORED = 60, 8
"""Looks at a row, and steps by expected curvature among them, at most."""
LIFT = 1e-3
"""Share of the mean amount of its row that an amount begins with, at least."""
SMALL, SINGLE = 1e-6, 1e-13
"""Squared Newton decrement of a row that is done; more by this for each of its counts, which is
what single precision leaves."""
SLOWER = 0.05
"""Share of the decrement before that a step with the same curvature may leave."""
TOGETHER = 256
"""Rows whose slopes are added up in single precision."""


@cache
def kernel(K: int) -> Any:
    """For K components, a multiple of four.

    run(x (row, column), weights of columns, of rows, Σ w R (K,), R (K, column), the same with
    channels together, `paired` of both, L (row, K) to be written to, sums (2, K, column) to be
    added to) returns (−Σ w x ln m, looks).
    """
    from numba.extending import register_jitable

    own = look_of(K), bend_of(K), step, fall, add_of(K), begun
    return compiled(_rows(K, *map(register_jitable, own)))


def _rows(K, look, bend, step, fall, add, begun):
    far_off, seen_of, far, near, slower, least, lift = FAR_OFF, SEEN, FAR, NEAR, SLOWER, LEAST, LIFT
    small, single, together, most, scores, rows_of = SMALL, SINGLE, COARSE, LOOKS, SCORED, TOGETHER

    def rows(x, weights, own, reach, fine, coarse, fine_pairs, coarse_pairs, made, sums):
        p, bins = x.shape[1], coarse.shape[1]
        v, m, u = np.empty(p, np.float32), np.empty(p, np.float32), np.empty(p, np.float32)
        few = np.empty(bins, np.float32)
        q, w = np.empty((4, p), np.float32), np.empty((4, p), np.float32)
        room, shares = np.zeros((2, K, p), np.float32), np.zeros((2, K, 4), np.float32)
        c, g, d, before = np.empty(K), np.empty(K), np.zeros(K), np.empty(K)
        h, inverse = np.empty((K, K)), np.empty(K)
        fell, looks, lane, added = 0.0, 0, 0, 0
        for i in range(len(x)):
            weight = own[i]
            if weight <= 0.0:
                continue
            total = 0.0
            for j in range(p):
                v[j] = np.float32(x[i, j]) * weights[j]
            for j in range(p):
                total += v[j]
            begun(made[i], reach, total, lift, c)
            enough = small + single * total
            all_of, tried, scored = True, False, 0
            known, last, slope, share = False, 0.0, 0.0, 1.0
            for turn in range(most + 1):
                all_of = all_of or turn == most
                n, looks = (p, looks + 1) if all_of else (bins, looks)
                seen, right = (v, fine) if all_of else (few, coarse)
                pairs = fine_pairs if all_of else coarse_pairs
                look(seen, right, c, m, q[lane, :n], w[lane, :n], g)
                if turn == most:
                    break
                along, off = 0.0, 0.0
                for k in range(K):
                    asked, g[k] = g[k], reach[k] - g[k]
                    along += g[k] * d[k]
                    if asked > 0.0 and (g[k] < 0.0 or c[k] * reach[k] > seen_of * total):
                        off = max(off, g[k] * g[k] * total / (asked * asked))
                if slope < 0.0 and along > -0.9 * slope and share > 1e-3:  # too far: back
                    share *= min(max(slope / (slope - along), 0.1), 0.7)
                    for k in range(K):
                        c[k] = before[k] + share * d[k]
                    known = False
                    continue
                decrement = step(c, g, h, d, inverse) if known else np.inf
                known = known and (decrement <= enough or decrement <= slower * last)
                away = off > far_off and not tried
                if not known and not away:
                    bend(w[lane, :n], pairs, h)
                    known, decrement = True, step(c, g, h, d, inverse)
                last = decrement
                if not tried and (away or decrement > far):
                    for b in range(bins):
                        amount = np.float32(0)
                        for j in range(b * together, min((b + 1) * together, p)):
                            amount += v[j]
                        few[b] = amount
                    all_of, tried, known, slope = False, True, False, 0.0
                    continue
                expected = decrement > far and scored < scores
                if expected:  # by the curvature that counts of these means would have
                    for j in range(n):
                        u[j] = np.float32(1) / m[j]
                    bend(u[:n], pairs, h)
                    step(c, g, h, d, inverse)
                    scored, known = scored + 1, False
                if all_of and decrement <= enough:
                    break
                turned = not all_of and decrement <= near
                slope, share, mean = 0.0, 1.0, 0.0
                for k in range(K):
                    before[k] = c[k]
                    slope += g[k] * d[k]
                    c[k] += d[k]
                    mean += c[k] / K
                if expected or turned:  # no step on the same line: what is next begins inside
                    slope = 0.0
                    for k in range(K):
                        c[k] = max(c[k], lift * mean)
                if turned:
                    all_of, known = True, False
            fell -= weight * fall(v, m, least)
            for k in range(K):
                made[i, k] = c[k]
                shares[0, k, lane] = np.float32(weight * c[k])
                shares[1, k, lane] = np.float32(weight * c[k] * c[k])
            lane += 1
            if lane == 4:
                add(q, w, shares, room)
                shares[:] = np.float32(0)
                lane, added = 0, added + 4
                if added >= rows_of:
                    sums += room
                    room[:] = np.float32(0)
                    added = 0
        if lane:
            q[lane:] = np.float32(0)
            w[lane:] = np.float32(0)
            add(q, w, shares, room)
        sums += room
        return fell, looks

    return rows
