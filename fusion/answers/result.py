"""What a fit gives back: the factors, and everything known about how they were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Shown
from fusion.answers.components import no_factor
from fusion.answers.diagnostics import DataSummary
from fusion.answers.named_parts import NamedParts
from fusion.answers.result_display import result_display
from fusion.answers.roles import Roles
from fusion.engine.status import Status, ran_on
from fusion.language.loss import Loss
from fusion.language.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.data.dataset import Dataset
    from fusion.elements import Composition
    from fusion.elements.intensities import Measure
    from fusion.elements.modelled_composition import ModelledComposition
    from fusion.elements.stoichiometry import Stoichiometry
    from fusion.language.fit_term import Fit
    from fusion.plots.split_scale import Scale
    from fusion.report import Report
    from fusion.uncertainty.ambiguity import Ambiguity
    from fusion.uncertainty.error_table import StandardErrors

Array = NDArray[Any]

CLOSE = 1e-4
"""Share of what is left of the data, up to which starts are one answer."""


@dataclass(frozen=True, eq=False, repr=False)
class Result(Shown, NamedParts):
    """A fit's answer.

    Attributes:
        factors: values of all factors; rows that no data set sees are NaN.
        axes: for every factor, for every mode, the axes behind it, or None.
        status: why the best start ended, in words that a user can act on.
        converged: whether that is a minimum as far as the solver can tell.
        loss: of the answer; `losses`: of every start, where it ended or was dropped; `statuses`:
            of every start, which of the two and why.
        n_components: their number, None where the factors differ in it.
        history: for the answer's start at every step: "loss", every term, and what terms learn on
            the way, such as "λ of ARD('C')", (step, K).
        loss_history: (start, step) loss of every start, NaN where it has ended.
        data: how well every data set is met.
        formula: the loss as plain text; `latex`: as LaTeX.
        solver: what was run, with its options; `seconds`: how long.
        messages: what else a user should know.
        structure: ("cp" or "tucker", factor names) where the model is one tensor decomposition.
        model: the fitted model; None after `load`.
        minimised: the loss that was; None after `load`.
        component_names: see `renamed`; empty where none was given. `roles`: for a data set the
            factors whose sum are its maps, and those whose sum are its spectra, where known.
            `other_columns`: of a loaded result, data sets whose prediction is not that product.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> model = fu.models.NMF(data, K=3)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> print(result.status)
        converged: the loss no longer changes
        >>> result.explained_variance["net"] > 0.9
        True
        >>> [axis.name for axis in result.axes["C"][0]]
        ['y', 'x']
    """

    factors: dict[str, Array]
    axes: dict[str, tuple[Axes | None, ...]]
    status: str
    converged: bool
    loss: float
    losses: Array
    statuses: list[str]
    n_components: int | None
    history: dict[str, Array]
    loss_history: Array
    data: dict[str, DataSummary]
    formula: str
    latex: str
    solver: str
    seconds: float
    messages: list[str] = field(default_factory=list)
    structure: tuple[str, tuple[str, ...]] | None = None
    model: Model | None = None
    minimised: Loss | None = None
    component_names: tuple[str, ...] = ()
    roles: Roles = field(default_factory=dict)
    other_columns: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Array:
        """A factor by name.

        Raises:
            KeyError: if there is none; with those that there are.
        """
        if name not in self.factors:
            raise no_factor(name, self)
        return self.factors[name]

    @property
    def explained_variance(self) -> dict[str, float]:
        """Explained variance of every data set."""
        return {name: summary.explained_variance for name, summary in self.data.items()}

    @property
    def stamp(self) -> str:
        """What every picture of it says where the fit was stopped before it converged; else ""."""
        steps = len(self.history["loss"]) - 1
        return "" if self.converged else f"not converged: {steps} step{'s' * (steps != 1)}"

    def agreeing(self) -> int:
        """How many starts ended within 1e-4 of what the best leaves of the data, itself one.

        Those that were dropped on the way did not end, wherever they were.
        """
        close = self.losses <= self.loss + CLOSE * max(self.left_over(), 0.0)  # rounding: below 0
        return int((close & self.ended).sum())

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(start,) whether it was run until it ended, not dropped on the way or left behind."""
        return np.array([ran_on(status) for status in self.statuses])

    def told_of_starts(self) -> str:
        """How many starts there were, how many ended, and how many of them at the answer."""
        n, ended, alike = len(self.losses), int(self.ended.sum()), self.agreeing()
        if ended == n:
            return f"{n} start{'s' * (n > 1)}, {alike} within 1e-4 of the best"
        here = "which is the answer" if ended == 1 else f"{alike} of them within 1e-4 of the best"
        same = sum(status.startswith(Status.ALIKE.value) for status in self.statuses)
        where = f", {same} of them at the components of another" if same else ""
        return f"{n} starts: {ended} run to the end, {here}; {n - ended} dropped on the way{where}"

    def left_over(self) -> float:
        """Half the squares that are left, in units of the noise; |loss| where none is known.

        The loss of counts has a large constant, of which 1e-4 says nothing.
        """
        chi2 = [d.chi2 for d in self.data.values() if d.chi2 is not None]
        if not chi2 or len(chi2) < len(self.data):
            return abs(self.loss)
        sizes = [prod(d.shape) for d in self.data.values()]
        return 0.5 * sum(n * each for n, each in zip(sizes, chi2, strict=True))

    def summary(self) -> str:
        """The answer in a few lines, everything in full; `print(result)` shows a screen of it."""
        lines = [
            f"{self.status}",
            f"loss {self.loss:.8g} = {self.formula}",
            f"{self.solver}",
            f"{self.told_of_starts()}; {self.seconds:.1f} s",
        ]
        for name, array in self.factors.items():
            lines.append(f"  {name} {array.shape}")
        for name, summary in self.data.items():
            chi2 = f"; {summary.told_chi2}" if summary.told_chi2 else ""
            lines.append(f"  {name}: {summary.told_variance}{chi2}")
        return "\n".join([*lines, *self.messages])

    def _display(self) -> Display:
        return result_display(self, self._picture)

    def _picture(self) -> bytes | None:
        """Small maps and spectra, PNG."""
        from fusion.plots import small_picture

        return small_picture(self)

    def save(self, path: Any) -> list[Path]:
        """Write to files, each whole or not at all, of the kind that the ending says.

        "answer.npz" holds all of the result but the model: `Result.load` opens it without the data
        and without the model's class. "answer.hspy" and "answer.zspy" hold the factors as
        calibrated signals for HyperSpy; "maps.tif" the maps as stacks with scale and unit (several
        factors: "maps_C.tif" …); "spectra.msa" every spectrum in a file of its own,
        "spectra_s_1.msa"; "spectra.csv" all spectra in one table. Masked rows are NaN in all.

        Args:
            path: of the file; ".npz" is added where the ending is none of these.

        Returns:
            The files that were written.

        Raises:
            ValueError: if such a file cannot hold the result, or its package is not installed
                (`pip install "sdfusion[io]"`).
            OSError: if the folder cannot be written.
        """
        from fusion.files.export import save_result

        return save_result(self, path)

    @classmethod
    def load(cls, path: Any) -> Result:
        """Read what `save` wrote; `model` is None.

        Raises:
            ValueError: if the file holds no result.
        """
        from fusion.answers.storage import load

        return load(path)

    def to_tensorly(self, *names: str) -> Any:
        """A `CPTensor` (weights, factors), or a `TuckerTensor` (core, factors), of NumPy arrays.

        Args:
            names: the factors of a CP decomposition, in order; default: the model's own structure.

        Raises:
            ValueError: if the model is no single decomposition and no names are given, or there is
                no such factor.
        """
        kind, chosen = ("cp", names) if names else self.structure or ("", ())
        if not chosen:
            raise ValueError(
                "`to_tensorly()`: the model is no single decomposition: name its factors, of "
                f"{', '.join(self.factors)}."
            )
        if missing := [name for name in chosen if name not in self.factors]:
            raise ValueError(
                f"`to_tensorly({missing[0]!r})`: no such factor; it has {', '.join(self.factors)}."
            )
        arrays = [np.array(self.factors[name]) for name in chosen]
        import tensorly as tl
        from tensorly.cp_tensor import CPTensor
        from tensorly.tucker_tensor import TuckerTensor

        with tl.backend_context("numpy", local_threadsafe=True):  # type: ignore[attr-defined]
            if kind == "tucker":
                return TuckerTensor((arrays[0], arrays[1:]))
            return CPTensor((np.ones(arrays[0].shape[1]), arrays))

    def to_hyperspy(self) -> dict[str, Any]:
        """The factors as HyperSpy signals, {name: signal}, components along "Component".

        Spectra are of the kind of their data set (EELSSpectrum, EDSTEMSpectrum …; eXSpy has them),
        maps are images with their axes in nm, a line scan's or a tilt series' are curves. X-ray
        spectra are those of the whole scan, in counts: times the sum of the component's map, as
        eXSpy's quantification takes intensities below 0.1 for nothing. The metadata of the
        measurement come along.

        Raises:
            ImportError: if HyperSpy is not installed.
        """
        from fusion.signals import to_hyperspy

        return to_hyperspy(self)

    def write_to(self, signal: Any, *, name: str | None = None) -> None:
        """Maps and spectra as the `learning_results` of the HyperSpy signal that was fitted.

        Then `signal.plot_decomposition_results()`, `.get_decomposition_model()`, `.save(…)` work.

        Args:
            signal: of the shape of the data set.
            name: of the data set, where the result has several.

        Raises:
            ValueError: if the shapes differ, the prediction is not maps times spectra, or a loaded
                result does not tell which factors make it.
        """
        from fusion.signals import write_to

        write_to(self, signal, name=name)

    @checked_call
    def errors(self, *, held: Sequence[str] = (), progress: bool = True) -> StandardErrors:
        """Standard errors of all factors, each of its shape; see `fusion.standard_errors`.

        Args:
            held: factors that are taken to be right.
            progress: whether a line says that it is at work, as in `fit`.
        """
        from fusion.uncertainty.standard_errors import standard_errors

        return standard_errors(self, held=held, progress=progress)

    @checked_call
    def transform(
        self,
        data: Dataset | Mapping[str, Dataset] | Fit | Loss,
        *,
        errors: bool = False,
        device: Any = None,
        progress: bool = True,
    ) -> Any:
        """Maps of new data under the spectra found here, in one pass: c of x ≈ S c, pixel by pixel.

        The likelihood, its weights and whether amounts may be negative are those of the fit, the
        mask and the variance those of the new data; penalties and other constraints of the maps are
        not read. Detectors that share their maps are taken together, those that were fitted with a
        learned noise level with that level. What is lazy is read block by block, each once.

        Args:
            data: as they were prepared for the fit, with the same channels; any pixels. A mapping
                or `Scan` of several detectors. Of a result that was loaded, whose likelihood is not
                known or that has several data sets: the fit, `Poisson(data)`, or the loss.
            errors: whether standard errors are given beside the maps, given the spectra. Noise of
                unknown size is as large as what is left of the new data, Σ r² / (n − p), tells. Of
                an amount at zero it is the one that it would have if it were free.
            device: "cpu", "cuda" …; default: where the data are.
            progress: whether a line says how far it is, as in `fit`.

        Returns:
            Maps with the axes of the new pixels, (y, x, K), in the unit of `result.maps`, float64;
            NaN where a pixel is masked. `(maps, errors)` where errors were asked for; of errors NaN
            too where spectra are too alike. Where data sets have maps of their own: {data set:
            maps}.

        Raises:
            ValueError: if the channels are others than those fitted, the model is not maps times
                spectra, or a loaded result does not tell what is needed.

        Example:
            >>> from fusion.simulate import layers
            >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
            >>> model = fu.models.NMF(data, K=3)
            >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
            >>> maps, errors = result.transform(data[:4], errors=True)
            >>> maps.shape, bool((abs(maps - result.maps[:4]) < errors).all())
            ((4, 10, 3), True)
        """
        from fusion.references.transform import transform

        return transform(self, data, errors=errors, device=device, progress=progress)

    @checked_call
    def composition(
        self,
        k_factors: Mapping[str, float | tuple[float, float]] | None = None,
        *,
        by: Measure | None = None,
        others: Sequence[str] = (),
        factor: str | None = None,
        oxygen: Stoichiometry | None = None,
        progress: bool = True,
    ) -> Composition | ModelledComposition:
        """Weight and atomic % of every component; see `fusion.elements.composition`.

        Args:
            k_factors: {line: k} or {line: (k, standard error)}: {"Si Ka": 1.0, "Fe Ka": 1.2}. None:
                of a model whose components are compositions, `models.Compositions`, as it found
                them, with a map of each element: `.maps`, `.plot()`.
            by: how intensities are measured: `fusion.elements.Fitted()`, or `Windows()`.
            others: elements that are no part of it; factor: of the spectra, where there are some.
            oxygen: `fusion.elements.Stoichiometry({"Fe": 3})`: by charges, and not by its line.
            progress: whether a line says that it is at work.
        """
        from fusion.elements import composition

        return composition(
            self,
            k_factors,
            by=by,
            others=others,
            factor=factor,
            oxygen=oxygen,
            progress=progress,
        )

    @checked_call
    def plot(
        self,
        *,
        factors: Sequence[str] | None = None,
        components: Sequence[int | str] | None = None,
        elements: str | Sequence[str] = (),
        same_scale: bool = False,
        scale: Scale = "auto",
        figure: Any = None,
    ) -> Figure:
        """Maps beside spectra, how well they fit, every start; see `fusion.plots.plot_result`.

        Args:
            factors: names of those to show; components: names, or numbers from 1; default: all.
            elements: whose lines or edges are named on the spectra: ["Mn", "O"].
            same_scale: one scale for all components of a factor.
            scale: of spectra: "auto" splits it where one line hides the rest; "linear", "log".
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots import plot_result

        return plot_result(
            self,
            factors=factors,
            components=components,
            elements=elements,
            same_scale=same_scale,
            scale=scale,
            figure=figure,
        )

    @checked_call
    def report(
        self,
        path: Any = None,
        *,
        data: Dataset | Sequence[Dataset] | None = None,
        elements: str | Sequence[str] = (),
        lines: Mapping[str, Sequence[tuple[float, str]]] | None = None,
        errors: StandardErrors | bool = False,
        ambiguity: Ambiguity | bool = False,
        beside: Sequence[Result] = (),
        composition: ModelledComposition | None = None,
        title: str | None = None,
        progress: bool = True,
    ) -> Report:
        """A page for any browser, maps linked to spectra; see `fusion.report`.

        Args:
            path: of the file; None writes none, and a notebook shows the page.
            data: the data sets of a result that was loaded.
            elements: whose lines or edges are marked; lines: what else is, for a data set
                [(energy, label), …].
            errors: standard errors that are drawn, or True; ambiguity: the same of answers that
                fit as well, of `fusion.ambiguity`.
            beside: other answers of the same data, shown side by side.
            composition: what `composition(…)` gave with options, as oxygen by stoichiometry.
            title: heading.
            progress: whether a line says which data set is drawn.
        """
        from fusion.report import report

        return report(
            self,
            path,
            data=data,
            elements=elements,
            lines=lines,
            errors=errors,
            ambiguity=ambiguity,
            beside=beside,
            composition=composition,
            title=title,
            progress=progress,
        )
