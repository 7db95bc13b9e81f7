"""Newton steps of one row of counts after the other, compiled, and the slopes that they leave.

A row of L is found within its bounds while its counts lie in the nearest cache; the slopes by R are
added up from what its last look left there. What is done channel by channel is in single precision,
each step in double.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fusion.algebra.compiling import compiled, written
from fusion.likelihood.count_maps_few import (
    FULL,
    gathered,
    handed_over,
    listed_of_array,
    listed_of_list,
    scatter,
    spread_out,
)
from fusion.likelihood.count_maps_lanes import INSTRUCTIONS
from fusion.likelihood.count_maps_parts import (
    COARSE,
    LEAST,
    add,
    begun,
    bend,
    bend_of_few,
    fall,
    look,
    met,
    one_by_one,
    step,
)

FAR, NEAR = 10.0, 0.1
"""Squared Newton decrement above which a row goes on with channels taken together, by steps of
expected curvature; and below which it comes back to all of them."""
EARLY = 1.0
"""The same above which rows that are listed take steps of expectation and maximisation."""
FAR_OFF, SEEN = 100.0, 0.01
"""The most that the decrement along one component can be, above which it is not even asked for;
share of the counts from which on a component that is to fall is asked."""
LOOKS, SCORED = 60, 8
"""Looks at a row, and steps that are none of Newton's among them, at most."""
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
def kernel(K: int, listed: bool) -> Any:
    """For K components, a multiple of four, of rows that are stored as lists or as they are.

    run(rows: (row, column) or (starts, columns, counts), weights of columns, of rows,
    Σ w R (K,), R (K, column), the same with channels together, `paired` of both, L (row, K) to be
    written to, sums (2, K, column) to be added to) returns (−Σ w x ln m, looks).
    """
    from numba.extending import register_jitable

    read = listed_of_list if listed else listed_of_array
    parts = (met, look, bend, bend_of_few, one_by_one, step, fall, add, begun)
    few = (read, spread_out, gathered, scatter, handed_over)
    for part in (*parts, *few):
        register_jitable(part)
    return compiled(_rows(K, read, written((*parts, *few, *INSTRUCTIONS))))


