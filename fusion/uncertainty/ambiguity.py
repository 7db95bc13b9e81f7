"""How far other answers go that fit as well: the band of every spectrum and map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.display import Display, Shown
from fusion.algebra.waiting import waiting
from fusion.answers.result import Result
from fusion.engine.autograd import autograd
from fusion.engine.thread_count import suitably_threaded
from fusion.uncertainty.ambiguity_display import ambiguity_display
from fusion.uncertainty.band import Band, entry_errors, two_sided_quantile
from fusion.uncertainty.empty_rows import empty_rows
from fusion.uncertainty.extreme_answers import BandSearch
from fusion.uncertainty.standard_errors import FittedPoint, noise_levels
from fusion.uncertainty.uniqueness import determined_components, relative_widths, uniqueness_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure

Array = NDArray[Any]

EXACT = 1e-10
"""Share of the data's squares that counts as nothing: no measurement is better than 1e-5."""


@dataclass(frozen=True, eq=False, repr=False)
class Ambiguity(Shown):
    """The range of equally good answers.

    Attributes:
        factors: the fit's own answer; axes: what its rows run along.
        bands: for every factor lowest and highest values among the answers that fit within the
            noise, in the unit of the factor.
        errors: half a band's width where only noise moves the entries, their partners held.
        unique: whether every component is determined, in words.
        determined: for every factor, for every component, whether its band is no wider than its
            error bars.
        solutions: the answers that were found at the band's edges.
        rises: by how much each raises the loss, that of the best answer with the same rows at zero;
            allowed: by how much it may.
        level: of confidence; channels: names of the factors along channels;
            component_names: those of the result.
    """

    factors: dict[str, Array]
    axes: dict[str, Axes | None]
    bands: dict[str, Band]
    errors: dict[str, Array]
    unique: str
    determined: dict[str, Array]
    solutions: tuple[dict[str, Array], ...]
    rises: Array
    allowed: float
    level: float
    channels: tuple[str, ...] = ()
    component_names: tuple[str, ...] = ()

    @property
    def spectra(self) -> dict[str, Band]:
        """Bands of the factors along channels."""
        return {name: band for name, band in self.bands.items() if name in self.channels}

    @property
    def maps(self) -> dict[str, Band]:
        """Bands of all other factors."""
        return {name: band for name, band in self.bands.items() if name not in self.channels}

    @property
    def width(self) -> dict[str, Array]:
        """Area of every component's band over that of the answer itself, (K,)."""
        return relative_widths(self.bands, self.factors)

    def width_of(self, name: str) -> Array:
        """That of one factor."""
        return relative_widths({name: self.bands[name]}, self.factors)[name]

    @checked_call
    def plot(
        self,
        *,
        factors: Sequence[str] | None = None,
        components: Sequence[int | str] | None = None,
        elements: str | Sequence[str] = (),
        panel: Panel | None = None,
        figure: Any = None,
    ) -> Figure:
        """Every factor with its band; see `fusion.plots.plot_ambiguity`.

        Args:
            factors: names of those to show; components: names, or numbers from 1; default: all.
            elements: whose lines or edges are named on the spectra: ["Mn", "O"].
            panel: matplotlib axes for one curve; figure: a figure, or part of one, to draw into.
        """
        from fusion.plots import plot_ambiguity

        return plot_ambiguity(
            self,
            factors=factors,
            components=components,
            elements=elements,
            panel=panel,
            figure=figure,
        )

    def _display(self) -> Display:
        return ambiguity_display(self)


@checked_call
@autograd()
def ambiguity(
    result: Result,
    *,
    factors: Sequence[str] | None = None,
    level: float = 0.95,
    progress: bool = True,
) -> Ambiguity:
    """The band of spectra and maps that fit the data within the noise.

    Every component is pulled towards and away from every other one, s_k + t s_j, by the whole
    model, all constraints kept: t as large and as small as it gets while loss ≤ L* + δ. δ is half
    the χ² quantile of one degree of freedom, in the noise of the data, so that a determined entry
    gets its error bar, and an exact fit every exact answer. To the envelope of the answers found
    the noise of single entries is added in squares. For K = 2 the extremes of t are those of every
    entry; for more the band is one from within.

    All is done twice, once with both of a pair at zero in the rows where nothing but noise is in
    both, if these pass a χ² test: what noise leaves there would forbid mixtures that fit as well.
    Noise that is cut off at zero has a mean above it and is data to the model: the band is then one
    of what was measured, not of what was there.

    Args:
        result: of `fit`.
        factors: names of those whose components are pulled; default: those along channels.
        level: of confidence.
        progress: whether a line says how far it is, as in `fit`. Ctrl-C gives the band of the
            answers found so far, with a caution.

    Returns:
        Bands, how wide they are, and whether the answer is unique, in words.

    Raises:
        ValueError: if the result was loaded, or no factor has two components.

    References:
        Tauler, J. Chemometrics 15:627 (2001), MCR-BANDS; Golshan, Abdollahi & Maeder, Anal. Chem.
        83:836 (2011).

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(6, 8), channels=40).datasets["net"]
        >>> model = fu.models.NMF(data, K=2)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> found = fu.ambiguity(result)
        >>> sorted(found.width)
        ['C', 'S']
    """
    if not 0 < level < 1:
        mend = f": give level={level / 100:g}" if 1 < level < 100 else ""
        raise ValueError(f"`ambiguity(level={level})`: a confidence is between 0 and 1{mend}.")
    point = FittedPoint.of(result, "ambiguity")
    names = _factors_to_mix(point, factors)
    with waiting("ambiguity", progress) as step, suitably_threaded(point.objective):
        noise = noise_levels(point)
        size = _half_data_squares(point)
        g = max((noise[i] for i, _, _ in point.loss.fits), default=1.0)
        deviations = two_sided_quantile(level)
        allowed = max(0.5 * deviations**2 * g, EXACT * size)
        step.say("error bars")
        bars = entry_errors(point, g, deviations)
        search = BandSearch(point, names, allowed, size, partial(empty_rows, point, g, level))
        search.tell = step.say
        _run(search)
    return _band_of_answers(result, point, search, bars, level)


