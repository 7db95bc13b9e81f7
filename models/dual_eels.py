"""Core losses under the plural scattering that the low loss of every pixel shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import Free, NonNegative, Standardised, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.component_parts import ComponentParts
from fusion.language.convolve import convolve
from fusion.language.expected import Expected
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.language.term import Term
from fusion.models.checks import check_axes, check_datasets, check_rank
from fusion.models.dual_eels_background import (
    background_laws,
    check_options,
    orthonormal,
    scattered_laws,
)
from fusion.models.dual_eels_input import amounts_are_fitted, core_loss, kernels_of, zero_but
from fusion.models.dual_eels_start import start_values
from fusion.models.plural import moved_kernels, peak_profile, with_peak
from fusion.prepare.relative_thickness import RelativeThickness
from fusion.prepare.zero_loss import LowLoss

OFFSET, RATIO = 0.5, 0.01
"""Channels, and of the dispersion: how far energies of the low loss are expected to be off."""


class DualEELS(Model):
    """core ≈ Σ_r b_r ∘ C (D_r ⊗ S)ᵀ + background: the low loss of every pixel is in the model.

    The core loss of a pixel is its single scattering S c, convolved with the low loss of the pixel:
    where thickness varies, plural scattering makes one phase look like several. The low loss is
    B Dᵀ, of as few kernels as stand out of its noise. Its zero-loss peak is one channel:
    S (channel, K), unit columns, stays at the resolution of the instrument (unless `deconvolve` is
    asked for), and is zero before the first edge. C (pixel, K) are amounts: C Sᵀ is what the same
    exposure would show without plural scattering, as the low loss is divided by its sum. The
    background of a pixel is a combination of power laws, N (pixel, law) of either sign, bare or
    after the mean plural scattering of all pixels. Everything else is at right angles to it under
    the weights of the core loss, so that least squares eliminate it at once.

    What is known of the low loss within its errors may be fitted beside the rest, as deviations
    from the measured value in standard deviations, which a belief holds near 0 (`fit` adds it):
    energies of the two ranges against each other, an offset and a ratio of dispersions (factor
    `calibration`); and, where electrons are few, how much of each kernel a pixel has (factor
    `low_noise`). The ratio of the exposures is in C, and cannot be told from it.

    Args:
        core: core losses, as counted, on one uniform energy axis.
        low: low losses of the same pixels, with all of the zero-loss peak; steps may be others.
        K: number of components.
        onset: eV from which on S may differ from zero; None: where the mean spectrum first rises
            above the power laws before it.
        exponents: of the power laws. Three can take over the tails of edges.
        scattered_background: whether the power laws are those before plural scattering, as of the
            tails of edges and plasmons below the range; else they are fitted as they stand.
        rank: number of kernels; None: as the noise of the low loss allows.
        zero_loss: from where to where the zero-loss peak goes, in eV; None: it is looked for.
        deconvolve: whether the shape of the mean zero-loss peak is in the kernels, and S sharper
            than the instrument: as much as `LearnedSmoothness` allows.
        fit_energies: whether energies of the low loss may be off against those of the core loss,
            by parts of a channel (± 0.5) and of the dispersion (± 1 %). A fit takes half as long
            again; 2 % of the dispersion, held, bend spectra by some tenths of a degree.
        fit_amounts: whether B is fitted with its noise; None: where the low loss has fewer than
            1000 electrons a pixel, which is told.

    Attributes:
        onset: eV; channels before it are zero in S.
        used: (pixel,) which pixels are fitted; others are dark, cut off or thicker than 3 λ, and
            have no amounts, C = 0.

    Raises:
        ValueError: if pixels differ, energies are not those of core and low loss, no pixel is left,
            or K is below 1 or above the smaller dimension.

    References:
        Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011),
        section 4.3.

    Example:
        >>> from fusion.simulate import dual_eels
        >>> scan = dual_eels(shape=(6, 8), channels=80).datasets
        >>> core = scan["core"].estimate_variance()
        >>> model = fu.models.DualEELS(core, scan["low"], K=3)
        >>> loss = fu.losses.Frobenius(core) + 20 * fu.losses.Overlap("C")
        >>> fu.fit(model, loss, starts=1, max_steps=5, progress=False)["S"].shape
        (80, 3)
    """

    interchangeable = ("C", "S")
    single_scattering = ("S",)

    @checked_call
    def __init__(
        self,
        core: Dataset,
        low: Dataset,
        K: int,
        *,
        onset: float | None = None,
        exponents: Sequence[float] = (2.6, 3.4),
        scattered_background: bool = False,
        rank: int | None = None,
        zero_loss: tuple[float, float] | None = None,
        deconvolve: bool = False,
        fit_energies: bool = False,
        fit_amounts: bool | None = None,
    ) -> None:
        super().__init__()
        call = f"DualEELS({in_call(core)}, {in_call(low)}, {K!r})"
        check_datasets(call, [core, low])
        check_axes(call, [core, low], "pixels")
        laws_of = check_options(call, exponents, onset, rank)
        what = f"{core.name!r} is {core.matrix_shape} (pixel, channel)"
        check_rank(call, K, min(core.matrix_shape), what)
        self.core_name, read, spectra = (
            core.name,
            core_loss(call, core),
            LowLoss(call, low, zero_loss),
        )
        kernels, used = kernels_of(call, read, spectra, rank)
        laws, first = background_laws(call, read, used, laws_of, onset)
        if scattered_background:
            laws = scattered_laws(read.axis.values, laws_of, kernels, used)
        self.used, self.onset = used, float(read.axis.values[first])
        rest = np.log1p(spectra.beyond / np.maximum(spectra.total, 1e-300))
        self._thickness = RelativeThickness.of(
            core.pixels, kernels.thickness + rest, kernels.errors, spectra
        )
        unit = orthonormal(laws, read.weights)
        self.register_buffer("D", torch.from_numpy(kernels.D))
        self.register_buffer("B", torch.from_numpy(kernels.B))
        self.register_buffer("laws", unit)
        self.register_buffer("weighted_laws", unit * read.weights[:, None])
        self.D: Tensor
        self.B: Tensor
        self.laws: Tensor
        self.weighted_laws: Tensor
        after = torch.arange(core.matrix_shape[1]) >= first
        self.C = Factor((core.pixels, K), NonNegative(), *zero_but(torch.from_numpy(used), K))
        self.S = Factor((core.channels, K), NonNegative(), UnitColumns(), *zero_but(after, K))
        self.N = Factor((core.pixels, laws.shape[1]), Free())
        self.step = read.axis.scale
        peak = peak_profile(spectra, self.step) if deconvolve else np.ones(1)
        self.register_buffer("peak", torch.from_numpy(peak))
        self.peak: Tensor
        if fit_energies:
            self.calibration = Factor((2,), Standardised())
            self.calibration = torch.zeros(2)
        if amounts_are_fitted(call, spectra, used, fit_amounts):
            self.register_buffer("B_errors", torch.from_numpy(kernels.B_errors)[:, None])
            self.low_noise = Factor((core.pixels, kernels.B.shape[1]), Standardised())
            self.low_noise = torch.zeros(kernels.B.shape)
        self._start(read.spectra, laws, first)

    def scattered(self) -> tuple[Tensor, Tensor]:
        """(L, R): C Sᵀ after plural scattering is L Rᵀ; (pixel, r·K) and (channel, r·K)."""
        left = (self.amounts()[:, :, None] * self.C[:, None]).flatten(1)
        kernels = with_peak(self.kernels(), self.peak)
        return left, convolve(self.S, kernels, zero=len(self.peak) // 2)

    def amounts(self) -> Tensor:
        """(pixel, r) B: how much of each kernel every pixel has, so that B Dᵀ sums to 1."""
        if "low_noise" not in self.factor_modules():
            return self.B
        moved = self.B + self.B_errors * self.low_noise
        total = moved @ self.D.sum(0)
        return moved / torch.where(total > 0, total, 1.0)[:, None]

    def kernels(self) -> Tensor:
        """(loss channel, r) D, the zero loss in channel 0, its energies as they were found."""
        if "calibration" not in self.factor_modules():
            return self.D
        offset, ratio = self.calibration
        return moved_kernels(self.D, OFFSET * offset, 1 + RATIO * ratio)

    @property
    def offset(self) -> float:
        """eV by which the losses lie higher against the core loss than the low loss says."""
        return self._found(0) * OFFSET * self.step

    @property
    def dispersion_ratio(self) -> float:
        """Times which the losses are what the low loss says."""
        return 1 + self._found(1) * RATIO

    def _found(self, place: int) -> float:
        there = "calibration" in self.factor_modules()
        return float(self.calibration[place].detach()) if there else 0.0

    def beliefs(self, within: str = "") -> Sequence[Term]:
        names = [n for n in ("calibration", "low_noise") if n in self.factor_modules()]
        return [Expected([within + name for name in names])] if names else []

    def background(self) -> Tensor:
        """(pixel, channel) the background under the edges."""
        return self._amounts_of_laws(*self.scattered()) @ self.laws.T

    def component_parts(self, name: str) -> ComponentParts:
        """The components after the mean plural scattering of all pixels, and the background."""
        left, right = self.scattered()
        share = self.amounts()[torch.from_numpy(self.used)].mean(0)
        spectra = torch.einsum("r,erk->ek", share, right.unflatten(1, (len(share), -1)))
        maps = torch.cat([self.C, self._amounts_of_laws(left, right)], 1)
        laws = tuple(f"background {i + 1}" for i in range(self.laws.shape[1]))
        return ComponentParts(maps, torch.cat([spectra, self.laws], 1), laws)

    def _amounts_of_laws(self, left: Tensor, right: Tensor) -> Tensor:
        """(pixel, law) of the background, beside what scattering has of it."""
        return self.N - left @ (right.T @ self.weighted_laws)

    def relative_thickness(self) -> RelativeThickness:
        """t/λ of every pixel, with errors, by the kernels, which have less noise than the counts.

        NaN where the low loss of a pixel is not used. Where amounts of kernels are fitted, values
        are those of the fit, errors those of the low loss alone, which are larger.
        """
        told = self._thickness
        if "low_noise" not in self.factor_modules():
            return told
        with torch.no_grad():
            elastic = [(B @ self.D[0]).numpy(force=True) for B in (self.B, self.amounts())]
        used = np.isfinite(told.errors).ravel()
        moved = np.full(len(used), np.nan)
        moved[used] = np.log(elastic[0][used] / np.maximum(elastic[1][used], 1e-12))
        return replace(told, values=told.values + moved.reshape(told.values.shape))

    def forward(self) -> dict[str, Prediction]:
        left, right = self.scattered()
        right = right - self.laws @ (self.weighted_laws.T @ right)
        whole = torch.cat([left, self.N], 1), torch.cat([right, self.laws], 1)
        return {self.core_name: cp(*whole)}

    @torch.no_grad()
    def _start(self, X: Tensor, laws: Tensor, first: int) -> None:
        """Guesses that a fit starts from: spectra deconvolved pixel by pixel, and their corners."""
        used, K = torch.from_numpy(self.used), self.factor("C").shape[1]
        self.N = X @ self.weighted_laws
        made = start_values(X[used], (self.B @ self.D.T)[used], laws, first, K)
        if made is not None:
            C = X.new_zeros(len(X), K)
            self.S, C[used] = made
            self.C = C
