"""How far other answers go that fit as well: the band of every spectrum and map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor, nn

from fusion.axis import Axes
from fusion.covariance import Quadratic
from fusion.errors import Point, noise_levels, standard_errors
from fusion.loss import State, Term
from fusion.model import Model
from fusion.objective import Objective, Values
from fusion.result import Result
from fusion.rotation import mixed, sides
from fusion.solvers import GaussNewton, Watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

EXACT = 1e-10
"""Share of the data's squares that counts as nothing: no measurement is better than 1e-5."""
ROUNDS = 6
"""How often the pulls are weighed anew, until each costs what the noise allows."""
FIRST = 1e-5
"""Share of the data's squares with which one pulls at first: far, where nothing holds."""
SETTLED = 1e-4
"""How far a component has mixed with another one when a round ends, to so much."""
STEPS = 40
"""Outer steps of one round."""
NEAR = (0.8, 1.02)
"""Share of the allowed loss at which a pull is not weighed any more."""
ALIKE = 1.5
"""Times its error bars up to which a band counts as no wider."""


class Band(NamedTuple):
    """Lowest and highest value of every entry of a factor, of its shape."""

    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Ambiguity:
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
        rises: by how much each raises the loss; allowed: by how much it may.
        level: of confidence.
    """

    factors: dict[str, Array]
    axes: dict[str, Axes | None]
    bands: dict[str, Band]
    errors: dict[str, Array]
    unique: str
    determined: dict[str, Array]
    solutions: tuple[dict[str, Array], ...] = field(repr=False)
    rises: Array = field(repr=False)
    allowed: float
    level: float
    channels: tuple[str, ...] = ()

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
        return {
            name: np.nansum(high - low, 0)
            / np.maximum(np.nansum(np.abs(self.factors[name]), 0), 1e-300)
            for name, (low, high) in self.bands.items()
        }

    def plot(self, **options: Any) -> Figure:
        """Every factor with its band; see `fusion.plots.plot_ambiguity`."""
        from fusion.plots import plot_ambiguity

        return plot_ambiguity(self, **options)

    def __str__(self) -> str:
        lines = [self.unique]
        for name, width in self.width.items():
            lines.append(f"  {name}: band {' / '.join(f'{100 * w:.1f}' for w in width)} % of area")
        return "\n".join(lines)


def ambiguity(
    result: Result, *, factors: Sequence[str] | None = None, level: float = 0.95
) -> Ambiguity:
    """The band of spectra and maps that fit the data within the noise.

    Every component is pulled towards and away from every other one, s_k + t s_j, by the whole
    model, all constraints kept: t as large and as small as it gets while loss ≤ L* + δ. δ is half
    the χ² quantile of one degree of freedom, in the noise of the data, so that a determined entry
    gets its error bar, and an exact fit every exact answer. To the envelope of the answers found
    the noise of single entries is added in squares. For K = 2 the extremes of t are those of every
    entry; for more the band is one from within.

    Args:
        result: of `fit`.
        factors: names of those whose components are pulled; default: those along channels.
        level: of confidence.

    Returns:
        Bands, how wide they are, and whether the answer is unique, in words.

    Raises:
        ValueError: if the result was loaded, or no factor has two components.

    References:
        Tauler, J. Chemometrics 15:627 (2001), MCR-BANDS; Golshan, Abdollahi & Maeder, Anal. Chem.
        83:836 (2011).
    """
    if not 0 < level < 1:
        raise ValueError(f"`ambiguity(level={level})`: a confidence is between 0 and 1.")
    point = Point.of(result, "ambiguity")
    names = _chosen(point, factors)
    noise = noise_levels(point)
    size = sum(_size(term, point.model) for _, _, term in point.loss.fits)
    g = max((noise[i] for i, _, _ in point.loss.fits), default=1.0)
    quantile = float(chi2.ppf(level, 1))
    allowed = max(0.5 * quantile * g, EXACT * size)
    scatter = _scatter(point, g, quantile**0.5)
    search = _Search(point, names, allowed, size)
    search.run()
    return _told(result, point, search, scatter, level)


def _chosen(point: Point, factors: Sequence[str] | None) -> list[str]:
    """Factors whose components are pulled."""
    able = {n: m for n, m in point.model.factor_modules().items() if _mixes(n, m)}
    if factors is not None:
        if missing := [name for name in factors if name not in able]:
            raise ValueError(
                f"`ambiguity(factors={list(factors)})`: {missing[0]!r} is no factor of two or more "
                f"components; those are {', '.join(able) or 'none'}."
            )
        return list(factors)
    names = [name for name in able if name in _channels(point)] or list(able)
    if not names:
        raise ValueError("`ambiguity`: no factor has two components: nothing can mix.")
    return names


def _mixes(name: str, module: Any) -> bool:
    """Whether a factor has components that can be taken for each other."""
    return len(module.shape) == 2 and module.shape[0] > 1 and module.shape[1] > 1


def _channels(point: Point) -> list[str]:
    """Factors whose rows are the channels of a data set."""
    datasets = [d for d in point.loss.datasets.values() if d.signal]
    return [
        name
        for name, module in point.model.factor_modules().items()
        if any(module.axes[0] is not None and module.axes[0] == d.channels for d in datasets)
    ]


def _size(term: Term, model: Model) -> float:
    """½ Σ w x² of the data of a fit, in the unit of its term."""
    pair = getattr(term, "pair", None)
    if pair is None:
        return 0.0
    with torch.no_grad(), model.once():
        return 0.5 * float(pair(model)[0].norm2())


def _scatter(point: Point, g: float, quantile: float) -> dict[str, Tensor]:
    """Error bars of single entries, the other factors held: from the curvature's row blocks."""
    quadratic, made = point.quadratic(), {}
    for slot, block in zip(point.objective.slots, quadratic.curvature.blocks(), strict=True):
        local = slot.module is not None and slot.module.local
        if not local or block.rows * block.matrix.shape[-1] != int(np.prod(slot.shape)):
            continue
        full = block.expanded()[0]
        seen = full.diagonal(dim1=-2, dim2=-1) > 0
        inverse = torch.linalg.pinv(full, hermitian=True).diagonal(dim1=-2, dim2=-1)
        errors = quantile * (g * inverse.clamp_min(0)).sqrt() * seen
        made[slot.name] = _in_values(quadratic, slot, errors.reshape(slot.shape))
    return made


