"""Compositions of components by Cliff and Lorimer, with errors."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, users_line
from fusion.algebra.display import Display, Notes, Part, Shown, Table
from fusion.algebra.waiting import waited_for
from fusion.answers.components import in_words, names_of
from fusion.answers.measured import metadata_along
from fusion.data.dataset import Dataset
from fusion.data.signal_type import has_edges, nested, signal_type
from fusion.elements.from_line_model import modelled_composition
from fusion.elements.intensities import Fitted, Intensities, Measure
from fusion.elements.modelled_composition import ModelledComposition
from fusion.elements.stoichiometry import Stoichiometry
from fusion.xrays.table import KEV, atomic_mass
from fusion.xrays.table import lines as xray_lines

if TYPE_CHECKING:
    from fusion.answers.result import Result

Array = NDArray[np.float64]
K = float | tuple[float, float]

MIXED = 10.0
"""Times the errors with the maps held, above which errors are those of mixing."""
KNOWN = 1e-6
"""Of its highest, error of a spectrum that is known."""
LEAST = 3.0
"""Standard errors by which all lines together stand out, for a composition to be told."""
SOFT = 1.0
"""keV below which specimens of electron microscopes absorb X-rays that they give off."""
NOISE = (
    "errors: what noise does to this answer; where maps or spectra may be mixed and fit as well, "
    "`fusion.ambiguity(result)` says how far"
)


@dataclass(frozen=True, eq=False, repr=False)
class Composition(Shown):
    """What components consist of.

    Attributes:
        names: of the components, one a row.
        elements: one a column; `lines`: those that they were measured by.
        weight: (n, element) weight %, `weight_errors` their standard errors.
        atomic: (n, element) atomic %, `atomic_errors` their standard errors.
        intensities: of the lines.
        messages: what else a user should know.
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    lines: tuple[str, ...]
    weight: Array
    weight_errors: Array
    atomic: Array
    atomic_errors: Array
    intensities: Intensities
    messages: tuple[str, ...] = ()

    def _display(self) -> Display:
        parts: list[Part] = [self._table(what) for what in ("atomic", "weight")]
        title = f"composition of {', '.join(self.names)}" if self.names else "no component"
        return Display(title, [*parts, Notes(self.messages)] if self.messages else parts)

    def _table(self, what: str) -> Table:
        """One kind of per cent, with errors."""
        heads = [
            f"{e} ({line.split()[1]})" for e, line in zip(self.elements, self.lines, strict=True)
        ]
        values, errors = getattr(self, what), getattr(self, f"{what}_errors")
        rows = [
            [name, *(_with_error(v, e) for v, e in zip(row, error, strict=True))]
            for name, row, error in zip(self.names, values, errors, strict=True)
        ]
        return Table([f"{what} %", *heads], rows)

    def to_csv(self, path: Any) -> None:
        """Write a row for every component and element: both per cents and intensity, with errors.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        heads = [
            f"{sign}{what}" for what in ("atomic %", "weight %", "intensity") for sign in ("", "± ")
        ]
        writer.writerow(["component", "element", "line", *heads])
        parts = (
            *(self.atomic, self.atomic_errors, self.weight, self.weight_errors),
            *(self.intensities.values, self.intensities.errors),
        )
        for i, name in enumerate(self.names):
            for j, element in enumerate(self.elements):
                numbers = [f"{part[i, j]:.6g}" for part in parts]
                writer.writerow([name, element, self.lines[j], *numbers])
        with atomic_write(Path(path)) as file:
            file.write(text.getvalue().encode())


def _absorbed(lines: Sequence[str]) -> Iterator[str]:
    """A caution where a line is of so low an energy that specimens absorb it."""
    soft = [name for name in lines if _energy_of(name) < SOFT]
    if soft:
        text = (
            f"{', '.join(soft)}: below {SOFT:g} keV X-rays are absorbed in the specimen itself, "
            "and no absorption is allowed for: right for very thin specimens alone, and no "
            "error bar holds this. Take a line of higher energy, or correct for the mass thickness."
        )
        warnings.warn(f"`composition`: {text}", ClaimWarning, stacklevel=users_line())
        yield text


def _energy_of(name: str) -> float:
    """keV of a line, "O Ka"."""
    return max(line.energy for line in xray_lines(name) if line.name == name)


@checked_call
@waited_for
def composition(
    what: Result | Dataset,
    k_factors: Mapping[str, K] | None = None,
    *,
    by: Measure | None = None,
    others: Sequence[str] = (),
    factor: str | None = None,
    oxygen: Stoichiometry | None = None,
    progress: bool = True,
) -> Composition | ModelledComposition:
    """Weight and atomic per cent of every component: w_i ∝ k_i I_i (Cliff & Lorimer).

    For thin specimens: nothing is absorbed. Errors are those of the intensities, from
    `result.errors()` (or the counts, or the variance, of a data set), and of the k-factors, which
    all components have in common. Errors of a result hold for its answer: where others fit as
    well, `fusion.ambiguity` says how far apart they are.

    Args:
        what: a result with X-ray spectra, on an axis in keV or, where the metadata of their data
            set say that they are EDS, in eV; or a data set, every pixel a component.
        k_factors: {line: k} or {line: (k, standard error)}, one line an element, k for weight
            fractions, all against one reference: {"Si Ka": 1.0, "Fe Ka": (1.2, 0.05)}. None: as
            a model found them whose components are compositions, `models.Compositions`.
        by: how the intensities are measured: `Fitted()`, the default, or `Windows()`.
        others: elements in the spectra that are no part of the composition: a grid's "Cu".
        factor: of the spectra; default: the only one that there is.
        oxygen: how it is counted, of a model whose components are compositions:
            `Stoichiometry({"Fe": 3})` by the charges of all else; None: by its line.
        progress: whether a line says that it is at work, as in `fit`. Ctrl-C leaves the errors of
            a result out: they come from what the lines leave of the spectra, and a message says so.

    Raises:
        ValueError: if there are no such spectra, a line is not among them, or valences are not
            known.

    References:
        Cliff & Lorimer, J. Microsc. 103:203 (1975).
    """
    if k_factors is None:
        return modelled_composition(what, oxygen=oxygen, progress=progress)
    if oxygen is not None:
        raise ValueError(
            f"`composition(…, oxygen={oxygen!r})`: by stoichiometry oxygen is counted in "
            "compositions of `fusion.models.Compositions` or `ElementMaps`: leave the k factors "
            "out here and give them to the model, `Compositions(…, k_factors=…)`."
        )
    lines, k, k_errors = _k_factors(k_factors)
    names, spectra, left_open, messages = _spectra_of(what, factor)
    intensities = (Fitted() if by is None else by)(spectra, lines, others)
    if left_open.any():
        covariance = np.where(left_open[:, None, None], np.inf, intensities.covariance)
        intensities = replace(intensities, covariance=covariance)
    elements = [line.partition(" ")[0] for line in lines]
    total, noise = _total(intensities, k)
    told = (total > 0) & (total > LEAST * noise)
    weight, weight_errors = _per_cent(intensities, k, k_errors, told)
    messages = (*messages, *_untold(names, weight, intensities, k), *_absorbed(lines))
    masses = np.array([atomic_mass(element) for element in elements])
    atomic, atomic_errors = _per_cent(intensities, k / masses, k_errors / masses, told)
    return Composition(
        names=names,
        elements=tuple(elements),
        lines=tuple(lines),
        weight=weight,
        weight_errors=weight_errors,
        atomic=atomic,
        atomic_errors=atomic_errors,
        intensities=intensities,
        messages=(*messages, *intensities.messages),
    )


def _k_factors(k_factors: Mapping[str, K]) -> tuple[list[str], Array, Array]:
    """(lines, k, errors of k)."""
    if not isinstance(k_factors, Mapping):
        raise ValueError(
            f"`composition(k_factors={k_factors!r})`: give a k-factor for a line of every element, "
            '{"Si Ka": 1.0, "Fe Ka": 1.2}.'
        )
    lines = [" ".join(name.replace("_", " ").split()) for name in k_factors]
    elements = [line.partition(" ")[0] for line in lines]
    pairs = [k if isinstance(k, tuple) else (k, 0.0) for k in k_factors.values()]
    values = np.array(pairs, dtype=float).reshape(-1, 2)
    if len(lines) < 2 or len(set(elements)) < len(lines):
        raise ValueError(
            f"`composition(k_factors={dict(k_factors)})`: give one line of every element, of two "
            "elements or more."
        )
    if not (np.isfinite(values).all() and (values[:, 0] > 0).all() and (values[:, 1] >= 0).all()):
        raise ValueError(
            f"`composition(k_factors={dict(k_factors)})`: every k must be > 0, its error ≥ 0."
        )
    return lines, values[:, 0], values[:, 1]


def _per_cent(
    lines: Intensities, k: Array, k_errors: Array, told: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """(per cent, standard errors) of y_i = k_i I_i among their sum, (n, element), where told."""
    y = lines.values * k
    left_open = _left_open(lines)
    spread = np.where(left_open[:, None, None], 0.0, lines.covariance) * k[:, None] * k
    total, _ = _total(lines, k)
    total = np.where(told & (total > 0), total, np.nan)[:, None]
    share = y / total
    spread = spread + (lines.values * k_errors)[:, :, None] ** 2 * np.eye(len(k))
    jacobian = (np.eye(len(k)) - share[:, :, None]) / total[:, :, None]
    covariance = jacobian @ spread @ jacobian.transpose(0, 2, 1)
    errors = 100 * np.sqrt(np.maximum(covariance.diagonal(axis1=1, axis2=2), 0))
    return 100 * share, np.where(left_open[:, None] & ~np.isnan(share), np.inf, errors)


def _left_open(lines: Intensities) -> NDArray[np.bool_]:
    """Of which components the errors are infinite, (n,)."""
    return np.asarray(np.isinf(lines.covariance).any((1, 2)))


def _untold(names: Sequence[str], per_cent: Array, lines: Intensities, k: Array) -> Iterator[str]:
    """Why components have no composition, or no errors of it."""
    left_open = _left_open(lines)
    if left_open.any():
        yield (
            f"{_listed(names, left_open)}: no errors, as those of the spectrum are infinite, or of "
            "how components mix: the data leave that open, `fusion.ambiguity(result)` says how far"
        )
    total, noise = _total(lines, k)
    lost = np.isnan(per_cent).all(1)
    if (none := lost & ~(total > 0)).any():
        yield f"{_listed(names, none)}: none of the lines is there"
    if (weak := lost & (total > 0)).any():
        said = ", ".join(f"{t / s:.2g}" for t, s in zip(total[weak], noise[weak], strict=True))
        yield (
            f"{_listed(names, weak)}: none of the lines stands out of the noise: all together are "
            f"{said} times their standard error, and {LEAST:g} are needed"
        )


def _listed(names: Sequence[str], which: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, said in zip(names, which, strict=True) if said)


def _total(lines: Intensities, k: Array) -> tuple[Array, Array]:
    """(Σ k_i I_i, its standard error), (n,); 0 where that is not known, or infinite."""
    spread = (lines.covariance * k[:, None] * k).sum((1, 2))
    return (lines.values * k).sum(1), np.sqrt(np.where(np.isfinite(spread), spread, 0.0))


def _with_error(value: float, error: float) -> str:
    """ "42.9 ± 0.3", the error with two digits below 1, else with one decimal."""
    if not np.isfinite(value):  # none of the lines is there
        return "–"
    if not np.isfinite(error):
        return f"{value:.1f}"
    places = 1 if error >= 0.95 else 2 if error >= 0.095 else 3
    return f"{value:.{places}f} ± {error:.{places}f}"


def _spectra_of(
    what: Any, factor: str | None
) -> tuple[tuple[str, ...], Dataset, NDArray[np.bool_], tuple[str, ...]]:
    """(names, spectra (n, channel) with their variance, whether that is infinite, messages)."""
    if isinstance(what, Dataset):
        if what.signal != 1 or not _could_be_xrays(what):
            kind = signal_type(what.channels, what.metadata) or "of no type"
            raise ValueError(
                f"`composition({what}, …)`: {what.signal} signal axes, {kind}: "
                "give X-ray spectra on an axis in keV or eV."
            )
        n = what.matrix_shape[0]
        variance = (
            None if what.variance is None else what.variance.expand(what.shape).reshape(n, -1)
        )
        flat = Dataset(what.name, what.matrix, axes=["pixel", what.axes[-1]], variance=variance)
        names = tuple(f"pixel {i}" for i in range(n)) if n > 1 else (what.name,)
        return names, flat, np.zeros(n, dtype=bool), ()
    name, axis = _xray_factor(what, factor)
    S = what.factors[name].T
    variance, left_open, messages = _variance(what, name, len(S))
    names = tuple(map(in_words, names_of(what, len(S))))
    spectra = Dataset(name, S, axes=["component", axis], variance=variance)
    return names, spectra, left_open, messages


def _could_be_xrays(data: Dataset) -> bool:
    """Whether spectra may be those of X-rays: who asks for lines of them says so."""
    stated = nested(data.metadata, "Signal", "signal_type")
    lines = has_edges(data.axes[-1], data.metadata) is False
    return data.axes[-1].units in KEV and (lines or not stated)


def _xray_factor(result: Any, name: str | None) -> tuple[str, Axis]:
    """The factor of the X-ray spectra, and its axis."""
    known = {
        key: axes[0][0]
        for key, axes in result.axes.items()
        if axes[0] is not None
        and len(axes[0]) == 1
        and axes[0][0].units in KEV
        and has_edges(axes[0][0], metadata_along(result, axes[0])) is False
    }
    if name is not None and name in known:
        return name, known[name]
    if name is not None or len(known) != 1:
        raise ValueError(
            f"`composition(factor={name!r})`: the factors on an axis of X-ray energies are "
            f"{', '.join(known) or 'none'}, of {', '.join(result.factors)}: name one of them; "
            "spectra in eV are X-rays where metadata['Signal']['signal_type'] of their data set "
            "says EDS_TEM or EDS_SEM."
        )
    return next(iter(known.items()))


def _variance(
    result: Any, name: str, K: int
) -> tuple[Array | None, NDArray[np.bool_], tuple[str, ...]]:
    """(variances (K, channel) of the spectra, or None; whose are infinite, (K,); messages)."""
    none = np.zeros(K, dtype=bool)
    left = "those here come from what the lines leave of the spectra"
    if result.model is None:
        return None, none, (f"a loaded result has no errors of its spectra: {left}",)
    try:
        errors = np.array(result.errors(progress=False)[name].T)
        others = [n for n in result.factors if n != name]
        alone = np.array(result.errors(held=others, progress=False)[name].T)
    except ValueError as error:  # too large, with its sizes
        return None, none, (f"{error} T{left[1:]}",)
    except KeyboardInterrupt:
        return None, none, (f"the errors of {name} were stopped: {left}",)
    if np.isinf(errors).any(1).all():  # nothing fixes the scale, which no per cent asks for
        return None, none, (f"the errors of {name} are infinite: {left}",)
    left_open = _mostly_mixing(errors, alone)
    errors = np.where(left_open[:, None], alone, errors)
    for row, spectrum in zip(errors, result.factors[name].T, strict=True):
        _fill(row, spectrum)
    return errors**2, left_open, (NOISE,) if K > 1 else ()


def _mostly_mixing(errors: Array, alone: Array) -> NDArray[np.bool_]:
    """Of which spectra errors are infinite, or far above those with the maps held, (K,).

    Then one direction in which components mix, which bounds may end, is what they tell.
    """
    with np.errstate(invalid="ignore"):
        whole, own = (np.nansum(np.square(each), axis=1) for each in (errors, alone))
    return np.asarray(~np.isfinite(whole) | (whole > MIXED**2 * own))


def _fill(errors: Array, spectrum: Array) -> None:
    """Errors where there are none: of a known spectrum next to nothing, at bounds the neighbours'.

    What is held at zero has an error of one side: that of its neighbours.
    """
    good = np.isfinite(errors) & (errors > 0)
    if good.any():
        at = np.flatnonzero(good)
        errors[~good] = np.interp(np.flatnonzero(~good), at, errors[good])
    else:
        errors[:] = KNOWN * float(np.nanmax(np.abs(spectrum), initial=0.0)) or 1.0
