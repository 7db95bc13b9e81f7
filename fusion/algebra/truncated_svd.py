"""Leading singular triplets of a matrix."""

from __future__ import annotations

import torch
from torch import Tensor


def truncated_svd(X: Tensor, K: int) -> tuple[Tensor, Tensor, Tensor]:
    """Leading singular triplets (U, s, V) from the Gram matrix of the shorter side."""
    if X.shape[0] < X.shape[1]:
        V, s, U = truncated_svd(X.T, K)
        return U, s, V
    values, vectors = torch.linalg.eigh(X.T @ X)
    V = vectors[:, -K:].flip(1)
    s = values[-K:].flip(0).clamp_min(torch.finfo(X.dtype).tiny).sqrt()
    return X @ V / s, s, V
