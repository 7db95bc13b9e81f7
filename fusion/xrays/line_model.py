"""The X-ray spectrum of a specimen's atoms, as a part of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import Standardised
from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.language.expected import Expected
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.language.remembered import Remembered
from fusion.language.term import Term
from fusion.xrays.acquisition import acquisition_of
from fusion.xrays.attenuation import LOWEST, attenuation_of_lines, mass_attenuation
from fusion.xrays.continuum import cells
from fusion.xrays.electronics import SOFTEST, begins_at
from fusion.xrays.known_thickness import KnownThickness
from fusion.xrays.line_groups import LineGroup, line_groups
from fusion.xrays.line_shares import measured_together, unknown_shares
from fusion.xrays.map_mean import MapMean
from fusion.xrays.response import FWHM, PAIR, REACH, Groups, Response, shown
from fusion.xrays.sensitivities import KFactors, as_k_factors, sensitivities
from fusion.xrays.strays import errors_of_shells, log_path
from fusion.xrays.table import KEV, atomic_mass, atomic_number, parse_names
from fusion.xrays.zeta_factors import ZetaFactors

Continuum = Literal["absorbed", "not absorbed"]

OFFSET, GAIN = 0.015, 3e-3
"""Standard deviations of what an axis is off, keV, and of its scale, as they are expected."""
WIDTH = 0.15
"""Of the logarithms of noise and Fano factor."""
THICKNESS = 3e-5
"""g/cm²: 60 nm of 5 g/cm³, the mean mass thickness that is expected."""
THICKER = 1.5
"""Of the logarithm of mass thickness."""
CONTINUUM, STEEPER, HEAVIER = 2.0, 0.5, 0.3
"""Of the logarithm of the continuum, of its exponents in energy and in atomic number."""
ORIGIN = (0.5, 0.5)
"""Share of the continuum that is absorbed in the specimen: expected, and its standard deviation."""
ABSORBERS = 1.0
"""Of the logarithms of what stands before the silicon."""
LEVEL = 2e-3
"""Photons of continuum a keV and atom and atomic number, over those of the strongest lines."""
BEYOND = 0.3
"""Share of the reach of a line by which it may lie beyond the end of an axis."""
SPARE = 10
"""Channels beside a line that it may be moved by."""


class LineModel(Model):
    """Spectra of atoms: lines and continuum, absorbed in the specimen, as a detector shows them.

    `model(n)` is the prediction of a map of n (pixel, element) atoms: ⟦emitted(n), shapes()⟧ with
    the photons of every line that leave the specimen, n q f(χ), and how the detector shows each.
    f(χ) = (1 − e^−χ) / χ is what is left after absorption, χ = Σ_i n_i M_i µ_i κ / sin(elevation)
    with all elements of the pixel itself. n is in the unit of the sensitivities: photons that an
    atom gives, "Si K" with k = 1 one.

    What is not known is a factor of its own, in standard deviations of what is expected, 0 at
    first, and `beliefs` says so; `fit` adds them: `calibration` (offset, gain, noise, Fano factor),
    `absorption` (the scale κ of mass thickness), `subshells` (L1 and L2 of L families: what k
    factors say of a family, and of its alpha lines, is kept), `continuum` (its height, its exponent
    in energy), `heaviness` (its exponent in atomic number), `ends` (how much comes from beyond
    either end of the axis, which processors cut), `origin` (which share of it the specimen
    absorbs), `absorbers` (window, dead layer), and `sensitivity` (of shells whose k factor is
    uncertain), `path` (how much more matter the continuum passes than lines, as that of stray
    electrons in thick parts does; found unless `continuum` is told).

    Args:
        edxs: the data set, on an axis in keV or eV.
        elements: in the specimen, and of what else sends X-rays.
        k_factors: of lines or families, `KFactors` or, with the dose, `ZetaFactors`; None:
            computed, with the errors that this has.
        beam_energy: keV; elevation: degrees, of the detector above the specimen's plane. None: as
            the metadata say.
        continuum: whether the specimen absorbs it as it does lines; "not absorbed": it comes from
            elsewhere. None: found, as the share of it that is absorbed, `origin`.
        response: the detector, as far as it is known.
        mass_thickness: g/cm², the mean over the map, as (value, relative standard error): a belief
            about `mass_thickness` of the `atoms()`, (pixel, element), of the model that this is a
            part of. All elements absorb, but those of `elsewhere` do not count: what t/λ, a wedge
            or a known film tells is the specimen. None: the scale κ is expected, widely.
        elsewhere: those of the elements that are of grid or holder: bulk, hit by hard X-rays and
            stray electrons, sends K and L as no thin specimen does, so that their shells are apart.

    Raises:
        ValueError: if the axis is none of X-ray energies, an element has no line on it, or beam
            energy or elevation are nowhere.

    Example:
        >>> class Phases(fu.Model):
        ...     def __init__(self, edxs, elements, K):
        ...         super().__init__()
        ...         self.lines = fu.elements.LineModel(edxs, elements)
        ...         self.C = fu.Factor((edxs.pixels, K))
        ...         self.A = fu.Factor((len(elements), K), NonNegative(), UnitColumns())
        ...
        ...     def atoms(self):  # what `mass_thickness` and `result.composition()` ask for
        ...         return self.C @ self.A.T
        ...
        ...     def forward(self):
        ...         return {"edxs": self.lines(self.atoms())}
    """

    calibration: Tensor
    absorption: Tensor
    subshells: Tensor
    continuum: Tensor
    heaviness: Tensor
    absorbers: Tensor

    @checked_call
    def __init__(
        self,
        edxs: Dataset,
        elements: Sequence[str],
        *,
        k_factors: KFactors | ZetaFactors | None = None,
        beam_energy: float | None = None,
        elevation: float | None = None,
        continuum: Continuum | None = None,
        response: Response | None = None,
        mass_thickness: tuple[float, float] | None = None,
        elsewhere: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._last_shapes = Remembered()
        call = f"LineModel({edxs}, {list(elements)})"
        self.elements = tuple(dict.fromkeys(e for e, _ in parse_names(call, elements)))
        self.elsewhere = tuple(e for e, _ in parse_names(call, elsewhere)) if elsewhere else ()
        _check_options(call, edxs, continuum, mass_thickness)
        _check_zero_peak(call, edxs, (*self.elements, *self.elsewhere))
        self.acquisition = acquisition_of(call, edxs, beam_energy, elevation)
        self.response = Response() if response is None else response
        self.absorbed = None if continuum is None else continuum == "absorbed"
        self.zeta_factors = k_factors if isinstance(k_factors, ZetaFactors) else None
        given = k_factors if self.zeta_factors is None else self.zeta_factors.k_factors
        self.k_factors = as_k_factors(call, given)
        self._set_axis(edxs)
        self._set_lines(call)
        self._set_continuum()
        self._set_thickness(call, edxs, mass_thickness)
        for name, size in (("calibration", 4), ("absorption", 1)):
            setattr(self, name, Factor((size, 1), Standardised()))
        for name, size in (("continuum", 2), ("heaviness", 1), ("absorbers", 2)):
            setattr(self, name, Factor((size, 1), Standardised()))
        self.ends = Factor((2, 1), Standardised(least=-1.0))
        self.subshells = Factor((len(self.of_L), 1), Standardised())
        if self.absorbed is None:
            self.origin = Factor((1, 1), Standardised())
            self.path = Factor((1, 1), Standardised())
        if len(self.unsure):
            self.sensitivity = Factor((len(self.unsure), 1), Standardised())

    # ---- what is known beforehand ----------------------------------------------------------------

    def _hold(self, name: str, values: Any) -> None:
        self.register_buffer(name, torch.as_tensor(np.asarray(values), dtype=torch.float64))

    def _set_axis(self, edxs: Dataset) -> None:
        axis = edxs.axes[-1]
        x = axis.values * KEV[axis.units]
        self.step = float(np.median(np.diff(x)))
        self._hold("channels", x)
        widths = self.response.noise / FWHM, self.response.fano * PAIR
        self.variance = np.array([widths[0] ** 2, widths[1]])
        far = float(x[-1])
        reach = REACH * float(np.sqrt(self.variance[0] + self.variance[1] * max(far, 0.0)))
        self.low, self.high = max(float(x[0]) - BEYOND * reach, SOFTEST), far + BEYOND * reach

    def _set_lines(self, call: str) -> None:
        """Groups of lines, whose they are, and how many photons each has."""
        energy = self.acquisition.beam_energy
        found = line_groups(self.elements, self.low, self.high, energy)
        shells = list(dict.fromkeys(group.shell_name for group in found))
        known = sensitivities(shells, self.k_factors, energy)
        alpha = {s: known[s].alpha for s in shells if known[s].alpha is not None}
        counted = {s: self._efficiency for s in shells if known[s].measured}
        self.groups = tuple(line_groups(self.elements, self.low, self.high, energy, alpha, counted))  # type: ignore[arg-type]
        _check_groups(call, self.elements, self.groups, self.low, self.high)
        self.shells = tuple(dict.fromkeys(group.shell_name for group in self.groups))
        own = np.array([known[g.shell_name].value * g.share for g in self.groups])
        if not any(known[s].measured for s in self.shells):
            own = own / own.max()
        efficiency = self._efficiency_of_lines(known)
        self._hold("sent", own * efficiency)
        self._hold("owner", [[g.element == e for g in self.groups] for e in self.elements])
        errors = errors_of_shells({s: known[s].error for s in self.shells}, self.elsewhere)
        unsure = [s for s in self.shells if errors[s] > 0]
        self.unsure_shells = tuple(unsure)
        of = [[g.shell_name == s for g in self.groups] for s in unsure]
        self._hold("shell_of", np.array(of, dtype=float).reshape(len(unsure), len(self.groups)))
        self._hold("unsure", [errors[s] for s in unsure])
        self._hold("of_L", unknown_shares(self.groups, self.elements))
        self._hold("kept", measured_together(self.groups, known))
        singles = [(i, e, s) for i, g in enumerate(self.groups) for e, s in g.parts]
        self._hold("energies", [e for _, e, _ in singles])
        self._hold("shares", [share for *_, share in singles])
        self.register_buffer("group_of", torch.tensor([i for i, *_ in singles]))
        self.line_width = self._width(self.energies)
        self.measured = {s: known[s].measured for s in self.shells}

    def _efficiency(self, energies: Any) -> Any:
        """Share of photons that the detector counts, as far as it is known."""
        window, dead = self.response.absorbers(energies)
        return np.exp(-window - dead) * self.response.stopped(energies)

    def _efficiency_of_lines(self, known: dict[str, Any]) -> Any:
        """Of the detector, for what is computed; k factors have it in them already.

        There the mean over a shell stays as it is, whatever window and dead layer are.
        """
        energies = np.array([g.energy for g in self.groups])
        depths = np.stack(self.response.absorbers(energies))
        computed = np.array([not known[g.shell_name].measured for g in self.groups])
        share = np.array([g.share for g in self.groups])
        for shell in self.shells:
            own = np.array([g.shell_name == shell for g in self.groups]) & ~computed
            if own.any():
                depths[:, own] -= (depths[:, own] @ share[own] / share[own].sum())[:, None]
        self._hold("line_window", depths[0])
        self._hold("line_dead", depths[1])
        return np.where(computed, self._efficiency(energies), 1.0)

    def _set_continuum(self) -> None:
        start = max(float(self.channels[0]) - 0.1, LOWEST)
        fine, widths, places, hats = cells(start, self.high, self.variance, self.elements)
        self._hold("fine", fine)
        self.knots = len(places)
        self._hold("hats", hats)
        knots, fine_of = np.nonzero(hats)
        self.register_buffer("knot_of", torch.from_numpy(knots))
        self.register_buffer("fine_of", torch.from_numpy(fine_of))
        self._hold("cell", widths**2 / 12)
        window, dead = self.response.absorbers(fine)
        self._hold("window", window)
        self._hold("dead", dead)
        E0 = self.acquisition.beam_energy
        kramers = np.maximum(E0 - fine, 0) / E0 / fine * widths
        self._hold("kramers", LEVEL * kramers * self.response.stopped(fine))
        self._hold("below", fine < float(self.channels[0]))
        self._hold("above", fine > float(self.channels[-1]))
        self.fine_width = self._width(self.fine)
        masses = np.array([atomic_mass(e) for e in self.elements])
        self._hold("masses", masses)
        own = [e not in self.elsewhere for e in self.elements]
        self._hold("specimen_masses", np.where(own, masses, 0.0))
        self._hold("numbers", [atomic_number(e) for e in self.elements])
        sine = np.sin(np.deg2rad(self.acquisition.elevation))
        owners = [g.element for g in self.groups], [g.shell for g in self.groups]
        at = [g.energy for g in self.groups]
        mu = attenuation_of_lines(self.elements, *owners, at)
        self._hold("line_mu", masses[:, None] * mu / sine)
        mu = np.stack([mass_attenuation(e, places) for e in self.elements])
        self._hold("knot_mu", masses[:, None] * mu / sine)

    def _width(self, energies: Tensor) -> int:
        """Channels over which lines of these energies reach, wherever they may be moved."""
        widest = float(self.variance[0] + self.variance[1] * max(float(energies.max()), 0.0))
        return int(2.6 * REACH * widest**0.5 / self.step) + 2 * SPARE

    def _start(self, energies: Tensor, width: int) -> Tensor:
        """First of these channels of every line."""
        return ((energies - self.channels[0]) / self.step - width / 2).floor().long()

    def _set_thickness(self, call: str, edxs: Dataset, given: tuple[float, float] | None) -> None:
        """κ by the dose, or so that the mean pixel is about as thick as is expected."""
        counts = float(tally(edxs).rows.sum()) / max(edxs.matrix_shape[0], 1)
        per_atom = (self.owner @ self.sent).numpy()
        mass = counts * float(np.mean(self.masses.numpy() / per_atom)) / len(self.elements)
        self.kappa, self.thicker = THICKNESS / mass, THICKER
        self.thickness_told = None if given is None else (float(given[0]), float(given[1]))
        self.over_map = MapMean.of(edxs)
        if self.thickness_told is not None:  # as if there were as many atoms of all elements
            mass = counts * float(self.specimen_masses.sum()) / float(per_atom.sum())
            self.kappa = self.thickness_told[0] / mass
        if self.zeta_factors is not None:
            if given is not None:
                raise ValueError(
                    f"`{call}`: `mass_thickness` beside `ZetaFactors`: their dose tells it: give "
                    "one of the two."
                )
            self.zeta_factors.check(call, mass)
            self.kappa, self.thicker = self.zeta_factors.scale, self.zeta_factors.dose_error

    # ---- the prediction --------------------------------------------------------------------------

    @property
    def offset(self) -> Tensor:
        """keV: where an energy of 0 is found on the axis."""
        return OFFSET * self.calibration[0, 0]

    @property
    def gain(self) -> Tensor:
        """A line of energy E lies at offset + gain · E."""
        return 1 + GAIN * self.calibration[1, 0]

    @property
    def mass_scale(self) -> Tensor:
        """κ: g/cm² of mass thickness, of a unit of n times its atomic mass."""
        return self.kappa * torch.exp(self.thicker * self.absorption[0, 0])

    @property
    def absorbed_share(self) -> Tensor | float:
        """Of the continuum, that the specimen absorbs as it does lines."""
        if self.absorbed is None:
            return ORIGIN[0] + ORIGIN[1] * self.origin[0, 0]
        return float(self.absorbed)

    def mass_thickness(self, n: Tensor) -> Tensor:
        """(pixel,) in g/cm² of the specimen in a map of n (pixel, element), without `elsewhere`."""
        return self.mass_scale * (n @ self.specimen_masses)

    def _shown(
        self,
        energies: Tensor,
        shares: Tensor,
        groups: Groups,
        width: int,
        spread: Tensor | float = 0.0,
    ) -> Tensor:
        """Groups of single lines over the channels, (group, channel).

        Args:
            spread: variance of what is no line but a band, keV².
        """
        noise, fano = torch.exp(WIDTH * self.calibration[2:, 0])
        variances = self.variance[0] * noise.square() + self.variance[1] * fano * energies + spread
        found = self.offset + self.gain * energies
        start = self._start(energies, width)
        return shown(found, variances, shares, groups, self.channels, self.step, start, width)

    def shapes(self) -> Tensor:
        """(channel, line or knot): what a photon of each gives, as the detector shows it."""
        unknowns = self.calibration, self.continuum, self.absorbers, self.ends
        return self._last_shapes.of(unknowns, self._made_shapes)

    def _made_shapes(self) -> Tensor:
        groups = Groups(len(self.groups), self.group_of)
        lines = self._shown(self.energies, self.shares, groups, self.line_width)
        level, steeper = CONTINUUM * self.continuum[0, 0], STEEPER * self.continuum[1, 0]
        window, dead = torch.exp(ABSORBERS * self.absorbers[:, 0])
        sent = self.kramers * torch.exp(
            level - steeper * torch.log(self.fine) - window * self.window - dead * self.dead
        )
        low, high = 1 + self.ends[:, 0]
        sent = sent * (1 + (low - 1) * self.below + (high - 1) * self.above)
        weights = self.hats[self.knot_of, self.fine_of]
        groups = Groups(self.knots, self.knot_of, self.fine_of, weights)
        knots = self._shown(self.fine, sent, groups, self.fine_width, self.cell)
        return torch.cat([lines, knots]).T

    def emitted(self, n: Tensor, among: Tensor | None = None) -> Tensor:
        """(pixel, line or knot): photons that leave the specimen towards the detector.

        Args:
            n: (pixel, element) atoms that send them.
            among: (pixel, element) all atoms, which absorb them; None: there are no others.
        """
        absorbing = n if among is None else among
        sent = self.sent * torch.exp(self.subshells[:, 0] @ self.of_L)
        if len(self.kept):
            less = (self.kept @ self.sent) / (self.kept @ sent)
            sent = sent * (1 + (less - 1) @ self.kept)
        window, dead = torch.exp(ABSORBERS * self.absorbers[:, 0]) - 1
        sent = sent * torch.exp(-window * self.line_window - dead * self.line_dead)
        if len(self.unsure):
            sent = sent * torch.exp((self.unsure * self.sensitivity[:, 0]) @ self.shell_of)
        kappa = self.mass_scale
        lines = (n @ (self.owner * sent)) * left_of(kappa * (absorbing @ self.line_mu))
        heavy = n @ self.numbers ** (1 + HEAVIER * self.heaviness[0, 0])
        depth = kappa * (absorbing @ self.knot_mu)
        if self.absorbed is None:
            depth = depth * torch.exp(log_path(self.path[0, 0]))
        left = 1 - self.absorbed_share * (1 - left_of(depth))
        return torch.cat([lines, heavy[:, None] * left], 1)

    def parted(self, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Counts (pixel, part) and spectra of sum 1 (channel, part) of parts of a map's atoms.

        Their product is the prediction but for how absorption changes a spectrum from pixel to
        pixel; summed over the pixels it is the prediction.

        Args:
            parts: (part, pixel, element), which add up to the atoms.
        """
        shapes, whole = self.shapes(), parts.sum(0)
        total, means, counts = shapes.sum(0), [], []
        for part in parts:  # one by one: pixels times lines may be many
            sent = self.emitted(part, among=whole)
            means.append(sent.mean(0))
            counts.append(sent @ total)
        spectra = shapes @ torch.stack(means, 1)
        tiny = torch.finfo(spectra.dtype).tiny
        return torch.stack(counts, 1), spectra / spectra.sum(0).clamp_min(tiny)

    def forward(self, n: Tensor) -> Prediction:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The prediction of a map of n (pixel, element) atoms."""
        return cp(self.emitted(n), self.shapes())

    def beliefs(self, within: str = "") -> Sequence[Term]:
        names = list(self.factor_modules())
        if self.thickness_told is None:
            return [Expected([within + name for name in names])]
        others = [within + name for name in names if name != "absorption"]
        told = KnownThickness(within.rstrip("."), *self.thickness_told, self.over_map)
        return [Expected(others), told]


def left_of(depth: Tensor) -> Tensor:
    """f(χ) = (1 − e^−χ) / χ: share of the photons of a layer that leave it."""
    small = depth < 1e-4
    safe = torch.where(small, 1.0, depth)
    return torch.where(small, 1 - depth / 2 + depth.square() / 6, -torch.expm1(-safe) / safe)


def _check_options(call: str, edxs: Dataset, continuum: Any, mass_thickness: Any) -> None:
    """Complain of what means nothing."""
    if continuum not in (None, "absorbed", "not absorbed"):
        raise ValueError(
            f"`{call}`: continuum={continuum!r}: give 'absorbed', 'not absorbed', or None to have "
            "it found."
        )
    if mass_thickness is not None:
        pair = tuple(mass_thickness) if isinstance(mass_thickness, Sequence) else ()
        if len(pair) != 2 or not (pair[0] > 0 and pair[1] > 0):
            raise ValueError(
                f"`{call}`: mass_thickness={mass_thickness!r}: give g/cm² and their relative "
                "standard error, (5e-5, 0.2)."
            )
    if not float(tally(edxs).rows.sum()) > 0:
        raise ValueError(f"`{call}`: there is not one count in {edxs.name!r}.")


def _check_zero_peak(call: str, edxs: Dataset, elements: Sequence[str]) -> None:
    """Complain of counts that no X-ray made, which the continuum would follow."""
    start = begins_at(edxs, elements)
    if start is not None:
        word = edxs.axes[-1].name.split()[0]
        raise ValueError(
            f"`{call}`: spectra begin with the zero peak of the detector's electronics, which is "
            f"of no X-ray: leave it out, `{edxs}.crop({word}=({start:g}, None))`."
        )


def _check_groups(
    call: str, elements: Sequence[str], groups: Sequence[LineGroup], low: float, high: float
) -> None:
    """Complain of elements without a line."""
    dark = [e for e in elements if not any(g.element == e for g in groups)]
    if dark:
        raise ValueError(
            f"`{call}`: {', '.join(dark)}: no X-ray line between {low:.3g} and {high:.3g} keV: "
            "leave such elements out, or give the spectrum over more energies."
        )