def _in_values(quadratic: Quadratic, slot: Any, errors: Tensor) -> Tensor:
    """Errors of values from those of raw entries; known ones have none."""
    chain = quadratic.bent.get(slot.name)
    if chain is not None and not slot.module.scale_free:
        errors = errors * chain.push(torch.ones_like(errors)[None])[0].abs()
    known = slot.module.known
    return errors if known is None else torch.where(known, 0, errors)


class _Pull(Term):
    """−Σ p_m t_m, t_m how much of component j is in component k of a factor.

    p is a variable of the model that is held: every start of a batch has its own.
    """

    def __init__(self, mixes: Sequence[tuple[str, int, int]], duals: dict[str, Tensor]) -> None:
        self.mixes, self.duals = mixes, duals

    def mixed(self, model: Model) -> Tensor:
        """All t, (mix,): t_jk = ⟨s_j*, s_k⟩ / ⟨s_k*, s_k⟩ with the dual basis s* of the answer."""
        parts = []
        inner = {name: dual @ model.factor(name)() for name, dual in self.duals.items()}
        for name, j, k in self.mixes:
            parts.append(inner[name][j, k] / inner[name][k, k].clamp_min(1e-9))
        return torch.stack(parts)

    def value(self, model: Model, state: State) -> Tensor:
        return -(model.pull * self.mixed(model)).sum()

    def curvature(self, model: Model, state: State) -> None:
        return None


