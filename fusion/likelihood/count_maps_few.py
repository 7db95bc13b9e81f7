"""Rows of counts most of which are zero: read from what is stored, listed, and added up, compiled.

What is done channel by channel is done on the channels that have counts alone, put one beside the
other; predictions elsewhere enter by their sum, which is known.
"""

from __future__ import annotations

import numpy as np

FULL = 3
"""One channel in so many that has counts, and a row is read with its zeros."""


def listed_of_array(source, i, weights, v, at, room):
    """Channels with counts of a row of an array, (how many, weighted sum of the counts).

    `source`: the array, and the same as words of eight bytes, so that zeros are passed over.
    Nothing branches on the counts: what is none is written over by what comes next.
    """
    x, words = source[0][i], source[1][i]
    n, some, total, wide = 0, 0, np.float32(0), len(x) // len(words)
    for b in range(len(words)):
        room[some] = b * wide
        some += words[b] != 0
    for s in range(some):
        first = room[s]
        for j in range(first, first + wide):
            at[n] = j
            n += x[j] != 0
    for t in range(n):
        v[t] = np.float32(x[at[t]]) * weights[at[t]]
        total += v[t]
    return n, total


def listed_of_list(source, i, weights, v, at, room):
    """The same of rows that are stored as lists: where each begins, channels, counts."""
    start, columns, counts = source
    total, begin = 0.0, start[i]
    n = start[i + 1] - begin
    columns, counts = columns[begin : begin + n], counts[begin : begin + n]
    for t in range(n):
        at[t] = columns[t]
        v[t] = np.float32(counts[t]) * weights[columns[t]]
        total += v[t]
    return n, total


def spread_out(n, v, at, room):
    """A list as a row with its zeros."""
    for j in range(len(v)):
        room[j] = np.float32(0)
    for t in range(n):
        room[at[t]] += v[t]
    for j in range(len(v)):
        v[j] = room[j]


def gathered(lanes, n, at, fine, few, pairs):
    """R and its `paired` of the channels that are listed."""
    K = len(lanes)
    for k in range(K):
        for t in range(n):
            few[k, t] = fine[k, at[t]]
    i = 0
    for k in range(K):
        for l in range(k + 1):  # noqa: E741
            for t in range(n):
                pairs[i, t] = few[k, t] * few[l, t]
            i += 1


def scatter(lanes, n, at, q, w, first, second, room):
    """Σ q c and Σ w c² of one row, added to what is there, (channel, 2 K)."""
    K = len(lanes)
    for t in range(n):
        one, two, j = q[t], w[t], at[t]
        for k in range(K):
            room[j, k] += one * first[k]
            room[j, K + k] += two * second[k]


def handed_over(room, apart, sums):
    """What rows with their zeros and listed ones have added up, to the sums."""
    K = room.shape[1]
    for j in range(room.shape[2]):
        for k in range(K):
            sums[0, k, j] += room[0, k, j] + apart[j, k]
            sums[1, k, j] += room[1, k, j] + apart[j, K + k]
    room[:], apart[:] = np.float32(0), np.float32(0)
