"""Spectra as a kernel leaves them: plural scattering, a response, a displacement; linear maps."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.cubic import cubic

SMALL_PRIMES = (2, 3, 5)
"""Lengths without other factors are transformed fastest."""


@checked_call
def convolve(S: Tensor, D: Tensor, *, zero: int = 0) -> Tensor:
    """Spectra convolved with kernels along the channels: Σ_j D[j, r] S[e − j + zero, k].

    For `forward`: with a low loss of rank r, B (pixel, r) and D (loss channel, r), plural
    scattering of C Sᵀ is a product of two factors, `fu.cp((B[:, :, None] * C[:, None]).flatten(1),
    fu.convolve(S, D))`. Beyond its ends a spectrum is taken as zero, and nothing comes round from
    the other end. Both arguments may be unknowns. By Fourier transforms: the cost is that of the
    channels times their logarithm, whatever the length of the kernels.

    Args:
        S: (n, K), a factor over channels.
        D: (losses, r), kernels on channels as wide; (losses,) is one of them. Losses that reach
            across all n channels or farther do not enter.
        zero: row of D that leaves a spectrum where it is: the zero loss.

    Returns:
        (n, r·K), the components of the first kernel, then those of the second …

    Raises:
        ValueError: if S or D are no such arrays, or `zero` is no row of D.

    Example:
        >>> import torch
        >>> S = torch.tensor([[0.0], [1.0], [2.0], [0.0]])
        >>> made = fu.convolve(S, torch.tensor([0.5, 0.0, 0.25]))[:, 0]
        >>> np.allclose(made, [0.0, 0.5, 1.0, 0.25], atol=1e-6)
        True
    """
    if S.ndim != 2 or D.ndim not in (1, 2):
        raise ValueError(
            f"`convolve`: spectra {tuple(S.shape)}, kernels {tuple(D.shape)}: give (n, K) and "
            "(losses, r), channels first."
        )
    if not 0 <= zero < len(D):
        raise ValueError(
            f"`convolve(zero={zero})`: the kernels have rows 0 to {len(D) - 1}: give the one of "
            "the zero loss."
        )
    D, n = D.reshape(len(D), -1), S.shape[0]
    first = max(0, zero - n + 1)
    kernel, at = D[first : zero + n], zero - first
    length = _quick_length(n + len(kernel) - 1)
    transformed = torch.fft.rfft(kernel.to(S), n=length, dim=0)[:, :, None]
    product = transformed * torch.fft.rfft(S, n=length, dim=0)[:, None]
    return torch.fft.irfft(product, n=length, dim=0)[at : at + n].flatten(1)


@checked_call
def shift(S: Tensor, by: Tensor) -> Tensor:
    """Spectra displaced along the channels, also by parts of a channel: S(e − by).

    Between channels a spectrum is the cubic through its neighbours (Keys), which is exact for
    parabolas; it has a derivative by the displacement, which may be an unknown. Beyond its ends it
    is taken as zero.

    Args:
        S: (n, K), a factor over channels.
        by: displacements in channels, (r,), or one number as a tensor without axes.

    Returns:
        (n, r·K), all components by the first displacement, then by the second …

    Raises:
        ValueError: if `by` has more than one axis.

    References:
        Keys, IEEE Trans. Acoust. Speech Signal Process. 29:1153 (1981).

    Example:
        >>> import torch
        >>> S = torch.tensor([[0.0], [0.0], [1.0], [0.0], [0.0]])
        >>> made = fu.shift(S, torch.tensor(0.5))[:, 0]
        >>> np.allclose(made, [0.0, -0.0625, 0.5625, 0.5625, -0.0625], atol=1e-6)
        True
    """
    if by.ndim > 1:
        raise ValueError(
            f"`shift`: displacements of shape {tuple(by.shape)}: give one number, or (r,)."
        )
    zero = S.shape[0] - 1
    losses = torch.arange(-zero, zero + 1, dtype=S.dtype, device=S.device)
    return convolve(S, cubic(losses[:, None] - by.reshape(-1).to(S)), zero=zero)


def _quick_length(n: int) -> int:
    """The least number from n on without factors above 5."""
    while True:
        rest = n
        for prime in SMALL_PRIMES:
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