class _Search:
    """All pulls at once, as a batch, each weighed until it costs what the noise allows."""

    def __init__(self, point: Point, names: Sequence[str], allowed: float, size: float) -> None:
        self.allowed, self.size = allowed, size
        model = deepcopy(point.model)
        mixes, duals = [], {}
        for name in names:
            value = model.factor(name)().detach()
            scale = value.norm(dim=0)
            alive = [k for k in range(value.shape[1]) if float(scale[k]) > 0]
            duals[name] = torch.linalg.pinv(value)
            mixes += [(name, j, k) for k in alive for j in alive if j != k]
        self.term = _Pull(mixes, duals)
        model.pull = nn.Parameter(point.flat.new_zeros(len(mixes)))
        with torch.no_grad():
            quick = point.loss.compressed(model)
        loss = point.loss if quick is None else quick
        self.objective = Objective(model, loss + self.term)
        self.objective.held.add("pull")
        self.pull = next(s for s in self.objective.slots if s.name == "pull")
        self.columns = [i for i, n in enumerate(self.objective.order) if n < len(loss.terms)]
        self.flats: list[Tensor] = []
        self.rises: list[Tensor] = []

    def run(self) -> None:
        """Find the answers at the edges."""
        start = self.objective.retract(
            torch.maximum(self.objective.current(), self.objective.lower())
        )
        self.lowest = self.size
        nothing = torch.zeros_like(self.pull.of(start))
        flat, loss = self._descend(start, nothing, start.new_full((1, 1), self.allowed))
        self.lowest, self.start = float(loss[0]), flat
        signs = self._signs().to(flat)
        weight = flat.new_full((len(signs), 1), max(self.allowed, FIRST * self.size))
        flat, led = self._led(flat, signs)
        low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
        going = torch.arange(len(signs), device=flat.device)
        for _ in range(ROUNDS):
            w = weight[going]
            pulled, loss = self._descend(flat[going], w * signs[going], w)
            rise = loss[:, None].to(w) - self.lowest
            self._keep(pulled, rise[:, 0])
            share = rise / self.allowed
            fits = share <= NEAR[1]
            flat[going] = torch.where(fits | (not led), pulled, flat[going])
            low[going] = torch.where(fits, w, low[going])
            high[going] = torch.where(fits, high[going], w)
            weight[going] = _reweighed(w, share, low[going], high[going])
            going = going[~(fits & (share >= NEAR[0]))[:, 0]]
            if not len(going):
                break

    def _signs(self) -> Tensor:
        """Every mix up and down, and with the one the other way round: (pull, mix) of −1, 0, 1."""
        mixes, rows = self.term.mixes, []
        for i, (name, j, k) in enumerate(mixes):
            back = mixes.index((name, k, j))
            for one, other in ((1, 0), (-1, 0), (1, 1), (1, -1)):
                if other == 0 or i < back:
                    rows += [{i: one, back: other}, {i: -one, back: -other}] if other else [{i: one}]
        made = torch.zeros(len(rows), len(mixes))
        for row, entries in zip(made, rows, strict=True):
            for i, sign in entries.items():
                row[i] = sign
        return made

    def _led(self, start: Tensor, signs: Tensor) -> tuple[Tensor, bool]:
        """A start for every pull: as far as mixing alone gets, where the model is a product."""
        flat = start.expand(len(signs), -1).clone()
        model = self.objective.model
        found = {name: sides(model, name) for name in self.term.duals}
        if None in found.values():
            return flat, False
        values = {n: v[0] for n, v in self.objective.values(start).items()}
        for row, pulls in zip(flat, signs.tolist(), strict=True):
            moved = dict(values)
            for sign, (name, j, k) in zip(pulls, self.term.mixes, strict=True):
                if sign:
                    along = found[name] or {}
                    moved |= mixed(model, along, {f: moved[f] for f in along}, (j, k, sign))
            for slot in self.objective.slots:
                if slot.name in moved:
                    row[slot.part] = moved[slot.name].flatten()
        weight = flat.new_full((len(signs), 1), self.allowed)
        moved, loss = self._descend(flat, 0 * signs, weight, steps=0)
        rise = loss.to(moved) - self.lowest
        self._keep(moved, rise)
        return torch.where((rise <= self.allowed)[:, None], moved, start), True

    def _descend(
        self, flat: Tensor, pull: Tensor, weight: Tensor, *, steps: int = STEPS
    ) -> tuple[Tensor, Tensor]:
        """Down under these pulls; where that ends, and the loss there without them."""
        flat = flat.clone()
        flat[:, self.pull.part] = pull
        most, least = float(weight.max()), float(weight.min())
        tolerance = SETTLED * least / (abs(self.lowest) + most)
        solver = GaussNewton(tolerance=max(tolerance, 1e-15), window=3, damping=1e-4)
        outcome = solver.minimise(self.objective, flat, Watch(), steps)
        return outcome.flat, outcome.terms[:, self.columns].sum(1)

    def _keep(self, flat: Tensor, rise: Tensor) -> None:
        """Those that fit within the noise."""
        good = rise <= NEAR[1] * self.allowed
        self.flats.append(flat[good])
        self.rises.append(rise[good])

    def solutions(self) -> tuple[Values, Tensor]:
        """Values of all answers found, (answer, …), and by how much they raise the loss."""
        rises = torch.cat(self.rises)
        with torch.no_grad():
            values = self.objective.values(torch.cat([self.start, *self.flats]))
        return values, torch.cat([rises.new_zeros(1), rises])


