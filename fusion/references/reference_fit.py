"""What `mlls` gives back: maps with errors, and where the references do not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Facts, Notes, Part, Shown
from fusion.data.dataset import Dataset
from fusion.data.reference_spectra import References
from fusion.forms.contract import Form
from fusion.references.residual_shape import LEVEL, MANY, Residuals, missing_text, residuals_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

QUICK = 10**6
"""Entries of all maps up to which their means are shown."""
UNKNOWN = (
    "the variance of the data is not known: errors come from what is left in every pixel, reduced "
    "χ² and p compare it with the median pixel; `data.estimate_variance()` measures it"
)


class PixelFit(NamedTuple):
    """What is found in some pixels."""

    c: Tensor  # (n, K)
    variance: Tensor  # (n, K), for noise of the size that the weights say
    free: Tensor  # (n, K): not held at zero
    squares: Tensor  # (n,) χ², or the deviance of counts
    mean: Tensor  # (n,) its expectation
    spread: Tensor  # (n,) its variance
    rms: Tensor  # (n,) root mean square of what is left
    residuals: Residuals  # what is left in every channel; `z` whatever the sign of c

    @staticmethod
    def join(parts: Sequence[PixelFit]) -> PixelFit:
        """All pixels."""
        pixels = [torch.cat(group) for group in zip(*(part[:-1] for part in parts), strict=True)]
        return PixelFit(*pixels, residuals=Residuals.total([part.residuals for part in parts]))


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceFit(Shown):
    """How much of each reference every pixel holds, and where the references do not suffice.

    Attributes:
        names: of the references, one a column.
        maps: (pixel, K) amounts, data over references; NaN where masked or not determined.
        errors: (pixel, K) standard errors, given which amounts are zero. Of an amount at zero it is
            the one that it would have if it were free: a scale for its upper limit, no ± around 0.
        at_zero: (pixel, K) amounts that are held at zero.
        reduced_chi2: (pixel,) χ², or the deviance of counts, over its expectation; 1 is noise. Over
            that of the median pixel if no variance is known.
        p: (pixel,) chance of a larger one if the references suffice; compared with the median
            pixel, the same.
        residual_map: (pixel,) root mean square of x − m.
        residual_spectrum: (channel,) mean of x − m over the pixels.
        spectra: (channel, K) the references on the channels of the data.
        method: how they were fitted; signed: whether amounts may have any sign.
        variance_known: whether errors, χ² and p rest on a known variance.
        messages: what else a user should know; first of all where a reference is missing.
        data: the data set.
    """

    names: tuple[str, ...]
    maps: Array
    errors: Array
    at_zero: NDArray[np.bool_]
    reduced_chi2: Array
    p: Array
    residual_map: Array
    residual_spectrum: Array
    spectra: Array
    method: str
    signed: bool
    variance_known: bool
    messages: tuple[str, ...]
    data: Dataset

    def __getitem__(self, name: str) -> Array:
        """The map of one reference, of the shape of the scan."""
        if name not in self.names:
            raise ValueError(f"`fit[{name!r}]`: the references are {', '.join(self.names)}.")
        split = len(self.data.shape) - self.data.signal
        return self.maps[:, self.names.index(name)].reshape(self.data.shape[:split])

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """(lowest, highest) amounts (pixel, K) with this confidence, one by one, none below 0.

        c ± z·error. An amount at zero ends at z·error: less than that, with at least this
        confidence. `Free()` amounts are not cut at 0.
        """
        if not 0 < level < 1:
            raise ValueError(f"`interval({level})`: give a share between 0 and 1, such as 0.95.")
        reach = NormalDist().inv_cdf((1 + level) / 2) * self.errors
        low = self.maps - reach
        return low if self.signed else low.clip(0), self.maps + reach

    def worst(self, count: int = 3) -> NDArray[np.intp]:
        """The pixels with the largest reduced χ², worst first."""
        order = np.argsort(-np.nan_to_num(self.reduced_chi2, nan=-1.0), kind="stable")
        return order[: min(count, int(np.isfinite(self.reduced_chi2).sum()))]

    def residual(self, pixels: Any = slice(None)) -> Array:
        """x − m of some pixels, (n, channel); NaN where masked."""
        return self.spectrum(pixels) - self.maps[pixels] @ self.spectra.T

    def spectrum(self, pixels: Any = slice(None)) -> Array:
        """x of some pixels, (n, channel); NaN where masked."""
        index = torch.arange(len(self.maps))[pixels]
        form = self.data.form(self.data.matrix_shape, torch.device("cpu"), torch.float64)
        some = form.rows(index)
        x, w = some.whole(), some.weights.chunk(slice(None), some.shape)
        return (x if w is None else torch.where(w > 0, x, torch.nan)).numpy()

    @property
    def _headline(self) -> str:
        return f"{self.data.name}: {len(self.names)} references, {self.method}"

    def summary(self) -> str:
        """The answer in a few lines."""
        lines = [
            f"  {name}: {told}" for name, told in [*self._told_of_maps(), *self._told_of_chi2()]
        ]
        return "\n".join([self._headline, *lines, *self.messages])

    def _told_of_maps(self) -> list[tuple[str, str]]:
        """For every reference what its map holds."""
        told = []
        mean, error = (typical(a) for a in (self.maps, self.errors))
        for k, name in enumerate(self.names):
            zero = f", zero in {self.at_zero[:, k].mean():.0%}" if self.at_zero[:, k].any() else ""
            told.append((name, f"mean {mean[k]:.4g}, error of a pixel {error[k]:.3g}{zero}"))
        return told

    def _told_of_chi2(self) -> list[tuple[str, str]]:
        """How well the pixels are met; nothing where none is."""
        kind = "reduced χ²" if self.variance_known else "χ² over that of the median pixel"
        seen = self.reduced_chi2[np.isfinite(self.reduced_chi2)]
        if not seen.size:
            return []
        below = f"p < {LEVEL:g} in {int((self.p < LEVEL).sum())} of {seen.size} pixels"
        return [(kind, f"median {np.median(seen):.3g}, highest {seen.max():.3g}; {below}")]

    def _display(self) -> Display:
        small = self.maps.size <= QUICK  # else the means of the maps would have to be waited for
        told = self._told_of_maps() if small else [("references", ", ".join(self.names))]
        met = [("pixels", f"{kind}: {text}") for kind, text in self._told_of_chi2()]
        parts: list[Part] = [Facts([*told, *met])]
        return Display(self._headline, [*parts, Notes(self.messages)] if self.messages else parts)

    @checked_call
    def plot(
        self, *, worst: int = 3, elements: str | Sequence[str] = (), figure: Any = None
    ) -> Figure:
        """Maps, residual, χ², and the pixels fitted worst; see `fusion.plots.plot_references`.

        Args:
            worst: how many pixels are shown.
            elements: whose lines or edges are named on their spectra: ["Mn", "O"].
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots import plot_references

        return plot_references(self, worst=worst, elements=elements, figure=figure)


