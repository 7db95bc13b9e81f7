"""What is done on one row of counts, channel by channel and component by component, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 4
"""Components, pairs of them, and rows that go together."""
COARSE = 8
"""Channels that go together where a row is far off."""
SWEEPS = 60
"""Over the components of a step, at most."""
EXCHANGES, ALIKE = 12, 1e-5
"""Exchanges of components at their bounds, at most; share of its curvature that the others leave to
a component, below which they are too much alike."""
LEAST = 1e-10
"""Least prediction that is divided by."""


def begun(made, i, reach, total, lift, c):
    """Where row i begins: none at its bound, with as many counts as there are."""
    mean, there = 0.0, 0.0
    for k in range(len(c)):
        mean += made[i, k] / len(c)
    if not mean > 0.0:
        mean = 1.0 / lift
    for k in range(len(c)):
        c[k] = max(made[i, k], lift * mean)
        there += c[k] * reach[k]
    for k in range(len(c)):
        c[k] = c[k] * total / there if there > 0.0 and reach[k] > 0.0 else made[i, k]


def met(n, x, lane, rows, made):
    """Σ x of n channels of a lane by each of some rows, a multiple of four."""
    for k in range(0, len(rows), 4):
        s, t, u, z = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(n):
            here = x[lane, j]
            s += here * rows[k, j]
            t += here * rows[k + 1, j]
            u += here * rows[k + 2, j]
            z += here * rows[k + 3, j]
        made[k], made[k + 1], made[k + 2], made[k + 3] = s, t, u, z


def look(lanes, n, v, R, c, m, q, w, lane, asked, near):
    """Predictions, v / m and v / m² of a lane, and R v / m of n channels; `near`: room for c.

    `lanes`: one entry a component; the compiler knows how many a tuple has, and unrolls.
    """
    K, one, least = len(lanes), np.float32(1), np.float32(LEAST)
    for k in range(K):
        near[k] = np.float32(c[k])
    for j in range(n):
        mean = np.float32(0)
        for k in range(K):
            mean += near[k] * R[k, j]
        mean = mean if mean > least else least
        m[j] = mean
        inverse = one / mean
        ratio = v[j] * inverse
        q[lane, j] = ratio
        w[lane, j] = ratio * inverse
    met(n, q, lane, R, asked)


def bend(lanes, n, w, lane, pairs, h, part):
    """Σ R_k R_l v / m², from R_k R_l one below the other; `part`: room for them."""
    met(n, w, lane, pairs, part)
    K, i = len(lanes), 0
    for k in range(K):
        for l in range(k + 1):  # noqa: E741
            h[k, l] = h[l, k] = part[i]
            i += 1


def bend_of_few(lanes, n, w, lane, R, h):
    """The same from R, where what would be made of it serves one row alone."""
    K = len(lanes)
    for k in range(K):
        for l in range(0, k + 1, 4):  # noqa: E741
            s, t, u, z = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for j in range(n):
                here = w[lane, j] * R[k, j]
                s += here * R[l, j]
                t += here * R[l + 1, j]
                u += here * R[l + 2, j]
                z += here * R[l + 3, j]
            h[k, l], h[k, l + 1], h[k, l + 2], h[k, l + 3] = s, t, u, z
    for k in range(K):
        for l in range(k):  # noqa: E741
            h[l, k] = h[k, l]


def paired(R: NDArray[np.float32]) -> NDArray[np.float32]:
    """R_k R_l for l ≤ k, (pair, column), with zeros up to whole lanes."""
    k, l = np.tril_indices(len(R))  # noqa: E741
    made = np.zeros((-(-len(k) // LANES) * LANES, R.shape[1]), np.float32)
    made[: len(k)] = R[k] * R[l]
    return made


def one_by_one(c, g, h, d, inverse):
    """The same, one component after the other."""
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


def step(lanes, c, g, h, d, inverse, lower):
    """Newton's step d within c + d ≥ 0, and −g d, the squared decrement.

    Components at their bounds are exchanged until none wants to leave; where these go round, or
    spectra are too much alike for that, one component after the other is taken. By L D Lᵀ: below
    the diagonal of `lower` stands L, above it L D.
    """
    K, free, every = len(lanes), 0, (1 << len(lanes)) - 1
    for k in range(K):
        if c[k] > 0.0 or g[k] < 0.0:
            free |= 1 << k
    for _ in range(EXCHANGES):
        apart = True
        for k in range(K):
            own = h[k, k]
            for l in range(k):  # noqa: E741
                a = h[k, l]
                for n in range(l):
                    a -= lower[n, k] * lower[l, n]
                lower[l, k] = a
                lower[k, l] = a * inverse[l]
                own -= a * lower[k, l]
            a = -g[k]
            if (free >> k) & 1 == 0:  # as if it had nothing to do with the others
                for l in range(k):  # noqa: E741
                    lower[k, l] = lower[l, k] = 0.0
                d[k], inverse[k] = 0.0, 0.0
                continue
            if not own > ALIKE * h[k, k]:
                apart = False
                break
            inverse[k] = 1.0 / own
            if free != every:
                for l in range(K):  # noqa: E741
                    if (free >> l) & 1 == 0:
                        a += h[k, l] * c[l]
            for l in range(k):  # noqa: E741
                a -= lower[k, l] * d[l]
            d[k] = a
        if not apart:
            break
        for k in range(K - 1, -1, -1):
            a = d[k] * inverse[k]
            for l in range(k + 1, K):  # noqa: E741
                a -= lower[l, k] * d[l]
            d[k] = a
        wrong, decrement = 0, 0.0
        for k in range(K):
            if (free >> k) & 1:
                if c[k] + d[k] < 0.0:
                    wrong |= 1 << k
            else:
                d[k] = -c[k]
            decrement -= g[k] * d[k]
        if free != every:
            for k in range(K):
                if (free >> k) & 1 == 0:
                    slope = g[k]
                    for l in range(K):  # noqa: E741
                        slope += h[k, l] * d[l]
                    if slope < 0.0:
                        wrong |= 1 << k
        if wrong == 0:
            return decrement
        free ^= wrong
    return one_by_one(c, g, h, d, inverse)


def fall(n, v, m, least):
    """Σ v ln m, ln by the series of 2 artanh; −∞ where a count has no mean above the least."""
    total, lost, one, two = np.float32(0), np.float32(0), np.float32(1), np.float32(2)
    floor = np.float32(least)
    for j in range(n):
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


def add(lanes, q, w, shares, room):
    """Σ q c and Σ w c² of four rows, added to what is there."""
    for k in range(len(lanes)):
        a, b, e, f = shares[0, k, 0], shares[0, k, 1], shares[0, k, 2], shares[0, k, 3]
        for j in range(q.shape[1]):
            room[0, k, j] += q[0, j] * a + q[1, j] * b + (q[2, j] * e + q[3, j] * f)
        a, b, e, f = shares[1, k, 0], shares[1, k, 1], shares[1, k, 2], shares[1, k, 3]
        for j in range(q.shape[1]):
            room[1, k, j] += w[0, j] * a + w[1, j] * b + (w[2, j] * e + w[3, j] * f)