def _reweighed(weight: Tensor, share: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Pulls that should cost just what is allowed: the loss rises with their square.

    Between one that was too weak and one that was too strong, where both are known.
    """
    wanted = weight * (0.95 / share.clamp_min(1e-6)).sqrt().clamp(0.01, 10)
    between = (low * high).sqrt()
    return torch.where((wanted > low) & (wanted < high), wanted, between)


def _told(
    result: Result, point: Point, search: _Search, scatter: dict[str, Tensor], level: float
) -> Ambiguity:
    """Bands and words from the answers that were found."""
    values, rises = search.solutions()
    bands, errors = {}, {}
    for name, module in point.model.factor_modules().items():
        all_, own = values[name], module().detach()
        noise = scatter.get(name, torch.zeros_like(own))
        low = own - torch.sqrt((own - all_.amin(0)).clamp_min(0).square() + noise.square())
        high = own + torch.sqrt((all_.amax(0) - own).clamp_min(0).square() + noise.square())
        if module.lower is not None:
            low = torch.maximum(low, own.clamp_max(0))
        hidden = np.isnan(result.factors[name])
        low, high, noise = (np.where(hidden, np.nan, x.cpu().numpy()) for x in (low, high, noise))
        bands[name], errors[name] = Band(low, high), noise
    determined = _determined(result, bands, errors, level)
    solutions = tuple({n: values[n][i].cpu().numpy() for n in bands} for i in range(len(rises)))
    return Ambiguity(
        factors={name: result.factors[name] for name in bands},
        axes={name: result.axes[name][0] for name in bands},
        bands=bands,
        errors=errors,
        unique=_words(determined, bands, result.factors),
        determined=determined,
        solutions=solutions,
        rises=rises.cpu().numpy(),
        allowed=search.allowed,
        level=level,
        channels=tuple(_channels(point)),
    )


def _determined(
    result: Result, bands: dict[str, Band], errors: dict[str, Array], level: float
) -> dict[str, Array]:
    """Whether the bands are about as wide as error bars with all factors varying."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            bars = standard_errors(result)
        quantile = float(chi2.ppf(level, 1)) ** 0.5
        bars = {name: quantile * bar for name, bar in bars.items()}
    except ValueError:  # too large: the error bars with the other factors held
        bars = errors
    made = {}
    for name, (low, high) in bands.items():
        bar = np.where(np.isnan(bars[name]), errors[name], bars[name])
        open_ = np.isinf(bar).any(0)
        wide = np.nansum(high - low, 0) > ALIKE * np.nansum(2 * np.where(np.isinf(bar), 0, bar), 0)
        made[name] = ~(open_ | wide)
    return made


def _words(determined: dict[str, Array], bands: dict[str, Band], factors: dict[str, Array]) -> str:
    """Which components are determined, in a sentence."""
    loose = {n: np.flatnonzero(~d) + 1 for n, d in determined.items() if not d.all()}
    if not loose:
        return "unique within the noise: every band is about as wide as its error bars"
    said = "; ".join(
        f"{name}: component{'s' * (len(ks) > 1)} {', '.join(map(str, ks))}"
        for name, ks in loose.items()
    )
    return f"not unique: other answers fit as well within the noise ({said})"
