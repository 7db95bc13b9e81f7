"""What stays on the detector while a spectrum moves over it: fixed pattern and afterglow."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waited_for
from fusion.data.dataset import Dataset

MOST = 1e7  # weight of the pursuit's multipliers where its growth ends
TOLERANCE, STEPS = 1e-7, 500  # of the pursuit
FEWEST = 4  # frames and channels
ROUNDS = 100  # of spectrum, channels and frames, each from the others, at most
STILL = 1e-7  # of the squares that are left: a round that gains less is the last
RIDGE = 1e-9  # of the largest diagonal entry, where nothing tells two unknowns apart


class FixedPattern(NamedTuple):
    """Data parted into what stays on the detector and what moves over it; both add up to them."""

    pattern: Dataset
    """Dark level, fixed pattern and afterglow of every frame."""
    signal: Dataset
    """The data without it, on the same channels."""


class MovingSpectrum(NamedTuple):
    """x = gain · signal + pattern, the signal being one spectrum that moves."""

    spectrum: Dataset
    """The spectrum where a frame of shift 0 has it, (channel,)."""
    gain: Dataset
    """Relative gain of every channel, mean 1, (channel,)."""
    pattern: Dataset
    """Dark level and afterglow of every frame."""
    signal: Dataset
    """(data − pattern) / gain, noise kept: `align(shifts=…)` brings the frames together."""


@checked_call
@waited_for
def separate_fixed_pattern(data: Dataset, *, progress: bool = True) -> FixedPattern:
    """Fixed pattern and afterglow apart from lines that move over the detector.

    For spectra recorded while the voltage of the spectrometer's drift tube wobbles: the spectrum
    moves, dark level and pattern stay, afterglow fades with a shape that stays. As a matrix (frame,
    channel) what stays is of low rank, as the background of a video, and lines that move are
    sparse: principal component pursuit. The shifts need not be known: `fusion.prepare.drifts`
    finds them in the signal, and `separate_moving_spectrum` then tells the spectrum. The signal
    here is not it yet: lines that often lie on the same channels, and all that is broad, lose
    height to the pattern, and noise goes to both.

    Args:
        data: spectra, all but the last axis being frames.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if there are fewer than four frames or channels, or values are masked or not
            finite.

    References:
        Candès et al., J. ACM 58:11 (2011); Lin, Chen & Ma, arXiv:1009.5055 (2010).
    """
    X = _checked_frames(data, f"separate_fixed_pattern({data})")
    L = _principal_component_pursuit(X)
    pattern, signal = (part.reshape(data.shape) for part in (L, X - L))
    method = f"low rank + sparse, rank {int(torch.linalg.matrix_rank(L, rtol=1e-6))}"
    return FixedPattern(
        data.derive(pattern, f"what stays on the detector ({method})", variance=None),
        data.derive(signal, f"fixed pattern taken off ({method})"),
    )


@checked_call
@waited_for
def separate_moving_spectrum(
    data: Dataset,
    shifts: Any,
    *,
    fixed: int = 2,
    gain_spread: float = 0.02,
    progress: bool = True,
) -> MovingSpectrum:
    """Gain, dark level and afterglow apart from a spectrum that moves by known shifts.

    x_fj = g_j c_f m(j − s_f) + Σ_r u_fr a_jr by alternating least squares: the spectrum m on a
    wider axis (cubic convolution between its channels), gain g and patterns a channel by channel,
    amounts c and the patterns' course u frame by frame. One spectrum is meant: frames of one place,
    or of places alike. What is broader than the shifts reach cannot be told from a pattern, and a
    constant never can.

    Args:
        data: spectra, all but the last axis being frames.
        shifts: how far every frame has moved, in channels, positive to higher channels, of the
            shape of the frames.
        fixed: number of patterns that stay, each with a course in time of its own: dark level and
            one afterglow are 2. More than there are take part of the spectrum.
        gain_spread: expected standard deviation of the relative gain, > 0: a Gaussian prior.
        progress: whether a line says that it is at work, as in `fit`.

    Raises:
        ValueError: if there are fewer than four frames or channels, values are masked or not
            finite, the shifts are no finite numbers of that shape or all the same, or an option is
            out of range.

    References:
        Bosman & Keast, Ultramicroscopy 108:837 (2008), for gain averaged by shifts.
    """
    call = f"separate_moving_spectrum({data}, …, fixed={fixed!r}, gain_spread={gain_spread!r})"
    X = _checked_frames(data, call)
    shift = _checked_shift_operator(data, shifts, call, X)
    if not 0 <= fixed <= min(X.shape) // 2 or not gain_spread > 0:
        raise ValueError(f"`{call}`: give 0 to {min(X.shape) // 2} patterns and a spread above 0.")
    m, g, L = _als(X, shift, int(fixed), _noise_level(X) ** 2 / gain_spread**2)
    L = L.reshape(data.shape)
    as_spectrum: dict[str, Any] = {"axes": data.channels, "mask": None, "variance": None}
    variance = None if data.variance is None else data.variance / g.cpu().square()
    method = f"{fixed} patterns, shifts from {shift.low:.1f} to {shift.high:.1f} channels"
    return MovingSpectrum(
        data.derive(m, f"the spectrum that moves ({method})", **as_spectrum),
        data.derive(g, f"relative gain ({method})", **as_spectrum),
        data.derive(L, f"what stays on the detector ({method})", variance=None),
        data.derive(
            (data.tensor - L) / g, f"pattern and gain taken off ({method})", variance=variance
        ),
    )


def _principal_component_pursuit(X: Tensor) -> Tensor:
    """The L of X = L + S with the least ‖L‖_* + ‖S‖₁ / √max(n, m); (n, m), by tensorly.

    Tensorly's counts the nuclear norm of a matrix once for each of its two modes, and its first
    weight is in the unit of the data: so a largest singular value of 1.
    """
    import tensorly as tl
    from tensorly.decomposition import robust_pca

    size = torch.linalg.matrix_norm(X, 2)
    if not bool(size > 0):
        return torch.zeros_like(X)
    with tl.backend_context("pytorch", local_threadsafe=True):  # type: ignore[attr-defined]
        L: Any = robust_pca(
            X / size,
            reg_E=2 / sqrt(max(X.shape)),
            mu_init=1.25,
            mu_max=MOST,
            tol=TOLERANCE,
            n_iter_max=STEPS,
            verbose=0,
        )[0]
    return L * size


class _ShiftOperator:
    """The frames' shifts: m(j − s_f) = Σ_t weight_t m[at_t], by cubic convolution on a wider axis.

    References:
        Keys, IEEE Trans. Acoust. Speech Signal Process. 29:1153 (1981).
    """

    def __init__(self, shifts: Tensor, channels: int) -> None:
        self.low, self.high = float(shifts.min()), float(shifts.max())
        self.margin = ceil(float(shifts.abs().max())) + 1
        self.width = channels + 2 * self.margin + 2
        x = torch.arange(channels).to(shifts) - shifts[:, None] + self.margin
        below = x.floor()
        self.at = [below.long() + t for t in (-1, 0, 1, 2)]  # (frame, channel) each
        self.weights = [_keys_kernel((x - below - t).abs()) for t in (-1, 0, 1, 2)]

    def __call__(self, m: Tensor) -> Tensor:
        """(wide,) → (frame, channel)."""
        return sum((w * m[i] for i, w in zip(self.at, self.weights, strict=True)), 0 * self.at[0])

    def solve(self, Y: Tensor, G: Tensor) -> Tensor:
        """The m of the least ‖Y − G ∘ (moved m)‖²; 0 where no frame looks."""
        n = self.width
        H, b = Y.new_zeros(n * n), Y.new_zeros(n)
        taps = [(i, G * w) for i, w in zip(self.at, self.weights, strict=True)]
        for i, u in taps:
            b.index_add_(0, i.flatten(), (u * Y).flatten())
            for j, v in taps:
                H.index_add_(0, (i * n + j).flatten(), (u * v).flatten())
        return _solve_regularised(H.reshape(n, n), b[:, None])[:, 0]


def _keys_kernel(x: Tensor) -> Tensor:
    """Kernel of cubic convolution at distances 0 ≤ x ≤ 2."""
    near, far = (1.5 * x - 2.5) * x.square() + 1, ((2.5 - 0.5 * x) * x - 4) * x + 2
    return torch.where(x <= 1, near, far)


def _als(X: Tensor, shift: _ShiftOperator, r: int, prior: float) -> tuple[Tensor, Tensor, Tensor]:
    """(spectrum (channel,), gain (channel,), patterns (frame, channel))."""
    F, n = X.shape
    g, c, L, m = X.new_ones(n), X.new_ones(F), torch.zeros_like(X), X.new_zeros(shift.width)
    u, squares_before = X.new_zeros(F, r), float("inf")
    for step in range(ROUNDS):
        m = shift.solve(X - L, c[:, None] * g)
        T = shift(m)
        if step == 0:
            u = torch.linalg.svd(X - T, full_matrices=False)[0][:, :r] * sqrt(F)
        coef = _fit_rows(X.T, (c[:, None] * T).T, u, prior)  # channel by channel
        g, a = coef[:, 0] / coef[:, 0].mean(), coef[:, 1:]
        coef = _fit_rows(X, g * T, a, 0.0)  # frame by frame
        c, u = coef[:, 0] / coef[:, 0].mean(), coef[:, 1:]
        L = u @ a.T
        squares_left = float((X - c[:, None] * g * T - L).square().sum())
        if squares_before - squares_left <= STILL * squares_left:
            break
        squares_before = squares_left
    return m[shift.margin : shift.margin + n], g, L


def _fit_rows(X: Tensor, first: Tensor, others: Tensor, prior: float) -> Tensor:
    """Least squares, row by row, of X (i, j) on first_i (j,) and the same others (j, r).

    Args:
        prior: weight of (coefficient of the first − 1)².
    """
    design = torch.cat([first[..., None], others.expand(len(X), *others.shape)], dim=2)
    H, b = design.mT @ design, design.mT @ X[..., None]
    H[:, 0, 0] += prior
    b[:, 0] += prior
    return _solve_regularised(H, b)[..., 0]


def _solve_regularised(H: Tensor, b: Tensor) -> Tensor:
    """H⁻¹ b, H positive semi-definite."""
    diagonal = H.diagonal(dim1=-2, dim2=-1)
    tiny = torch.finfo(H.dtype).tiny
    ridge = RIDGE * diagonal.amax(-1, keepdim=True) + tiny
    return torch.linalg.solve(H + torch.diag_embed(ridge.expand_as(diagonal)), b)


def _noise_level(X: Tensor) -> float:
    """Standard deviation of an entry, from what neighbours in frame and channel do not share.

    The second difference x_{f+1,j+1} − x_{f+1,j} − x_{f,j+1} + x_{f,j} has twice that of an entry,
    and knows neither a pattern that stays nor a spectrum that is smooth over the shift.
    """
    second = X.diff(dim=0).diff(dim=1)
    return float(second.abs().median()) / (0.6745 * 2)


def _checked_frames(data: Dataset, call: str) -> Tensor:
    """(frame, channel), float64."""
    if data.signal != 1 or min(data.matrix_shape) < FEWEST:
        raise ValueError(
            f"`{call}`: {data.matrix_shape[0]} frames of {data.matrix_shape[1]} channels, "
            f"{data.signal} signal axes: give spectra, {FEWEST} or more of each."
        )
    X = data.matrix.double()
    bad = ~torch.isfinite(X)
    if data.mask is not None:
        bad |= data.mask.expand(data.shape).reshape(X.shape).to(bad.device)
    if bool(bad.any()):
        raise ValueError(
            f"`{call}`: {int(bad.sum())} of {X.numel()} values are masked or not finite: crop "
            "them off, or `remove_spikes` first."
        )
    return X


def _checked_shift_operator(data: Dataset, shifts: Any, call: str, X: Tensor) -> _ShiftOperator:
    """The frames' shifts, checked."""
    s, scan = np.asarray(shifts, dtype=float), data.shape[:-1]
    good = s.shape == scan and bool(np.isfinite(s).all())
    if not good or np.ptp(s) == 0 or np.abs(s).max() >= data.shape[-1]:
        raise ValueError(
            f"`{call}`: shifts of shape {s.shape} for frames {scan}, from {s.min():g} to "
            f"{s.max():g} of {data.shape[-1]} channels: give a finite number of channels for every "
            "frame, not all the same, less than there are."
        )
    return _ShiftOperator(torch.from_numpy(s.reshape(-1)).to(X), data.shape[-1])
