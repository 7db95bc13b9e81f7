"""Rows of counts most of which are zero: read from what is stored, listed, and added up, compiled.

What is done channel by channel is done on the channels that have counts alone, put one beside the
other; predictions elsewhere enter by their sum, which is known.
"""

from __future__ import annotations

import numpy as np

from fusion.likelihood.count_maps_lanes import BYTES, add_times, filled, first_of, number_of

FULL = 3
"""One channel in so many that has counts, and a row is read with its zeros."""


def listed_of_array(x, i, weights, v, at):
    """Channels with counts of a row of an array, (how many, weighted sum of the counts).

    Nothing branches on the counts: four places are written down whether they have some or not, and
    what is none is written over by what comes next. Places are unsigned here as all that is listed:
    others are asked each time whether they count from the end.
    """
    p, total, one = x.shape[1], np.float32(0), np.uint64(1)
    together = BYTES // x.itemsize
    whole, n = p // together * together, np.uint64(0)
    for first in range(0, whole, together):
        here, t, begin = filled(x, i, first), n, np.uint64(first)
        n += number_of(here)
        while True:
            for more in range(4):
                at[t + np.uint64(more)] = begin + first_of(here)
                here &= here - one
            if here == 0:
                break
            t += np.uint64(4)
    for j in range(whole, p):
        at[n] = j
        n += np.uint64(x[i, j] != 0)
    for t in range(n):
        v[t] = np.float32(x[i, at[t]]) * weights[at[t]]
        total += v[t]
    return np.int64(n), total


def listed_of_list(source, i, weights, v, at):
    """The same of rows that are stored as lists: where each begins, channels, counts."""
    start, columns, counts = source
    total, begin = np.float32(0), start[i]
    n = start[i + 1] - begin
    for t in range(n):
        at[t] = columns[begin + t]
        v[t] = np.float32(counts[begin + t]) * weights[at[t]]
        total += v[t]
    return n, total


def spread_out(n, v, at, room):
    """A list as a row with its zeros."""
    for j in range(len(v)):
        room[0, j] = np.float32(0)
    for t in range(n):
        room[0, at[t]] += v[t]
    for j in range(len(v)):
        v[j] = room[0, j]


def gathered(lanes, n, at, by_channel, few):
    """R of the channels that are listed."""
    for t in range(n):
        j = at[t]
        for k in range(len(lanes)):
            few[k, t] = by_channel[j, k]


def scatter(lanes, n, at, q, w, lane, shares, room):
    """Σ q c and Σ w c² of one row, added to what is there, (channel, 2 K); `shares`: c and c²."""
    K = len(lanes)
    for t in range(n):
        one, two, j = q[lane, t], w[lane, t], at[t]
        for k in range(0, K, 4):
            add_times(room, j, k, one, shares, k)
            add_times(room, j, K + k, two, shares, K + k)


def handed_over(room, apart, sums):
    """What rows with their zeros and listed ones have added up, to the sums."""
    K = room.shape[1]
    for j in range(room.shape[2]):
        for k in range(K):
            sums[0, k, j] += room[0, k, j] + apart[j, k]
            sums[1, k, j] += room[1, k, j] + apart[j, K + k]
    room[:], apart[:] = np.float32(0), np.float32(0)