def _run(search: BandSearch) -> None:
    """Find the answers; stopped by Ctrl-C, those that there are count."""
    try:
        search.run()
    except KeyboardInterrupt:
        if not search.down.flats:
            raise
        warnings.warn(
            "`ambiguity` was stopped: the band is that of the answers found so far, and is at "
            "least so wide.",
            ClaimWarning,
            stacklevel=users_line(),
        )


def _factors_to_mix(point: FittedPoint, factors: Sequence[str] | None) -> list[str]:
    """Factors whose components are pulled."""
    able = {n: m for n, m in point.model.factor_modules().items() if _can_mix(n, m)}
    if factors is not None:
        if missing := [name for name in factors if name not in able]:
            raise ValueError(
                f"`ambiguity(factors={list(factors)})`: {missing[0]!r} is no factor of two or more "
                f"components; those are {', '.join(able) or 'none'}."
            )
        return list(factors)
    names = [name for name in able if name in _channel_factors(point)] or list(able)
    if not names:
        raise ValueError("`ambiguity`: no factor has two components: nothing can mix.")
    return names


def _can_mix(name: str, module: Any) -> bool:
    """Whether a factor has components that can be taken for each other."""
    return len(module.shape) == 2 and module.shape[0] > 1 and module.shape[1] > 1


def _channel_factors(point: FittedPoint) -> list[str]:
    """Factors whose rows are the channels of a data set."""
    datasets = [d for d in point.loss.datasets.values() if d.signal]
    return [
        name
        for name, module in point.model.factor_modules().items()
        if any(module.axes[0] is not None and module.axes[0] == d.channels for d in datasets)
    ]


def _half_data_squares(point: FittedPoint) -> float:
    """½ mᵀ D m of the predictions, D the curvature of the fits by them: half the data's squares.

    By the curvature along one factor itself, the largest of them all.
    """
    quadratic, sizes = point.quadratic(), [0.0]
    for slot in point.objective.slots:
        v = torch.zeros_like(point.flat[0])
        v[slot.part] = point.flat[0, slot.part]
        sizes.append(0.5 * float(v @ quadratic(v)))
    return max(sizes)


def _band_of_answers(
    result: Result, point: FittedPoint, search: BandSearch, bars: dict[str, Tensor], level: float
) -> Ambiguity:
    """Bands and words from the answers that were found."""
    values, rises = search.down.solutions()
    if rules := [str(term) for _, term in point.loss.surrogates if not term.potential]:
        warnings.warn(
            f"`ambiguity`: {', '.join(rules)} is a rule that moves with the answer, no fixed loss: "
            "it chooses among answers and does not narrow the band: ask for that of the fit "
            "without it, and see where this answer lies in it.",
            ClaimWarning,
            stacklevel=users_line(),
        )
    elif search.down.beaten:
        warnings.warn(
            "`ambiguity`: an answer was found that fits better than the fit's own, by more than "
            "the noise: fit with more starts, and ask again.",
            ClaimWarning,
            stacklevel=users_line(),
        )
    bands, errors = {}, {}
    for name, module in point.model.factor_modules().items():
        all_, own = values[name], module().detach()
        noise = bars.get(name, torch.zeros_like(own))
        low = own - torch.sqrt((own - all_.amin(0)).clamp_min(0).square() + noise.square())
        high = own + torch.sqrt((all_.amax(0) - own).clamp_min(0).square() + noise.square())
        if module.lower is not None:
            low = torch.maximum(low, own.clamp_max(0))
        hidden = np.isnan(result.factors[name])
        low, high, noise = (np.where(hidden, np.nan, x.cpu().numpy()) for x in (low, high, noise))
        bands[name], errors[name] = Band(low, high), noise
    determined = determined_components(result, bands, errors, level)
    solutions = tuple({n: values[n][i].cpu().numpy() for n in bands} for i in range(len(rises)))
    return Ambiguity(
        factors={name: result.factors[name] for name in bands},
        axes={name: result.axes[name][0] for name in bands},
        bands=bands,
        errors=errors,
        unique=uniqueness_text(determined, bands, result),
        determined=determined,
        solutions=solutions,
        rises=rises.cpu().numpy(),
        allowed=search.allowed,
        level=level,
        channels=tuple(_channel_factors(point)),
        component_names=result.component_names,
    )
