"""Where a fit of EELS with plural scattering starts: each pixel's spectrum, deconvolved."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.algebra.truncated_svd import truncated_svd

NEAREST = 15
"""Pixels that are averaged for a spectrum."""
FAINT = 0.2
"""Share of a large amount below which a pixel is too noisy to be a corner."""
BESIDE = 2
"""Directions that are kept beside the components, of backgrounds that differ."""


def inverse_kernels(h: Tensor) -> Tensor:
    """Causal kernels g with (h ⊗ g) = 1 in channel 0 alone: power series, by Newton's iteration.

    g ← g (2 − h g) doubles the number of right terms. Nothing wraps round, and nothing is divided
    by but h[0], the zero loss.

    Args:
        h: (…, losses), h[…, 0] > 0.
    """
    n, right = h.shape[-1], 1
    g = 1 / h[..., :1]
    while right < n:
        right = min(2 * right, n)
        length = 4 * right
        g_hat = torch.fft.rfft(g, n=length)
        made = 2 * g_hat - torch.fft.rfft(h[..., :right], n=length) * g_hat * g_hat
        g = torch.fft.irfft(made, n=length)[..., :right]
    return g


def start_values(
    X: Tensor, h: Tensor, laws: Tensor, onset: int, K: int
) -> tuple[Tensor, Tensor] | None:
    """Spectra (channel, K) and maps (pixel, K) to start from; None where there is no corner left.

    Low-rank spectra, less the power laws before the first edge, deconvolved one by one; successive
    projections find the corners, whose nearest pixels are averaged.

    Args:
        X: (pixel, channel) in units of their noise up to a factor of the pixel.
        h: (pixel, losses), sums 1; no pixel of zeros.
        laws: (channel, 2).
        onset: first channel of the edges.
        K: components.
    """
    n = X.shape[1]
    U, s, V = truncated_svd(X, min(K + laws.shape[1] + BESIDE, *X.shape))
    clean = (U * s) @ V.T
    before = laws[:onset]
    if onset > laws.shape[1]:
        clean = clean - torch.linalg.lstsq(before, clean[:, :onset].T).solution.T @ laws.T
    else:
        clean = clean - clean.amin(1, keepdim=True)
    g = inverse_kernels(torch.nn.functional.pad(h, (0, max(0, n - h.shape[1])))[:, :n])
    single = torch.fft.irfft(torch.fft.rfft(g, n=2 * n) * torch.fft.rfft(clean, n=2 * n), n=2 * n)[
        :, :n
    ]
    single[:, :onset] = 0
    picked = _corners(single, K)
    if picked is None:
        return None
    S = picked.clamp_min(0)
    S = S / torch.linalg.vector_norm(S, dim=0).clamp_min(1e-30)
    C = torch.linalg.lstsq(S, single.T).solution.T
    return S, C.clamp_min(1e-3 * float(C.abs().mean()))


def _corners(single: Tensor, K: int) -> Tensor | None:
    """(channel, K): the purest spectra, each a mean of the pixels nearest to it."""
    amount = single.sum(1)
    strong = amount > FAINT * torch.quantile(amount, 0.95)
    if int(strong.sum()) < K:
        return None
    profiles = single[strong] / amount[strong, None]
    U, s, V = truncated_svd(profiles, K)
    low, rest = U * s, U * s
    near = min(NEAREST, max(1, len(low) // (2 * K)))
    made = []
    for _ in range(K):
        farthest = low[int(rest.square().sum(1).argmax())]
        close = (low - farthest).square().sum(1).topk(near, largest=False).indices
        corner = low[close].mean(0)
        made.append(V @ corner)
        direction = torch.nn.functional.normalize(rest[close].mean(0), dim=0)
        rest = rest - (rest @ direction)[:, None] * direction
    return torch.stack(made, 1)
