"""Thickness over the mean free path of inelastic scattering, from low-loss spectra."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.display import Display, Facts, Shown
from fusion.data.dataset import Dataset
from fusion.prepare.mean_free_path import ElectronOptics, Thickness, path_from
from fusion.prepare.zero_loss import LowLoss

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class RelativeThickness(Shown):
    """t/λ of every pixel.

    Attributes:
        values: t/λ, without unit, of the shape of the scan; NaN where nothing was counted.
        errors: standard deviations, likewise.
        zero_loss: eV, from where to where the zero-loss peak was taken.
        beyond: share of the electrons that lost more than the spectra show, by a power law; they
            are counted in.
        optics: beam energy and angles, as the metadata say.
    """

    values: Array
    errors: Array
    zero_loss: tuple[float, float]
    beyond: float
    optics: ElectronOptics

    @classmethod
    def of(cls, pixels: Axes, values: Array, errors: Array, spectra: LowLoss) -> RelativeThickness:
        """Of values and errors (pixel,), on the axes of the scan."""
        shape, zero = tuple(axis.size or 1 for axis in pixels), spectra.zero
        window = zero.start, zero.end
        optics, beyond = ElectronOptics.of(spectra.low), spectra.share_beyond
        return cls(values.reshape(shape), errors.reshape(shape), window, beyond, optics)

    @checked_call
    def in_nm(
        self,
        density: float,
        *,
        beam_energy: float | None = None,
        convergence: float | None = None,
        collection: float | None = None,
    ) -> Thickness:
        """The thickness, by the mean free path that the density tells (`fusion.mean_free_path`).

        Args:
            density: g/cm³, of what most of the map is made of; λ goes with its power −0.3.
            beam_energy: keV; convergence, collection: half-angles in mrad; None: as the metadata
                of the low loss say.

        Raises:
            ValueError: if one is neither given nor in the metadata, or not above zero.
        """
        given = ElectronOptics(beam_energy, convergence, collection)
        path = path_from(f"in_nm({density!r})", density, self.optics, given)
        return Thickness(path * self.values, path * self.errors, path)

    def _display(self) -> Display:
        low, middle, high = np.nanquantile(self.values, [0.05, 0.5, 0.95])
        told = [
            ("t/λ", f"{middle:.3g}, in 90 % of the pixels {low:.3g} to {high:.3g}"),
            ("standard error", f"{np.nanmedian(self.errors):.2g}"),
            ("zero loss", f"{self.zero_loss[0]:.3g} to {self.zero_loss[1]:.3g} eV"),
            ("beyond the axis", f"{100 * self.beyond:.2g} % of the electrons"),
        ]
        return Display("relative thickness", (Facts(told),))


@checked_call
def relative_thickness(
    low: Dataset, *, zero_loss: tuple[float, float] | None = None
) -> RelativeThickness:
    """t/λ = ln(I_t / I_0) of every pixel, with its error: the log-ratio method.

    I_0 are the counts of the zero-loss peak, I_t those of the whole spectrum, with what a power law
    has beyond its end. The peak ends in the valley before the first plasmon of the mean spectrum. λ
    is the mean free path of all inelastic scattering into the collection aperture.

    Args:
        low: low-loss spectra with the zero loss, without background of the detector.
        zero_loss: from where to where the zero-loss peak goes, in eV; None: it is looked for.

    Returns:
        Values and errors of the shape of the scan. Errors are those of the data's variance where
        that is known, else of counts whose variance over mean is measured between pixels.

    Raises:
        ValueError: if the spectra have no zero-loss peak, or begin within it.

    References:
        Malis, Cheng, Egerton, J. Electron Microsc. Tech. 8:193 (1988).

    Example:
        >>> energy = fu.Axis("energy loss", scale=0.5, offset=-5, units="eV")
        >>> x = -5 + 0.5 * np.arange(200)
        >>> plasmon = np.exp(-0.5 * ((x - 20) / 4) ** 2)
        >>> counts = 1e4 * np.exp(-0.5 * x**2) + 2e3 * plasmon + np.zeros((3, 4, 1))
        >>> low = fu.Dataset("low", counts, axes=["y", "x", energy])
        >>> fu.relative_thickness(low).values.round(3)[0, 0]
        np.float64(0.588)
    """
    spectra = LowLoss(f"relative_thickness({in_call(low)})", low, zero_loss)
    elastic, total = spectra.elastic, spectra.total
    counted = spectra.seen & (elastic > 0) & (total > 0) & ~spectra.clipped
    say_what_is_missing(f"relative_thickness({in_call(low)})", spectra)
    I0, It = np.where(counted, elastic, np.nan), np.where(counted, total, np.nan)
    values = np.log((It + spectra.beyond) / I0)
    errors = np.sqrt(_variance(spectra, I0, It))
    return RelativeThickness.of(low.pixels, values, errors, spectra)


def say_what_is_missing(call: str, spectra: LowLoss) -> None:
    """Of pixels whose peak is cut off, and of an axis that ends before the losses fall."""
    name = spectra.low.name
    if clipped := int(spectra.clipped.sum()):
        warnings.warn(
            f"`{call}`: the zero loss of {clipped} pixels of {name!r} is cut off at "
            f"{spectra.spectra.max():g}: t/λ of these is not known; record it with a shorter "
            "exposure.",
            CutWarning,
            stacklevel=users_line(),
        )
    spectra.say_where_it_ends(call)


def _variance(spectra: LowLoss, I0: Array, It: Array) -> Array:
    """Of ln(I_t / I_0): a count of the peak moves both."""
    low, zero = spectra.low, spectra.zero
    if low.variance is None:
        return spectra.gain * np.maximum(1 / I0 - 1 / It, 0)
    variance = low.variance.expand(low.shape).numpy().reshape(low.matrix_shape)
    peak = variance[:, zero.first : zero.stop].sum(1)
    rest = variance[:, zero.stop :].sum(1)
    return peak * (1 / I0 - 1 / It) ** 2 + rest / It**2