def _rows(K, read, parts):
    """The kernel. All that it closes over has one name in every process, as what is kept on disk is
    looked for by it: functions of modules, and numbers."""
    lanes = (0,) * K

    def rows(source, weights, own, reach, fine, coarse, fine_pairs, coarse_pairs, made, sums):
        p, bins, _ = len(weights), coarse.shape[1], parts
        v, m, u = np.empty(p, np.float32), np.empty(p, np.float32), np.empty((1, p), np.float32)
        at, few = np.empty(p + 4, np.uint64), np.empty(bins, np.float32)
        by_channel, near_of = fine.T.copy(), np.empty_like(fine)
        q, w = np.empty((4, p), np.float32), np.empty((4, p), np.float32)
        room, shares = np.zeros((2, K, p), np.float32), np.zeros((2, K, 4), np.float32)
        apart, alone = np.zeros((p, 2 * K), np.float32), np.empty((1, 2 * K), np.float32)
        c, g, d, before = np.empty(K), np.empty(K), np.zeros(K), np.empty(K)
        h, inverse, lower = np.empty((K, K)), np.empty(K), np.zeros((K, K))
        near_c, part = np.empty(K, np.float32), np.empty(len(fine_pairs))
        fell, looks, lane, added = 0.0, 0, 0, 0
        for i in range(len(own)):
            weight = own[i]
            if weight <= 0.0:
                continue
            size, total = read(source, i, weights, v, at)
            listed = FULL * size < p
            if listed:
                gathered(lanes, size, at, by_channel, near_of)
            else:
                spread_out(size, v, at, u)
                size = p
            begun(made, i, reach, total, LIFT, c)
            enough = SMALL + SINGLE * total
            all_of, tried, scored = True, size <= 2 * bins, 0  # few are no more work
            known, last, slope, share = False, 0.0, 0.0, 1.0
            for turn in range(LOOKS + 1):
                all_of = all_of or turn == LOOKS
                n, looks = (size, looks + 1) if all_of else (bins, looks)
                if not all_of:  # each by itself: what is chosen among arrays is counted each time
                    look(lanes, n, few, coarse, c, m, q, w, lane, g, near_c)
                elif listed:
                    look(lanes, n, v, near_of, c, m, q, w, lane, g, near_c)
                else:
                    look(lanes, n, v, fine, c, m, q, w, lane, g, near_c)
                if turn == LOOKS:
                    break
                along, off = 0.0, 0.0
                for k in range(K):
                    asked, g[k] = g[k], reach[k] - g[k]
                    along += g[k] * d[k]
                    if asked > 0.0 and (g[k] < 0.0 or c[k] * reach[k] > SEEN * total):
                        off = max(off, g[k] * g[k] * total / (asked * asked))
                if slope < 0.0 and along > -0.9 * slope and share > 1e-3:  # too far: back
                    share *= min(max(slope / (slope - along), 0.1), 0.7)
                    for k in range(K):
                        c[k] = before[k] + share * d[k]
                    known = False
                    continue
                decrement = step(lanes, c, g, h, d, inverse, lower) if known else np.inf
                known = known and (decrement <= enough or decrement <= SLOWER * last)
                away = off > FAR_OFF and not tried
                if not known and not away:
                    if not all_of:
                        bend(lanes, n, w, lane, coarse_pairs, h, part)
                    elif listed:
                        bend_of_few(lanes, n, w, lane, near_of, h)
                    else:
                        bend(lanes, n, w, lane, fine_pairs, h, part)
                    known, decrement = True, step(lanes, c, g, h, d, inverse, lower)
                last = decrement
                if not tried and (away or decrement > FAR):
                    few[:] = np.float32(0)
                    for t in range(size):
                        few[(np.int64(at[t]) if listed else t) // COARSE] += v[t]
                    all_of, tried, known, slope = False, True, False, 0.0
                    continue
                few_of = listed and all_of
                expected = decrement > (EARLY if few_of else FAR) and scored < SCORED
                if expected and few_of:  # by expectation and maximisation: what is asked is given
                    for k in range(K):
                        d[k] = -c[k] * g[k] / reach[k] if reach[k] > 0.0 else 0.0
                    scored, known = scored + 1, False
                elif expected:  # by the curvature that counts of these means would have
                    for j in range(n):
                        u[0, j] = np.float32(1) / m[j]
                    if all_of:
                        bend(lanes, n, u, 0, fine_pairs, h, part)
                    else:
                        bend(lanes, n, u, 0, coarse_pairs, h, part)
                    step(lanes, c, g, h, d, inverse, lower)
                    scored, known = scored + 1, False
                if all_of and decrement <= enough:
                    break
                turned = not all_of and decrement <= NEAR
                slope, share, mean = 0.0, 1.0, 0.0
                for k in range(K):
                    before[k] = c[k]
                    slope += g[k] * d[k]
                    c[k] += d[k]
                    mean += c[k] / K
                if expected or turned:  # no step on the same line: what is next begins inside
                    slope = 0.0
                    for k in range(K):
                        c[k] = max(c[k], LIFT * mean)
                if turned:
                    all_of, known = True, False
            fell -= weight * fall(size, v, m, LEAST)
            for k in range(K):
                made[i, k] = c[k]
                alone[0, k] = np.float32(weight * c[k])
                alone[0, K + k] = np.float32(weight * c[k] * c[k])
            added += 1
            if listed:
                scatter(lanes, size, at, q, w, lane, alone, apart)
            else:
                for k in range(K):
                    shares[0, k, lane], shares[1, k, lane] = alone[0, k], alone[0, K + k]
                lane += 1
            if lane == 4:
                add(lanes, q, w, shares, room)
                shares[:] = np.float32(0)
                lane = 0
            if added >= TOGETHER:
                handed_over(room, apart, sums)
                added = 0
        if lane:
            q[lane:], w[lane:] = np.float32(0), np.float32(0)
            add(lanes, q, w, shares, room)
        handed_over(room, apart, sums)
        return fell, looks

    return rows