def typical(values: Array) -> Array:
    """Mean over the pixels that have a value, (K,); NaN where none has."""
    return torch.from_numpy(values).nanmean(0).numpy()


def summarise(
    data: Dataset,
    form: Form,
    refs: References,
    fits: PixelFit,
    *,
    method: str,
    signed: bool,
    counted: bool,
    known: bool,
    messages: Sequence[str],
) -> ReferenceFit:
    """The result of what was found, with words on what the references leave."""
    ratio, variance = fits.squares / fits.mean, fits.variance
    if not known:
        variance = variance * ratio[:, None]
        ratio = ratio / ratio.nanmedian().clamp_min(torch.finfo(ratio.dtype).tiny)
    rate = fits.mean / fits.spread  # a gamma distribution of this mean and variance; χ² is one
    p = torch.special.gammaincc(fits.mean * rate, ratio * fits.mean * rate)
    p = torch.where(torch.isfinite(ratio), p, torch.nan)
    S = torch.from_numpy(refs.spectra).to(form.device)
    bad = (p < LEVEL).nonzero()[:, 0]
    bad = bad[:: max(1, len(bad) // MANY)]
    local = residuals_of(form, fits.c, S, bad, counted=counted, known=known) if len(bad) else None
    remarks = [] if known else [UNKNOWN]
    remarks += missing_text(data, fits.residuals, local, ratio, p, known=known)
    if lost := int(torch.isnan(fits.c).any(1).sum()):
        remarks.append(
            f"{lost} of {len(p)} pixels are masked or cannot tell the references apart: NaN"
        )
    sums = fits.residuals
    mean = torch.where(sums.n > 0, sums.r / sums.n.clamp_min(1), torch.nan)
    arrays = (
        fits.c,
        variance.sqrt(),
        ~fits.free & ~torch.isnan(fits.c),
        ratio,
        p,
        fits.rms,
        mean,
    )
    return ReferenceFit(
        refs.names,
        *(a.cpu().numpy() for a in arrays),
        spectra=refs.spectra,
        method=method,
        signed=signed,
        variance_known=known,
        messages=(*remarks, *messages, *refs.messages),
        data=data,
    )
