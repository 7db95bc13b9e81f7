"""Newton steps of one row of counts after the other, compiled, and the slopes that they leave.

A row of L is found within its bounds while its counts lie in the nearest cache; the slopes by R are
added up from what its last look left there. What is done channel by channel is in single precision,
each step in double.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.compiling import compiled

LANES, COARSE = 4, 8
"""Components, and rows, that go together; channels that go together where a row is far off."""
FAR, NEAR = 10.0, 0.1
"""Squared Newton decrement above which a row goes on with channels taken together, by steps of
expected curvature; and below which it comes back to all of them."""
FAR_OFF, SEEN = 100.0, 0.01
"""The most that the decrement along one component can be, above which it is not even asked for;
share of the counts from which on a component that is to fall is asked."""
LOOKS, SCORED, SWEEPS = 60, 8, 60
"""Looks at a row, steps by expected curvature among them, sweeps of a step; at most."""
LIFT = 1e-3
"""Share of the mean amount of its row that an amount begins with, at least."""
LEAST = 1e-10
"""Least prediction that is divided by."""
SMALL, SINGLE = 1e-6, 1e-13
"""Squared Newton decrement of a row that is done; more by this for each of its counts, which is
what single precision leaves."""
SLOWER = 0.05
"""Share of the decrement before that a step with the same curvature may leave."""
TOGETHER = 256
"""Rows whose slopes are added up in single precision."""


@cache
def kernel(K: int) -> Any:
    """For K components, a multiple of `LANES`.

    run(x (row, column), weights of columns, of rows, Σ w R (K,), R (K, column), the same with
    channels together, `paired` of both, L (row, K) to be written to, sums (2, K, column) to be
    added to) returns (−Σ w x ln m, looks).
    """
    from numba.extending import register_jitable

    look, bend, step = (register_jitable(f) for f in (_look(K), _bend(K), _step))
    fall, add, begun = (register_jitable(f) for f in (_fall, _add(K), _begun))
    return compiled(_rows(K, look, bend, step, fall, add, begun))


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


def _begun(row, reach, total, lift, c):
    """Where a row begins: none at its bound, with as many counts as there are."""
    mean, there = 0.0, 0.0
    for k in range(len(c)):
        mean += row[k] / len(c)
    if not mean > 0.0:
        mean = 1.0 / lift
    for k in range(len(c)):
        c[k] = max(row[k], lift * mean)
        there += c[k] * reach[k]
    for k in range(len(c)):
        c[k] = c[k] * total / there if there > 0.0 and reach[k] > 0.0 else row[k]


def _look(K):
    least = np.float32(LEAST)

    def look(v, R, c, m, q, w, asked):
        """Predictions, v / m, v / m² and R v / m of one row."""
        p, one = len(v), np.float32(1)
        near = np.empty(K, np.float32)
        for k in range(K):
            near[k] = np.float32(c[k])
        for j in range(p):
            mean = np.float32(0)
            for k in range(K):
                mean += near[k] * R[k, j]
            mean = mean if mean > least else least
            m[j] = mean
            inverse = one / mean
            ratio = v[j] * inverse
            q[j] = ratio
            w[j] = ratio * inverse
        for k in range(0, K, 4):
            s, t, u, z = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for j in range(p):
                ratio = q[j]
                s += ratio * R[k, j]
                t += ratio * R[k + 1, j]
                u += ratio * R[k + 2, j]
                z += ratio * R[k + 3, j]
            asked[k], asked[k + 1], asked[k + 2], asked[k + 3] = s, t, u, z

    return look


def _bend(K):
    def bend(w, pairs, h):
        """Σ R_k R_l v / m², from R_k R_l one below the other."""
        p, part = len(w), np.empty(len(pairs))
        for i in range(0, len(pairs), 4):
            s, t, u, z = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for j in range(p):
                here = w[j]
                s += here * pairs[i, j]
                t += here * pairs[i + 1, j]
                u += here * pairs[i + 2, j]
                z += here * pairs[i + 3, j]
            part[i], part[i + 1], part[i + 2], part[i + 3] = s, t, u, z
        i = 0
        for k in range(K):
            for l in range(k + 1):  # noqa: E741
                h[k, l] = h[l, k] = part[i]
                i += 1

    return bend


def paired(R: NDArray[np.float32]) -> NDArray[np.float32]:
    """R_k R_l for l ≤ k, (pair, column), with zeros up to whole lanes."""
    k, l = np.tril_indices(len(R))  # noqa: E741
    made = np.zeros((-(-len(k) // LANES) * LANES, R.shape[1]), np.float32)
    made[: len(k)] = R[k] * R[l]
    return made


def _step(c, g, h, d, inverse):
    """Newton's step d within c + d ≥ 0, and −g d, the squared decrement."""
    K, largest = len(c), 0.0
    for k in range(K):
        d[k] = 0.0
        largest = max(largest, h[k, k])
    flat, first = largest * 1e-12 + 1e-300, 0.0
    for k in range(K):
        inverse[k] = 1.0 / h[k, k] if h[k, k] > flat else 0.0
    for sweep in range(SWEEPS):
        change = 0.0
        for k in range(K):
            slope = g[k]
            for l in range(K):  # noqa: E741
                slope += h[k, l] * d[l]
            if inverse[k] > 0.0:
                new = max(d[k] - slope * inverse[k], -c[k])
            else:  # nothing bends: a slope leads to the bound, or nowhere
                new = -c[k] if slope > 0.0 else d[k]
            change = max(change, (new - d[k]) * (new - d[k]) * h[k, k])
            d[k] = new
        if sweep == 0:
            first = change
        if change <= 1e-6 * first:
            break
    decrement = 0.0
    for k in range(K):
        decrement -= g[k] * d[k]
    return decrement


def _fall(v, m, least):
    """Σ v ln m, ln by the series of 2 artanh; −∞ where a count has no mean above the least."""
    total, lost, one, two = np.float32(0), np.float32(0), np.float32(1), np.float32(2)
    floor = np.float32(least)
    for j in range(len(v)):
        bits = np.float32(m[j]).view(np.int32)
        power = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
        f = np.int32(bits - np.int32(power << np.int32(23))).view(np.float32)
        s = (f - one) / (f + one)
        z = s * s
        y = np.float32(2 / 11)
        y = y * z + np.float32(2 / 9)
        y = y * z + np.float32(2 / 7)
        y = y * z + np.float32(2 / 5)
        y = y * z + np.float32(2 / 3)
        ln = np.float32(power) * np.float32(0.6931471805599453) + (two * s + s * z * y)
        total += v[j] * ln
        lost += v[j] if m[j] <= floor else np.float32(0)
    return total if lost <= np.float32(0) else np.float32(-np.inf)


def _add(K):
    def add(q, w, shares, room):
        """Σ q c and Σ w c² of four rows, added to what is there."""
        for k in range(K):
            a, b, e, f = shares[0, k, 0], shares[0, k, 1], shares[0, k, 2], shares[0, k, 3]
            for j in range(q.shape[1]):
                room[0, k, j] += q[0, j] * a + q[1, j] * b + (q[2, j] * e + q[3, j] * f)
            a, b, e, f = shares[1, k, 0], shares[1, k, 1], shares[1, k, 2], shares[1, k, 3]
            for j in range(q.shape[1]):
                room[1, k, j] += w[0, j] * a + w[1, j] * b + (w[2, j] * e + w[3, j] * f)

    return add
