"""Compiled passes over counts for many components: a row of R lies side by side as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion.likelihood.compiling import PART, compiled, fall


def slopes_of_many() -> Any:
    """`Kernels.slopes` for any number of components."""

    def slopes(start, column, x, L, R, a, b, gradient, other, with_slopes):
        k_of = L.shape[1]
        m, counts, loss = np.empty(PART), np.empty(PART), 0.0
        for i in range(a, b):
            if with_slopes:
                for k in range(k_of):
                    gradient[i, k] = 0.0
            begin, end = start[i], start[i + 1]
            while begin < end:
                n = min(PART, end - begin)
                for t in range(n):
                    c, mean = column[begin + t], 0.0
                    for k in range(k_of):
                        mean += L[i, k] * R[c, k]
                    m[t], counts[t] = mean, x[begin + t]
                loss -= fall(counts, m, n)
                if with_slopes:
                    for t in range(n):
                        c, q = column[begin + t], counts[t] / m[t]
                        for k in range(k_of):
                            gradient[i, k] -= q * R[c, k]
                        for k in range(k_of):
                            other[c, k] -= q * L[i, k]
                begin += n
        return loss

    return compiled(slopes)


def products_of_many() -> Any:
    """`Kernels.products` for any number of components."""

    def products(start, column, x, L, R, dL, dR, a, b, moved, other, whole):
        k_of = L.shape[1]
        for i in range(a, b):
            for k in range(k_of):
                moved[i, k] = 0.0
            for t in range(start[i], start[i + 1]):
                c, mean, change = column[t], 0.0, 0.0
                for k in range(k_of):
                    mean += L[i, k] * R[c, k]
                    change += dL[i, k] * R[c, k] + L[i, k] * dR[c, k]
                q = x[t] / mean
                h = q / mean * change
                for k in range(k_of):
                    moved[i, k] += h * R[c, k]
                for k in range(k_of):
                    other[c, k] += h * L[i, k]
                if whole:  # the slope −x / m meets both directions
                    for k in range(k_of):
                        moved[i, k] -= q * dR[c, k]
                    for k in range(k_of):
                        other[c, k] -= q * dL[i, k]

    return compiled(products)
